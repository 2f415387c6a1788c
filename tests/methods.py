"""Every method, small."""

from copy import deepcopy
from typing import Any, NamedTuple

from munit_pl import BicycleGANModule, CycleGANModule, MUNITModule, UNITModule
from munit_pl.models.base.module import AdversarialModule


class Method(NamedTuple):
    """A method with the smallest networks that do all that large ones do, for 16x16 images."""

    model: str  # its configuration
    module: type[AdversarialModule]
    arguments: dict[str, Any]
    has: set[str]  # of styles, which "examples" give too, and "content" codes

    def make(self, **options):
        """Make a module; what an option's mapping leaves out stays small."""
        arguments = deepcopy(self.arguments)
        for name, value in options.items():
            given = arguments.get(name)
            arguments[name] = given | value if isinstance(given, dict) else value
        return self.module(**arguments)

    @property
    def sizes(self):
        """The arguments as settings on the command line."""
        settings = []
        for name, value in self.arguments.items():
            values = value.items() if isinstance(value, dict) else [(None, value)]
            settings += [f"model.{name}.{k}={v}" if k else f"model.{name}={v}" for k, v in values]
        return settings

    @property
    def overrides(self):
        """What chooses it on the command line, with the data that it takes."""
        paired = str(self.module.paired).lower()
        return [f"model={self.model}", f"data.paired={paired}", *self.sizes]


_MULTI_SCALE = {"dim": 4, "num_layers": 2, "num_scales": 2}
_CYCLEGAN = {
    "generator": {"dim": 4, "num_res_blocks": 1},
    "discriminator": {"dim": 2, "num_layers": 1},
}

METHODS = {
    "munit": Method(
        "munit",
        MUNITModule,
        {
            "generator": {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1},
            "discriminator": _MULTI_SCALE,
        },
        {"styles", "examples", "content"},
    ),
    "unit": Method(
        "unit",
        UNITModule,
        {"generator": {"dim": 4, "num_res_blocks": 1}, "discriminator": _MULTI_SCALE},
        {"content"},
    ),
    "cyclegan": Method("cyclegan", CycleGANModule, _CYCLEGAN, set()),
    "noisy_cyclegan": Method(
        "cyclegan",
        CycleGANModule,
        {**_CYCLEGAN, "noise_dim": 2, "pool_size": 3},  # full in the second iteration
        {"styles"},
    ),
    "bicyclegan": Method(
        "bicyclegan",
        BicycleGANModule,
        {
            "generator": {
                "dim": 2,
                "style_dim": 3,
                "num_downsample": 2,
                "encoder_dim": 2,
                "encoder_downsample": 2,
            },
            "discriminator": {"dim": 2, "num_layers": 1},
            # The published weights are so small that few iterations would change little.
            "initialization": {"generator": "normal", "discriminator": "normal"},
        },
        {"styles", "examples"},
    ),
}
