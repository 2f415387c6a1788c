"""Networks as BicycleGAN's authors' program saves them, ``*_net_G.pth`` and ``*_net_E.pth``."""

import re
from pathlib import Path
from typing import Any

from torch import Tensor

from munit_pl.io import safe_reading
from munit_pl.io.state_dict_checks import brief, named_tensors
from munit_pl.models.bicyclegan.networks import BicycleGANGenerator, BicycleGANTranslator

# Levels of the U-Net are nested; of each a convolution down and one up have weights. With the style
# in all layers, and in the input alone, where the outermost level's numbers are others.
_STYLED = re.compile(r"model\.((?:submodule\.)*)(?:(down)\.[01]|up\.1)\.(weight|bias)")
_OUTERMOST = re.compile(r"model\.model\.(?:(0)|3)\.(weight|bias)")
_NESTED = re.compile(r"model\.model\.1\.((?:model\.3\.)*)model\.(?:(1)|[35])\.(weight|bias)")
_ENCODER = {
    r"conv\.0\.(\w+)": r"layers.0.\1",
    r"conv\.(\d+)\.conv\.2\.(\w+)": r"layers.\1.layers.2.conv.\2",
    r"conv\.(\d+)\.conv\.5\.0\.(\w+)": r"layers.\1.layers.3.\2",
    r"conv\.(\d+)\.shortcut\.1\.(\w+)": r"layers.\1.shortcut.\2",
    r"fc\.0\.(\w+)": r"mean.\1",
    r"fcVar\.0\.(\w+)": r"log_variance.\1",
}
_FIRST = ("model.down.0.weight", "model.model.0.weight")
_CODE = "fc.0.weight"  # of E


def holds_author_unet(file: Any) -> bool:
    """Tell whether what a file holds is the authors' generator, or their encoder."""
    return isinstance(file, dict) and any(name in file for name in (*_FIRST, _CODE))


def read_author_unet(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the generator of `junyanz/BicycleGAN`, and the encoder beside it if there is one.

    Args:
        path: ``*_net_G.pth``, which translates A to B: it is what is called domain b's generator
            here. ``*_net_E.pth``, which reads styles of B, is looked for beside it.

    Returns:
        What domain b's generator is, as checkpoints describe it, and its tensors under our names.

    Raises:
        ValueError: If a file is something else; the message says what.
    """
    state = named_tensors(safe_reading.read_checkpoint(path), path)
    if _CODE in state:
        raise ValueError(f"{path} holds an encoder of styles: give the *_net_G.pth beside it")
    beside = path.with_name(re.sub(r"net_G(?=\.pth$)", "net_E", path.name))
    encoder = {}
    if beside != path and beside.is_file():
        encoder = _encoder(named_tensors(safe_reading.read_checkpoint(beside), beside), beside)
    tensors = {f"decoder.{name}": tensor for name, tensor in _unet(state, path).items()}
    sizes = _sizes(tensors, _FIRST[0] in state, encoder, path)
    if encoder:
        sizes["encoder_dim"] = len(encoder["layers.0.weight"])
        sizes["encoder_downsample"] = 1 + sum("shortcut.weight" in name for name in encoder)
        tensors |= {f"style_encoder.{name}": tensor for name, tensor in encoder.items()}
    kind = BicycleGANGenerator if encoder else BicycleGANTranslator
    description = {"gen_b": {"kind": kind.__name__, "arguments": sizes}}
    return description, {f"gen_b.{name}": tensor for name, tensor in tensors.items()}


def _unet(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors of `UNetTranslator` by our names."""
    if any(tensor.ndim == 1 and name.endswith("weight") for name, tensor in state.items()):
        raise ValueError(f"{path} was trained with --norm batch, which is not supported")
    ours = {}
    for name, tensor in state.items():
        if match := _STYLED.fullmatch(name):
            depth, down, kind = match[1].count("submodule."), match[2], match[3]
        elif match := _OUTERMOST.fullmatch(name):
            depth, down, kind = 0, match[1], match[2]
        elif match := _NESTED.fullmatch(name):
            depth, down, kind = 1 + match[1].count("model.3."), match[2], match[3]
        else:
            raise ValueError(f"{path} is no U-Net of BicycleGAN's: it holds {brief(name)}")
        ours[f"down.{depth}.0.{kind}" if down else f"up.{depth}.1.{kind}"] = tensor
    return ours


def _encoder(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Return the tensors of `ResnetEncoder` by our names."""
    ours = {}
    for name, tensor in state.items():
        known = [pattern for pattern in _ENCODER if re.fullmatch(pattern, name)]
        if not known:
            raise ValueError(
                f"{path} is no residual encoder of BicycleGAN's: it holds {brief(name)}"
            )
        ours[re.sub(known[0], _ENCODER[known[0]], name)] = tensor
    if not {"layers.0.weight", "mean.weight"} <= ours.keys():
        raise ValueError(f"{path} is no residual encoder of BicycleGAN's")
    return ours


def _sizes(
    tensors: dict[str, Tensor], styled: bool, encoder: dict[str, Tensor], path: Path
) -> dict[str, Any]:
    """Return arguments of the translator, as the shapes tell them.

    Args:
        tensors: The translator's, by our names.
        styled: Whether all layers are given the style.
        encoder: The encoder's tensors, which tell how long a style is; none without.
        path: The translator's file.
    """
    first, second = (tensors.get(f"decoder.down.{i}.0.weight") for i in (0, 1))
    last = tensors.get("decoder.up.0.1.weight")
    if any(weight is None or weight.ndim != 4 for weight in (first, second, last)):
        raise ValueError(f"{path} is no U-Net of BicycleGAN's: its outermost layers are missing")
    assert first is not None
    assert second is not None
    assert last is not None
    if styled:
        style_dim = second.shape[1] - first.shape[0]
    elif encoder:
        style_dim = len(encoder["mean.weight"])
    else:
        raise ValueError(
            f"{path} does not tell how long a style is, since its style goes into the image alone: "
            "put the *_net_E.pth of its training beside it"
        )
    return {
        "in_channels": last.shape[1],
        "other_channels": first.shape[1] - style_dim,
        "dim": first.shape[0],
        "style_dim": style_dim,
        "num_downsample": sum("down" in name and name.endswith("weight") for name in tensors),
        "inject": "all" if styled else "input",
    }
