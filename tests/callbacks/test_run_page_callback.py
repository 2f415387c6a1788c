import pytest
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from training import make_trainer

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks import run_page
from munit_pl.callbacks.grids import ImageGrid
from munit_pl.callbacks.run_page import RunPage


class Ending(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise ValueError("the plug\nwas pulled")


class Refusing(Callback):
    def on_fit_start(self, *_):
        raise ValueError("not with these")


@pytest.fixture
def fitted(tiny, tmp_path, monkeypatch):
    """Train for five iterations with a grid at every other; return what was told, and the page."""
    states = []
    write = run_page.write_run_page

    def noted(folder, state, facts):
        states.append((state.split(" (")[0], len(list(folder.glob("grids/*.png")))))
        write(folder, state, facts)

    monkeypatch.setattr(run_page, "write_run_page", noted)

    def run(*others):
        callbacks = [ImageGrid(tmp_path / "grids", 2, 1, 1), RunPage(tmp_path), *others]
        logger = CSVLogger(tmp_path, "csv")
        trainer = make_trainer(max_steps=5, callbacks=callbacks, logger=logger)
        trainer.fit(MUNITModule(**tiny), DrawnDataModule(size=(16, 16), length=4, test_length=2))

    return run, states, tmp_path / "index.html"


def test_the_page_is_written_at_each_grid_with_it_and_at_the_end(fitted):
    run, states, page = fitted
    run()
    assert states == [
        ("iteration 2 of 5, training", 2),
        ("iteration 4 of 5, training", 4),
        ("iteration 5 of 5, done", 4),
    ]
    text = page.read_text()
    for part in ("DrawnDataModule, 16x16", "MUNITModule", "gen/image", "grids/00000004_a2b.png"):
        assert part in text
    assert not list(page.parent.glob(".index*"))


def test_a_run_that_breaks_off_says_why_in_its_page(fitted):
    run, states, page = fitted
    with pytest.raises(ValueError, match="the plug"):
        run(Ending(3))
    assert states[-1] == ("iteration 3 of 5, ended early: the plug was pulled", 2)
    assert "ended early: the plug was pulled" in page.read_text()


@pytest.mark.parametrize("in_the_way", ["a folder", "settings that are no text"])
def test_a_page_that_cannot_be_written_does_not_end_the_run(fitted, in_the_way):
    run, states, page = fitted
    if in_the_way == "a folder":
        page.mkdir()
    else:
        (page.parent / ".hydra").mkdir()
        (page.parent / ".hydra/config.yaml").write_bytes(b"\xff")
    with pytest.warns(UserWarning, match="the run's page could not be written: "):
        run()
    assert len(states) == 3


def test_a_run_that_did_not_begin_has_no_page(fitted):
    run, states, page = fitted
    with pytest.raises(ValueError, match="not with these"):
        run(Refusing())
    assert states == []
    assert not page.exists()
