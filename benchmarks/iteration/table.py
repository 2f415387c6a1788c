"""A run of the benchmark as Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

HEADER = (
    "| arm | precision | s an iteration | times `plain` (10-90 %) | TFLOP | of `plain`'s "
    "| GFLOP/s, its own (`plain`'s) | kernels | peak MiB | numbers |"
)


def table(run: Mapping[str, Any]) -> str:
    """Return the tables of a run, one for each case, from what its JSON file holds."""
    machine = run["machine"]
    on = machine["gpu"] or f"{machine['threads']} threads of {machine['processor']}"
    lines = [f"torch {machine['torch']}, {on}, commit {machine['commit'][:10]}"]
    for case in run["cases"]:
        lines += ["", f"### {case['name']}", "", HEADER, "|---" * (HEADER.count("|") - 1) + "|"]
        lines += [_row(arm, case["arms"][0]) for arm in case["arms"]]
    return "\n".join(lines)


def ratios(blocks: Sequence[Sequence[float]], of_plain: Sequence[Sequence[float]]) -> list[float]:
    """Return how many times as fast as ``plain`` an arm was in each round."""
    return [sum(p) / sum(b) for b, p in zip(blocks, of_plain, strict=True)]


def quantile(values: Sequence[float], q: float) -> float:
    """Return a quantile, interpolated linearly."""
    ordered = sorted(values)
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _row(arm: Mapping[str, Any], of_plain: Mapping[str, Any]) -> str:
    cells = [arm["name"], arm["precision"]]
    flops, plain_flops = arm.get("flops"), of_plain.get("flops")
    if blocks := arm.get("blocks"):
        seconds = statistics.median(t for pair in blocks for t in pair)
        times = ratios(blocks, of_plain["blocks"])
        low, high = quantile(times, 0.1), quantile(times, 0.9)
        cells += [f"{seconds:.3g}", f"{statistics.median(times):.2f} ({low:.2f}-{high:.2f})"]
    else:
        seconds = None
        cells += ["-", "-"]
    cells.append(f"{flops / 1e12:.4g}" if flops else "-")
    cells.append(f"{100 * (flops / plain_flops - 1):+.1f} %" if flops and plain_flops else "-")
    if seconds and plain_flops:
        own = f"{flops / seconds / 1e9:.0f}" if flops else "-"
        cells.append(f"{own} ({plain_flops / seconds / 1e9:.0f})")
    else:
        cells.append("-")
    cells += [str(arm.get("kernels") or "-"), f"{arm['peak']:.0f}" if arm.get("peak") else "-"]
    return f"| {' | '.join([*cells, _numbers(arm)])} |"


def _numbers(arm: Mapping[str, Any]) -> str:
    """Return the outcome of the comparison with ``plain``, or why there is none.

    Relative differences, the largest of each kind: in fp64 ("trained": of the weights after ten
    steps, absolute), then in the arm's own precision.
    """
    if "why not" in arm:
        return arm["why not"]
    verdict = arm.get("verdict")
    if not verdict:
        return "the measure"
    measured = verdict["measured"]
    if verdict["failed"]:
        wrong = ", ".join(f"{name} {measured[name]:.1e}" for name in verdict["failed"])
        return f"not timed: {wrong}"
    shown = {
        "fp64": [v for k, v in measured.items() if k.startswith("fp64") and k != "fp64 weights"],
        "trained": [v for k, v in measured.items() if k == "fp64 weights"],
        "outputs": [v for k, v in measured.items() if k == "outputs"],
        "terms": [v for k, v in measured.items() if k == "terms"],
        "gradient": [v for k, v in measured.items() if k.startswith("gradient")],
    }
    words = [f"{name} {max(values):.0e}" for name, values in shown.items() if values]
    cosines = [v for k, v in measured.items() if k.startswith("cosine")]
    if cosines:
        words.append(f"cosine {min(cosines):.4f}")
    return ", ".join(words)
