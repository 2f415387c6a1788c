"""Inception-v3: FID's of 2015-12-05, and torchvision's as a user has fine-tuned it.

FID, KID and IS are defined on the former. torch-fidelity holds the network; its weights come from a
file, since nothing is downloaded unless `load_inception` is told to.
"""

from io import BytesIO
from pathlib import Path
from textwrap import shorten

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from munit_pl.data.images.tensors import to_uint8
from munit_pl.io.pretrained_weights import Pretrained, find_weights, import_extra, load_weights
from munit_pl.metrics.network_metric import to_rgb

_INCEPTION = Pretrained(
    "Inception-v3",
    "weights-inception-2015-12-05-6726825d.pth",
    "FID",
    "give its path with --inception FILE, or allow the download of 96 MB with --download",
)
_SIDE = 299


class Inception(nn.Module):
    """Inception-v3 (Szegedy et al., 2016) as FID uses it (Heusel et al., 2017), frozen.

    Images become bytes, as they would be saved, and are resized to 299 by 299 as TensorFlow 1 did
    it: bilinearly, without half-pixel centers and without antialiasing. (torchmetrics' own FID
    resizes with both, so its values differ a little.) It stays in evaluation mode.

    Args:
        network: torch-fidelity's extractor of the features "2048" and "logits_unbiased".

    Attributes:
        name: What reports call it.
    """

    name = "inception-2015-12-05"

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "Inception":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the last pooling, ``(N, 2048)``.

        Args:
            x: Images, ``(N, C, H, W)`` in [-1, 1] with 1, 3 or 4 channels; see `to_rgb`.
        """
        return self.features_and_logits(x)[0]

    def features_and_logits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both, from one pass."""
        features, logits = self.network(to_uint8(to_rgb(x)))
        return features, logits


class TunedInception(nn.Module):
    """torchvision's Inception-v3 without its last layer, as a user has fine-tuned it.

    It takes images in [-1, 1] as they are, resized to 299 by 299. That is what torchvision's
    ``transform_input``, which comes with its ImageNet weights, makes of images that were
    normalized by ImageNet's means and standard deviations.

    Args:
        state: The fine-tuned network's tensors without those of ``fc``. The auxiliary head's may
            be among them, which is for training alone.

    Attributes:
        name: What reports call it.

    Raises:
        RuntimeError: If tensors are missing, too many or of other sizes.
    """

    name = "fine-tuned inception_v3"

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        from torchvision.models import inception_v3  # slow to import, and needed for this alone

        with torch.device("meta"):
            self.network = inception_v3(aux_logits=False, init_weights=False)
        self.network.fc = nn.Identity()
        used = {name: p for name, p in state.items() if not name.startswith("AuxLogits.")}
        self.network.load_state_dict(used, assign=True)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "TunedInception":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, ``(N, 2048)``, of images with 1, 3 or 4 channels in [-1, 1]."""
        size = (_SIDE, _SIDE)
        return self.network(F.interpolate(to_rgb(x), size, mode="bilinear", align_corners=False))


def find_inception(path: Path | None = None) -> Path | None:
    """Find the file of weights: ``path``, or the one in PyTorch's cache, or else ``None``.

    Raises:
        FileNotFoundError: If ``path`` is given, and no file.
    """
    return find_weights(_INCEPTION, path)


def load_inception(path: Path | None = None, download: bool = False) -> Inception:
    """Return the network with its weights.

    Args:
        path: A file of torch-fidelity's weights; without it, the one in PyTorch's cache.
        download: Fetch torch-fidelity's file (96 MB) into the cache if it is not there.

    Raises:
        FileNotFoundError: If there is no file, and no download allowed.
        ModuleNotFoundError: If torch-fidelity is missing; the message says how to install it.
        OSError: If the download fails.
        ValueError: If the file holds something else.
    """
    fidelity = import_extra("torch_fidelity.feature_extractor_inceptionv3")
    state = load_weights(_INCEPTION, path, fidelity.URL_INCEPTION_V3 if download else None)
    # The class reads its weights itself, and unpickles anything: it is handed none but tensors.
    tensors = BytesIO()
    torch.save(dict(state), tensors)
    tensors.seek(0)
    try:
        network = fidelity.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], tensors
        )
    except RuntimeError as error:
        raise ValueError(
            f"{path or _INCEPTION.file_name} holds no Inception-v3 of torch-fidelity: "
            f"{shorten(str(error), 200)}"
        ) from error
    return Inception(network)
