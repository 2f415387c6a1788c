"""What holds of any setting, of all those that the shipped configurations list."""

import math
import re
from copy import deepcopy

import pytest
import torch
from hydra import compose, initialize_config_module
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from munit_pl.commands.config.building import build
from munit_pl.commands.config.suggestions import nearest
from munit_pl.commands.config.validation import check_config
from munit_pl.commands.errors import InputError

SMALL = [
    "output_dir=x",
    "model.generator.dim=4",
    "model.generator.num_res_blocks=1",
    "model.discriminator.dim=4",
    "model.discriminator.num_layers=2",
]
SETS = [
    [
        *SMALL,
        "data.size=[32,32]",
        "callbacks=[default,evaluate]",
        "model.discriminator.num_scales=2",
    ],
    [*SMALL, "model=unit", "data=aligned", "data.root=x"],
    [*SMALL, "model=cyclegan", "data=folder", "data.root=x", "logger=tensorboard"],
    [*SMALL, "model=bicyclegan", "data.size=[256,256]", "data.paired=true"],
]
# Of what lies below 1, these may be 0.
ZERO = re.compile(
    r"(.*\.)?(weights\.\w+|weight_decay|num_workers|noise_dim|pool_size|constant|num_downsample"
    r"|warmup|seed|background\[\d\]|betas\[\d\]|num_sanity_val_steps|limit_val_batches|timeout"
    r"|max_bad_fraction|dropout)"
)
quick = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # a setting that fails is small as it is
    suppress_health_check=list(HealthCheck),
)


def leaves(tree, prefix=""):
    """Return every setting by its full name, in mappings and in lists."""
    if isinstance(tree, dict):
        inner = [
            leaves(value, f"{prefix}.{name}" if prefix else name) for name, value in tree.items()
        ]
    elif isinstance(tree, list):
        inner = [leaves(value, f"{prefix}[{i}]") for i, value in enumerate(tree)]
    else:
        return {prefix: tree}
    return {name: value for found in inner for name, value in found.items()}


def is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def told(cfg):
    with pytest.raises(InputError) as error:
        check_config(cfg)
    return str(error.value)


with initialize_config_module("munit_pl.conf", version_base="1.3"):
    CONFIGS = [compose("train", overrides) for overrides in SETS]
    MODELS = {
        model: compose("train", ["output_dir=x", f"model={model}"])
        for model in ("munit", "unit", "cyclegan")
    }
for config in CONFIGS:
    OmegaConf.set_struct(config, False)
KNOWN = {  # each where it comes last
    name: (i, name, value)
    for i, config in enumerate(CONFIGS)
    for name, value in leaves(OmegaConf.to_container(config, resolve=False)).items()
}
NUMBERS = [known for known in KNOWN.values() if is_number(known[2])]
NAMES = [known[:2] for name, known in KNOWN.items() if not name.endswith(("_", "]"))]


def test_there_are_numbers_and_names_to_try():
    names = {name for _, name, _ in NUMBERS}
    assert {"model.optimizer.lr", "data.crop[0]", "trainer.max_steps", "seed"} <= names
    assert len({name for _, name in NAMES}) > 80


def refused(number, value):
    i, name, _ = number
    cfg = deepcopy(CONFIGS[i])
    OmegaConf.update(cfg, name, value)
    place = name.split("[")[0]
    group, _, leaf = place.rpartition(".")
    message = told(cfg)
    assert place in message or (group in message and leaf in message)


@quick
@given(
    st.sampled_from(NUMBERS),
    st.integers(max_value=-2)
    | st.floats(max_value=-2)
    | st.sampled_from([math.nan, math.inf, -math.inf, "many", True, [1, 2], {"a": 1}]),
)
def test_what_no_number_may_be_is_refused_by_name(number, value):
    refused(number, value)


def test_no_count_size_or_rate_is_zero():
    for number in NUMBERS:
        _, name, default = number
        if not ZERO.fullmatch(name):
            refused(number, type(default)(0))


def test_a_slip_in_any_name_is_told_with_the_name_that_was_meant():
    """Two letters swapped in the middle, and the last one left out, of every name."""
    for group in {name.rpartition(".")[0] for _, name in NAMES}:
        words = [w for where, _, w in (name.rpartition(".") for _, name in NAMES) if where == group]
        for word in words:
            half = len(word) // 2
            for slip in (
                word[: half - 1] + word[half] + word[half - 1] + word[half + 1 :],
                word[:-1],
            ):
                meant = re.search(r"did you mean (\S+)\?", nearest(slip, words, "munit-train"))
                assert slip in words or len(word) < 4 or meant, (group, slip)
                # Domains' names differ in their last letters, so another may be as near.
                assert meant is None or meant[1] == word or meant[1][:-1] == word[:-1]


@settings(quick, max_examples=10)
@given(
    st.sampled_from(["munit", "unit", "cyclegan"]),
    st.fixed_dictionaries(
        {
            "model.generator.dim": st.integers(1, 8),
            "model.generator.num_res_blocks": st.integers(1, 3),
            "model.discriminator.dim": st.integers(1, 8),
            "model.discriminator.num_layers": st.integers(1, 3),
            "model.discriminator.num_scales": st.integers(1, 2),
            "model.discriminator.norm": st.sampled_from(["none", "batch", "instance", "spectral"]),
            "model.optimizer.lr": st.floats(1e-6, 1),
            "model.optimizer.betas": st.lists(st.floats(0, 0.999), min_size=2, max_size=2),
            "model.weights.gan": st.floats(0, 100),
            "model.clip_norm": st.none() | st.floats(1e-3, 1e3),
            "data.size": st.lists(st.sampled_from([64, 128]), min_size=2, max_size=2),
            "data.batch_size": st.integers(2, 5),
            "model.accumulate": st.integers(1, 2),
            "trainer.max_steps": st.integers(1, 10**9),
            "trainer.precision": st.sampled_from(["auto", "32-true", "bf16-mixed", "16-mixed"]),
            "seed": st.integers(0, 2**32 - 1),
        }
    ),
)
def test_what_passes_can_be_built(model, chosen):
    cfg = deepcopy(MODELS[model])
    for name, value in chosen.items():
        OmegaConf.update(cfg, name, value)
    check_config(cfg)
    with torch.device("meta"):
        module = build(cfg.model)
        module.check_size(*build(cfg.data).size)
