import time

import pytest

from munit_pl.commands.config.overrides import check_overrides
from munit_pl.commands.errors import InputError
from munit_pl.commands.options.train import read_command_line

# Thirty mistakes of one command line.
MISSPELT = {
    "lr=1e-4": "model.optimizer.lr",
    "model.genrator.dim=8": "model.generator.dim",
    "model.generator.dmi=8": "model.generator.dim",
    "data.szie=64": "data.size",
    "data.bach_size=2": "data.batch_size",
    "trainer.max_stpes=9": "trainer.max_steps",
    "callbacks.grid.num_image=3": "callbacks.grid.num_images",
    "callbacks.checkpoint.keep_last=3": "callbacks.checkpoints.keep_last",
    "model.optimzer.lr=1": "model.optimizer.lr",
    "sede=1": "seed",
}
MUST_BE = {
    # Of another kind.
    "model.generator.num_res_blocks=4.5": "a whole number",
    "model.shared_styles='maybe'": "true or false",
    "model.weights.image='much'": "a number",
    "model.optimizer.fused=3": "true or false or null",
    "model.gan_loss='lsgna'": "one of lsgan, nsgan, hinge",
    "model.discriminator.norm=3": "one of none, batch, instance, layer, spectral",
    "data.length='many'": "a whole number",
    "trainer.precision=12": "one of 64, 32, 16, transformer-engine, transformer-engine-float16, "
    "16-true, 16-mixed, bf16-true, bf16-mixed, 32-true, 64-true, bf16, null, auto",
    "callbacks.checkpoints.artifacts=2": "true or false",
    "callbacks.evaluate.mode='least'": "one of min, max",
    # Out of range.
    "model.generator.mlp_dim=0": "at least 1",
    "model.weights.cycle=-1": "at least 0",
    "model.optimizer.lr=0": "above 0",
    "model.optimizer.weight_decay=-0.5": "at least 0",
    "model.recipes.r1.every=0": "at least 1",
    "data.batch_size=0": "at least 1",
    "data.num_workers=-1": "at least 0",
    "trainer.devices=0": "at least 1 or -1",
    "callbacks.grid.every_n_steps=0": "at least 1",
    "callbacks.watchdog.minutes=-5": "above 0",
}


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


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        (
            ["model.weights.cycle=0,10,-1", "seed=0,x"],
            [
                "2 settings are wrong:",
                "  seed is 'x', but must be a whole number",
                "  model.weights.cycle is -1, but must be at least 0",
            ],
        ),
        (  # that of the second run alone is unknown to its method
            ["model=munit,unit", "model.weights.style=1"],
            ["Could not override 'model.weights.style'. To append to your config use +"],
        ),
        (
            ["model=glob(mun*)", "seed=range(0,2)", "model.optimizer.lr=-1"],
            ["model.optimizer.lr is -1, but must be"],
        ),
        (["seed=range(0,0)"], ["seed=range(0,0) stands for no value"]),
        (["model=glob(xyz*)", "seed=0,1"], ["model=glob(xyz*) stands for no value"]),
        (["seed=glob(*)"], ["seed=glob(*) stands for no value"]),
    ],
)
def test_a_value_of_a_sweep_that_is_wrong_is_told_before_its_first_run(words, faults):
    with pytest.raises(InputError) as error:
        read_command_line(["--multirun", *words])
    lines = str(error.value).splitlines()
    assert len(lines) == len(faults)
    assert all(line.startswith(fault) for line, fault in zip(lines, faults, strict=True))


def test_of_a_sweep_what_is_known_later_is_not_looked_at():
    words = ["run=s${hydra:job.num}", "model.optimizer.lr=interval(1e-4,1e-3)", "seed=choice(0,1)"]
    assert read_command_line(["--multirun", *words])[: len(words)] == words


def test_thirty_mistakes_are_told_at_once_each_in_one_line():
    words = ["callbacks=[default,evaluate]", "+recipe=[r1]", *MISSPELT, *MUST_BE]
    with pytest.raises(InputError) as error:
        check_overrides(words)
    typed = {word: word.split("=") for word in words}
    lines = [
        f"there is no setting {typed[word][0]}: did you mean {meant}?"
        for word, meant in MISSPELT.items()
    ]
    lines += [
        f"{typed[word][0]} is {typed[word][1]}, but must be {words}"
        for word, words in MUST_BE.items()
    ]
    count, *told = str(error.value).splitlines()
    assert count == "30 settings are wrong:"
    assert sorted(line.strip() for line in told) == sorted(lines)
    start = time.process_time()
    with pytest.raises(InputError):
        check_overrides(words)
    assert time.process_time() - start < 3
