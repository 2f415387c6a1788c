"""Running networks: on which device, in which precision, whole or in tiles."""

import copy
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from munit_pl.inference.onnx import OnnxGraph
from munit_pl.inference.precision_choice import choose_precision
from munit_pl.layers.blocks import autocast_layers
from munit_pl.models.base.generator import DomainGenerator
from munit_pl.models.components.content_encoder import ContentEncoder
from munit_pl.models.munit.networks import AdaINGenerator, Decoder, StyleEncoder
from munit_pl.models.munit.tiling import (
    check_tile,
    decode_tiled,
    encode_content_tiled,
    encode_style_tiled,
)

Precision = Literal["fp32", "bf16", "fp16", "auto"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU = torch.device("cpu")


class NetworkRunner:
    """Runs the networks of generators.

    Args:
        gen: One of the generators.
        device: As of `Translator`, like all others.
        precision: "auto" is resolved.
        tile: Side in pixels, or None.
        compile: Whether to compile.

    Attributes:
        device: Where networks are computed.
        precision: In what, never "auto".
        precision_reason: Why, in a few words; empty unless "auto" was asked for.

    Raises:
        ValueError: If an option is invalid, or is not supported for the generator.
    """

    def __init__(
        self,
        gen: DomainGenerator,
        device: str | torch.device | None,
        precision: Precision,
        tile: int | None,
        compile: bool,
    ) -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"precision is {precision!r}, but must be auto, fp32, bf16 or fp16")
        if tile is not None:
            check_tile(tile)
            if not isinstance(gen, AdaINGenerator):
                raise ValueError(f"tile is {tile}, but only MUNIT's networks can be tiled")
        if tile is not None and compile:
            raise ValueError("tile computes layer by layer, which compile does not reach: give one")
        if isinstance(gen.decoder, OnnxGraph):
            if precision not in ("auto", "fp32") or compile or str(device or "cpu") != "cpu":
                raise ValueError(
                    "an ONNX export runs here on the CPU, in fp32, as it is: leave out device, "
                    "precision and compile"
                )
            device, precision = _CPU, "fp32"
        self.device = _find_device(device)
        self.precision, self.precision_reason = _resolve_precision(precision, self.device)
        self._dtype = _DTYPES[self.precision]
        self._tile = tile
        self._compile = compile

    def prepare(self, gen: DomainGenerator) -> DomainGenerator:
        """Move a generator to the device, for evaluation; in half precision this is a copy."""
        if self.precision != "fp32":
            gen = _cast_copy(gen, self._dtype)
        gen.to(self.device).eval()
        for part in (gen.content_encoder, gen.style_encoder, gen.decoder) if self._compile else ():
            if part is not None:
                part.compile()
        return gen

    def run(self, network: nn.Module, *inputs: Tensor) -> Tensor:
        """Compute one network, whole or in tiles."""
        inputs = tuple(x.to(self.device) for x in inputs) if self._tile is None else inputs
        with torch.autocast(self.device.type, self._dtype, enabled=self.precision != "fp32"):
            match network, self._tile:
                case _, None:
                    y = network(*inputs)
                case ContentEncoder(), tile:
                    y = encode_content_tiled(network, inputs[0], tile)
                case StyleEncoder(), tile:
                    y = encode_style_tiled(network, inputs[0], tile)
                case Decoder(), tile:
                    y = decode_tiled(network, inputs[0], inputs[1], tile)
        return y


def _find_device(device: str | torch.device | None) -> torch.device:
    if device is None:
        available = torch.accelerator.is_available()
        return torch.accelerator.current_accelerator() or _CPU if available else _CPU
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"there is no device {str(device)!r} here") from error
    return torch.device(device)


def _resolve_precision(precision: Precision, device: torch.device) -> tuple[Precision, str]:
    """Return what to compute in, and why, if the machine is to choose."""
    if precision != "auto":
        return precision, ""
    choice = choose_precision(device, training=False)
    return "bf16" if choice.bf16 else "fp32", choice.reason


def _cast_copy(gen: DomainGenerator, dtype: torch.dtype) -> DomainGenerator:
    """Return a copy whose weights are cast once, as autocast would cast them at each call."""
    gen = copy.deepcopy(gen)
    for layer in autocast_layers(gen):
        layer.to(dtype)
    return gen
