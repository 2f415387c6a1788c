"""A DDP strategy with one all-reduce for each player's update."""

from lightning.pytorch.strategies import DDPStrategy
from torch.optim import Optimizer

from munit_pl.models.base.module import AdversarialModule
from munit_pl.optim.flat_gradients import FlatGradients, broadcast_together


class FlatDDPStrategy(DDPStrategy):
    """Average the gradients of each update by one all-reduce.

    What it computes is what `DDPStrategy` with a search for unused parameters does, up to rounding;
    checkpoints are the same. There is no wrapper around the module, no search of the graph and no
    hook on a parameter. A batch that is split into parts is averaged once and not for each part.

    Weights and buffers are the first process's when training begins. From then on the averages of a
    batch normalization or a whitening are each process's own, of which checkpoints hold the
    first's; that is what DDP comes to under manual optimization, too.
    """

    def __init__(self) -> None:
        super().__init__()
        self._gradients: dict[Optimizer, FlatGradients] = {}

    def configure_ddp(self) -> None:
        """Let all processes begin with the first one's weights; wrap nothing.

        Raises:
            TypeError: If the module is none that has its gradients averaged by this class.
        """
        module = self.lightning_module
        if not isinstance(module, AdversarialModule):
            raise TypeError("FlatDDPStrategy trains this package's modules: use strategy=ddp")
        self._gradients.clear()
        broadcast_together([*module.parameters(), *module.buffers()])

    def average_gradients(self, optimizer: Optimizer) -> None:
        """Average the gradients of an update, complete but still scaled, over all processes."""
        if optimizer not in self._gradients:
            groups = optimizer.param_groups
            self._gradients[optimizer] = FlatGradients(p for g in groups for p in g["params"])
        self._gradients[optimizer].average()
