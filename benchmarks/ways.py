"""Ways for a translation from a to b to go: eager, compiled, exported, packaged."""

import copy
import tempfile
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from munit_pl import Translator

WAYS = {
    "eager": "the networks as they are",
    "compiled": "Translator(compile=True)",
    "exported": "programs of torch.export, run by PyTorch",
    "packaged": "the same programs in packages of AOTInductor",
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Graph(nn.Module):
    """Stands where a network stood, and calls what was made of it."""

    def __init__(self, run: Callable[..., Tensor]) -> None:
        super().__init__()
        self.run = lambda *inputs: run(*inputs)  # a program's module must not be a part: no eval()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.run(*inputs)


class Autocast(nn.Module):
    """A network with its autocast inside, where an export records it."""

    def __init__(self, network: nn.Module, translator: Translator) -> None:
        super().__init__()
        self.network = network
        self.device_type = translator.device.type
        self.dtype = DTYPES[translator.precision]

    def forward(self, *inputs: Tensor) -> Tensor:
        with torch.autocast(self.device_type, self.dtype, enabled=self.dtype != torch.float32):
            return self.network(*inputs)


def export(translator: Translator) -> tuple[ExportedProgram, ExportedProgram]:
    """Export domain a's content encoder and domain b's decoder, for any number and size."""
    gen_a, gen_b = translator.generators
    n, height, width = Dim("n", min=1), Dim("height", min=4), Dim("width", min=4)
    multiple, device = gen_a.size_divisor, translator.device
    x = torch.rand(2, gen_a.in_channels, 16 * multiple, 12 * multiple, device=device)
    style = torch.randn(2, gen_b.style_dim, device=device)
    networks = Autocast(gen_a.content_encoder, translator), Autocast(gen_b.decoder, translator)
    with torch.no_grad():
        content = networks[0](x)
        of_images, of_contents = (
            {0: n, 2: multiple * height, 3: multiple * width},
            {0: n, 2: height, 3: width},
        )
        encoder = torch.export.export(networks[0], (x,), dynamic_shapes=((of_images,),))
        decoder = torch.export.export(
            networks[1], (content, style), dynamic_shapes=((of_contents, {0: n}),)
        )
    return encoder, decoder


def package(program: ExportedProgram) -> Callable[..., Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        path = torch._inductor.aoti_compile_and_package(
            program, package_path=f"{folder}/network.pt2"
        )
        return torch._inductor.aoti_load_package(path)


def make(way: str, gens: tuple, precision: str, device: torch.device) -> Translator:
    """Return a translator of its own that goes this way from a to b."""
    translator = Translator(
        *copy.deepcopy(gens), device=device, precision=precision, compile=way == "compiled"
    )
    if way in ("exported", "packaged"):
        loaded = [
            package(program) if way == "packaged" else program.module()
            for program in export(translator)
        ]
        gen_a, gen_b = translator.generators
        gen_a.content_encoder, gen_b.decoder = map(Graph, loaded)
    return translator
