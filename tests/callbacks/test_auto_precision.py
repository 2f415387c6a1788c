import pytest
import torch
from methods import METHODS
from ranks import in_two_processes
from training import fit, make_trainer

from munit_pl.callbacks import auto_precision
from munit_pl.callbacks.auto_precision import AutoPrecision
from munit_pl.inference.precision_choice import Choice


class Watched(METHODS["munit"].module):
    """Knows in which type its convolutions compute."""

    def iterate(self, batch):
        weight = next(self.gen_a.parameters())
        self.computed = torch.nn.functional.conv2d(batch[0], weight).dtype
        return super().iterate(batch)


def trained(bf16, **options):
    """Train for one iteration on a machine that is faster in bf16, or not."""
    noted = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto_precision, "choose_precision", lambda *_, **__: Choice(bf16, "it is so"))
        module, chosen = Watched(**METHODS["munit"].arguments), AutoPrecision(noted.append)
        trainer = fit(module, steps=1, callbacks=[chosen], **options)
    return trainer, module, chosen, noted


def test_a_run_computes_in_what_was_chosen_and_knows_why():
    for bf16, name, kind in ((True, "bf16-mixed", torch.bfloat16), (False, "32-true", torch.float)):
        trainer, module, chosen, noted = trained(bf16)
        assert (trainer.precision, noted, module.computed) == (name, [name], kind)
        assert chosen.reason == "it is so"


def test_nothing_is_chosen_where_nothing_is_trained(monkeypatch):
    monkeypatch.setattr(auto_precision, "choose_precision", lambda *_, **__: pytest.fail("chosen"))
    AutoPrecision().setup(make_trainer(), METHODS["munit"].make(), "validate")


def two_minds(rank):
    options = {"devices": 2, "strategy": "ddp_find_unused_parameters_true"}
    trainer, module, *_, noted = trained(bf16=rank == 0, **options)
    return str(trainer.precision), noted, module.computed


@pytest.mark.process
def test_all_processes_do_as_the_first_found_best(tmp_path):
    assert (
        in_two_processes(two_minds, tmp_path)
        == [("bf16-mixed", ["bf16-mixed"], torch.bfloat16)] * 2
    )
