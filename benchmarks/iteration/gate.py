"""Numbers before times: whether an arm computes what the published iteration does."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmarks.iteration.arm import Arm, Case
from benchmarks.iteration.arms import Runner, arithmetic, build

# A bias that a normalization subtracts again has no gradient but rounding, of which Adam makes
# steps of the learning rate's size. No output depends on it, and no comparison counts it.
CANCELLED = re.compile(r"gen_.\.(content_encoder|decoder\.res_blocks)\..*\.bias")
BOUND = 1e-5  # relative, of outputs, terms and gradients
BOUND_REARRANGED = 1e-4  # where kernels are added up before they are multiplied
MOST_ROUNDING = 1e-3  # to which that bound may rise where rounding moves plain's gradient too
BF16_TERMS, BF16_COSINE = 0.02, 0.99  # the cosine: or as stock autocast's, which can be lower
WEIGHTS_APART = 1e-6  # after the steps in fp64; a step is up to 1e-4 long
STEPS = 10


# What was found of an arm in fp64, which its precision and the size of a case have no part in.
_EXACT: dict[tuple[Arm, Case], dict[str, float]] = {}


class Probe(NamedTuple):
    """What an arm made of one batch, before any weight changed."""

    outputs: dict[str, Tensor]
    terms: dict[str, float]
    gradients: dict[str, Tensor]


@dataclass
class Verdict:
    """What was measured of an arm and what of it is too large."""

    measured: dict[str, float]
    failed: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"measured": self.measured, "failed": self.failed}


class Gate:
    """Compares arms with the plain iteration on one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        # In fp64 rounding decides nothing any more: no rectifier's side, no sign of a difference.
        self.small = replace(case, size=64, dim=min(case.dim, 4), batch=min(case.batch, 2))
        self._probes: dict[tuple[object, ...], Probe] = {}
        self._weights: dict[bool, dict[str, Tensor]] = {}

    def compare(self, arm: Arm, runner: Runner) -> Verdict:
        """Compare an arm; ``runner`` is it at work on the case, and is left with its weights."""
        verdict = Verdict({}, [])
        if arm.system != "reference":  # which knows no fp64
            self._compare_exactly(arm, verdict)
        rounded = "fp32" if arm.precision == "tf32" else arm.precision
        with arithmetic(rounded):
            seen = probe(runner, self.case, arm)
        if arm.precision == "bf16":
            self._compare_bf16(arm, seen, verdict)
        else:
            self.compare_fp32(arm, seen, verdict)
        return verdict

    def _compare_exactly(self, arm: Arm, verdict: Verdict) -> None:
        exact = replace(arm.at("fp64"), name="")
        if (found := _EXACT.get((exact, self.small))) is None:
            seen = probe(build(exact, self.small), self.small, exact)
            found = differences(seen, self._plain("fp64", arm.one_draw))
            trained = train(build(exact, self.small), self.small, exact)
            found["weights"] = largest_apart(trained, self._trained(arm))
            _EXACT[exact, self.small] = found
        limits = dict.fromkeys(found, BOUND) | {"weights": WEIGHTS_APART}
        note(verdict, {f"fp64 {name}": value for name, value in found.items()},
             {f"fp64 {name}": limit for name, limit in limits.items()})  # fmt: skip

    def compare_fp32(self, arm: Arm, seen: Probe, verdict: Verdict) -> None:
        """Compare what an arm made of the case in fp32."""
        expected = self._plain("fp32", arm.one_draw)
        found = differences(seen, expected)
        found |= whole_gradients(seen, expected)
        del found["worst gradient"]  # of a tensor alone, fp64 tells more
        rearranged = arm.system in ("ours", "compiled") or {"four_phase", "by_fours"} & arm.savings
        bound = BOUND_REARRANGED if rearranged else BOUND
        # Where rounding moves the gradient further than that, it may: see `_nudged`.
        limits = dict.fromkeys(found, bound)
        for name, value in whole_gradients(self._nudged(), self._plain("fp32", False)).items():
            verdict.measured[f"plain's own rounding, {name}"] = value
            limits[name] = max(bound, min(5 * value, MOST_ROUNDING))
        note(verdict, found, limits)

    def _compare_bf16(self, arm: Arm, seen: Probe, verdict: Verdict) -> None:
        expected = self._plain("fp32", arm.one_draw)
        stock = self._plain("bf16", arm.one_draw)
        found = {"terms": differences(seen, expected)["terms"]}
        if not found["terms"] <= BF16_TERMS:
            verdict.failed.append("terms")
        for player in ("dis", "gen"):
            cosine = alignment(seen, expected, player)
            of_stock = alignment(stock, expected, player)
            found[f"cosine, {player}"] = cosine
            found[f"stock autocast's cosine, {player}"] = of_stock
            if not cosine >= min(BF16_COSINE, of_stock - 0.002):
                verdict.failed.append(f"cosine, {player}")
        verdict.measured |= found

    def _plain(self, precision: str, one_draw: bool) -> Probe:
        """Return what the plain iteration makes of the case, or of the small one in fp64."""
        case, key = self.small if precision == "fp64" else self.case, (precision, one_draw)
        if key not in self._probes:
            arm = plain(precision, one_draw)
            with arithmetic(precision):
                self._probes[key] = probe(build(arm, case), case, arm)
        return self._probes[key]

    def _nudged(self) -> Probe:
        """Return the probe of plain weights moved by one rounding each.

        How far that moves the gradient is how well fp32 knows it: some rectifiers change sides,
        some differences their sign.
        """
        if ("nudged",) not in self._probes:
            arm, generator = plain("fp32", False), torch.Generator().manual_seed(3)
            runner = build(arm, self.case)
            with torch.no_grad():
                for parameter in runner.parameters.values():
                    ulps = torch.randint(-1, 2, parameter.shape, generator=generator)
                    parameter.mul_(1 + ulps.to(parameter) * 2**-23)
            with arithmetic("fp32"):
                self._probes["nudged",] = probe(runner, self.case, arm)
        return self._probes["nudged",]

    def _trained(self, arm: Arm) -> dict[str, Tensor]:
        if arm.one_draw not in self._weights:
            of_plain = plain("fp64", arm.one_draw)
            runner = build(of_plain, self.small)
            self._weights[arm.one_draw] = train(runner, self.small, of_plain)
        return self._weights[arm.one_draw]


def plain(precision: str, one_draw: bool) -> Arm:
    """Return the plain iteration; with one draw, its two updates are given the same styles."""
    return Arm("plain", "plain", precision, one_draw=one_draw)


def probe(runner: Runner, case: Case, arm: Arm) -> Probe:
    """Run one iteration at a learning rate of 0, and look at what it computes."""
    gradients: dict[str, Tensor] = {}
    names = {id(parameter): name for name, parameter in runner.parameters.items()}

    def note_gradients(optimizer: Optimizer, *_: object) -> None:
        gradients.update(gradients_of(optimizer, names))

    hooks = [o.register_step_pre_hook(note_gradients) for o in runner.optimizers]
    groups = [group for optimizer in runner.optimizers for group in optimizer.param_groups]
    rates = [group["lr"] for group in groups]
    for group in groups:
        group["lr"] = torch.zeros_like(rates[0]) if isinstance(rates[0], Tensor) else 0.0
    images, draws = case.images(arm.dtype), case.draws(arm.one_draw, dtype=arm.dtype)
    outputs = runner.outputs(*images, draws)
    terms = {name: float(value) for name, value in runner.iterate(*images, draws).items()}
    for hook in hooks:
        hook.remove()
    for optimizer in runner.optimizers:  # a graph that is replayed calls no hooks
        gradients = gradients_of(optimizer, names) | gradients
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate
    return Probe(outputs, terms, gradients)


def gradients_of(optimizer: Optimizer, names: dict[int, str]) -> dict[str, Tensor]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {names[id(p)]: p.grad.detach().clone() for p in parameters if p.grad is not None}


def train(runner: Runner, case: Case, arm: Arm) -> dict[str, Tensor]:
    """Return an arm's weights after a few iterations."""
    images = case.images(arm.dtype)
    for step in range(STEPS):
        runner.iterate(*images, case.draws(arm.one_draw, seed=step, dtype=arm.dtype))
    return {name: parameter.detach().clone() for name, parameter in runner.parameters.items()}


def differences(seen: Probe, expected: Probe) -> dict[str, float]:
    """Return the largest relative differences of outputs, terms and single gradients."""
    return {
        "outputs": max(apart(seen.outputs[k], v) for k, v in expected.outputs.items()),
        "terms": max(abs(seen.terms[k] / v - 1) for k, v in expected.terms.items()),
        "worst gradient": max(
            apart(seen.gradients[k], expected.gradients[k]) for k in live(expected.gradients)
        ),
    }


def whole_gradients(seen: Probe, expected: Probe) -> dict[str, float]:
    """Return the relative differences of both players' gradients."""
    found = {}
    for player in ("dis", "gen"):
        one, other = (whole(p, expected, player) for p in (seen, expected))
        found[f"gradient, {player}"] = apart(one, other)
    return found


def alignment(seen: Probe, expected: Probe, player: str) -> float:
    """Return the cosine between a player's two gradients."""
    one, other = (whole(p, expected, player) for p in (seen, expected))
    return float(torch.dot(one, other) / (one.norm() * other.norm()))


def whole(of: Probe, like: Probe, player: str) -> Tensor:
    names = [name for name in live(like.gradients) if name.startswith(player)]
    return torch.cat([of.gradients[name].flatten().double() for name in names])


def live(names: Iterable[str]) -> list[str]:
    return [name for name in names if not CANCELLED.match(name)]


def largest_apart(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    return max(float((weights[k] - expected[k]).detach().abs().max()) for k in live(expected))


def apart(x: Tensor, expected: Tensor) -> float:
    """Return the relative distance in the Euclidean norm."""
    wide = expected.double()
    return float((x.double() - wide).norm() / wide.norm())


def note(verdict: Verdict, found: dict[str, float], limits: dict[str, float]) -> None:
    """Enter what was found, and what of it is above its limit, or no number."""
    verdict.measured |= found
    verdict.failed += [name for name, value in found.items() if not value <= limits[name]]
