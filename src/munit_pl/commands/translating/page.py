"""All inputs and outputs of a run on one page, ``index.html``."""

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import quote

from PIL import Image

from munit_pl.commands.errors import InputError
from munit_pl.commands.translating.batches import Plan
from munit_pl.commands.translating.sheets import Cell, thumbnail
from munit_pl.commands.translating.sources import Source
from munit_pl.inference.translator import Translator
from munit_pl.io.files import write_whole

_MARK = '<meta name="generator" content="munit-translate">'
_PAGE = Template(
    f"""<!DOCTYPE html>
<html lang="en"><meta charset="utf-8">{_MARK}"""
    + """<title>$title</title>
<style>
body {font: 14px system-ui, sans-serif; margin: 1em}
table {border-collapse: collapse} th, td {padding: 3px; text-align: center; font-weight: normal}
thead th {position: sticky; top: 0; background: #fff} img {max-width: 256px; display: block}
tbody th {max-width: 256px; overflow-wrap: anywhere; font-size: 12px}
</style>
<h1>$title</h1><p>$inputs inputs, translated to domain $to. A picture opens in full size.</p>
<table><thead>$head</thead><tbody>
$rows
</tbody></table></html>
"""
)


def check_page(path: Path) -> None:
    """Refuse to replace a page that is another's, such as that of a run.

    Raises:
        InputError: If the file is none of these pages.
    """
    if path.exists() and _MARK.encode() not in path.read_bytes()[:1000]:
        raise InputError(f"{path} is not of munit-translate: move it, or give another --out")


def write_page(
    path: Path,
    plan: Plan,
    sources: Sequence[Source],
    translator: Translator,
    header: Sequence[Cell],
) -> None:
    """Write a table: each input, small and within the page, and its outputs, as files beside it.

    Args:
        path: The page, in the folder of the outputs.
        plan: What was made.
        sources: The image files; one whose outputs are missing has a row all the same.
        translator: The model.
        header: The examples above their columns, if each has one of its own.

    Raises:
        OSError: If it cannot be written.
    """
    above = "".join(f"<th>{_embedded(picture)}{escape(text)}</th>" for text, picture in header)
    columns = len(plan.styles(sources[0].name)) if sources else 0
    # A contact sheet has not always room for all of them.
    head = f"<tr><th>style of</th>{above}</tr>" if header and len(header) == columns else ""
    rows = "\n".join(_row(plan, source, translator) for source in sources)
    page = _PAGE.substitute(
        title=escape(path.absolute().parent.name),
        inputs=len(sources),
        to=plan.to,
        head=head,
        rows=rows,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)


def _row(plan: Plan, source: Source, translator: Translator) -> str:
    cells = "".join(_outputs(plan, source))
    return f"<tr><th>{_input(source, plan, translator)}{escape(source.name)}</th>{cells}</tr>"


def _outputs(plan: Plan, source: Source) -> Iterator[str]:
    for style in plan.styles(source.name):
        address, label = quote(plan.output(source.name, style)), escape(style.label)
        image = f'<img src="{address}" alt="{label}" loading="lazy">'
        yield f'<td><a href="{address}">{image}</a>{label}</td>'


def _input(source: Source, plan: Plan, translator: Translator) -> str:
    try:
        picture = translator.picture(source.path, plan.source, plan.resize)
    except (OSError, ValueError):  # told of when it was to be translated
        return ""
    return _embedded(thumbnail(picture))


def _embedded(picture: Image.Image | None) -> str:
    if picture is None:
        return ""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="">'
