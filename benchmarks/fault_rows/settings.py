"""Settings and loggers (A.2.3)."""

from functools import partial

from fault_rows.checks import Row, ended, ensure, finished, refused, saved_steps, tree
from fault_rows.machine import without_network
from fault_rows.stage import DDP, Stage, fault


def wrong(settings: list[str], patterns: list[str], stage: Stage) -> None:
    stage.draw()
    refused(stage, stage.train(*settings), *patterns)


def several(stage: Stage) -> None:
    stage.draw()
    settings = ["model.optimizer.lr=-1", "data.batch_size=0", "+model.generator.dmi=64"]
    outcome = stage.train(*settings)
    ended(outcome, 2, "3 ", "lr", "batch_size", "dmi", r"\bdim\b")
    ensure(not saved_steps(stage), "trained")


def own_file(stage: Stage) -> None:
    """A user's experiment file, which Hydra merges without looking at its keys."""
    stage.draw()
    folder = stage.folder / "conf" / "experiment"
    folder.mkdir(parents=True)
    text = "# @package _global_\nmodel:\n  generator:\n    dmi: 64\n"
    (folder / "mine.yaml").write_text(text)
    outcome = stage.train("+experiment=mine", f"hydra.searchpath=[file://{folder.parent}]")
    refused(stage, outcome, "dmi", r"\bdim\b")


def not_paired(stage: Stage) -> None:
    stage.draw()
    settings = ["model=bicyclegan", "data=folder", "data.root=images", "trainer.accelerator=cpu"]
    settings += ["data.num_workers=0", "run=x"]
    refused(stage, stage.run("munit-train", *settings), "pairs", "aligned")


def logger_fails(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train(*fault("logger_fails", step=3), "trainer.max_steps=8"), 8, "failed")


def wandb(network: bool, stage: Stage) -> None:
    """It writes beside the run, for later."""
    stage.draw()
    command = stage.start_train("logger=wandb", prefix=[] if network else without_network())
    finished(stage, command.wait())
    ensure(any("offline-run" in name for name in tree(stage.folder)), "no offline run")


def wandb_with_key(stage: Stage) -> None:
    stage.draw()
    prefix = [*without_network(), "env", f"WANDB_API_KEY={'0' * 40}"]
    finished(stage, stage.train("logger=wandb", prefix=prefix))


def multirun(settings: list[str], stage: Stage) -> None:
    """Each run has one folder, with one configuration."""
    stage.draw()
    outcome = stage.train(*settings, "seed=0,1", "hydra.sweep.dir=sweep", "--multirun")
    ended(outcome, 0)
    configs = sorted(str(x.relative_to(stage.folder)) for x in stage.folder.rglob("config.yaml"))
    ensure(configs == [f"sweep/{i}/.hydra/config.yaml" for i in (0, 1)], f"there are {configs}")
    last = [stage.folder / "sweep" / str(i) / "checkpoints/last.ckpt" for i in (0, 1)]
    ensure(all(file.exists() for file in last), "not both have a checkpoint")


_REFUSED = "refused before training, one line, exit 2"
_WRONG: list[tuple[str, list[str], list[str]]] = [
    ("a misspelt key", ["model.generator.dmi=64"], ["dmi", r"\bdim\b"]),
    ("a misspelt key with +", ["+model.generator.dmi=64"], ["dmi", r"\bdim\b"]),
    ("a misspelt group", ["modle=munit"], ["modle", "model"]),
    ("an unknown choice", ["model=muint"], ["muint", "munit"]),
    ("a word for a number", ["model.generator.dim=many"], [r"generator\.dim", "many"]),
    ("a list too short", ["data.crop=[16]"], ["crop"]),
    ("a negative learning rate", ["model.optimizer.lr=-1e-4"], ["lr"]),
    ("a learning rate of nan", ["model.optimizer.lr=nan"], ["lr"]),
    ("betas of 1", ["model.optimizer.betas=[0.5,1.0]"], ["betas"]),
    ("a batch of 0", ["data.batch_size=0"], ["batch_size"]),
    ("a style code of 0 numbers", ["model.generator.style_dim=0"], ["style_dim"]),
    ("a negative weight of a loss", ["model.weights.image=-10"], ["image"]),
    ("a crop larger than the resized image", ["data.crop=[32,32]"], ["crop", "resize"]),
    ("20 layers for 16 pixels", ["model.discriminator.num_layers=20"], ["num_layers|layers"]),
    ("no iterations", ["trainer.max_steps=0"], ["max_steps"]),
    (
        "checkpoints every 0 iterations",
        ["callbacks.checkpoints.every_n_steps=0"],
        ["every_n_steps"],
    ),
    ("a share above 1", ["data.max_bad_fraction=1.5"], ["max_bad_fraction"]),
    ("an unknown precision", ["trainer.precision=8"], ["precision"]),
    ("more parts than a batch has", ["model.accumulate=4"], ["accumulate"]),
    ("a missing environment variable", ["data.root=${oc.env:NO_SUCH}"], [r"data\.root", "NO_SUCH"]),
    ("a key without its value", ["data.root=???"], [r"data\.root"]),
    ("a metric that is not there", ["callbacks.checkpoints.monitor=val/nothing"], ["val/nothing"]),
]
ROWS = [
    *(
        Row(f"setting: {what}", _REFUSED, partial(wrong, chosen, told))
        for what, chosen, told in _WRONG
    ),
    Row("setting: three are wrong", "all three are told, exit 2", several),
    Row("setting: a misspelt key in one's own file", _REFUSED, own_file),
    Row("setting: a method for pairs, but images without", _REFUSED, not_paired),
    Row("logger: fails in mid-run", "told; trained to the end", logger_fails),
    Row("logger: W&B without a key", "offline; trained to the end", partial(wandb, True)),
    Row("logger: W&B without key and network", "offline; to the end", partial(wandb, False)),
    Row("logger: W&B with a key, without network", "trained to the end", wandb_with_key),
    Row(
        "setting: --multirun over two seeds",
        "two folders, two configurations",
        partial(multirun, []),
    ),
    Row(
        "setting: --multirun, two processes each",
        "two folders, two configurations",
        partial(multirun, DDP),
    ),
]
