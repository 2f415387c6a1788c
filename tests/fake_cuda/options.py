"""Each method's options, and few combinations of them in which any two meet."""

from itertools import combinations

RECIPES = {
    "augmentation": ({}, {"recipes": {"diffaugment": {}}}, {"recipes": {"ada": {}}}),
    "r1": ({}, {"recipes": {"r1": {"every": 1}}}),
    "consistency": ({}, {"recipes": {"consistency": {"fake_weight": 10.0}}}),
}
TERMS = {
    "mask": ({}, {"recipes": {"mask": {}}}),
    "perceptual": ({}, {"recipes": {"perceptual": {"source": "caffe", "path": "vgg.pth"}}}),
}
MODE_SEEKING = {"mode_seeking": ({}, {"recipes": {"mode_seeking": {"form": "reciprocal"}}})}


def _each(group, name, *values):
    return {f"{group}.{name}": tuple({group: {name: value}} for value in values)}


def _switches(**values):
    return {name: ({}, {name: value}) for name, value in values.items()}


COMMON = {
    "precision": tuple({"precision": p} for p in ("bf16-mixed", "32-true", "16-mixed")),
    "gan_loss": tuple({"gan_loss": name} for name in ("lsgan", "nsgan", "hinge")),
    "optimizer": ({}, {"optimizer": {"name": "AdamW"}}),
    **_switches(clip_norm=1.0, accumulate=2, deterministic=True),
    **_each("discriminator", "norm", "none", "batch", "instance", "layer", "spectral"),
}
PADDING = {
    **_each("generator", "padding_mode", "reflect", "replicate", "zeros"),
    **_each("generator", "activation", "relu", "prelu", "selu"),
    **_each("discriminator", "padding_mode", "reflect", "replicate", "zeros"),
    **_each("discriminator", "global_discriminator", False, True),
}
# Networks of as few layers as hold every kind.
SMALLEST = {
    "munit": {"generator": {"num_downsample": 1}, "discriminator": {"num_layers": 1}},
    "unit": {"generator": {"num_downsample": 1}, "discriminator": {"num_layers": 1}},
}
OPTIONS = {
    "munit": {
        **COMMON,
        **RECIPES,
        **TERMS,
        **MODE_SEEKING,
        **PADDING,
        **_switches(shared_styles=True, checkpoint_activations=True, discriminator_steps=2),
        **_each("generator", "spectral", False, True),
        **_each("weights", "cycle", 0.0, 10.0),
    },
    "unit": {**COMMON, **RECIPES, **TERMS, **PADDING, **_switches(shared_noise=True)},
    "noisy_cyclegan": {
        **COMMON,
        **RECIPES,
        **TERMS,
        **MODE_SEEKING,
        **_each("weights", "identity", 5.0, 0.0),
    },
    "bicyclegan": {
        **COMMON,
        **TERMS,
        **MODE_SEEKING,
        **_each("generator", "network", "unet", "resnet"),
        **_each("generator", "inject", "all", "input"),
    },
}


def in_pairs(axes):
    """Return combinations of one value of each axis, among which any two values meet somewhere.

    Args:
        axes: By its name, the values of each.

    Returns:
        Mappings from axes' names to indices of values.
    """
    values = [(axis, i) for axis in axes for i in range(len(axes[axis]))]
    unmet = [frozenset(pair) for pair in combinations(values, 2) if pair[0][0] != pair[1][0]]
    rows = []
    while unmet:
        row = dict(sorted(unmet[0]))
        for axis in sorted(axes.keys() - row.keys()):
            found = [
                sum({(axis, i), other} in unmet for other in row.items())
                for i in range(len(axes[axis]))
            ]
            row[axis] = found.index(max(found))
        met = {frozenset(pair) for pair in combinations(row.items(), 2)}
        unmet = [pair for pair in unmet if pair not in met]
        rows.append({axis: row[axis] for axis in axes})
    return rows


def merged(*options):
    """Return options as one mapping, with their mappings merged likewise."""
    result = {}
    for each in options:
        for name, value in each.items():
            earlier = result.get(name)
            result[name] = merged(earlier, value) if isinstance(earlier, dict) else value
    return result
