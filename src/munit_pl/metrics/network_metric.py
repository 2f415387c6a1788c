"""The base class of metrics on the features of a network."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torchmetrics import Metric

Network = TypeVar("Network", bound=nn.Module)


def to_rgb(x: Tensor) -> Tensor:
    """Return images with three channels, as a network trained on photographs takes them.

    Args:
        x: Images, ``(N, C, H, W)`` in [-1, 1]. Gray is repeated; a fourth channel is opacity, -1
            to 1, over white: dropping it would show the noise that lies under transparent pixels.

    Returns:
        ``(N, 3, H, W)`` in [-1, 1], float32.

    Raises:
        ValueError: If the images have neither 1, 3 nor 4 channels.
    """
    x = x.float()
    match x.shape[1]:
        case 1:
            return x.expand(-1, 3, -1, -1)
        case 3:
            return x
        case 4:
            return torch.lerp(torch.ones_like(x[:, :3]), x[:, :3], (x[:, 3:] + 1) / 2)
    raise ValueError(f"images of shape {tuple(x.shape)}: (N, C, H, W) with C 1, 3 or 4 is needed")


class NetworkMetric(Metric, Generic[Network]):
    """A metric on what a network makes of images, which is given to it and no part of it.

    The network follows the metric from device to device, and keeps its precision. It is in no
    state dictionary and no ``parameters()``, and ``train()`` does not reach it.

    Args:
        network: The feature extractor or classifier. It is put into evaluation mode.
    """

    full_state_update = False  # states are sums and lists, so forward() needs one update

    def __init__(self, network: Network) -> None:
        super().__init__()
        # A module inside a tuple is an attribute like any other: nn.Module does not register it.
        self._unregistered = (network.eval(),)

    @property
    def network(self) -> Network:
        """The feature extractor or classifier."""
        return self._unregistered[0]

    def _apply(self, fn: Callable[..., Any], exclude_state: Sequence[str] = "") -> nn.Module:
        moved = super()._apply(fn, exclude_state)
        self.network.to(self.device)
        return moved
