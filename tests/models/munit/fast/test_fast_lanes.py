import pytest
import torch
from training import images

from munit_pl import FastMUNITModule, MUNITModule
from munit_pl.losses.terms import total
from munit_pl.models.base.module import MicroBatch


class OneAfterTheOther:
    """No streams: that the same networks are asked for the same things is what is tested."""

    def __init__(self):
        self.phases = 0

    def both(self, of_a, of_b):
        self.phases += 1
        return of_a.do(), of_b.do()

    def join(self):
        pass


@pytest.mark.parametrize("options", [{}, {"shared_styles": True}, {"weights": {"cycle": 10.0}}])
def test_side_by_side_the_terms_and_their_gradients_are_the_same(tiny, options):
    plain, fast = MUNITModule(**tiny, **options), FastMUNITModule(**tiny, **options)
    fast.load_state_dict(plain.state_dict())
    fast._lane = lane = OneAfterTheOther()
    x_a, x_b = images(seed=0), images(seed=1)
    results = []
    for module in (plain, fast):
        part = MicroBatch(x_a, x_b, module.draw(x_a, x_b, 0), fraction=1.0, is_whole_batch=True)
        of_dis = module.discriminator_terms(part)
        total(of_dis, module.weights).backward()
        of_gen = module.generator_terms(part)
        total(of_gen, module.weights).backward()
        grads = {name: p.grad for name, p in module.named_parameters()}
        results.append((of_dis, of_gen, grads, part.cached.codes))
    # But for the order in which a weight's gradients are added up.
    torch.testing.assert_close(results[1][:3], results[0][:3], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close([*results[1][3]], [*results[0][3]], rtol=0, atol=0)
    # Encode, decode, judge and read back; decode for either update unless shared; cycle.
    phases = 4 if options.get("shared_styles") else 5
    assert lane.phases == phases + ("weights" in options)


def test_validation_does_not_go_side_by_side(tiny):
    module = FastMUNITModule(**tiny)
    module._lane = lane = OneAfterTheOther()
    x_a, x_b = images(seed=0), images(seed=1)
    module.validation_terms(x_a, x_b, module.draw(x_a, x_b, 0))
    assert lane.phases == 0
