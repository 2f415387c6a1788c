"""Numbers that are not finite."""

from functools import partial

from fault_rows.checks import Row, checkpoint, ended, ensure, finished, logged, stopped
from fault_rows.stage import DDP, Stage, fault


def one_step(kind: str, settings: list[str], stage: Stage) -> None:
    """One iteration is skipped, all stays finite, and the run goes to its end."""
    stage.draw()
    chosen = ["trainer.max_steps=6", "callbacks.divergence.patience=2", *settings]
    finished(stage, stage.train(*chosen, *fault(kind, step=3)), 6)
    skipped = {player: logged(stage, f"skipped/{player}")[-1] for player in ("dis", "gen")}
    expected = {
        "nan_batch": {"dis": 1, "gen": 1},
        "inf_gradient": {"dis": 1, "gen": 0},
    }.get(kind, {"dis": 0, "gen": 1})
    ensure(skipped == expected, f"{skipped} steps were skipped")


def for_good(stage: Stage) -> None:
    stage.draw()
    chosen = [
        "trainer.max_steps=1000",
        "callbacks.divergence.patience=3",
        *fault("nan_gradients", step=4),
    ]
    stopped(stage, stage.train(*chosen), 70, "learning rate|lr")


def weight(stage: Stage) -> None:
    """The last good checkpoint is loaded, and training goes on from its weights."""
    stage.draw()
    chosen = [
        "trainer.max_steps=16",
        "callbacks.divergence.patience=3",
        *fault("nan_weight", step=4),
    ]
    finished(stage, stage.train(*chosen), 16, r"0000000\d\.ckpt|last\.ckpt")
    ensure(logged(stage, "gen/total")[-1] < 1e6, "the losses are absurd")


def absurd_rate(stage: Stage) -> None:
    """Steps so large that the networks' outputs overflow."""
    stage.draw()
    chosen = [
        "trainer.max_steps=1000",
        "callbacks.divergence.patience=3",
        "model.optimizer.lr=1e30",
    ]
    outcome = stage.train(*chosen)
    ended(outcome, 70, "learning rate|lr")
    checkpoint(stage)


def half_precision(stage: Stage) -> None:
    stage.draw()
    settings = ["trainer.precision=bf16-mixed", "trainer.max_steps=6"]
    finished(stage, stage.train(*settings, *fault("nan_gradient", step=3)), 6)


_SKIP = "the step is skipped and counted; all finite; trained to the end"
_KINDS = [
    ("images that are NaN", "nan_batch"),
    ("an infinite gradient", "inf_gradient"),
    ("a gradient of 1e25", "huge_gradient"),
]
ROWS = [
    *(Row(f"numbers: {what}", _SKIP, partial(one_step, kind, [])) for what, kind in _KINDS),
    Row(
        "numbers: a gradient that is NaN, in rank 0 of two",
        _SKIP,
        partial(one_step, "nan_gradient", DDP),
    ),
    Row("numbers: the same in bf16-mixed", _SKIP, half_precision),
    Row("numbers: gradients NaN, for good", "saved, explained, exit 70", for_good),
    Row("numbers: a weight that is NaN", "the last good checkpoint is loaded", weight),
    Row("numbers: a learning rate of 1e30", "explained, exit 70; all finite", absurd_rate),
]
