"""The module against the published loop, written out in plain PyTorch."""

import copy
import inspect
from pathlib import Path

import pytest
import torch
import yaml
from methods import METHODS
from torch.optim import Adam
from training import fit, images, pairs_of

from munit_pl import DrawnDataModule
from munit_pl.models.base.module import AdversarialModule
from munit_pl.models.base.training_checks import data_faults
from munit_pl.models.bicyclegan.module import BicycleGANModule, Initializations
from munit_pl.models.bicyclegan.networks import BicycleGANGenerator, BranchDiscriminators
from munit_pl.models.bicyclegan.objective import LossWeights

CONF = Path(__file__).parents[3] / "conf"

small = METHODS["bicyclegan"].make
TERMS = {"gan", "gan_random", "image", "latent", "kl"}


def published_iteration(A, B, other, G, E, D, D2, eps, z, lr=2e-4):
    """One direction's iteration: G and E together, G alone, then both discriminators."""
    optimizers = [Adam(net.parameters(), lr=lr, betas=(0.5, 0.999)) for net in (G, E, D, D2)]

    def score(scales, target):
        return sum(((scale - target) ** 2).mean() for scale in scales)

    mu, logvar = E.distribution(B)
    B_encoded, B_random = G(A, mu + eps * (0.5 * logvar).exp()), G(A, z)
    loss = score(D(B_encoded), 1) + score(D2(B_random), 1)
    loss = loss + 10 * (B_encoded - B).abs().mean()
    loss = loss - 0.5 * 0.01 * (1 + logvar - mu**2 - logvar.exp()).sum() / len(A)
    loss.backward(retain_graph=True)
    taught = [p.grad if p.grad is None else p.grad.clone() for p in E.parameters()]
    (0.5 * (E(B_random) - z).abs().mean()).backward()
    for p, gradient in zip(E.parameters(), taught, strict=True):
        p.grad = gradient
    for optimizer in optimizers[:2]:
        optimizer.step()
    for net, fake, real in ((D, B_encoded, B), (D2, B_random, other)):
        net.zero_grad()
        (score(net(fake.detach()), 0) + score(net(real), 1)).backward()
    for optimizer in optimizers[2:]:
        optimizer.step()


@pytest.mark.parametrize("network", ["unet", "resnet"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_one_iteration_is_the_published_one_in_each_direction(network, accumulate):
    generator = {"network": network, "dropout": 0}
    options = {"generator": generator, "input_channels_a": 1, "accumulate": accumulate}
    module = small(**options).double()
    expected, start = copy.deepcopy(module), copy.deepcopy(module.state_dict())
    # Halves of three images: parts of two and one.
    pairs = pairs_of(1, 6, (1, 3), 24)
    halves = [(x[::2].double(), x[1::2].double()) for x in pairs[0]]
    draws = expected.draw_all([first for first, _ in halves], 0)
    fit(module, steps=1, pairs=pairs, precision="64-true")
    for to, (A, _), (B, other) in (("a", *reversed(halves)), ("b", *halves)):
        gen, dis = getattr(expected, f"gen_{to}"), getattr(expected, f"dis_{to}")
        networks = gen.decoder, gen.style_encoder, dis.encoded, dis.random
        published_iteration(A, B, other, *networks, draws[f"eps_{to}"], draws[f"z_{to}"])
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], weight, atol=1e-9, rtol=0, msg=name)
        assert name.endswith("bias") or not torch.equal(weight, start[name]), name


def test_discriminators_judge_what_was_made_before_the_generators_step():
    """Were the translations made anew, each decoder would be called twice."""
    module, calls = small(), []
    for gen in (module.gen_a, module.gen_b):
        gen.decoder.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    fit(module, steps=1)
    assert calls == [True, True]


def test_every_weight_learns():
    module = small(input_channels_b=4)
    before = copy.deepcopy(module.state_dict())
    fit(module, steps=3, channels=(3, 4))
    for name, weight in module.state_dict().items():
        assert weight.isfinite().all()
        assert name.endswith("bias") or not torch.equal(weight, before[name]), name


@pytest.mark.parametrize(
    "options",
    [
        {"gan_loss": "nsgan"},
        {"generator": {"inject": "input"}},
        {"discriminator": {"norm": "none", "num_scales": 1}},
        {"initialization": {"generator": "small_xavier", "discriminator": "orthogonal"}},
        {"clip_norm": 0.1, "accumulate": 2},
    ],
    ids=str,
)
def test_every_option_trains_with_a_batch_of_one_or_more(options):
    batch = options.get("accumulate", 1)
    metrics = fit(small(**options), batch=batch).callback_metrics
    assert all(value.isfinite() for value in metrics.values())
    logged = {f"gen/{term}_{domain}" for term in TERMS for domain in "ab"}
    logged |= {f"dis/{term}_{domain}" for term in ("gan", "gan_random") for domain in "ab"}
    assert logged <= set(metrics)


def test_draws_are_a_function_of_seed_and_place():
    module, batch = small(seed=3), (images(), images())
    drawn = module.draw_all(batch, 5)
    assert drawn.keys() == {"eps_a", "eps_b", "z_a", "z_b"}
    assert all(values.shape == (2, 3) for values in drawn.values())
    torch.manual_seed(1)
    again = small(seed=3).draw_all(batch, 5)
    assert all(torch.equal(again[name], values) for name, values in drawn.items())
    others = [
        *module.draw_all(batch, 6).values(),
        *small(seed=4).draw_all(batch, 5).values(),
    ]
    tensors = [*drawn.values(), *others]
    distinct = {tuple(values.flatten().tolist()) for values in tensors}
    assert len(distinct) == len(tensors) == 12


def test_learning_rate_falls_as_the_schedule_says():
    loop = fit(small(scheduler={"constant": 1, "decay": 4}), steps=3)
    # Iterations 0 and 1 run at the full rate; the next, 3, would run at half of it.
    assert [o.param_groups[0]["lr"] for o in loop.optimizers] == [pytest.approx(1e-4)] * 2


def test_sizes_are_checked_for_generator_and_discriminators():
    module = small(generator={"num_downsample": 3}, discriminator={"num_layers": 2})
    module.check_size(24, 32)
    with pytest.raises(ValueError, match="generator: both sides must be multiples of 8"):
        module.check_size(24, 28)
    with pytest.raises(ValueError, match=r"discriminator.*at least 23"):
        module.check_size(16, 16)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"generator": {"dmi": 4}}, TypeError, "generator has no argument dmi"),
        ({"discriminator": {"dmi": 4}}, TypeError, "discriminator has no argument dmi"),
        ({"weights": {"style": 1.0}}, TypeError, "weights has no argument style"),
        (
            {"gan_loss": "wgan"},
            ValueError,
            "gan_loss is 'wgan', but must be one of lsgan, nsgan",
        ),
        ({"accumulate": 0}, ValueError, "accumulate is 0, but must be at least 1"),
        ({"initialization": {"generator": "he"}}, ValueError, "initialization.generator is 'he'"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with torch.device("meta"), pytest.raises(error, match=message):
        BicycleGANModule(**arguments)


def test_the_half_that_is_translated_is_split_into_no_more_parts_than_it_has_images():
    for batch, half in ((4, 2), (5, 3)):
        data = DrawnDataModule(size=(24, 24), batch_size=batch, paired=True)
        assert not list(data_faults(small(accumulate=half), data))
        (fault,) = data_faults(small(accumulate=half + 1), data)
        assert f"there are only {half} of data.batch_size={batch} images to split" in fault


def test_pairs_are_asked_for():
    assert BicycleGANModule.paired
    assert not AdversarialModule.paired


def defaults(function):
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def test_bicyclegan_yaml_lists_every_setting_with_its_default():
    config = yaml.safe_load((CONF / "model/bicyclegan.yaml").read_text())
    assert config.pop("_target_").endswith(BicycleGANModule.__name__)
    assert config.pop("seed") == "${seed}"
    expected = defaults(BicycleGANModule)
    assert config.keys() == expected.keys() - {"seed"}
    channels = {"in_channels", "other_channels"}
    groups = {
        "generator": defaults(BicycleGANGenerator),
        "discriminator": defaults(BranchDiscriminators),
        "initialization": Initializations()._asdict(),
        "weights": LossWeights()._asdict(),
        "recipes": {},
        "scheduler": {"kind": "linear", "constant": None, "decay": None},
        "optimizer": {"name": "Adam", "lr": 2e-4, "betas": [0.5, 0.999], "fused": None},
    }
    for name, values in groups.items():
        assert config.pop(name) == {k: v for k, v in values.items() if k not in channels}, name
    assert all(value == expected[name] for name, value in config.items())


def test_the_demo_passes_its_images():
    demo = yaml.safe_load((CONF / "demo/bicyclegan.yaml").read_text())
    assert demo["data"] == {"paired": True}
    # Without what hangs on the trainer's settings.
    module = BicycleGANModule(**demo["model"] | {"scheduler": {}})
    module.check_size(64, 64)
