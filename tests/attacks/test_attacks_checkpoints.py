"""Files of weights as attackers write them. Each first does its harm to a reader that trusts it."""

import ast
import contextlib
import json
import math
import os
import pickle
import re
import sys
import warnings
import zipfile
from pathlib import Path

import hostile_files as hostile
import pytest
import torch
from hostile_files import Payload
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from methods import METHODS
from training import LEAST, fit

import munit_pl
from munit_pl import MUNITModule, Translator, UNITModule
from munit_pl.commands.errors import InputError
from munit_pl.commands.evaluate import main as evaluate
from munit_pl.commands.runtime.resume import check_checkpoint
from munit_pl.commands.translate import main as translate
from munit_pl.data.images.tensors import to_pil_image
from munit_pl.inference.generator_loading import read_generators
from munit_pl.io.pretrained_weights import load_alexnet_weights
from munit_pl.io.safe_reading import read_checkpoint
from munit_pl.losses.perceptual import load_vgg16
from munit_pl.metrics.classifier import load_classifier
from munit_pl.metrics.inception_v3 import load_inception
from munit_pl.metrics.lpips import read_heads
from munit_pl.models.base.description import export_generators
from munit_pl.models.components.nvlabs_config import read_config
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.nvlabs import arguments_from_config

TERA = 10**12


def by_command(main, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(map(str, arguments)))
    raise ValueError(stopped.value.code)  # the line that it leaves behind


def by_translating(path):
    to_pil_image(torch.zeros(3, 32, 32)).save(path.parent / "in.png")
    by_command(translate, path, path.parent / "in.png", "--out", path.parent / "out")


ENTRIES = {
    "Translator": Translator.load,
    "munit-translate": by_translating,
    "munit-evaluate": lambda path: by_command(evaluate, path, "--device", "cpu"),
    "ckpt_path": lambda path: check_checkpoint(path, MUNITModule(generator=hostile.SIZES)),
    "load_from_checkpoint": MUNITModule.load_from_checkpoint,
    "MUNIT's original": MUNITModule.from_nvlabs,
    "UNIT's original": UNITModule.from_nvlabs,
    "perceptual": lambda path: load_vgg16(path=str(path)),
    "lpips": read_heads,
    "alexnet": load_alexnet_weights,
    "inception": load_inception,
    "classifier": load_classifier,
}
TRANSLATING = ("Translator", "munit-translate", "munit-evaluate")


def refused(entry, path):
    """Return the one line with which an entry refuses a file."""
    if entry in ("munit-evaluate", "inception"):
        pytest.importorskip("torch_fidelity", reason="needs the extra evaluate")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, InputError)) as caught:
            ENTRIES[entry](path)
    line = str(caught.value)
    assert path.name in line
    assert "\n" not in line
    assert len(line) < 600
    return line


def in_optimizer(payload):
    content = hostile.checkpoint()
    content["optimizer_states"][0]["state"][0] = {"exp_avg": payload}
    return content


CODE = {
    "beside weights": lambda path, p: torch.save(hostile.checkpoint() | {"x": p}, path),
    "as a key": lambda path, p: torch.save({p: 1, **hostile.checkpoint()}, path),
    "in optimizer states": lambda path, p: torch.save(in_optimizer(p), path),
    "in hyper-parameters": lambda path, p: torch.save(
        hostile.checkpoint() | {"hyper_parameters": {"generator": {"dim": p}}}, path
    ),
    "in the original's": lambda path, p: torch.save({"a": {}, "b": {"w": p}}, path),
    "before torch 1.6": lambda path, p: torch.save(
        {"x": p}, path, _use_new_zipfile_serialization=False
    ),
    "protocol 4": lambda path, p: torch.save({"x": p}, path, pickle_protocol=4),
    "zip by hand": lambda path, p: hostile.write_zip(path, pickle.dumps(p, 2)),
    "protocol 0": lambda path, p: hostile.write_zip(path, pickle.dumps(p, 0)),
    "bare pickle": lambda path, p: path.write_bytes(pickle.dumps({"state_dict": p})),
}


@pytest.mark.parametrize("write", CODE.values(), ids=CODE)
def test_no_entry_runs_code_of_a_file(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, trace = tmp_path / "model.ckpt", tmp_path / "trace"
    write(path, Payload(trace))
    with contextlib.suppress(RuntimeError):  # raised after the harm is done
        torch.load(path, weights_only=False)
    trace.rmdir()  # it was made
    for entry in ENTRIES:
        refused(entry, path)
    assert not trace.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_a_classifiers_header_is_no_pickle(tmp_path):
    path, trace = tmp_path / "c.safetensors", tmp_path / "trace"
    path.write_bytes(pickle.dumps(Payload(trace)))
    refused("classifier", path)
    assert not trace.exists()


def test_no_reader_falls_back_to_unpickling():
    """Every call in the package that could is one that asks for weights alone."""
    for file in Path(munit_pl.__file__).parent.rglob("*.py"):
        for call in (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)):
            called = ast.unparse(call.func)
            said = [ast.unparse(word) for word in (*call.args, *call.keywords)]
            assert called not in ("pickle.load", "pickle.loads", "eval", "exec"), file
            assert not re.fullmatch(r"yaml\.(unsafe|full)_load(_all)?", called), file
            assert called != "yaml.load" or "yaml.CSafeLoader" in said, file
            assert not called.endswith("Unpickler"), file
            assert not {"weights_only=False", "weights_only=None", "allow_pickle=True"} & {*said}
            assert called != "torch.load" or "weights_only=True" in said, file


def test_hyper_parameters_cannot_name_what_makes_a_model(tmp_path, monkeypatch):
    """CVE-2026-58659: Lightning called what ``_instantiator`` names, weights_only or not."""
    trace, path = tmp_path / "trace", tmp_path / "model.ckpt"
    (tmp_path / "munit_evil.py").write_text(
        f"import os\ndef make(cls, arguments): os.mkdir({str(trace)!r})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    asked = {"_instantiator": "munit_evil.make", "seed": 0}
    torch.save(hostile.checkpoint() | {"hyper_parameters": asked}, path)
    named = torch.load(path, weights_only=True)["hyper_parameters"]["_instantiator"]
    module, name = named.rsplit(".", 1)
    getattr(__import__(module), name)(MUNITModule, asked)  # as Lightning to 2.6.5 does
    trace.rmdir()
    Translator.load(path, device="cpu")  # reads no hyper-parameters at all
    with pytest.raises(ValueError, match="not in the allowlist"):
        MUNITModule.load_from_checkpoint(path)
    assert not trace.exists()


def test_hyper_parameters_are_no_arguments_of_the_loading_itself(tmp_path):
    """``strict`` would load networks that lack weights, ``hparams_file`` read another file."""
    path = tmp_path / "model.ckpt"
    module = METHODS["munit"].make()
    fit(module, 1).save_checkpoint(path)
    saved = torch.load(path, weights_only=True)
    saved["state_dict"].pop(next(iter(saved["state_dict"])))
    asked = {"strict": False, "hparams_file": str(tmp_path / "other.yaml"), "diffaugment": 3}
    torch.save(saved | {"hyper_parameters": saved["hyper_parameters"] | asked}, path)
    with pytest.raises(ValueError, match=r"does not load as MUNITModule: .*Missing key"):
        MUNITModule.load_from_checkpoint(path)


def test_hydras_targets_in_a_checkpoint_are_not_called(tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "model.ckpt"
    target = {"_target_": "os.makedirs", "name": str(trace)}
    instantiate(target)
    trace.rmdir()
    torch.save(hostile.checkpoint() | {"hyper_parameters": {"generator": target}}, path)
    Translator.load(path, device="cpu")
    assert not trace.exists()
    torch.save(hostile.checkpoint(**target), path)
    for entry in TRANSLATING:
        assert "AdaINGenerator has no argument '_target_'" in refused(entry, path)
    torch.save(hostile.checkpoint(dim=target), path)
    assert "dim is a dict" in refused("Translator", path)
    assert not trace.exists()


def test_an_optimizer_and_a_schedule_are_named_among_pytorchs_own():
    for group, named in [
        ("optimizer", {"name": "os.system"}),
        ("optimizer", {"name": "lr_scheduler"}),
        ("optimizer", {"name": "Optimizer"}),
        ("scheduler", {"kind": "LambdaLR", "lr_lambda": "print"}),
        ("scheduler", {"kind": "warnings"}),
    ]:
        with pytest.raises(ValueError, match="but must be one of"):
            MUNITModule(**LEAST, **{group: named})


def test_training_goes_on_from_no_file_that_runs_code(tmp_path):
    from munit_pl.commands.train import train

    path, trace = tmp_path / "model.ckpt", tmp_path / "trace"
    torch.save(hostile.checkpoint() | {"callbacks": Payload(trace)}, path)
    sizes = [f"model.generator.{name}={value}" for name, value in hostile.SIZES.items()]
    small = ["data.size=[16,16]", "data.length=4", "~callbacks.bar"]
    small += [f"model.discriminator.{size}" for size in ("dim=2", "num_layers=2", "num_scales=1")]
    place = [f"output_dir={tmp_path / 'run'}", f"ckpt_path={path}", "trainer.accelerator=cpu"]
    with initialize_config_module("munit_pl.conf", version_base="1.3"):
        cfg = compose("train", [*place, *sizes, *small])
    with pytest.raises(InputError, match=r"model\.ckpt") as caught:
        train(cfg)
    assert "\n" not in str(caught.value)
    assert not trace.exists()


def compressed(path):
    """Write 256 MB of zeros as a checkpoint of 0.3 MB."""
    zeros = bytes(1 << 28)
    content = {"state_dict": {"w": hostile.tensor(1 << 26, (1 << 26,), (1,))}}
    pickle = hostile.pickled(content)
    hostile.write_zip(path, pickle, [("data/0", zeros)], zipfile.ZIP_DEFLATED)


def test_every_entry_refuses_a_compressed_file_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.ckpt"
    compressed(path)
    assert path.stat().st_size < 2_000_000
    for entry in ENTRIES:
        refused(entry, path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dim": 10**9}, "dim is 1000000000, but"),
        ({"style_dim": 10**9}, "style_dim is 1000000000, but"),
        ({"dim": 10**30}, "dim is a number of more than 64 bits"),
        ({"num_res_blocks": 10**9}, "num_res_blocks is 1000000000, but"),
        ({"num_downsample": 10**9}, "num_downsample is 1000000000, but"),
        ({"num_downsample": -1}, "num_downsample is -1"),
        ({"num_res_blocks": 0}, "num_res_blocks is 0"),
        ({"num_downsample": 60}, "fit the networks that it describes: gen_a: "),
        ({"dim": True}, "dim is True"),
        ({"dim": "2"}, "dim is '2'"),
        ({"dim": 2.0}, "dim is 2.0"),
        ({"dim": math.nan}, "dim is nan"),
        ({"dim": None}, "dim is None"),
        ({"dim": [2]}, "dim is a list"),
        ({"activation": "x" * 10**5}, "activation is 'xxx"),
        ({"activation": "\x1b[2J\n"}, r"activation is '\x1b[2J\n'"),
        ({"padding_mode": 3}, "padding_mode is 3"),
        ({"self": 1}, "no argument 'self'"),
        ({"x" * 10**5: 1}, "no argument 'xxx"),
        ({3: 1}, "no argument 3"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_a_file_says_of_its_generators_is_not_taken_on_trust(arguments, says, tmp_path):
    content = hostile.checkpoint()
    content["generators"]["gen_a"]["arguments"] |= arguments
    torch.save(content, tmp_path / "model.ckpt")
    line = refused("Translator", tmp_path / "model.ckpt")
    assert "does not fit the networks that it describes: gen_a: " in line
    assert says in line
    if 3 in arguments:  # JSON has words for names
        return
    described = json.dumps(content["generators"])
    (tmp_path / "m.safetensors").write_bytes(hostile.exported(content, described))
    assert says in refused("Translator", tmp_path / "m.safetensors")


def test_descriptions_of_other_shapes_are_refused(tmp_path):
    for description in [
        None,
        [],
        "gen_a",
        {},
        {"gen_a": None},
        {"gen_a": {"kind": ["AdaINGenerator"]}},
        {"gen_a": {"kind": "Module", "arguments": {}}},
        {"gen_a": {"kind": "AdaINGenerator"}},
        {"gen_a": {"kind": "AdaINGenerator", "arguments": [3]}},
    ]:
        content = hostile.checkpoint() | {"generators": description}
        torch.save(content, tmp_path / "model.ckpt")
        assert "gen_a" in refused("Translator", tmp_path / "model.ckpt")
        (tmp_path / "m.safetensors").write_bytes(hostile.exported(content, json.dumps(description)))
        assert "gen_a" in refused("Translator", tmp_path / "m.safetensors")


def test_a_billion_laughs_among_arguments_are_not_written_out(tmp_path):
    laughs = ["ha"]
    for _ in range(100):
        laughs = [laughs, laughs]  # 2**100 of them, in a few kilobytes
    torch.save(hostile.checkpoint(dim=laughs, activation=laughs), tmp_path / "model.ckpt")
    assert "is a list" in refused("Translator", tmp_path / "model.ckpt")


@pytest.mark.parametrize("state", [None, [1], {3: torch.zeros(1)}, {"gen_a.w": "no"}], ids=str)
def test_states_of_other_shapes_are_refused(state, tmp_path):
    torch.save(hostile.checkpoint() | {"state_dict": state}, tmp_path / "model.ckpt")
    assert "holds no weights" in refused("Translator", tmp_path / "model.ckpt")


def test_many_names_for_one_storage_are_not_copied_many_times(tmp_path):
    """A small file would become a large model: here 20 times as large."""
    wide = {"dim": 10, "style_dim": 1, "mlp_dim": 1, "num_downsample": 0, "num_res_blocks": 200}
    content = hostile.checkpoint()
    with torch.device("meta"):
        gen = AdaINGenerator(**wide)
    one = torch.zeros(max(t.numel() for t in gen.state_dict().values()))
    for name in ("gen_a", "gen_b"):
        content["generators"][name]["arguments"] |= wide
        for key, value in gen.state_dict().items():
            content["state_dict"][f"{name}.{key}"] = one[: value.numel()].view(value.shape)
    path = tmp_path / "model.ckpt"
    torch.save(content, path)
    assert "more bytes than the file" in refused("Translator", path)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_do_not_translate(value, tmp_path):
    content = hostile.checkpoint()
    content["state_dict"]["gen_b.decoder.to_image.conv.weight"][0, 0, 3, 3] = value
    torch.save(content, tmp_path / "model.ckpt")
    line = refused("Translator", tmp_path / "model.ckpt")
    assert "gen_b: decoder.to_image.conv.weight holds NaN or infinity" in line


def test_weights_of_whole_numbers_are_refused(tmp_path):
    content = hostile.checkpoint()
    name = "decoder.to_image.conv.weight"
    content["state_dict"][f"gen_a.{name}"] = content["state_dict"][f"gen_a.{name}"].int()
    torch.save(content, tmp_path / "model.ckpt")
    assert f"{name} is of torch.int32" in refused("Translator", tmp_path / "model.ckpt")


F32 = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
SAFETENSORS = {
    "length of 2**63": (2**63).to_bytes(8, "little") + b"{}",
    "length of 90 MB": (90_000_000).to_bytes(8, "little") + b"{}",
    "overlapping": hostile.safetensors({"gen_a.x": F32, "gen_a.y": F32}, bytes(16)),
    "beyond the end": hostile.safetensors({"gen_a.x": F32}, bytes(8)),
    "terabyte": hostile.safetensors(
        {"x": {"dtype": "F32", "shape": [TERA], "data_offsets": [0, 4 * TERA]}}
    ),
    "shape of another size": hostile.safetensors({"x": {**F32, "shape": [TERA]}}, bytes(16)),
    "overflowing shape": hostile.safetensors({"x": {**F32, "shape": [2**62, 8]}}, bytes(16)),
    "unknown type": hostile.safetensors({"x": {**F32, "dtype": "O"}}, bytes(16)),
    "nested": hostile.safetensors(b'{"x":' + b"[" * 10**6),
    "no tensors": hostile.safetensors({}),
    "nested description": hostile.safetensors({"__metadata__": {"munit_pl": "[" * 10**5}}),
    "long number": hostile.safetensors({"__metadata__": {"munit_pl": "1" * 10**5}}),
    "many tensors": hostile.safetensors(
        {f"{i:090}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(40_000)}
    ),
}


def test_safetensors_that_lie_are_refused(tmp_path):
    for content in SAFETENSORS.values():
        path = tmp_path / "model.safetensors"
        path.write_bytes(content)
        for entry in (*TRANSLATING, "classifier"):
            refused(entry, path)


def test_the_originals_file_is_measured_before_networks_are_made(tmp_path):
    """Channels that one tensor alone has would become networks of terabytes."""
    wide = torch.zeros(100_000, 1, 1, 1)
    first = {n: wide.clone() for n in ("enc_style.model.6.weight", "mlp.model.0.fc.weight")}
    state = first | {"enc_content.model.0.conv.weight": wide}
    path = tmp_path / "gen_1.pt"
    torch.save({"a": state, "b": state}, path)
    for entry in ("MUNIT's original", "Translator"):
        assert "does not fit the networks" in refused(entry, path)
    deep = {f"enc_content.model.{i}.conv.weight": torch.zeros(1, 1, 1, 1) for i in range(3000)}
    state = first | deep
    torch.save({"a": state, "b": state}, path)
    assert "2999 downsampling steps" in refused("MUNIT's original", path)


@pytest.mark.parametrize("value", [3, "x", [1], None, torch.tensor(1.0)], ids=str)
def test_the_originals_file_with_other_values_is_refused(value, tmp_path):
    state = {"enc_content.model.0.conv.weight": value, "enc.model.0.conv.weight": value}
    path = tmp_path / "gen_1.pt"
    torch.save({"a": state, "b": state}, path)
    for entry in ("MUNIT's original", "UNIT's original", "Translator"):
        refused(entry, path)


def config(**gen):
    """Return a configuration of the original's as text."""
    both = {"dim": 4, "activ": "relu", "pad_type": "reflect"}
    numbers = "gan_w recon_x_w recon_s_w recon_c_w recon_x_cyc_w vgg_w lr beta1 beta2 weight_decay"
    content = dict.fromkeys(numbers.split(), 1)
    content |= {"input_dim_a": 3, "input_dim_b": 3, "init": "kaiming", "lr_policy": "constant"}
    content["gen"] = both | {"style_dim": 8, "mlp_dim": 8, "n_downsample": 2, "n_res": 1} | gen
    content["dis"] = both | {"norm": "none", "n_layer": 2, "num_scales": 1, "gan_type": "lsgan"}
    return content


def test_yaml_of_an_original_makes_no_objects(tmp_path):
    import yaml

    path, trace = tmp_path / "munit.yaml", tmp_path / "trace"
    path.write_text(f"!!python/object/apply:os.mkdir [{trace}]\n")
    yaml.unsafe_load(path.read_text())
    trace.rmdir()
    with pytest.raises(ValueError, match=r"munit\.yaml is no YAML file"):
        read_config(path, arguments_from_config)
    assert not trace.exists()


def laughs(deepest):
    """Return YAML in which each mapping merges the one before it nine times."""
    levels = ["l0: &l0 {a: 1}"]
    for i in range(1, deepest):
        levels.append(f"l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 9)}]}}")
    return "\n".join(levels)


def test_yaml_cannot_grow(tmp_path):
    """Former versions of PyYAML made 9**11 pairs of the first."""
    path = tmp_path / "munit.yaml"
    for text, says in (
        (laughs(12), "has YAML aliases"),
        ("a: " + "[" * 20_000, "is no YAML file"),
        ("- " * 10_000, "is no YAML file"),
        ("a: " + "1" * 20_000, "is no YAML file"),
        ("# " + "x" * 10**6, "more than 30000 bytes"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"munit\.yaml .*({says})"):
            read_config(path, arguments_from_config)


def test_values_of_an_original_configuration_are_checked(tmp_path):
    for change in [
        {"gen": 3},
        {"gen": None},
        {"dis": []},
        {"gan_w": "much"},
        {"lr": []},
        {"init": {}},
        {"input_dim_a": 10**9},
        {"gen": config(n_downsample=10**9)["gen"]},
        {"gen": config(dim=True)["gen"]},
        {"gen": config(pad_type=[])["gen"]},
        {"dis": config()["dis"] | {"num_scales": 10**9}},
        {"dis": config()["dis"] | {"norm": []}},
    ]:
        path = tmp_path / "munit.yaml"
        path.write_text(json.dumps(config() | change))  # JSON is YAML
        with pytest.raises(ValueError, match=r"munit\.yaml ") as caught:
            read_config(path, arguments_from_config)
        assert "\n" not in str(caught.value)


def test_the_plain_files_are_read(tmp_path):
    """So that none of the above is refused for another reason than it should."""
    path = tmp_path / "model.ckpt"
    torch.save(hostile.checkpoint(), path)
    assert read_checkpoint(path)["global_step"] == 3
    gen_a, gen_b = read_generators(path)
    export_generators(tmp_path / "m.safetensors", gen_a, gen_b)
    read_generators(tmp_path / "m.safetensors")
    torch.save(hostile.checkpoint(), path, _use_new_zipfile_serialization=False)
    read_generators(path)
    path.write_bytes(hostile.legacy({"w": hostile.tensor(16, (16,), (1,), old=True)}))
    assert read_checkpoint(path)["w"].tolist() == [0] * 16
    hostile.write_zip(path, hostile.pickled({"w": hostile.tensor(16, (4, 4), (4, 1))}))
    assert read_checkpoint(path)["w"].shape == (4, 4)
    (tmp_path / "munit.yaml").write_text(json.dumps(config()))
    assert read_config(tmp_path / "munit.yaml", arguments_from_config)["generator"]["dim"] == 4
    assert os.listdir(tmp_path)
