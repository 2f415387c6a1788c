"""The names that CycleGAN's and BicycleGAN's authors give to weights, in our names' order."""

import re

from recorded import REFERENCE
from safetensors.torch import load_file


def own_names(state, network, published):
    """Return tensors of one published network by our names.

    Both programs list layers in the order of computation but for the U-Net, which is nested.
    """
    theirs = {k.removeprefix(f"{published}."): w for k, w in state.items()}
    theirs = {k: w for k, w in theirs.items() if f"{published}.{k}" in state}
    ours = network.state_dict()
    if "fc.0.weight" in theirs:
        renamed = {_encoder_name(name): w for name, w in theirs.items()}
    elif any("submodule" in name for name in theirs):
        renamed = {_unet_name(name): w for name, w in theirs.items()}
    else:
        ordered = sorted(theirs, key=_place)
        renamed = {
            name: theirs[their]
            for name, their in zip(sorted(ours, key=_place), ordered, strict=True)
        }
    assert renamed.keys() == ours.keys()
    assert all(renamed[name].shape == ours[name].shape for name in ours)
    return renamed


def read(case, *files):
    """Return recorded tensors of each file, in float64."""
    return [
        {k: w.double() if w.is_floating_point() else w for k, w in load_file(path).items()}
        for path in (REFERENCE / case / f"{name}.safetensors" for name in files)
    ]


def _place(name):
    numbers = [int(number) for number in re.findall(r"\d+", name)]
    return numbers, name.endswith("bias")


def _unet_name(name):
    depth, side = name.count("submodule."), "down" if "down" in name else "up"
    return f"{side}.{depth}.{int(side == 'up')}.{name.rpartition('.')[2]}"


def _encoder_name(name):
    for pattern, ours in {
        r"conv\.0\.(\w+)": r"layers.0.\1",
        r"conv\.(\d)\.conv\.2\.(\w+)": r"layers.\1.layers.2.conv.\2",
        r"conv\.(\d)\.conv\.5\.0\.(\w+)": r"layers.\1.layers.3.\2",
        r"conv\.(\d)\.shortcut\.1\.(\w+)": r"layers.\1.shortcut.\2",
        r"fc\.0\.(\w+)": r"mean.\1",
        r"fcVar\.0\.(\w+)": r"log_variance.\1",
    }.items():
        if re.fullmatch(pattern, name):
            return re.sub(pattern, ours, name)
    raise AssertionError(name)
