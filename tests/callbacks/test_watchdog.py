import pytest
from runs import DDP, SMALL, Run

from munit_pl.callbacks.watchdog import Watchdog


def hang(method, folder, *others):
    return [
        *SMALL,
        *method.overrides,
        f"output_dir={folder / 'run'}",
        "callbacks=[default,fault_injection]",
        "callbacks.fault.kind=hang",
        "callbacks.fault.step=2",
        "callbacks.watchdog.minutes=0.05",
        *others,
    ]


@pytest.mark.process
@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_a_process_that_hangs_ends_and_says_where(method, tmp_path):
    statuses, said = Run(tmp_path, hang(method, tmp_path)).wait(60)
    assert statuses == [1]
    assert "Timeout" in said[0]
    assert "fault_injection.py" in said[0]


@pytest.mark.process
@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_where_one_process_hangs_all_end(method, tmp_path):
    settings = hang(method, tmp_path, "callbacks.fault.rank=1", *DDP)
    statuses, _ = Run(tmp_path, settings, processes=2).wait(60)
    assert all(statuses)


@pytest.mark.process
@pytest.mark.slow
@pytest.mark.parametrize("method", ["munit"], indirect=True)
def test_a_process_that_goes_on_is_left_alone(method, tmp_path):
    """It trains for longer than any one iteration may take."""
    settings = [*SMALL, *method.overrides, f"output_dir={tmp_path / 'run'}"]
    quick = ["callbacks.watchdog.minutes=0.03", "trainer.max_steps=100"]
    statuses, said = Run(tmp_path, [*settings, *quick]).wait()
    assert statuses == [0], said


def test_no_time_at_all_is_refused():
    with pytest.raises(ValueError, match="minutes is 0, but must be above 0"):
        Watchdog(0)
