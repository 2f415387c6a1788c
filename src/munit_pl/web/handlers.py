"""Event handlers of the page's controls: one picture, one direction and one style at a time."""

import uuid
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from PIL import Image
from torch import Tensor

from munit_pl.data.domain import DomainName
from munit_pl.data.images.tensors import to_tensor
from munit_pl.inference.styles import random_styles
from munit_pl.inference.translator import Translator
from munit_pl.web import rendering
from munit_pl.web.serving import visitors_folder
from munit_pl.web.uploads import read_upload


class Handlers:
    """The event handlers of a page.

    ``x`` is a visitor's picture as a tensor, none while there is none; ``to`` the domain that it
    is translated to; ``sent`` what gradio tells of an uploaded file. What cannot be done raises a
    ``ValueError`` with a message for the visitor.

    Args:
        translator: The model.
        size: Pixels of the shortest side that pictures are brought to.
        folder: Where uploads and the page's own examples lie; nothing else is read.
    """

    def __init__(self, translator: Translator, size: int, folder: Path) -> None:
        self.translator = translator
        self.size = size
        self.folder = folder.resolve()
        self.dimensions = max(translator.style_dim("a"), translator.style_dim("b"))

    def take(self, sent: Any, to: Any) -> tuple[Any, Tensor | None]:
        """Read the picture; one that cannot be used is told of and taken off the page."""
        x = self._read(sent, "a" if to == "b" else "b")
        return _kept(x), x

    def fill(self, x: Tensor | None, to: DomainName, count: float, series: float | None) -> Any:
        """Return the gallery and its styles."""
        if x is None:
            return [], None
        styles = self._random(to, int(count), series)
        pictures = rendering.show(self.translator, x, styles, to)
        return [(picture, f"{i}") for i, picture in enumerate(pictures)], styles

    def refill(self, x: Tensor | None, to: DomainName, count: float, series: float | None) -> Any:
        """Return the gallery of the next series, and the series' number."""
        following = int(series or 0) + 1
        return *self.fill(_given(x), to, count, following), following

    def follow(self, sent: Any, x: Tensor | None, to: Any) -> tuple[Any, Any, Tensor | None]:
        """Return what stays of the example, the picture in its style, and the style."""
        example = self._read(sent, "a" if to == "a" else "b")
        if example is None:
            return None, None, None
        style = self.translator.encode_style(example, to)
        shown = None if x is None else rendering.show(self.translator, x, style, to)[0]
        return _kept(example), shown, style[0]

    def make(self, x: Tensor | None, to: DomainName, *values: float) -> Image.Image | None:
        """Return the picture in the style that the sliders say."""
        if x is None:
            return None
        style = rendering.from_values(values, self.translator.style_dim(to))
        return rendering.show(self.translator, x, style, to)[0]

    def pick(self, styles: Tensor | None, event: gr.SelectData) -> list[Any]:
        """Bring the sliders to the style of the gallery's picture that was clicked."""
        # The number comes from outside, and the gallery may have shrunk meanwhile.
        if styles is None or event.index not in range(len(styles)):
            return self.start_from(None)
        return self.start_from(styles[event.index])

    def start_from(self, style: Tensor | None) -> list[Any]:
        """Bring the sliders to a style."""
        if style is None:
            return [gr.skip()] * self.dimensions
        return rendering.to_values(style, self.dimensions)

    def start_at_zero(self) -> list[Any]:
        """Bring the sliders to the middle of all styles."""
        return self.start_from(torch.zeros(self.dimensions))

    def start_anywhere(self) -> list[Any]:
        """Bring the sliders to another style each time."""
        return self.start_from(torch.randn(self.dimensions))

    def animate(
        self,
        x: Tensor | None,
        to: DomainName,
        series: float | None,
        stops: float,
        steps: float,
        fps: float,
        kind: str,
    ) -> tuple[str, Any]:
        """Return the file of an animation through the gallery's first styles, to show and save."""
        styles = rendering.closed_path(self._random(to, int(stops), series), int(steps))
        pictures = rendering.show(self.translator, _given(x), styles, to)
        path = visitors_folder() / uuid.uuid4().hex / f"styles.{kind}"
        path.parent.mkdir(parents=True)
        rendering.write_animation(pictures, path, int(fps))
        return str(path), gr.DownloadButton(value=str(path), interactive=True)

    def _read(self, sent: Any, domain: DomainName) -> Tensor | None:
        if sent is None:
            return None
        try:
            path = Path(sent["path"] or "").resolve()
            if not path.is_relative_to(self.folder) or not path.is_file():
                raise ValueError("This file has not been sent: choose it again.")
            translator = self.translator
            picture = read_upload(
                path, translator.channels(domain), self.size, translator.max_value(domain)
            )
            x = to_tensor(picture)[None]
            translator.check(x, domain)
        except ValueError as error:
            gr.Warning(str(error))
            return None
        return x

    def _random(self, to: DomainName, count: int, series: float | None) -> Tensor:
        style_dim = self.translator.style_dim(to)
        return random_styles(count if style_dim else 1, style_dim, int(series or 0))


def _kept(x: Tensor | None) -> Any:
    return None if x is None else gr.skip()


def _given(x: Tensor | None) -> Tensor:
    if x is None:
        raise ValueError("Drop a picture first, or choose an example.")
    return x
