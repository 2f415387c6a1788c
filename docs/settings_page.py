"""The page of all settings, made from the files of conf/ and their comments."""

import re
from collections.abc import Iterator
from pathlib import Path

_GROUPS = {
    "data": "Images",
    "model": "Methods",
    "trainer": "Devices and length",
    "callbacks": "Beside the training",
    "logger": "Logs",
}
_LINE = re.compile(r"( *)([\w.-]+):(?: +(.*?))?(?: +# (.*))?$")


def settings_page(conf: Path) -> str:
    """Return the page as Markdown: a table for each file, a row for each setting.

    Args:
        conf: The folder of the configurations.
    """
    files = [("", [conf / "train.yaml"])]
    files += [(group, sorted((conf / group).glob("*.yaml"))) for group in _GROUPS]
    parts = [
        "# All settings",
        "As the files of `conf/` have them; the last column is their comments.",
    ]
    for group, paths in files:
        parts.append(f"## {_GROUPS.get(group, 'The run')}")
        for path in paths:
            rows = [f"| `{name}` | {value} | {text} |" for name, value, text in _rows(path, group)]
            if rows:
                title = f"### `{group}={path.stem}`" if group else "### `munit-train`"
                parts += [
                    title,
                    "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows]),
                ]
    return "\n\n".join(parts) + "\n"


def _rows(path: Path, group: str) -> Iterator[tuple[str, str, str]]:
    """Yield names, defaults and comments, with those that go on in a line of their own."""
    around: list[tuple[int, str]] = []
    rows: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if (more := re.match(r" +# (.*)", line)) and rows:
            rows[-1][2] += f" {more[1]}"
        if not (match := _LINE.match(line)) or line.lstrip().startswith(("#", "- ")):
            continue
        depth, key, value, text = len(match[1]), match[2], match[3] or "", match[4] or ""
        if value.startswith("# "):
            value, text = "", value[2:]
        around = [(d, name) for d, name in around if d < depth] + [(depth, key)]
        if around[0][1] in ("defaults", "hydra") or key.startswith("_"):
            continue
        name = ".".join(([group] if group else []) + [name for _, name in around])
        rows.append(
            [name, f"`{value}`" if value else "", text.replace("|", "\\|").replace("<", "&lt;")]
        )
    yield from (tuple(row) for row in rows if row[1] or row[2])  # type: ignore[misc]
