"""Files as the original writes them, made from our own weights by renaming."""

import json
import re
from pathlib import Path

import pytest
import torch
from recorded import REFERENCE

from munit_pl import MUNITModule
from munit_pl.models.components.nvlabs_config import read_config
from munit_pl.models.munit.nvlabs import arguments_from_config

CASE = REFERENCE / "munit_cyclic_batch1"
GENERATOR = {"dim": 2, "style_dim": 3, "mlp_dim": 4, "num_downsample": 2, "num_res_blocks": 2}
DISCRIMINATOR = {"dim": 2, "num_layers": 3, "num_scales": 2, "norm": "none"}


def original_generator(state, running_statistics="dec"):
    """Return a generator's tensors under the original's names.

    Statistics that nothing uses lie beside every adaptive instance normalization and, in files of
    torch 0.3, beside those of the content encoder.
    """
    depth = len({key.split(".")[2] for key in state if key.startswith("decoder.up_blocks.")})
    straight = [
        (r"style_encoder\.head\.(.+)", lambda m: f"enc_style.model.6.{m[1]}"),
        (r"style_encoder\.layers\.(.+)", lambda m: f"enc_style.model.{m[1]}"),
        (r"content_encoder\.layers\.(.+)", lambda m: f"enc_content.model.{m[1]}"),
        (
            r"content_encoder\.res_blocks\.(\d)\.conv(\d)\.(.+)",
            lambda m: f"enc_content.model.{depth + 1}.model.{m[1]}.model.{int(m[2]) - 1}.{m[3]}",
        ),
        (
            r"decoder\.res_blocks\.(\d)\.conv(\d)\.(.+)",
            lambda m: f"dec.model.0.model.{m[1]}.model.{int(m[2]) - 1}.{m[3]}",
        ),
        (
            r"decoder\.res_blocks\.(\d)\.(activation.+)",
            lambda m: f"dec.model.0.model.{m[1]}.model.0.{m[2]}",
        ),
        (r"decoder\.up_blocks\.(\d)\.(.+)", lambda m: f"dec.model.{2 + 2 * int(m[1])}.{m[2]}"),
        (r"decoder\.to_image\.(.+)", lambda m: f"dec.model.{2 * depth + 1}.{m[1]}"),
        (r"decoder\.mlp\.([024])\.(.+)", lambda m: f"mlp.model.{int(m[1]) // 2}.fc.{m[2]}"),
        (
            r"decoder\.mlp\.([13])\.(.+)",
            lambda m: f"mlp.model.{int(m[1]) // 2}.activation.{m[2]}",
        ),
    ]
    renamed = rename(state, straight)
    for key in list(renamed):
        block = re.fullmatch(rf"((?:{running_statistics})\.model\..+)\.conv\.bias", key)
        adaptive = key.startswith("dec.model.0.")
        if block and (adaptive or key.startswith("enc_content")):
            renamed[f"{block[1]}.norm.running_mean"] = torch.randn_like(renamed[key])
            renamed[f"{block[1]}.norm.running_var"] = torch.rand_like(renamed[key])
    return renamed


def original_discriminator(state):
    straight = [
        (
            r"scales\.(.+)\.conv\.parametrizations\.weight\.original",
            lambda m: f"cnns.{m[1]}.conv.module.weight_bar",
        ),
        (
            r"scales\.(.+)\.conv\.parametrizations\.weight\.0\._([uv])",
            lambda m: f"cnns.{m[1]}.conv.module.weight_{m[2]}",
        ),
        (r"scales\.(.+)", lambda m: f"cnns.{m[1]}"),
    ]
    renamed = rename(state, straight)
    for key in list(renamed):  # the original's wrapper holds the convolution's bias too
        if key.endswith("conv.module.weight_bar"):
            block = key.removesuffix("module.weight_bar")
            renamed[f"{block}module.bias"] = renamed.pop(f"{block}bias")
    return renamed


def rename(state, straight):
    renamed = {}
    for key, tensor in state.items():
        names = [name(m) for pattern, name in straight if (m := re.fullmatch(pattern, key))]
        renamed[names[0]] = tensor
    assert len(renamed) == len(state)
    return renamed


def make(generator=GENERATOR, discriminator=DISCRIMINATOR, channels=(3, 3), **settings):
    """Return a module in which nothing is as it was made: no bias 0, no statistic 0 or 1."""
    module = MUNITModule(*channels, generator, discriminator, **settings)
    for name, tensor in module.state_dict().items():
        if name.endswith(("bias", "beta", "running_mean", "activation.weight")):
            tensor.normal_()
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return module.eval()


def size(network):
    return sum(p.numel() for p in network.parameters())


def save(module, folder, **kind):
    gens = {d: original_generator(getattr(module, f"gen_{d}").state_dict(), **kind) for d in "ab"}
    dises = {d: original_discriminator(getattr(module, f"dis_{d}").state_dict()) for d in "ab"}
    paths = folder / "gen_00000010.pt", folder / "dis_00000010.pt"
    torch.save(gens, paths[0])
    torch.save(dises, paths[1])
    return paths


@torch.no_grad()
def check_same(read, module):
    """Check that both compute the same in both directions."""
    read.eval()
    state = module.state_dict()
    assert read.state_dict().keys() == state.keys()
    for name, tensor in read.state_dict().items():
        torch.testing.assert_close(tensor, state[name], msg=name)
    style = torch.randn(1, module.style_dim)
    for d, to in ("ab", "ba"):
        x = torch.randn(1, module.hparams[f"input_channels_{d}"], 64, 64)
        torch.testing.assert_close(read.encode(x, d), module.encode(x, d))
        torch.testing.assert_close(read.translate(x, style, to), module.translate(x, style, to))
        ours, theirs = (getattr(m, f"dis_{d}")(x) for m in (read, module))
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"generator": GENERATOR | {"style_dim": 5, "mlp_dim": 7}},
        {"generator": GENERATOR | {"num_res_blocks": 1}},
        {"generator": GENERATOR | {"num_res_blocks": 3, "dim": 3}},
        {"generator": GENERATOR | {"num_downsample": 1}},
        {"generator": GENERATOR | {"num_downsample": 3}},
        {"generator": GENERATOR | {"num_downsample": 1, "activation": "prelu"}},
        {"generator": GENERATOR | {"activation": "prelu"}},
        {"channels": (1, 4)},
        {"discriminator": DISCRIMINATOR | {"num_layers": 1, "num_scales": 1}},
        {"discriminator": DISCRIMINATOR | {"num_layers": 2, "num_scales": 3, "dim": 5}},
        {"discriminator": DISCRIMINATOR | {"norm": "layer"}},
        {"discriminator": DISCRIMINATOR | {"norm": "batch"}},
        {"discriminator": DISCRIMINATOR | {"norm": "spectral"}},
        {"discriminator": DISCRIMINATOR | {"activation": "prelu"}},
        {"discriminator": DISCRIMINATOR | {"norm": "spectral", "activation": "prelu"}},
    ],
    ids=str,
)
def test_sizes_come_from_the_shapes_and_weights_land_where_they_were(sizes, tmp_path):
    module = make(**sizes)
    read = MUNITModule.from_nvlabs(*save(module, tmp_path))
    for name in ("input_channels_a", "input_channels_b"):
        assert read.hparams[name] == module.hparams[name]
    for network in ("generator", "discriminator"):
        assert module.hparams[network].items() <= read.hparams[network].items()
    check_same(read, module)


def test_the_renaming_here_is_the_originals():
    """Its names, and its order of channels, are those of the recorded files."""
    module = MUNITModule.from_nvlabs(CASE / "gen_00000000.pt", CASE / "dis_00000000.pt")
    for network, renamed in (("gen", original_generator), ("dis", original_discriminator)):
        theirs = torch.load(CASE / f"{network}_00000000.pt")
        for d in "ab":
            ours = renamed(getattr(module, f"{network}_{d}").state_dict())
            assert ours.keys() == theirs[d].keys()
            for name, tensor in ours.items():
                assert "running" in name or torch.equal(tensor, theirs[d][name])


def test_a_file_of_the_published_depth_has_82_and_30_tensors_per_domain(tmp_path):
    module = make(
        GENERATOR | {"num_res_blocks": 4}, DISCRIMINATOR | {"num_layers": 4, "num_scales": 3}
    )
    paths = save(module, tmp_path)
    counts = [[len(state) for state in torch.load(path).values()] for path in paths]
    assert counts == [[82, 82], [30, 30]]
    check_same(MUNITModule.from_nvlabs(*paths), module)


def test_a_file_of_torch_0_3_with_more_statistics_is_read(tmp_path):
    module = make()
    gen_path, dis_path = save(module, tmp_path, running_statistics="enc_content|dec")
    names = torch.load(gen_path)["a"]
    assert "enc_content.model.0.norm.running_mean" in names
    assert "enc_content.model.3.model.1.model.1.norm.running_var" in names
    check_same(MUNITModule.from_nvlabs(gen_path, dis_path), module)


def test_without_a_discriminators_file_those_are_new(tmp_path):
    module = make()
    gen_path, _ = save(module, tmp_path)
    with torch.device("meta"):
        expected = size(MUNITModule().dis_a)
    read = MUNITModule.from_nvlabs(str(gen_path))
    assert torch.equal(read.gen_b.style_encoder.head.bias, module.gen_b.style_encoder.head.bias)
    assert size(read.dis_a) == size(read.dis_b) == expected


def test_without_a_config_the_rest_is_the_originals_default(tmp_path):
    read, default = MUNITModule.from_nvlabs(*save(make(), tmp_path)), make()
    for name in ("gan_loss", "weights", "optimizer", "scheduler", "initialization"):
        assert read.hparams[name] == default.hparams[name]
    kinds = [
        type(network[0].activation).__name__
        for network in (read.gen_a.style_encoder.layers, read.dis_a.scales[0])
    ]
    assert kinds == ["ReLU", "LeakyReLU"]


@pytest.fixture
def config():
    """The recorded run's configuration; what the original writes as YAML is JSON here."""
    return json.loads((CASE / "config.json").read_text())


def write(config, folder):
    path = folder / "config.yaml"
    path.write_text(json.dumps(config))
    return path


def test_a_configs_values_become_hyper_parameters():
    paths = (CASE / name for name in ("gen_00000000.pt", "dis_00000000.pt", "config.json"))
    hparams = MUNITModule.from_nvlabs(*paths).hparams
    assert hparams["generator"] == {
        "dim": 4,
        "style_dim": 8,
        "mlp_dim": 16,
        "num_downsample": 2,
        "num_res_blocks": 1,
        "activation": "relu",
        "padding_mode": "reflect",
    }
    assert hparams["discriminator"] == {
        "dim": 4,
        "num_layers": 4,
        "num_scales": 2,
        "norm": "none",
        "activation": "lrelu",
        "padding_mode": "reflect",
    }
    assert hparams["initialization"] == {"generator": "kaiming", "skip_spectral": True}
    assert hparams["gan_loss"] == "lsgan"
    assert hparams["weights"] == {
        "gan": 1,
        "image": 10,
        "style": 1,
        "content": 1,
        "cycle": 10,
    }
    assert hparams["recipes"] == {}
    adam = {"lr": 1e-4, "betas": [0.5, 0.999], "weight_decay": 1e-4}
    assert hparams["optimizer"] == adam
    assert hparams["scheduler"] == {"step_size": 100_000, "gamma": 0.5}


def test_each_entry_of_a_config_becomes_our_argument(config, tmp_path):
    for theirs, ours in [
        ({"gen": {"activ": "selu"}}, {"generator": {"activation": "selu"}}),
        ({"gen": {"pad_type": "zero"}}, {"generator": {"padding_mode": "zeros"}}),
        ({"dis": {"pad_type": "replicate"}}, {"discriminator": {"padding_mode": "replicate"}}),
        ({"dis": {"norm": "bn"}}, {"discriminator": {"norm": "batch"}}),
        ({"dis": {"norm": "in"}}, {"discriminator": {"norm": "instance"}}),
        ({"dis": {"norm": "ln"}}, {"discriminator": {"norm": "layer"}}),
        ({"dis": {"norm": "sn"}}, {"discriminator": {"norm": "spectral"}}),
        ({"dis": {"activ": "tanh"}}, {"discriminator": {"activation": "tanh"}}),
        ({"dis": {"gan_type": "nsgan"}}, {"gan_loss": "nsgan"}),
        ({"init": "gaussian"}, {"initialization": {"generator": "normal"}}),
        ({"init": "orthogonal"}, {"initialization": {"generator": "orthogonal"}}),
        ({"recon_x_w": 3}, {"weights": {"image": 3}}),
        ({"vgg_w": 2}, {"recipes": {"perceptual": {"weight": 2.0}}}),
        ({"recon_s_w": 3, "recon_c_w": 4}, {"weights": {"style": 3, "content": 4}}),
        ({"gan_w": 2, "recon_x_cyc_w": 5}, {"weights": {"gan": 2, "cycle": 5}}),
        ({"lr": 0.01, "weight_decay": 0}, {"optimizer": {"lr": 0.01, "weight_decay": 0}}),
        ({"beta1": 0.1, "beta2": 0.2}, {"optimizer": {"betas": [0.1, 0.2]}}),
        ({"step_size": 7, "gamma": 0.3}, {"scheduler": {"step_size": 7, "gamma": 0.3}}),
        ({"lr_policy": "constant", "gamma": 0.3}, {"scheduler": {"gamma": 1.0}}),
    ]:
        for key, value in theirs.items():
            config[key] = config[key] | value if isinstance(value, dict) else value
        arguments = read_config(write(config, tmp_path), arguments_from_config)
        for name, value in ours.items():
            assert value == arguments[name] or value.items() <= arguments[name].items()
        MUNITModule(**arguments).configure_optimizers()


def test_shapes_win_over_a_config_that_says_otherwise(config, tmp_path):
    config["gen"] |= {"dim": 9, "mlp_dim": 9, "style_dim": 9, "n_downsample": 3, "n_res": 9}
    config["dis"] |= {"dim": 9, "norm": "ln", "n_layer": 9, "num_scales": 9}
    config |= {"input_dim_a": 9, "input_dim_b": 9}
    module = make(channels=(1, 3))
    read = MUNITModule.from_nvlabs(*save(module, tmp_path), write(config, tmp_path))
    assert GENERATOR.items() <= read.hparams["generator"].items()
    assert DISCRIMINATOR.items() <= read.hparams["discriminator"].items()
    check_same(read, module)


@pytest.mark.parametrize("norm", ["instance", "none"])
def test_a_norm_without_tensors_is_the_one_the_config_tells(norm, config, tmp_path):
    """No shape tells instance normalization from none."""
    module = make(discriminator=DISCRIMINATOR | {"norm": norm})
    config["dis"]["norm"] = {"instance": "in", "none": "none"}[norm]
    read = MUNITModule.from_nvlabs(*save(module, tmp_path), write(config, tmp_path))
    check_same(read, module)
    assert read.hparams["discriminator"]["norm"] == norm


def test_an_activation_without_tensors_is_the_one_the_config_tells(config, tmp_path):
    module = make(
        generator=GENERATOR | {"activation": "selu", "padding_mode": "replicate"},
        discriminator=DISCRIMINATOR | {"activation": "tanh", "padding_mode": "zeros"},
    )
    config["gen"] |= {"activ": "selu", "pad_type": "replicate"}
    config["dis"] |= {"activ": "tanh", "pad_type": "zero"}
    check_same(MUNITModule.from_nvlabs(*save(module, tmp_path), write(config, tmp_path)), module)


def test_a_config_of_something_else_is_refused(tmp_path):
    path = write({"model": "pix2pix"}, tmp_path)
    with pytest.raises(ValueError, match=f"{path} is no configuration of the original MUNIT"):
        read_config(path, arguments_from_config)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=f"{tmp_path}/no.yaml"):
        MUNITModule.from_nvlabs(*save(make(), tmp_path), tmp_path / "no.yaml")


@pytest.fixture(scope="module")
def wrong():
    """What users pass by mistake."""
    module = make()
    gen = original_generator(module.gen_a.state_dict())
    dis = original_discriminator(module.dis_a.state_dict())
    unit = {"enc.model.0.conv.weight": torch.zeros(1), "dec.model.0.conv.weight": torch.zeros(1)}
    return {
        "optimizer.pt": {"gen": {"state": {}}, "dis": {"state": {}}},
        "gen": {"a": gen, "b": gen},
        "dis": {"a": dis, "b": dis},
        "lightning": {"pytorch-lightning_version": "2.6", "state_dict": module.state_dict()},
        "one gen": gen,
        "one dis": dis,
        "unit": {"a": unit, "b": unit},
        "our state": module.state_dict(),
        "empty": {},
        "list": [1, 2],
        "numbers": {0: 1, 1: 2},
    }


WRONG = [
    ("optimizer.pt", "it is the optimizers' state (optimizer.pt)"),
    ("lightning", "it is a checkpoint of Lightning, which MUNITModule.load_from_checkpoint reads"),
    ("one gen", "it is one generator without its domain's name"),
    ("one dis", "it is one discriminator without its domain"),
    ("unit", "it is generators of UNIT, which UNITModule.from_nvlabs reads"),
    ("our state", "it is something with the entries gen_a.content_encoder"),
    ("empty", "it is something with the entries none"),
    ("list", "it is something with the entries none"),
    ("numbers", "it is something with the entries 0, 1"),
]


def test_what_is_no_file_of_generators_is_said_to_be_what_it_is(wrong, tmp_path):
    for content, says in [*WRONG, ("dis", "it is discriminators (dis_*.pt)")]:
        path = tmp_path / "some.pt"
        torch.save(wrong[content], path)
        message = f"{path} holds no generators of the original MUNIT: {says}"
        with pytest.raises(ValueError, match=re.escape(message)):
            MUNITModule.from_nvlabs(path)


def test_what_is_no_file_of_discriminators_is_said_to_be_what_it_is(wrong, tmp_path):
    for content, says in [*WRONG, ("gen", "it is generators (gen_*.pt)")]:
        gen_path, path = tmp_path / "gen.pt", tmp_path / "some.pt"
        torch.save(wrong["gen"], gen_path)
        torch.save(wrong[content], path)
        message = f"{path} holds no discriminators of the original MUNIT: {says}"
        with pytest.raises(ValueError, match=re.escape(message)):
            MUNITModule.from_nvlabs(gen_path, path)


def test_generators_of_different_sizes_are_refused(wrong, tmp_path):
    other = original_generator(make(GENERATOR | {"mlp_dim": 9}).gen_b.state_dict())
    torch.save(wrong["gen"] | {"b": other}, tmp_path / "gen.pt")
    with pytest.raises(ValueError, match=r"two generators differ: .*'mlp_dim': 4.*'mlp_dim': 9"):
        MUNITModule.from_nvlabs(tmp_path / "gen.pt")


def test_a_tensor_that_no_network_of_the_original_has_is_named(wrong, tmp_path):
    gen = wrong["gen"]["a"] | {"enc_content.attention.weight": torch.zeros(1)}
    torch.save({"a": gen, "b": gen}, tmp_path / "gen.pt")
    with pytest.raises(ValueError, match=r"gen.pt holds enc_content.attention.weight, which no"):
        MUNITModule.from_nvlabs(tmp_path / "gen.pt")


def test_a_text_file_is_no_file_of_weights(tmp_path):
    path = tmp_path / "gen_00000010.pt"
    path.write_text("<html>Quota exceeded</html>")
    with pytest.raises(ValueError, match=f"{path} is no checkpoint: it is damaged"):
        MUNITModule.from_nvlabs(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"there is no file {tmp_path}/gen_00000010.pt"):
        MUNITModule.from_nvlabs(tmp_path / "gen_00000010.pt")


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_file_is_not_executed(wrong, tmp_path):
    path, trace = tmp_path / "gen_00000010.pt", tmp_path / "executed"
    torch.save(wrong["gen"] | {"c": Code(trace)}, path)
    with pytest.raises(ValueError, match=f"{path} is no checkpoint: it holds more than tensors"):
        MUNITModule.from_nvlabs(path)
    assert not trace.exists()
    torch.load(path, weights_only=False)  # it would have been
    assert trace.exists()
