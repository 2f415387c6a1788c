"""The page's components, and how a handler is attached to an event."""

import functools
from collections.abc import Callable
from typing import Any

import gradio as gr
import torch

_ONE_BY_ONE = {
    "concurrency_id": "model",
    "concurrency_limit": 1,
    "api_visibility": "private",
    "show_progress": "minimal",
}


def upload(label: str, height: int, elem_id: str) -> Any:
    """Return a place for a visitor's picture."""
    return gr.Image(
        label=label,
        elem_id=elem_id,
        elem_classes="filling",
        sources=["upload", "clipboard"],
        type="filepath",
        image_mode=None,
        height=height,
        buttons=[],
    )


def result(label: str, height: int, elem_id: str) -> Any:
    """Return a place for a picture of ours, which can be saved."""
    return gr.Image(
        label=label,
        elem_id=elem_id,
        elem_classes="filling",
        type="filepath",
        format="png",
        interactive=False,
        height=height,
        buttons=["download", "fullscreen"],
    )


def when(trigger: Any, fn: Callable[..., Any], inputs: Any, outputs: Any, **more: Any) -> Any:
    """Attach a handler to an event; one runs at a time, since the model takes the whole machine."""
    return trigger(_telling(fn), inputs, outputs, **_ONE_BY_ONE, **more)


def _telling(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors that a handler may raise into messages on the page."""

    @functools.wraps(fn)
    def told(*arguments: Any) -> Any:
        try:
            return fn(*arguments)
        except torch.OutOfMemoryError:
            message = "The machine has too little memory for this: ask for less at once."
        except ValueError as error:
            message = str(error)
        raise gr.Error(message, title="No answer", print_exception=False)

    return told
