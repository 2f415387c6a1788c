"""The page: its layout, and which handler each control's events have."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from munit_pl.data.domain import DomainName
from munit_pl.inference.translator import Translator
from munit_pl.web import rendering
from munit_pl.web.controls import result, upload, when
from munit_pl.web.handlers import Handlers
from munit_pl.web.serving import RETENTION_SECONDS, UPLOAD_BYTES
from munit_pl.web.uploads import PIXELS

THEME = {
    "theme": gr.themes.Soft(primary_hue="orange", neutral_hue="slate"),
    "css": """
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; }
.quiet { opacity: 0.75; }
.filling img {
  width: 100% !important; height: 100% !important; object-fit: contain !important;
  padding: 40px 8px 8px; box-sizing: border-box; /* below the label, which lies on the picture */
}
""",
}
MOST_STYLES = 16  # in the gallery
_DOMAINS: tuple[DomainName, ...] = ("a", "b")
_EXAMPLES = 3  # drawn shoes of each domain
# Unprocessed, since gradio would open the file before it has been looked at; and of several that
# come while one is read, the last.
_AS_SENT = {"preprocess": False, "trigger_mode": "always_last"}
_QUIET = {"elem_classes": "quiet"}


class Page:
    """The page of one model.

    Args:
        translator: The model; images of 1, 3 or 4 channels.
        title: What the model is called.
        names: What domain a and b show.
        size: Pixels of the shortest side that pictures are brought to.
        folder: Where examples are written and visitors' files lie; it must exist.
    """

    def __init__(
        self, translator: Translator, title: str, names: tuple[str, str], size: int, folder: Path
    ) -> None:
        self.translator = translator
        self.names = dict(zip(_DOMAINS, names, strict=True))
        self.handlers = Handlers(translator, size, folder)
        self.dimensions = self.handlers.dimensions
        self.examples = {
            domain: rendering.draw_examples(folder, domain, _EXAMPLES, size)
            for domain in _DOMAINS
            if translator.channels(domain) == 3
        }
        with gr.Blocks(
            title=f"munit: {title}",
            analytics_enabled=False,
            delete_cache=(RETENTION_SECONDS // 4, RETENTION_SECONDS),
        ) as self.blocks:
            self._lay_out(title)
            self._listen()

    # What stands on the page

    def _lay_out(self, title: str) -> None:
        self.x, self.styles, self.code = (
            gr.State(time_to_live=RETENTION_SECONDS) for _ in range(3)
        )
        gr.Markdown(f"# One picture, many styles\n{self._about(title)}")
        with gr.Row():
            with gr.Column(scale=2, min_width=280):
                self.picture = upload("Your picture", 300, "picture")
                self.to = gr.Radio(
                    [(self._direction(to), to) for to in reversed(self.translator.targets)],
                    value=self.translator.targets[-1],
                    label="Direction",
                )
                self.taken = [
                    trigger
                    for to in reversed(self.translator.targets)
                    for trigger in self._offer(_other(to), "picture", [self.picture, self.to], [to])
                ]
            with gr.Column(scale=5, min_width=420), gr.Tabs():
                self._random_tab()
                if self.translator.reads_styles:
                    self._example_tab()
                if self.dimensions:
                    self._hand_tab()
                    self._animation_tab()

    def _about(self, title: str) -> str:
        styles = f"styles of {self.dimensions} numbers" if self.dimensions else "no styles"
        return (
            f"Model **{title}**, {styles}, computed on {self.translator.device}. Pictures of up to "
            f"{UPLOAD_BYTES // 2**20} MB and {PIXELS // 10**6} million pixels are "
            f"brought to a shortest side of {self.handlers.size} pixels, and forgotten after an "
            "hour."
        )

    def _direction(self, to: DomainName) -> str:
        return f"{self.names[_other(to)]} → {self.names[to]}"

    def _offer(
        self, domain: DomainName, what: str, inputs: list[Any], more: Sequence[str] = ()
    ) -> list[Any]:
        """Offer drawn shoes for an input, and with each the values of further inputs.

        Returns:
            What is triggered when one has been chosen; nothing if there are none to offer.
        """
        files = self.examples.get(domain)
        if not files:
            return []
        offered = gr.Examples(
            [[str(file), *more] for file in files],
            inputs,
            label=f"Examples: {self.names[domain]}",
            elem_id=f"{what}-{domain}",
            visible_columns=[0],
            api_visibility="private",
        )
        return [offered.load_input_event.success]

    def _random_tab(self) -> None:
        with gr.Tab("Random styles", id="random"):
            self.gallery = gr.Gallery(
                show_label=False,
                elem_id="gallery",
                columns=4,
                height=410,
                object_fit="contain",
                format="png",
                buttons=["download", "download_all", "fullscreen"],
            )
            with gr.Row(visible=self.dimensions > 0):
                self.count = gr.Slider(1, MOST_STYLES, 8, step=1, label="How many")
                self.series = gr.Number(
                    0, precision=0, minimum=0, maximum=2**31 - 1, label="Series of styles"
                )
                self.more = gr.Button("Other styles", variant="primary")
            if self.dimensions:
                gr.Markdown("The picture you click is where *Style by hand* starts.", **_QUIET)

    def _example_tab(self) -> None:
        with gr.Tab("Style of an example", id="example"):
            with gr.Row():
                self.example = upload("Of the domain you translate to", 300, "example")
                self.followed = result("Your picture in its style", 300, "followed")
            self.followable = [
                picture
                for domain in reversed(self.translator.targets)
                for picture in self._offer(domain, "example", [self.example])
            ]

    def _hand_tab(self) -> None:
        with gr.Tab("Style by hand", id="hand"), gr.Row():
            with gr.Column(elem_id="values"):
                self.values = [
                    gr.Slider(
                        -rendering.MAX_STYLE_VALUE,
                        rendering.MAX_STYLE_VALUE,
                        0.0,
                        step=0.01,
                        label=f"{i}",
                    )
                    for i in range(self.dimensions)
                ]
            with gr.Column():
                self.made = result("Your picture in this style", 360, "made")
                with gr.Row():
                    self.zero = gr.Button("All to 0")
                    self.dice = gr.Button("Random", variant="primary")
                gr.Markdown(
                    "Each slider is a number of the style code. Trained on numbers drawn from "
                    "N(0, 1), a model knows best what lies between -2 and 2.",
                    **_QUIET,
                )

    def _animation_tab(self) -> None:
        with gr.Tab("Animation", id="animation"), gr.Row():
            with gr.Column():
                self.stops = gr.Slider(2, 6, 3, step=1, label="Styles, the first of the gallery's")
                self.steps = gr.Slider(2, 24, 12, step=1, label="Pictures from one to the next")
                self.fps = gr.Slider(2, 25, 12, step=1, label="Pictures per second")
                self.kind = gr.Radio(["gif", "webp"], value="webp", label="Format")
                self.animate = gr.Button("Animate", variant="primary")
            with gr.Column():
                self.animation = result("From style to style and back", 360, "animation")
                self.download = gr.DownloadButton("Download", elem_id="download", interactive=False)

    # What the controls ask for

    def _listen(self) -> None:
        picture, now = [self.picture, self.to], [self.x, self.to]
        # Not at every change: gradio reports that of an upload twice.
        for trigger in (self.picture.upload, self.picture.clear, self.to.input, *self.taken):
            taken = when(trigger, self.handlers.take, picture, [self.picture, self.x], **_AS_SENT)
            gallery = [*now, self.count, self.series], [self.gallery, self.styles]
            taken = when(taken.success, self.handlers.fill, *gallery)
            if self.dimensions:
                taken = when(taken.success, self.handlers.make, [*now, *self.values], self.made)
            if self.translator.reads_styles:
                self._listen_to_example(taken.success)
        for trigger in (self.count.release, self.series.input):
            when(trigger, self.handlers.fill, *gallery, trigger_mode="always_last")
        when(self.more.click, self.handlers.refill, gallery[0], [*gallery[1], self.series])
        if self.translator.reads_styles:
            for trigger in (self.example.upload, self.example.clear, *self.followable):
                read = self._listen_to_example(trigger)
                if self.dimensions:
                    self._listen_to_values(read.success, self.handlers.start_from, [self.code], now)
        if self.dimensions:
            self._listen_to_hand(now)
            inputs = [*now, self.series, self.stops, self.steps, self.fps, self.kind]
            outputs = [self.animation, self.download]
            when(self.animate.click, self.handlers.animate, inputs, outputs)

    def _listen_to_example(self, trigger: Any) -> Any:
        inputs = [self.example, self.x, self.to]
        outputs = [self.example, self.followed, self.code]
        return when(trigger, self.handlers.follow, inputs, outputs, **_AS_SENT)

    def _listen_to_hand(self, now: list[Any]) -> None:
        moved = functools.partial(gr.on, [slider.input for slider in self.values])
        when(moved, self.handlers.make, [*now, *self.values], self.made, trigger_mode="always_last")
        self._listen_to_values(self.gallery.select, self.handlers.pick, [self.styles], now)
        self._listen_to_values(self.zero.click, self.handlers.start_at_zero, [], now)
        self._listen_to_values(self.dice.click, self.handlers.start_anywhere, [], now)

    def _listen_to_values(self, trigger: Any, fn: Any, inputs: list[Any], now: list[Any]) -> None:
        changed = when(trigger, fn, inputs, self.values)
        when(changed.success, self.handlers.make, [*now, *self.values], self.made)


def _other(domain: DomainName) -> DomainName:
    return "a" if domain == "b" else "b"
