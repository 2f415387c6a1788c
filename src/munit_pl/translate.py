"""Images in, images out: a trained model put to use."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args, overload

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from munit_pl.data.image_like import ImageLike, PictureLike, as_batch, as_list, as_picture
from munit_pl.data.images import resize_image, to_picture, to_tensor
from munit_pl.data.sizes import ImageSize, Size
from munit_pl.formats.generators import read_generators
from munit_pl.formats.onnx_graphs import OnnxGraph
from munit_pl.formats.pretrained import find_pretrained
from munit_pl.generator import DomainGenerator
from munit_pl.layers import cast_at_use
from munit_pl.networks import AdaINGenerator, ContentEncoder, Decoder, StyleEncoder
from munit_pl.pair import Domain
from munit_pl.precision import choose_precision
from munit_pl.styles import random_styles
from munit_pl.tiling import check_tile, decode_tiled, encode_content_tiled, encode_style_tiled

Precision = Literal["fp32", "bf16", "fp16", "auto"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CPU = torch.device("cpu")


class Translator:
    """Translates images of any size, each under any number of styles.

    An image's content is encoded once, however many styles it is shown in. It holds no state
    between calls, so threads may share one. Results come to the CPU as float32.

    Args:
        gen_a: Domain a's generator; moved to ``device`` and put into evaluation mode. In half
            precision this is done with a copy, which holds its weights in that type.
        gen_b: Domain b's generator, likewise.
        device: Where to compute: "cpu", "cuda", "mps"; unless given the fastest there is.
        precision: "fp32", or the type that autocast computes with: "bf16", "fp16"; "auto" is bf16
            where the device is faster in it, and fp32 elsewhere.
        batch_size: Images that are decoded at once; unless given 1 on a CPU, where large maps of
            several images fall out of its caches, and 8 elsewhere.
        tile: Side in pixels of the tiles that layers are computed in, for images larger than the
            device's memory allows. The same images but for rounding; see `munit_pl.tiling`. MUNIT's
            networks alone can be.
        compile: Compile the networks with `torch.compile`, which takes its time for each new size.

    Attributes:
        precision: What is computed in, never "auto".
        precision_reason: Why, in a few words; empty unless "auto" was asked for.
        image_size: How images were brought to size for the model's training, if that is known.

    Raises:
        ValueError: If an option is none of these, or there is no such device.
    """

    def __init__(
        self,
        gen_a: DomainGenerator,
        gen_b: DomainGenerator,
        *,
        device: str | torch.device | None = None,
        precision: Precision = "fp32",
        batch_size: int | None = None,
        tile: int | None = None,
        compile: bool = False,
    ) -> None:
        if precision not in get_args(Precision):
            raise ValueError(f"precision is {precision!r}, but must be auto, fp32, bf16 or fp16")
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, but must be at least 1")
        if tile is not None:
            check_tile(tile)
            if not isinstance(gen_a, AdaINGenerator):
                raise ValueError(f"tile is {tile}, but only MUNIT's networks can be tiled")
        if isinstance(gen_a.decoder, OnnxGraph):
            if precision not in ("auto", "fp32") or compile or str(device or "cpu") != "cpu":
                raise ValueError(
                    "an ONNX export runs here on the CPU, in fp32, as it is: leave out device, "
                    "precision and compile"
                )
            device = _CPU
            precision = "fp32"
        self.device = _find_device(device)
        self.precision, self.precision_reason = _resolve(precision, self.device)
        usual = 1 if self.device.type == "cpu" else 8
        self.batch_size = (batch_size or usual) if tile is None else 1
        self.tile = tile
        if self.precision != "fp32":
            gen_a, gen_b = (_holding(gen, _DTYPES[self.precision]) for gen in (gen_a, gen_b))
        self._gens: dict[Domain, DomainGenerator] = {"a": gen_a, "b": gen_b}
        self.image_size: ImageSize | None = gen_a.image_size
        for gen in self._gens.values():
            gen.to(self.device).eval()
            for part in (gen.content_encoder, gen.style_encoder, gen.decoder) if compile else ():
                if part is not None:
                    part.compile()

    @classmethod
    def load(
        cls,
        path: str | Path,
        config_path: str | Path | None = None,
        *,
        device: str | torch.device | None = None,
        precision: Precision = "fp32",
        batch_size: int | None = None,
        tile: int | None = None,
        compile: bool = False,
    ) -> "Translator":
        """Read a trained model: see `read_generators` for the files, the class for the options."""
        return cls(
            *read_generators(path, config_path),
            device=device,
            precision=precision,
            batch_size=batch_size,
            tile=tile,
            compile=compile,
        )

    @classmethod
    def pretrained(
        cls,
        name: str = "drawn-shoes",
        *,
        device: str | torch.device | None = None,
        precision: Precision = "fp32",
        batch_size: int | None = None,
        tile: int | None = None,
        compile: bool = False,
    ) -> "Translator":
        """Read a model that comes with the package; nothing is downloaded.

        ``name`` is one of `munit_pl.formats.pretrained.PRETRAINED`; see the class for the options.

        Raises:
            ValueError: If there is none of that name, or an option does not fit.
        """
        return cls.load(
            find_pretrained(name),
            device=device,
            precision=precision,
            batch_size=batch_size,
            tile=tile,
            compile=compile,
        )

    @property
    def generators(self) -> tuple[DomainGenerator, DomainGenerator]:
        """Domain a's generator and domain b's."""
        return self._gens["a"], self._gens["b"]

    def channels(self, domain: Domain) -> int:
        """Return the channels of a domain's images."""
        return self._generator(domain).in_channels

    def style_dim(self, domain: Domain) -> int:
        """Return the length of a domain's style codes; 0 if the method has none."""
        return self._generator(domain).style_dim

    @property
    def reads_styles(self) -> bool:
        """Whether styles can be read from images, to follow an example."""
        return all(gen.style_encoder is not None for gen in self._gens.values())

    @property
    def reconstructs(self) -> bool:
        """Whether images have a content code, from which their own domain can show them again."""
        return all(gen.has_content_code for gen in self._gens.values())

    @property
    def resize(self) -> int | None:
        """Pixels of the shortest side of images in training; None if they kept their size.

        None, too, if that is not known.
        """
        return self.image_size.resize if self.image_size else None

    def read(
        self,
        image: PictureLike,
        domain: Domain,
        resize: Size | Literal["training"] | None = "training",
    ) -> Tensor:
        """Read an image as one of ``domain``, at the scale that the model has learnt.

        Args:
            image: A path, an image of Pillow's or an array, as of a call.
            domain: The image's domain.
            resize: Pixels of the shortest side, or height and width; None keeps the size. Unless
                given, the shortest side of training.

        Returns:
            The image, ``(1, C, H, W)`` in [-1, 1]. It is never cropped.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If its pixels are of a kind without a known range, or it would become too
                large.
        """
        picture = as_picture(image, self.channels(domain))
        size = self.resize if resize == "training" else resize
        return to_tensor(resize_image(picture, size))[None]

    @overload
    def __call__(
        self,
        image: Tensor,
        styles: int | Tensor | None = None,
        *,
        to: Domain = "b",
        like: ImageLike | Sequence[ImageLike] | None = None,
        seed: int = 0,
    ) -> Tensor: ...

    @overload
    def __call__(
        self,
        image: PictureLike,
        styles: int | Tensor | None = None,
        *,
        to: Domain = "b",
        like: ImageLike | Sequence[ImageLike] | None = None,
        seed: int = 0,
    ) -> list[Image.Image]: ...

    def __call__(
        self,
        image: ImageLike,
        styles: int | Tensor | None = None,
        *,
        to: Domain = "b",
        like: ImageLike | Sequence[ImageLike] | None = None,
        seed: int = 0,
    ) -> Tensor | list[Image.Image]:
        """Translate an image, under random styles or those of examples.

        Args:
            image: An image of the domain that is not ``to``, of any size: a path; an image of
                Pillow's, turned as its EXIF says; an array ``(H, W)`` or ``(H, W, C)``, RGB, of
                uint8 or of floats in [0, 1]; or a tensor ``(C, H, W)`` or ``(N, C, H, W)``, of
                floats in [-1, 1] or of uint8. A tensor keeps its size, all others are brought to
                that of training, as `read` does.
            styles: How many random ones, 1 unless given; or codes ``(K, style_dim)``.
            to: The domain to translate to.
            like: An example of domain ``to`` whose style to take, in any of ``image``'s forms; or
                a list of them. Instead of ``styles``.
            seed: Another seed draws other random styles.

        Returns:
            A picture for each style. Of a tensor a tensor, ``(K, C', H, W)`` or
            ``(N, K, C', H, W)`` in [-1, 1], on the CPU.

        Raises:
            OSError: If a file cannot be read.
            TypeError: If an image is none of these.
            ValueError: If an image or a style does not fit the model, or both ``styles`` and
                ``like`` are given.
        """
        source: Domain = "b" if to == "a" else "a"
        x = self._images(image, source)
        shown = self.translate(x, self._styles(styles, like, to, seed), to)
        if isinstance(image, Tensor):
            return shown if image.ndim == 4 else shown[0]
        return [to_picture(y) for y in shown[0]]

    def _images(self, image: ImageLike, domain: Domain) -> Tensor:
        """Return an image of a domain, or a batch of them, as ``(N, C, H, W)`` in [-1, 1]."""
        if isinstance(image, Tensor):
            return as_batch(image)
        return self.read(image, domain)

    def _styles(
        self,
        styles: int | Tensor | None,
        like: ImageLike | Sequence[ImageLike] | None,
        to: Domain,
        seed: int,
    ) -> Tensor:
        """Return the styles ``(K, style_dim)`` that were asked for."""
        if like is not None:
            if styles is not None:
                raise ValueError("give styles or like, not both: each example has one style")
            examples = [self._images(example, to) for example in as_list(like)]
            return torch.cat([self.encode_style(x, to) for x in examples])
        if isinstance(styles, Tensor):
            return styles
        k, style_dim = 1 if styles is None else styles, self.style_dim(to)
        if k < 1:
            raise ValueError(f"styles is {k}, but must be at least 1")
        if k > 1 and not style_dim:
            raise ValueError("this model has no styles: each image has one translation")
        return random_styles(k, style_dim, seed)

    @torch.no_grad()
    def encode_content(self, x: Tensor, domain: Domain) -> Tensor:
        """Return the contents, ``(N, ...)``, of a domain's images ``(N, C, H, W)`` in [-1, 1].

        Raises:
            ValueError: If the images have other channels, or a side that is too short or no
                multiple of what the generator halves.
        """
        gen = self.check(x, domain)
        gen.check_size(*x.shape[2:])
        parts = torch.split(x, self.batch_size)
        return torch.cat([self._run(gen.content_encoder, part).float().cpu() for part in parts])

    @torch.no_grad()
    def encode_style(self, x: Tensor, domain: Domain) -> Tensor:
        """Return the styles, ``(N, style_dim)``, of a domain's images ``(N, C, H, W)`` in [-1, 1].

        Raises:
            ValueError: If the images have other channels, or a side is too short, or the method
                reads no styles.
        """
        encoder = self.check(x, domain).style_encoder
        if encoder is None:
            raise ValueError("this model's method reads no style from an image")
        styles = [self._run(encoder, part) for part in torch.split(x, self.batch_size)]
        return torch.cat(styles).float().cpu()

    @torch.no_grad()
    def translate(self, x: Tensor, styles: Tensor, to: Domain = "b") -> Tensor:
        """Show the content of images in styles of domain ``to``.

        Args:
            x: Images of the domain that is not ``to``, ``(N, C, H, W)`` in [-1, 1], of any size
                from the networks' shortest side on.
            styles: ``(K, style_dim)``, the same for all images, or ``(N, K, style_dim)``.
            to: The domain to translate to.

        Returns:
            Images, ``(N, K, C', H, W)`` in [-1, 1].

        Raises:
            ValueError: If shapes do not fit.
        """
        source: Domain = "b" if to == "a" else "a"
        return self._decode(x, source, styles, to)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, domain: Domain) -> Tensor:
        """Return images ``(N, C, H, W)`` of ``domain``, encoded and decoded in their own style.

        Raises:
            ValueError: If the images do not fit, or the method has no content code.
        """
        if not self.reconstructs:
            raise ValueError("this model's method has no codes to reconstruct from")
        own = self.encode_style(x, domain) if self.reads_styles else x.new_empty(len(x), 0)
        return self._decode(x, domain, own[:, None], domain)[:, 0]

    @torch.no_grad()
    def decode(self, content: Tensor, styles: Tensor, to: Domain = "b") -> Tensor:
        """Show contents, from `encode_content`, in styles of domain ``to``.

        Args:
            content: ``(N, ...)``, of either domain.
            styles: ``(K, style_dim)``, the same for all contents, or ``(N, K, style_dim)``.
            to: The domain to show them in.

        Returns:
            Images, ``(N, K, C', H, W)`` in [-1, 1].

        Raises:
            ValueError: If shapes do not fit.
        """
        gen = self._generator(to)
        styles = _per_image(styles, len(content), gen.style_dim)
        k = styles.shape[1]
        # All pairs of a content and one of its styles, the styles of a content side by side.
        pairs = torch.arange(len(content) * k)
        shown = [
            self._run(gen.decoder, content[these // k], styles.flatten(0, 1)[these]).float().cpu()
            for these in torch.split(pairs, self.batch_size)
        ]
        images = torch.cat(shown)
        return images.view(len(content), k, *images.shape[1:])

    def _decode(self, x: Tensor, source: Domain, styles: Tensor, to: Domain) -> Tensor:
        """Decode each image, of ``source``, in each of its styles of ``to``."""
        gen = self.check(x, source)
        styles = _per_image(styles, len(x), self.style_dim(to))
        height, width = x.shape[2:]
        padded, top, left = _pad(x, gen.multiple)
        shown = []
        for first in range(0, len(x), self.batch_size):
            images = slice(first, first + self.batch_size)
            content = self._run(gen.content_encoder, padded[images])
            y = self.decode(content, styles[images], to)
            shown.append(y[..., top : top + height, left : left + width])
        return torch.cat(shown)

    def _run(self, network: nn.Module, *inputs: Tensor) -> Tensor:
        """Compute one network, whole or in tiles."""
        inputs = tuple(x.to(self.device) for x in inputs) if self.tile is None else inputs
        dtype = _DTYPES[self.precision]
        with torch.autocast(self.device.type, dtype, enabled=self.precision != "fp32"):
            match network, self.tile:
                case _, None:
                    y = network(*inputs)
                case ContentEncoder(), tile:
                    y = encode_content_tiled(network, inputs[0], tile)
                case StyleEncoder(), tile:
                    y = encode_style_tiled(network, inputs[0], tile)
                case Decoder(), tile:
                    y = decode_tiled(network, inputs[0], inputs[1], tile)
        return y

    def _generator(self, domain: Domain) -> DomainGenerator:
        if domain not in ("a", "b"):
            raise ValueError(f"the domain is {domain!r}, but must be a or b")
        return self._gens[domain]

    def check(self, x: Tensor, domain: Domain) -> DomainGenerator:
        """Return the domain's generator, which can take images ``x``, ``(N, C, H, W)``.

        Raises:
            ValueError: If the images have other channels, or a side is too short.
        """
        gen = self._generator(domain)
        if x.ndim != 4 or x.shape[1] != gen.in_channels:
            raise ValueError(
                f"images of domain {domain} are (N, {gen.in_channels}, H, W) for this model, but "
                f"these are {tuple(x.shape)}"
            )
        height, width = x.shape[2:]
        if min(height, width) < gen.shortest:
            raise ValueError(
                f"an image of {height}x{width} is too small for this model: both sides must be at "
                f"least {gen.shortest} pixels"
            )
        return gen


def _find_device(device: str | torch.device | None) -> torch.device:
    if device is None:
        available = torch.accelerator.is_available()
        return torch.accelerator.current_accelerator() or _CPU if available else _CPU
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"there is no device {str(device)!r} here") from error
    return torch.device(device)


def _resolve(precision: Precision, device: torch.device) -> tuple[Precision, str]:
    """Return what to compute in, and why, if the machine is to choose."""
    if precision != "auto":
        return precision, ""
    choice = choose_precision(device, training=False)
    return "bf16" if choice.bf16 else "fp32", choice.reason


def _holding(gen: DomainGenerator, dtype: torch.dtype) -> DomainGenerator:
    """Return a copy whose weights are already what autocast would make of them at each call."""
    gen = copy.deepcopy(gen)
    for layer in cast_at_use(gen):
        layer.to(dtype)
    return gen


def _per_image(styles: Tensor, n: int, style_dim: int) -> Tensor:
    """Return styles as ``(N, K, style_dim)``."""
    per_image = styles.expand(n, -1, -1) if styles.ndim == 2 else styles
    if per_image.ndim != 3 or len(per_image) != n or per_image.shape[2] != style_dim:
        raise ValueError(
            f"styles for {n} images are (K, {style_dim}) or ({n}, K, {style_dim}) for this model, "
            f"but these are {tuple(styles.shape)}"
        )
    return per_image


def _pad(x: Tensor, multiple: int) -> tuple[Tensor, int, int]:
    """Reflect the borders of images until both sides are multiples of ``multiple``.

    Returns:
        The padded images, and the rows above and the columns left of the original ones.
    """
    height, width = x.shape[2:]
    down, along = -height % multiple, -width % multiple
    top, left = down // 2, along // 2
    return F.pad(x, (left, along - left, top, down - top), mode="reflect"), top, left
