"""Settings and loggers."""

from fault_rows.checks import Row, ended, ensure, finished, refused, tree
from fault_rows.machine import without_network
from fault_rows.stage import DDP, Stage, fault


def unknown_choice(stage: Stage) -> None:
    stage.draw()
    refused(stage, stage.train("model=muint"), "muint", "munit")


def logger_fails(stage: Stage) -> None:
    stage.draw()
    finished(stage, stage.train(*fault("logger_fails", step=3), "trainer.max_steps=8"), 8, "failed")


def wandb(stage: Stage) -> None:
    """It writes beside the run, for later."""
    stage.draw()
    finished(stage, stage.train("logger=wandb", prefix=without_network()))
    ensure(any("offline-run" in name for name in tree(stage.folder)), "no offline run")


def wandb_with_key(stage: Stage) -> None:
    stage.draw()
    prefix = [*without_network(), "env", f"WANDB_API_KEY={'0' * 40}"]
    finished(stage, stage.train("logger=wandb", prefix=prefix))


def multirun(stage: Stage) -> None:
    """Each run has one folder, with one configuration."""
    stage.draw()
    outcome = stage.train(*DDP, "seed=0,1", "hydra.sweep.dir=sweep", "--multirun")
    ended(outcome, 0)
    configs = sorted(str(x.relative_to(stage.folder)) for x in stage.folder.rglob("config.yaml"))
    ensure(configs == [f"sweep/{i}/.hydra/config.yaml" for i in (0, 1)], f"there are {configs}")
    last = [stage.folder / "sweep" / str(i) / "checkpoints/last.ckpt" for i in (0, 1)]
    ensure(all(file.exists() for file in last), "not both have a checkpoint")


ROWS = [
    Row("setting: an unknown choice", "refused before training, one line, exit 2", unknown_choice),
    Row("logger: fails in mid-run", "told; trained to the end", logger_fails),
    Row("logger: W&B without key and network", "offline; to the end", wandb),
    Row("logger: W&B with a key, without network", "trained to the end", wandb_with_key),
    Row("setting: --multirun, two processes each", "two folders, two configurations", multirun),
]
