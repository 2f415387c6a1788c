"""Inference with a trained model: images in, translated images out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.data.images.image_like import ImageLike, PilLike, as_batch, as_list, as_pil_image
from munit_pl.data.images.reading import resize_image
from munit_pl.data.images.tensors import to_pil_image, to_tensor
from munit_pl.data.sizes import Size
from munit_pl.hub.pretrained import find_pretrained
from munit_pl.inference.generator_loading import read_generators
from munit_pl.inference.styles import random_styles
from munit_pl.inference.tensor_translator import TensorTranslator, TranslatorOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack  # typing has it from Python 3.11 on


class Translator(TensorTranslator):
    """Translates images of any size, each in any number of styles.

    The content of an image is encoded once, however many styles it is decoded in. A translator has
    no state that changes between calls, so threads may share one. Results are float32 on the CPU.

    Args:
        gen_a: Domain a's generator; moved to ``device`` and put into evaluation mode. In half
            precision this is done with a copy, which holds its weights in that type.
        gen_b: Domain b's generator, likewise.
        device: "cpu", "cuda", "mps" and so on; by default the fastest that is available.
        precision: "fp32", or the type that autocast computes with: "bf16", "fp16"; "auto" is bf16
            where the device is faster in it, and fp32 elsewhere.
        batch_size: Images that are decoded at once; by default 1 on a CPU, where large feature
            maps of several images do not fit into its caches, and 8 elsewhere.
        tile: Side in pixels of the tiles that layers are computed in, for images whose feature maps
            do not fit into the device's memory. Exact but for rounding; see
            `munit_pl.models.munit.tiling`. For MUNIT's networks only.
        compile: Compile the networks with `torch.compile`, anew for each image size.

    Attributes:
        precision: The precision in use, never "auto".
        precision_reason: Why, in a few words; empty unless "auto" was asked for.
        image_size: How images were resized and cropped in training, if that is known.

    Raises:
        ValueError: If an option is invalid, or there is no such device.
    """

    @classmethod
    def load(
        cls,
        path: str | Path,
        config_path: str | Path | None = None,
        **options: "Unpack[TranslatorOptions]",
    ) -> "Translator":
        """Read a trained model: see `read_generators` for the files, the class for the options."""
        return cls(*read_generators(path, config_path), **options)

    @classmethod
    def pretrained(
        cls, name: str = "drawn-shoes", **options: "Unpack[TranslatorOptions]"
    ) -> "Translator":
        """Read a model that comes with the package; nothing is downloaded.

        ``name`` is one of `munit_pl.hub.pretrained.PRETRAINED`; see the class for the options.

        Raises:
            ValueError: If there is none of that name, or an option does not fit.
        """
        return cls.load(find_pretrained(name), **options)

    def read(
        self,
        image: PilLike,
        domain: DomainName,
        resize: Size | Literal["training"] | None = "training",
    ) -> Tensor:
        """Read an image as one of ``domain``, at the scale that the model was trained at.

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
        size = self.resize if resize == "training" else resize
        return to_tensor(self.picture(image, domain, size))[None]

    def picture(self, image: PilLike, domain: DomainName, size: Size | None) -> Image.Image:
        """Return what `read` makes a tensor of; None keeps the size."""
        picture = as_pil_image(image, self.channels(domain), self.max_value(domain))
        return resize_image(picture, size)

    @overload
    def __call__(
        self,
        image: Tensor,
        styles: int | Tensor | None = None,
        *,
        to: DomainName = "b",
        like: ImageLike | Sequence[ImageLike] | None = None,
        seed: int = 0,
    ) -> Tensor: ...

    @overload
    def __call__(
        self,
        image: PilLike,
        styles: int | Tensor | None = None,
        *,
        to: DomainName = "b",
        like: ImageLike | Sequence[ImageLike] | None = None,
        seed: int = 0,
    ) -> list[Image.Image]: ...

    def __call__(
        self,
        image: ImageLike,
        styles: int | Tensor | None = None,
        *,
        to: DomainName = "b",
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
            ValueError: If an image, a style or the direction does not fit the model, or both
                ``styles`` and ``like`` are given.
        """
        self.check_target(to)
        source: DomainName = "b" if to == "a" else "a"
        x = self._images(image, source)
        shown = self.translate(x, self._styles(styles, like, to, seed), to)
        if isinstance(image, Tensor):
            return shown if image.ndim == 4 else shown[0]
        return [to_pil_image(y) for y in shown[0]]

    def _images(self, image: ImageLike, domain: DomainName) -> Tensor:
        """Return an image of a domain, or a batch of them, as ``(N, C, H, W)`` in [-1, 1]."""
        if isinstance(image, Tensor):
            return as_batch(image)
        return self.read(image, domain)

    def _styles(
        self,
        styles: int | Tensor | None,
        like: ImageLike | Sequence[ImageLike] | None,
        to: DomainName,
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
