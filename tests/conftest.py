import pytest
import torch


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def tiny():
    """Arguments of the smallest module that does all a large one does."""
    return {
        "generator": {"dim": 4, "mlp_dim": 8, "num_res_blocks": 1},
        "discriminator": {"dim": 4, "num_layers": 2, "num_scales": 2},
    }
