"""Domains of numbers, which can fail as files do."""

import torch


class Numbers:
    """A domain whose image i holds i, and what its generator draws.

    ``faults`` maps an index, or -1 for all, to a function that is called before such an image is
    loaded.
    """

    def __init__(self, n, faults=None):
        self.n = n
        self.faults = faults or {}
        self.loads = 0

    def __len__(self):
        return self.n

    def load(self, index, rng):
        assert 0 <= index < self.n
        self.loads += 1
        for which in (index, -1):
            if which in self.faults:
                self.faults[which]()
        drawn = torch.rand(1, generator=rng).item() if rng else -1.0
        return torch.tensor([float(index), drawn])


def raising(error):
    def fault():
        raise error

    return fault


UNDECODABLE = raising(OSError("its end is missing"))  # no errno: the file is at fault
VANISHED = raising(FileNotFoundError(2, "No such file or directory"))
