"""A model as a folder to share: ``model.safetensors``, ``config.json``, ``README.md``.

The layout is that of Hugging Face's hub, but nothing here needs it.
"""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from munit_pl.hub.card import Facts, model_card
from munit_pl.hub.weights import write_networks
from munit_pl.io.files import write_whole

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def write_folder(
    folder: Path,
    networks: Mapping[str, nn.Module],
    generators: Mapping[str, Any],
    facts: Facts,
    half: bool = False,
    munit: Mapping[str, Any] | None = None,
) -> None:
    """Write networks to a folder, which is made if it is not there.

    Args:
        folder: Where the three files go; those that are there are replaced.
        networks: ``gen_a``, ``gen_b`` and what else goes along.
        generators: The kinds and arguments of those that are generators, by their names.
        facts: What the card says besides.
        half: Store weights as float16.
        munit: Arguments of `MUNIT` if all its networks are there.

    Raises:
        OSError: If nothing can be written there.
        ValueError: If a weight is too large for half precision.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {"library": "munit_pl", "version": version("munit-pl")}
    config |= {"generators": dict(generators)} | ({"munit": dict(munit)} if munit else {})
    text = json.dumps(config, indent=1) + "\n"  # before anything is written
    write_networks(folder / WEIGHTS, networks, generators, half)
    write_whole(folder / CONFIG, text)
    write_whole(folder / CARD, model_card(generators, facts, whole=munit is not None))
