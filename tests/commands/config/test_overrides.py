import pytest

from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.train import read_command_line


def test_what_is_composed_is_without_hydras_own_part():
    assert set(check_overrides([], "evaluate")) == {"seed", "model", "data"}


def test_a_misspelt_setting_is_told_with_the_one_that_was_meant():
    with pytest.raises(InputError, match=r"no setting data\.szie: did you mean data\.size\?"):
        check_overrides(["data.szie=3"])


def test_settings_that_the_trainer_refuses_and_folders_that_are_not_there_are_told(tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").touch()
    with pytest.raises(InputError) as error:
        check_overrides(
            ["data=folder", f"data.root={tmp_path}", "+trainer.accumulate_grad_batches=4"]
        )
    count, folder, argument = str(error.value).splitlines()
    assert count == "2 settings are wrong:"
    assert folder.endswith(
        "holds the folders cats and dogs: add data.train_a=cats data.train_b=dogs"
    )
    assert argument.endswith("write model.accumulate=4")


def test_what_no_file_lists_is_composed_as_if_a_plus_were_before_it():
    cfg = check_overrides(["trainer.fast_dev_run=true", "model.optimizer.amsgrad=true"])
    assert [cfg.trainer.fast_dev_run, cfg.model.optimizer.amsgrad] == [True, True]


def test_a_run_lies_in_outputs_whatever_its_name():
    for setting in ("run=../../x", "name=..", "run='a/../../../x'"):
        with pytest.raises(InputError, match=r"which leads out of outputs: give a name, or"):
            check_overrides([setting])
        with pytest.raises(InputError, match=r"which leads out of outputs"):
            read_command_line(["--multirun", setting, "seed=0,1"])
    with pytest.raises(InputError, match=r"run is '\.\./x', which leads out of outputs"):
        read_command_line(["--multirun", "run=a,../x"])
    assert check_overrides(["run=a/..b", "name=my.name"]).run == "a/..b"
