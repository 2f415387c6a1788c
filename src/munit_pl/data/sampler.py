"""The sampler: the positions of the endless stream that one process reads, resumable anywhere."""

from collections.abc import Callable, Iterator
from itertools import count, islice

from torch.utils.data import DistributedSampler

from munit_pl.data.datasets import TrainingPairs


class StreamSampler(DistributedSampler[int]):
    """One process's positions in the endless stream, from the current iteration on.

    It asks for the iteration each time it starts and keeps no count of its own, so a resumed run
    goes on where the interrupted one was, in the middle of an epoch or not. The batches of all
    processes together are the next positions of the stream, however many processes there are.
    It is a `DistributedSampler` for Lightning to leave it in place.

    Args:
        pairs: The stream.
        batch_size: Samples of one process in one iteration.
        iteration: Returns the number of iterations done.
        num_replicas: Number of processes.
        rank: This process.

    Attributes:
        ahead: By how many iterations it starts before its time.
    """

    def __init__(
        self,
        pairs: TrainingPairs,
        batch_size: int,
        iteration: Callable[[], int],
        num_replicas: int = 1,
        rank: int = 0,
    ) -> None:
        super().__init__(pairs, num_replicas=num_replicas, rank=rank, shuffle=False)
        self.batch_size = batch_size
        self.iteration = iteration
        self.ahead = 0
        at_once = batch_size * num_replicas
        self.iterations_per_epoch = -(-len(pairs) // at_once)

    def __len__(self) -> int:
        return self.iterations_per_epoch * self.batch_size

    def __iter__(self) -> Iterator[int]:
        return islice(self._positions(self.iteration() + self.ahead), len(self))

    def _positions(self, first: int) -> Iterator[int]:
        for iteration in count(first):
            start = (iteration * self.num_replicas + self.rank) * self.batch_size
            yield from range(start, start + self.batch_size)
