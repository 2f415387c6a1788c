from copy import deepcopy

import pytest
import torch
from methods import METHODS


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def tiny():
    """Arguments of MUNIT's smallest module."""
    return deepcopy(METHODS["munit"].arguments)


@pytest.fixture(scope="session", params=METHODS)
def method(request):
    """Every method; `pytest.mark.parametrize("method", [...], indirect=True)` names some."""
    return METHODS[request.param]
