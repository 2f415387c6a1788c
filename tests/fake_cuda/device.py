"""CUDA tensors without a GPU: they have shapes, types and devices, and no data."""

import ctypes
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

SOURCE = Path(__file__).with_name("device_guard.cpp")


@contextmanager
def fake_cuda():
    """Make every tensor of this context a fake one, for which "cuda" is a device like the CPU.

    Operations, autograd, autocast and optimizers work on them as on a GPU: what mixes devices
    fails, and nothing is computed. Afterwards PyTorch is as it was.

    Where there is neither a GPU nor what the stub of one takes, the test is skipped.
    """
    with cuda_device(), FakeTensorMode():
        yield


@contextmanager
def cuda_device():
    """Let there be a CUDA device for the fake tensors of this context and for no others."""
    with ExitStack() as stack:
        if not torch.cuda.is_available():
            stack.enter_context(_stubbed())
        # In the calling thread: the engine has others for the devices that it saw at first.
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        # Modules that move swap their weights, of which the mode holds harmless weak references.
        stack.enter_context(patch("torch.utils.weakref.getweakrefs", lambda _: []))
        # `deepcopy` would copy memory.
        copied = patch.object(FakeTensor, "__deepcopy__", lambda x, _: x.detach().clone())
        stack.enter_context(copied)
        # Which tensors' lists go to kernels for many at once is told by their class.
        for module in ("torch.utils._foreach_utils", "torch.optim.optimizer"):
            classes = [torch.Tensor, torch.nn.Parameter, FakeTensor]
            stack.enter_context(patch(f"{module}._foreach_supported_types", classes))
        yield


@contextmanager
def _stubbed():
    # Now, while there is no device: the engine's threads for devices would forbid to fork.
    torch.zeros((), requires_grad=True).backward()
    torch._C._ensureCUDADeviceGuardSet()
    exchange = _built()
    exchange()
    try:
        with (
            patch("torch.cuda.amp.common.amp_definitely_not_available", lambda: False),
            patch("torch.cuda.is_bf16_supported", lambda *_, **__: True),
            patch("torch.cuda.manual_seed", lambda seed: None),  # which waits for a first use
        ):
            yield
    finally:
        exchange()


@cache
def _built():
    """Build the stub and return the function that installs it, and then puts PyTorch's back."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++, with which the stub of a CUDA device is built")
    if not torch.backends.cuda.is_built():
        pytest.skip("this PyTorch is built without CUDA")
    torch_folder = Path(torch.__file__).parent
    with TemporaryDirectory() as folder:
        library = Path(folder, "device_guard.so")
        what = ["-shared", "-fPIC", "-std=c++20", f"-I{torch_folder / 'include'}", str(SOURCE)]
        where = ["-o", str(library), f"-L{torch_folder / 'lib'}", "-lc10", "-ltorch_cpu"]
        subprocess.run([compiler, *what, *where], check=True)
        return ctypes.CDLL(str(library)).exchange_cuda_device
