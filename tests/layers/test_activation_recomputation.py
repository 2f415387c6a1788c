import pytest
import torch
from training import fit

from munit_pl import MUNITModule
from munit_pl.commands.runtime.peak_memory import LiveBytes
from munit_pl.layers.activation_recomputation import recompute_blocks
from munit_pl.models.components.content_encoder import ContentEncoder


def content_encoder():
    return ContentEncoder(3, 4, 2, 3, "relu", "reflect")


@pytest.mark.parametrize(
    ("options", "precision"),
    [
        ({"accumulate": 2, "weights": {"cycle": 10.0}}, "bf16-mixed"),
        ({"shared_styles": True}, "32-true"),
    ],
)
def test_the_update_is_the_same_to_the_bit(tiny, options, precision):
    plain = MUNITModule(**tiny, **options)
    sparing = MUNITModule(**tiny, **options, checkpoint_activations=True)
    sparing.load_state_dict(plain.state_dict())
    for module in (plain, sparing):
        fit(module, steps=3, precision=precision)
    for name, weight in sparing.state_dict().items():
        assert torch.equal(weight, plain.state_dict()[name]), name


def test_generators_and_checkpoints_know_nothing_of_it(tiny):
    plain, sparing = MUNITModule(**tiny), MUNITModule(**tiny, checkpoint_activations=True)
    assert sparing.gen_a.arguments == plain.gen_a.arguments
    assert list(sparing.state_dict()) == list(plain.state_dict())
    assert not any(m.recompute for m in type(sparing.gen_a)(**sparing.gen_a.arguments).children())


def test_between_the_passes_a_blocks_inputs_alone_are_kept():
    """What the first layers made and what each of three residual blocks did: four codes."""
    encoder, x = content_encoder(), torch.rand(2, 3, 32, 32)
    recompute_blocks(encoder)
    code = 2 * 16 * 8 * 8 * 4  # bytes
    with LiveBytes() as counted:
        made = encoder(x)
        assert made.nbytes == code
        assert counted.now == 4 * code


@pytest.mark.parametrize(("gradient", "calls"), [(True, 2), (False, 1)])
def test_a_block_runs_twice_where_a_gradient_is_wanted_and_once_elsewhere(gradient, calls):
    encoder, ran = content_encoder(), []
    recompute_blocks(encoder)
    blocks = [encoder.layers, *encoder.res_blocks]
    for block in blocks:
        block.register_forward_pre_hook(lambda module, _: ran.append(module))
    with torch.set_grad_enabled(gradient):
        code = encoder(torch.rand(1, 3, 16, 16))
    if gradient:
        code.sum().backward()
    assert [ran.count(block) for block in blocks] == [calls] * len(blocks)
