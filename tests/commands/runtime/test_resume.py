import os
import shlex
from collections import OrderedDict

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from methods import METHODS
from training import fit, fit_least

from munit_pl import MUNITModule
from munit_pl.callbacks.divergence import DivergenceGuard
from munit_pl.commands.errors import InputError
from munit_pl.commands.runtime.resume import (
    check_checkpoint,
    checkpoint_to_resume,
    explaining_restore,
    find_last,
    refuse_used_folder,
    resume_command,
)
from munit_pl.io.checkpoint_files import link_durably, write_durably
from munit_pl.models.base.description import describe


def save(path, **content):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(path, lambda file: torch.save(content, file))
    return path


def run(folder, *steps):
    """Make a run's checkpoints; return the folder that they lie in."""
    files = [save(folder / "checkpoints" / f"{step:08d}.ckpt", global_step=step) for step in steps]
    link_durably(files[-1], folder / "checkpoints" / "last.ckpt")
    return folder / "checkpoints"


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    with path.open("r+b") as file:  # in place: its other name is damaged as well
        file.write(content)


def assert_one_line(error):
    assert len(str(error.value).splitlines()) == 1


def test_the_newest_of_the_run_is_found_silently(tmp_path, capsys):
    folder = run(tmp_path / "x", 10, 20)
    run(tmp_path / "y", 30)
    assert find_last(tmp_path / "x") == folder / "00000020.ckpt"
    assert capsys.readouterr() == ("", "")


def test_ckpt_path_says_what_a_run_continues_from(tmp_path):
    used, new = tmp_path / "used", tmp_path / "new"
    newest = run(used, 10, 20) / "00000020.ckpt"
    for ckpt_path, folder, found in [
        (None, new, None),
        ("auto", new, None),
        ("auto", used, newest),
        ("last", used, newest),
        ("last", new, newest),
        (str(used), new, newest),
    ]:
        refuse_used_folder(ckpt_path, folder)
        assert checkpoint_to_resume(ckpt_path, folder) == found
    with pytest.raises(InputError, match="holds a run already"):
        refuse_used_folder(None, used)
    with pytest.raises(InputError, match="there is no checkpoint"):
        checkpoint_to_resume(str(tmp_path / "x.ckpt"), new)


def test_the_newest_run_beside_it_is_taken_where_it_has_none(tmp_path):
    old, new = run(tmp_path / "b", 50), run(tmp_path / "a", 10)
    for path in old.iterdir():
        os.utime(path, (1, 1))
    (tmp_path / "c" / "checkpoints").mkdir(parents=True)  # made, and then nothing was trained
    assert find_last(tmp_path / "c") == new / "00000010.ckpt"
    with pytest.raises(InputError, match="ckpt_path=last finds no checkpoint in"):
        find_last(tmp_path / "none" / "x")


def test_damaged_checkpoints_are_passed_over_and_named(tmp_path, capsys):
    folder = run(tmp_path / "x", 10, 20)
    flip(folder / "last.ckpt")
    assert find_last(tmp_path / "x") == folder / "00000010.ckpt"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"skipped: {folder / '00000020.ckpt'} is damaged")


def test_no_run_starts_from_scratch_or_from_an_older_one_because_all_are_damaged(tmp_path):
    run(tmp_path / "older", 30)
    folder = run(tmp_path / "x", 10, 20)
    for step in (10, 20):
        flip(folder / f"000000{step}.ckpt")
    with pytest.raises(InputError, match=r"give another run=NAME$") as error:
        find_last(tmp_path / "x")
    assert_one_line(error)
    for step in (10, 20):
        assert f"000000{step}.ckpt is damaged" in str(error.value)


def test_a_run_with_other_files_only_is_told(tmp_path):
    save(tmp_path / "x" / "checkpoints" / "best.ckpt", global_step=1)
    with pytest.raises(InputError, match="those that are there are not named after iterations"):
        find_last(tmp_path / "x")


@pytest.fixture
def module(tiny):
    return MUNITModule(**tiny)


def test_a_checkpoint_of_training_of_the_same_model_is_accepted(module, tmp_path):
    fit(module, 1).save_checkpoint(tmp_path / "x.ckpt")
    check_checkpoint(tmp_path / "x.ckpt", module)
    weights = save(tmp_path / "weights.ckpt", state_dict=module.state_dict())
    with pytest.raises(InputError, match="cannot be resumed from: its ") as error:
        check_checkpoint(weights, module)
    assert_one_line(error)


def test_what_is_stumbled_over_while_states_are_restored_is_told_in_one_line(tmp_path):
    path, callback = tmp_path / "x.ckpt", DivergenceGuard()
    loop = fit_least(1, callback)
    for broken in ({"loops": {}}, {"callbacks": {"FiniteGuard": {"reloads": 0, "totals": 3}}}):
        loop.save_checkpoint(path)
        torch.save(torch.load(path, weights_only=True) | broken, path)
        refused = pytest.raises(InputError, match=r"x\.ckpt cannot be resumed from: .*Error")
        with refused as error, explaining_restore(path):
            fit_least(2, callback, ckpt_path=path)
        assert_one_line(error)
    with pytest.raises(KeyError), explaining_restore(path):  # of something else
        raise KeyError(path)
    loop.lightning_module.on_save_checkpoint = lambda checkpoint: checkpoint["none"]
    for resumed in (path, None):  # a fault while saving is the module's
        with pytest.raises(KeyError), explaining_restore(resumed):
            loop.save_checkpoint(path)


def test_a_damaged_one_is_refused(module, tmp_path):
    path = save(tmp_path / "x.ckpt", state_dict=module.state_dict())
    flip(path)
    with pytest.raises(InputError, match=r"x\.ckpt is damaged: its hash is not that in"):
        check_checkpoint(path, module)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": {}, "b": {}}, "is no checkpoint of munit-train"),
        ({"state_dict": 3}, "is no checkpoint of munit-train"),
        ({"state_dict": {"gen_a.x\n": 3}}, "is a checkpoint of another model"),
        ({"state_dict": {}, "munit_pl": {"schema": 2}}, "written by a newer munit_pl"),
    ],
)
def test_anything_else_is_told_in_one_line(module, tmp_path, content, message):
    path = save(tmp_path / "x.ckpt", **content)
    with pytest.raises(InputError, match=message) as error:
        check_checkpoint(path, module)
    assert_one_line(error)


def test_channels_are_told_as_no_setting_of_the_generators(tiny, module, tmp_path):
    described = describe({"gen_a": module.gen_a, "gen_b": module.gen_b})
    path = save(tmp_path / "x.ckpt", state_dict=module.state_dict(), generators=described)
    with pytest.raises(InputError, match="here; give the same model settings"):
        check_checkpoint(path, MUNITModule(**tiny, input_channels_b=1))


def test_a_checkpoint_of_another_method_is_told_with_both(module, tmp_path):
    unit = METHODS["unit"].make()
    described = describe({"gen_a": unit.gen_a, "gen_b": unit.gen_b})
    path = save(tmp_path / "x.ckpt", state_dict=unit.state_dict(), generators=described)
    message = r"x\.ckpt is a checkpoint of UNIT, from which MUNIT cannot go on: choose the model"
    with pytest.raises(InputError, match=message) as error:
        check_checkpoint(path, module)
    assert_one_line(error)


def test_a_declared_terabyte_is_refused_before_anything_is_allocated(module, tmp_path):
    state = OrderedDict(module.state_dict())
    name = next(iter(state))
    state[name] = torch.zeros(1).expand(10**12)
    path = save(tmp_path / "x.ckpt", state_dict=state)
    assert path.stat().st_size < 10**6
    with pytest.raises(InputError, match="is a checkpoint of another model") as error:
        check_checkpoint(path, module)
    assert_one_line(error)


def test_a_program_in_a_checkpoint_is_not_run(module, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    path = tmp_path / "x.ckpt"
    torch.save({"state_dict": module.state_dict(), "x": Payload()}, path)
    with pytest.raises(InputError, match="it holds more than tensors and plain values"):
        check_checkpoint(path, module)
    assert not (tmp_path / "run").exists()


def test_a_run_that_goes_on_is_found_by_its_name_or_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overrides = ["seed=1", "run=x", "ckpt_path=auto", "data.root=my data"]
    for folder, more, line in [
        ("outputs/n/x", [], "seed=1 'data.root=my data' run=x ckpt_path=last"),
        ("outputs/n/x/3", [], "seed=1 'data.root=my data' run=x/3 ckpt_path=last"),
        ("else/x", ["seed=2"], "'data.root=my data' output_dir=else/x ckpt_path=last seed=2"),
    ]:
        assert resume_command(overrides, tmp_path / folder, "n", more) == f"munit-train {line}"
    for run in ("Läufe", "a b", "it's", "a=b", "1,2", "(x)", "back\\slash", "it\\'s"):
        line = resume_command([], tmp_path / "outputs/n" / run, "n")
        given = OverridesParser.create().parse_override(shlex.split(line)[1])
        assert given.value() == run
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    line = resume_command(overrides, tmp_path / "outputs/n/x", "n")
    assert line == "start all processes as before, with run=x ckpt_path=last"
