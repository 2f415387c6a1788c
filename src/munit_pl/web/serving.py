"""Serving the page: to whom, how much at once, and what is never done."""

import os
import socket
from pathlib import Path
from typing import Any, NoReturn

import gradio as gr
from gradio import processing_utils
from starlette.middleware import Middleware

from munit_pl.web.guard import Guard

UPLOAD_BYTES = 10 * 2**20
BODY_BYTES = UPLOAD_BYTES + 2**16  # of a request: an upload with what is around it
QUEUE = 16  # events that may wait at a time
SESSIONS = 100  # visitors whose picture is remembered
RETENTION_SECONDS = 3600  # that files and pictures of visitors are kept


def keep_files_in(folder: Path) -> None:
    """Have uploads and results written to a folder; to be called before the page is built."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder)


def visitors_folder() -> Path:
    """Return the folder of uploads and results, which are removed after ``RETENTION_SECONDS``."""
    return Path(os.environ["GRADIO_TEMP_DIR"])


def serve(page: gr.Blocks, host: str, port: int | None, **theme: Any) -> str:
    """Serve a page in threads of its own.

    Args:
        page: What to serve; built after `keep_files_in` was called.
        host: The address to listen on.
        port: Unless given the first free one from 7860 on.
        **theme: Theme and CSS.

    Returns:
        The address to open.

    Raises:
        OSError: If the port is not free, or the address not this machine's.
    """
    _check_address(host, port)
    processing_utils.async_ssrf_protected_download = _fetch_nothing
    own = (host, socket.gethostname(), socket.getfqdn())
    guard = Middleware(Guard, names=own, most=BODY_BYTES)
    page.queue(max_size=QUEUE, api_open=False, default_concurrency_limit=1)
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        show_error=False,
        inbrowser=False,
        prevent_thread_lock=True,
        max_file_size=UPLOAD_BYTES,
        state_session_capacity=SESSIONS,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        app_kwargs={"middleware": [guard]},
        **theme,
    )
    return str(address)


def _check_address(host: str, port: int | None) -> None:
    """Try to listen, since a server in a thread of its own would log lines and lines of why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), port or 0), family=family).close()
    except OSError as error:
        where = host if port is None else f"port {port} of {host}"
        raise OSError(f"cannot listen on {where}: {error.strerror}") from error


async def _fetch_nothing(url: str, cache_dir: str) -> NoReturn:
    """Stand in for gradio's download of what is sent as an address instead of as a file.

    No visitor shall make this machine open connections, nor pass the limit of an upload.
    """
    raise gr.Error("Send a file: addresses are not fetched.", print_exception=False)
