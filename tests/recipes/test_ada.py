"""Augmentations as often as discriminators are too sure, by hand and in training."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from ranks import in_two_processes
from torch import distributed
from torch.utils.data import DataLoader
from training import fit, images, make_trainer, pairs_of

from munit_pl import DrawnDataModule, MUNITModule
from munit_pl.callbacks.flat_ddp import FlatDDPStrategy
from munit_pl.recipes import ada
from munit_pl.recipes.ada import ADA, EVERY, overfitting_heuristic
from munit_pl.recipes.diffaugment import AUGMENTATIONS

pytestmark = pytest.mark.slow  # a recipe that few turn on

OPTIONS = {"augmentations": ["color", "cutout"], "target": 0.6, "length": 64}
HALF = {"probability": [0.5, 0.5], "seen": [0.0, 0.0, 0.0]}
STILL = {"optimizer": {"lr": 1e-30}}  # nobody learns


def made(tiny, score=None, **options):
    """Make a module, whose discriminators score everything ``score`` if that is given."""
    recipes = {"ada": deepcopy(OPTIONS), **options.pop("recipes", {})}
    module = MUNITModule(**tiny, recipes=recipes, **options)
    if score is not None:
        for dis in (module.dis_a, module.dis_b):
            for scale in dis.scales:
                torch.nn.init.zeros_(scale[-1].weight)
                torch.nn.init.constant_(scale[-1].bias, score)
    return module


def ada_of(module):
    return next(iter(module.recipes))


def probability(module):
    return ada_of(module).state_dict()["probability"]


def measure(adaptive, r_t, images, iteration=1, distributed=False):
    adaptive.after_step({"r_t": torch.tensor(r_t)}, images, iteration, distributed)


def test_certainty_is_the_mean_sign_within_each_scale_then_over_scales():
    """Above, below, above and on the boundary: 1/4; above: 1."""
    real = [torch.tensor([[[[0.6, 0.4], [9.0, 0.5]]]]), torch.tensor([[[[0.51]]]])]
    assert overfitting_heuristic(real, 0.5) == (0.25 + 1) / 2
    assert overfitting_heuristic(real, 0.0) == 1
    assert overfitting_heuristic(real, 10.0) == -1


def test_what_is_no_number_makes_nobody_sure():
    assert overfitting_heuristic([torch.tensor([torch.nan, 1.0])], 0.0) == 0.5


def test_certainty_of_half_types_is_exact():
    scores = torch.tensor([1.0] * 600 + [-1.0] * 400, dtype=torch.bfloat16)
    torch.testing.assert_close(overfitting_heuristic([scores], 0.0), torch.tensor(0.2))


def test_a_probability_rises_above_the_target_and_falls_below_by_the_images_seen():
    adaptive = ADA(AUGMENTATIONS, 0.6, 100)
    adaptive.load_state_dict({**HALF, "probability": [0.0, 0.5]})
    for iteration in range(1, EVERY + 1):
        assert adaptive.state_dict()["probability"] == [0.0, 0.5]
        measure(adaptive, [0.7, 0.5], 2, iteration)
    assert adaptive.state_dict() == {"probability": [0.08, 0.42], "seen": [0.0, 0.0, 0.0]}


def test_on_the_target_it_stands_still():
    adaptive = ADA(AUGMENTATIONS, 0.5, 8)
    adaptive.load_state_dict(HALF)
    measure(adaptive, [0.75, 0.5], 1)
    measure(adaptive, [0.25, 0.5], 1, EVERY)
    assert adaptive.state_dict() == HALF


def test_iterations_weigh_by_their_images():
    """One image judged with certainty, seven at -1/2: below 0, though the mean of both is above."""
    adaptive = ADA(AUGMENTATIONS, 0.0, 16)
    adaptive.load_state_dict(HALF)
    measure(adaptive, [1.0, 1.0], 1)
    measure(adaptive, [-0.5, 0.5], 7, EVERY)
    assert adaptive.state_dict()["probability"] == [0.0, 1.0]


def test_it_stays_between_never_and_always():
    adaptive = ADA(AUGMENTATIONS, 0.0, 3)
    for _ in range(2):
        measure(adaptive, [1.0, -1.0], 2, EVERY)
    assert adaptive.state_dict()["probability"] == [1.0, 0.0]


def test_each_domain_decides_by_its_own_probability():
    adaptive = ADA(AUGMENTATIONS, 0.0, 4)
    adaptive.load_state_dict({**HALF, "probability": [0.25, 1.0]})
    drawn = torch.tensor([[0.0, 0.24, 0.25, 0.9], [0.0, 0.24, 0.25, 0.99999]])[None]
    assert adaptive.decide(drawn).tolist() == [[[True, True, False, False], [True] * 4]]
    adaptive.load_state_dict({**HALF, "probability": [0.0, 0.0]})
    assert not adaptive.decide(drawn).any()


@pytest.mark.parametrize("images", [7, 500_000])
def test_it_goes_on_exactly_and_at_another_speed_from_the_same_place(images):
    before, after = ADA(AUGMENTATIONS, 0.6, images), ADA(AUGMENTATIONS, 0.6, images)
    before.p_steps, before.accumulated = torch.tensor([3, images - 2]), torch.rand(3)
    after.load_state_dict(before.state_dict())
    assert torch.equal(after.p_steps, before.p_steps)
    assert torch.equal(after.accumulated, before.accumulated)
    faster = ADA(AUGMENTATIONS, 0.6, 2 * images)
    faster.load_state_dict(before.state_dict())
    assert torch.equal(faster.probability, before.probability)


def test_processes_measure_their_images_together(monkeypatch):
    """One image here, judged with certainty, and three of another process."""
    theirs = 3 * torch.tensor([-0.25, 0.5, 1.0])
    monkeypatch.setattr(ada, "all_reduce", lambda accumulated: accumulated.add_(theirs))
    adaptive = ADA(AUGMENTATIONS, 0.0, 10)
    measure(adaptive, [1.0, 0.5], 1, distributed=True)
    assert adaptive.state_dict()["seen"] == [0.25, 2.0, 4.0]


def measure_together(rank):
    distributed.init_process_group("gloo")
    adaptive = ADA(AUGMENTATIONS, 0.0, 10)
    of_a = (1.0, -0.25)[rank]  # of one image, and of three: 1/16 together
    measure(adaptive, [of_a, 0.5], (1, 3)[rank], distributed=True)
    distributed.destroy_process_group()
    return adaptive.state_dict()["seen"]


@pytest.mark.process
@pytest.mark.slow
def test_two_processes_do_so(tmp_path):
    assert in_two_processes(measure_together, tmp_path) == [[0.25, 2.0, 4.0]] * 2


def test_without_it_all_is_drawn_and_made_as_ever(tiny):
    batch = images(), images()
    without = MUNITModule(**tiny, recipes={"diffaugment": {}}).draw_all(batch, 3)
    drawn = made(tiny).draw_all(batch, 3)
    assert drawn.keys() - without.keys() == {"made_a", "made_b"}
    assert all(torch.equal(values, drawn[name]) for name, values in without.items())


def test_decisions_are_functions_of_seed_domain_image_and_iteration(tiny, monkeypatch):
    module = made(tiny)
    ada_of(module).load_state_dict(HALF)
    batch = images(16), images(16)
    whole = module.draw_all(batch, 3)
    torch.manual_seed(7)
    again, later = module.draw_all(batch, 3), module.draw_all(batch, 4)
    monkeypatch.setattr(MUNITModule, "global_rank", 1)
    half = module.draw_all((images(8), images(8)), 3)
    assert whole["made_a"].shape == (16, 3, 3)
    for name in ("made_a", "made_b"):
        assert torch.equal(whole[name], again[name])
        assert torch.equal(whole[name][8:], half[name])
        assert not torch.equal(whole[name], later[name])
        assert 0.3 < whole[name].float().mean() < 0.7
    assert not torch.equal(whole["made_a"], whole["made_b"])


class Follow(Callback):
    """Notes the probabilities at the end of each iteration, and those logged."""

    def __init__(self):
        self.held, self.logged = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.held.append(probability(pl_module))
        metrics = trainer.callback_metrics
        self.logged.append([float(metrics[f"ada/p_{domain}"]) for domain in "ab"])


@pytest.mark.parametrize(
    ("gan_loss", "score", "way"),
    [("lsgan", 0.6, 1), ("lsgan", 0.4, -1), ("nsgan", 0.1, 1)],
)
def test_probabilities_move_every_four_iterations_and_are_logged(tiny, gan_loss, score, way):
    """Of scores that stay what they are; four iterations have 8 of 64 images."""
    module, follow = made(tiny, score, gan_loss=gan_loss, **STILL), Follow()
    ada_of(module).load_state_dict(HALF)
    fit(module, steps=8, callbacks=[follow])
    expected = [0.5] * 3 + [0.5 + way / 8] * 4 + [0.5 + way / 4]
    assert follow.held == [[p, p] for p in expected]
    assert follow.logged == follow.held


def test_each_domain_has_its_own(tiny):
    module = made(tiny, 0.9, **STILL)
    torch.nn.init.constant_(module.dis_b.scales[0][-1].bias, 0.1)  # half of the patches' mean
    ada_of(module).load_state_dict(HALF)
    fit(module, steps=4)
    assert probability(module) == [0.625, 0.375]


def test_several_updates_of_the_discriminators_see_an_iterations_images_once(tiny):
    module = made(tiny, 0.9, discriminator_steps=3, **STILL)
    fit(module, steps=4)
    assert probability(module) == [0.125, 0.125]


def test_parts_of_a_batch_are_measured_together(tiny):
    start, statistics = MUNITModule(**tiny).state_dict(), []
    for accumulate in (1, 2):
        module = made(tiny, accumulate=accumulate)
        module.load_state_dict(start)
        ada_of(module).load_state_dict(HALF)
        fit(module, steps=3, batch=3)
        statistics.append(ada_of(module).accumulated)
    torch.testing.assert_close(statistics[1], statistics[0])
    assert statistics[0][2] == 9


@pytest.mark.slow
def test_discriminators_that_learn_the_real_images_by_heart_see_them_augmented_more_often(tiny):
    """The same two images of each domain all the time; generators that do not learn."""
    module = made(tiny, optimizer={"lr": 1e-30}, lr_discriminator=0.01)
    ada_of(module).load_state_dict({**HALF, "probability": [0.25, 0.25]})
    follow = Follow()
    loop = make_trainer(max_steps=60, max_epochs=-1, callbacks=[follow])
    loop.fit(module, DataLoader(pairs_of(1), batch_size=None))
    of_a = [a for a, _ in follow.held]
    assert min(of_a) < 0.25  # nothing is judged real at first, since scores begin at 0
    assert of_a[-1] > min(of_a) + 0.25
    known = of_a[of_a.index(min(of_a)) :]
    assert sum(after > before for before, after in pairwise(known)) >= 3


def test_states_hold_none_of_it_and_checkpoints_with_and_without_go_on_from_each_other(
    tiny, tmp_path
):
    module, plain = made(tiny), MUNITModule(**tiny)
    assert module.state_dict().keys() == plain.state_dict().keys()
    ada_of(module).load_state_dict(HALF)
    fit(module, steps=1).save_checkpoint(tmp_path / "with.ckpt")
    fit(plain, steps=1).save_checkpoint(tmp_path / "without.ckpt")
    assert torch.load(tmp_path / "without.ckpt", weights_only=True)["recipes"] == {}
    loader = DataLoader(pairs_of(2), batch_size=None)
    for path, fresh in (("with", MUNITModule(**tiny)), ("without", made(tiny))):
        loop = make_trainer(max_steps=2)
        loop.fit(fresh, loader, ckpt_path=tmp_path / f"{path}.ckpt", weights_only=True)
        assert loop.global_step == 2
    assert probability(fresh) == [0.0, 0.0]
    assert ada_of(MUNITModule.load_from_checkpoint(tmp_path / "with.ckpt")).state_dict() == {
        "probability": [0.5, 0.5],
        "seen": ada_of(module).state_dict()["seen"],
    }


@pytest.mark.slow
def test_a_resumed_run_is_the_uninterrupted_one(tiny, tmp_path):
    """Cut between two moves; with the consistency term, which draws too."""
    start = MUNITModule(**tiny).state_dict()

    def train(steps, path=None):
        module = made(tiny, recipes={"consistency": {"weight": 1.0}}, lr_discriminator=0.01)
        module.load_state_dict(start)
        ada_of(module).load_state_dict(HALF)
        data = DrawnDataModule((16, 16), length=7, batch_size=2)
        loop = make_trainer(max_steps=steps, max_epochs=-1, limit_val_batches=0)
        loop.fit(module, data, ckpt_path=path, weights_only=True)
        loop.save_checkpoint(tmp_path / "x.ckpt")
        return module.state_dict(), ada_of(module).state_dict()

    whole, state = train(8)
    assert state["probability"] != HALF["probability"]
    train(6)
    resumed, same = train(8, tmp_path / "x.ckpt")
    torch.testing.assert_close(resumed, whole, rtol=0, atol=0)
    assert same == state


def train_together(rank):
    outcomes = {}
    for strategy in ("ddp_find_unused_parameters_true", FlatDDPStrategy()):
        torch.manual_seed(0)
        tiny = {"generator": {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1}}
        tiny["discriminator"] = {"dim": 4, "num_layers": 2, "num_scales": 2}
        module = made(tiny, gan_loss="nsgan", recipes={"consistency": {"weight": 1.0}})
        ada_of(module).load_state_dict(HALF)
        pairs = [(images(2, 4 * i + rank), images(2, 4 * i + 2 + rank)) for i in range(5)]
        loop = make_trainer(
            max_steps=5, devices=2, strategy=strategy, use_distributed_sampler=False
        )
        loop.fit(module, DataLoader(pairs, batch_size=None))
        outcomes[type(strategy).__name__] = ada_of(module).state_dict(), module.state_dict()
    return outcomes


@pytest.mark.process
@pytest.mark.slow
def test_processes_that_train_together_have_one_probability(tmp_path):
    first, second = in_two_processes(train_together, tmp_path)
    for strategy, (state, weights) in first.items():
        same, others = second[strategy]
        assert same == state
        # Four iterations of two processes are 16 of 64 images; one iteration has been since.
        assert {abs(p - 0.5) for p in state["probability"]} == {0.25}
        assert state["seen"][2] == 4
        torch.testing.assert_close(others, weights, rtol=0, atol=0)
