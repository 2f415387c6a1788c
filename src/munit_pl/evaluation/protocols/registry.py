"""The protocols by name."""

from munit_pl.evaluation.protocols.base import EvaluationProtocol
from munit_pl.evaluation.protocols.drawn_ground_truth import Drawn
from munit_pl.evaluation.protocols.munit2018_lpips_cis import Munit2018
from munit_pl.evaluation.protocols.starganv2_fid_lpips import StarGANv2

PROTOCOLS: dict[str, EvaluationProtocol] = {p.name: p for p in (Drawn(), Munit2018(), StarGANv2())}


def find_protocol(name: str, limit: int | None = None) -> EvaluationProtocol:
    """Return a protocol.

    Args:
        name: One of ``PROTOCOLS``.
        limit: Translate so many test images of each domain at most. What comes of it is not the
            protocol's metric, and the report says so.

    Raises:
        ValueError: If there is no such protocol, or ``limit`` is too small.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"there is no protocol {name}: there are {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name] if limit is None else PROTOCOLS[name].limited(limit)
