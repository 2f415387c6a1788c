"""MUNIT's training iteration as published, with stock operations; savings are turned on by name.

It stands in for the original code, which does not run on today's PyTorch. With no saving it spends
what the published algorithm spends: images are encoded and translated for each update anew, with a
graph even where nothing is trained through it; each decoding, each judgment is a call of its own.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam
from torch.optim.lr_scheduler import StepLR

from benchmarks.iteration.networks import Networks, wide

SAVINGS = {
    "shared_encodings": "the generators' update uses the encodings of the discriminators'",
    "no_grad": "no graph of the generators in the discriminators' update",
    "frozen": "no gradient of the discriminators' weights in the generators' update",
    "one_pass": "a discriminator judges real and translated images in one call",
    "paired_decodes": "a decoder makes both its domain's own and the translated images in one call",
    "four_phase": "upsampling and 5x5 convolution as a 3x3 convolution before the upsampling",
    "no_dead_biases": "no biases that a normalization subtracts again",
    "by_fours": "the last convolution, to three channels, four pixels at a time",
    "own_padding": "the package's padding",
    "own_norms": "the package's AdaIN and layer normalization",
    "fused_adam": "fused Adam in the place of a loop over parameters",
    "channels_last": "weights and images with their channels innermost",
    "one_draw": "one pair of styles, and so one translation, for both updates",
    "bf16": "autocast to bfloat16",
}
# All that leave the update as it is. Not "channels_last": where a gradient comes back with its
# channels innermost, PyTorch's instance normalization of a single image makes a wrong one of it on
# the CPU.
EXACT = frozenset(SAVINGS) - {"one_draw", "bf16", "channels_last"}
WEIGHTS = {"gan": 1.0, "image": 10.0, "style": 1.0, "content": 1.0, "cycle": 0.0}

Draws = dict[str, Tensor]
Terms = dict[str, Tensor]
Pair = tuple[Tensor, Tensor]


class Made(NamedTuple):
    """What the generators made of a batch: codes, reconstructions and translations, as far."""

    c_a: Tensor
    s_a: Tensor
    c_b: Tensor
    s_b: Tensor
    own: Pair | None = None  # x_aa, x_bb
    crossed: Pair | None = None  # x_ab, x_ba


class Plain:
    """Four networks, two Adams and their iteration.

    Args:
        state: Weights under the names of `munit_pl.models.munit.model.MUNIT`.
        savings: Names from `SAVINGS`.
        weights: The terms' weights, over `WEIGHTS`.
        lr: Adam's learning rate.
        step_size: Iterations after which it halves.
    """

    def __init__(
        self,
        state: Mapping[str, Tensor],
        savings: frozenset[str] = frozenset(),
        weights: Mapping[str, float] | None = None,
        lr: float = 1e-4,
        step_size: int = 100_000,
    ) -> None:
        if unknown := savings - SAVINGS.keys():
            raise ValueError(f"no such saving: {', '.join(sorted(unknown))}")
        self.savings, self.weights = savings, WEIGHTS | dict(weights or {})
        self.parameters = {name: Parameter(self._laid_out(w.clone())) for name, w in state.items()}
        self.networks = Networks(self.parameters, savings)
        # The original gives foreach no thought; here it is off, so that "fused_adam" is the whole
        # of what an optimizer can save.
        fused = "fused_adam" in savings
        self.adams = {
            player: Adam(
                [p for name, p in self.parameters.items() if name.startswith(player)],
                lr=lr,
                betas=(0.5, 0.999),
                weight_decay=1e-4,
                foreach=False,
                fused=fused,
            )
            for player in ("dis", "gen")
        }
        self.schedules = [StepLR(adam, step_size, 0.5) for adam in self.adams.values()]

    def draw(self, n: int) -> Draws:
        """Draw the styles of ``n`` images a domain on the CPU, as the original does."""
        like = self.parameters["gen_a.style_encoder.head.bias"]
        names = ["dis_a", "dis_b", "gen_a", "gen_b"]
        draws = {name: torch.randn(n, len(like)).to(like) for name in names}
        return draws | self._shared(draws)

    def iterate(self, x_a: Tensor, x_b: Tensor, draws: Draws | None = None) -> Terms:
        """Update the discriminators, then the generators; return both players' terms."""
        x_a, x_b = self._laid_out(x_a), self._laid_out(x_b)
        draws = draws or self.draw(len(x_a))
        draws = draws | self._shared(draws)
        terms = {}
        with self._autocast(x_a):
            made = self._make_for_discriminators(x_a, x_b, draws)
            terms |= self._discriminator_terms(x_a, x_b, made)
        self._step("dis", self._total(terms))
        if "frozen" in self.savings:
            self._learn("dis", False)
        with self._autocast(x_a):
            made = self._make_for_generators(x_a, x_b, draws, made)
            of_gen = self._generator_terms(x_a, x_b, draws, made)
        self._step("gen", self._total(of_gen))
        if "frozen" in self.savings:
            self._learn("dis", True)
        for schedule in self.schedules:
            schedule.step()
        return {name: pair.detach() for name, pair in (terms | of_gen).items()}

    def outputs(self, x_a: Tensor, x_b: Tensor, draws: Draws) -> dict[str, Tensor]:
        """Return codes, reconstructions, translations and the logits of ``x_a`` and ``x_b``."""
        x_a, x_b = self._laid_out(x_a), self._laid_out(x_b)
        with self._autocast(x_a):
            made = self._decode(self._encode(x_a, x_b), draws["gen_a"], draws["gen_b"])
            judged = {
                "a": self.networks.score_batches("a", x_a),
                "b": self.networks.score_batches("b", x_b),
            }
        assert made.own
        assert made.crossed
        names = ("c_a", "s_a", "c_b", "s_b", "x_aa", "x_bb", "x_ab", "x_ba")
        named = dict(zip(names, (*made[:4], *made.own, *made.crossed), strict=True))
        for domain, scales in judged.items():
            named |= {f"dis_{domain}.{i}": scale for i, scale in enumerate(scales)}
        return named

    def _make_for_discriminators(self, x_a: Tensor, x_b: Tensor, draws: Draws) -> Made:
        reused = {"shared_encodings", "one_draw"} & self.savings
        with torch.set_grad_enabled("no_grad" not in self.savings or bool(reused)):
            made = self._encode(x_a, x_b)
        if {"one_draw", "paired_decodes"} <= self.savings:
            return self._decode(made, draws["gen_a"], draws["gen_b"])
        with torch.set_grad_enabled("no_grad" not in self.savings or "one_draw" in self.savings):
            return self._translate(made, draws["dis_a"], draws["dis_b"])

    def _make_for_generators(self, x_a: Tensor, x_b: Tensor, draws: Draws, made: Made) -> Made:
        if "one_draw" not in self.savings:
            made = made if "shared_encodings" in self.savings else self._encode(x_a, x_b)
            made = made._replace(own=None, crossed=None)
        return made if made.own else self._decode(made, draws["gen_a"], draws["gen_b"])

    def _encode(self, x_a: Tensor, x_b: Tensor) -> Made:
        return Made(*self.networks.encode("a", x_a), *self.networks.encode("b", x_b))

    def _translate(self, made: Made, z_a: Tensor, z_b: Tensor) -> Made:
        x_ba = self.networks.decode("a", made.c_b, z_a)
        x_ab = self.networks.decode("b", made.c_a, z_b)
        return made._replace(crossed=(x_ab, x_ba))

    def _decode(self, made: Made, z_a: Tensor, z_b: Tensor) -> Made:
        """Make reconstructions, and translations unless they are there already."""
        decode = self.networks.decode
        if "paired_decodes" in self.savings:
            c_a, s_a, c_b, s_b, *_ = made
            x_aa, x_ba = decode("a", torch.cat([c_a, c_b]), torch.cat([s_a, z_a])).chunk(2)
            x_bb, x_ab = decode("b", torch.cat([c_b, c_a]), torch.cat([s_b, z_b])).chunk(2)
            return made._replace(own=(x_aa, x_bb), crossed=(x_ab, x_ba))
        own = decode("a", made.c_a, made.s_a), decode("b", made.c_b, made.s_b)
        made = made._replace(own=own)
        return made if made.crossed else self._translate(made, z_a, z_b)

    def _discriminator_terms(self, x_a: Tensor, x_b: Tensor, made: Made) -> Terms:
        assert made.crossed
        x_ab, x_ba = made.crossed
        gan_a = self._discriminators_loss("a", x_a, x_ba)
        return {"dis/gan_a": gan_a, "dis/gan_b": self._discriminators_loss("b", x_b, x_ab)}

    def _discriminators_loss(self, domain: str, real: Tensor, fake: Tensor) -> Tensor:
        score_batches, fake = self.networks.score_batches, fake.detach()
        if "one_pass" in self.savings:
            both = [scale.chunk(2) for scale in score_batches(domain, torch.cat([real, fake]))]
        else:
            of_fake, of_real = score_batches(domain, fake), score_batches(domain, real)
            both = list(zip(of_real, of_fake, strict=True))
        return sum(off(r, 1) + off(f, 0) for r, f in both)

    def _generator_terms(self, x_a: Tensor, x_b: Tensor, draws: Draws, made: Made) -> Terms:
        assert made.own
        assert made.crossed
        (x_aa, x_bb), (x_ab, x_ba) = made.own, made.crossed
        c_ba, s_ba = self.networks.encode("a", x_ba)
        c_ab, s_ab = self.networks.encode("b", x_ab)
        score_batches = self.networks.score_batches
        terms = {
            "gen/gan_a": sum(off(scale, 1) for scale in score_batches("a", x_ba)),
            "gen/gan_b": sum(off(scale, 1) for scale in score_batches("b", x_ab)),
            "gen/image_a": l1(x_aa, x_a),
            "gen/image_b": l1(x_bb, x_b),
            "gen/style_a": l1(s_ba, draws["gen_a"]),
            "gen/style_b": l1(s_ab, draws["gen_b"]),
            "gen/content_a": l1(c_ab, made.c_a),
            "gen/content_b": l1(c_ba, made.c_b),
        }
        if self.weights["cycle"]:
            x_aba = self.networks.decode("a", c_ab, made.s_a)
            x_bab = self.networks.decode("b", c_ba, made.s_b)
            terms |= {"gen/cycle_a": l1(x_aba, x_a), "gen/cycle_b": l1(x_bab, x_b)}
        return terms

    def _total(self, terms: Terms) -> Tensor:
        """Return the weighted sum of terms; "gan" weighs what the discriminators minimize too."""
        return sum(self.weights[name.split("/")[1][:-2]] * term for name, term in terms.items())

    def _step(self, player: str, loss: Tensor) -> None:
        self.adams[player].zero_grad()
        loss.backward()
        self.adams[player].step()

    def _learn(self, player: str, wanted: bool) -> None:
        for name, parameter in self.parameters.items():
            if name.startswith(player):
                parameter.requires_grad_(wanted)

    def _shared(self, draws: Draws) -> Draws:
        if "one_draw" not in self.savings:
            return {}
        return {"dis_a": draws["gen_a"], "dis_b": draws["gen_b"]}

    def _autocast(self, x: Tensor) -> AbstractContextManager[object]:
        if "bf16" not in self.savings:
            return nullcontext()
        return torch.autocast(x.device.type, torch.bfloat16)

    def _laid_out(self, x: Tensor) -> Tensor:
        """Return weights or images with their channels innermost, where that is wanted."""
        inner = "channels_last" in self.savings and x.dim() == 4
        return x.contiguous(memory_format=torch.channels_last) if inner else x


def l1(x: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference."""
    return (wide(x) - wide(target)).abs().mean()


def off(x: Tensor, target: int) -> Tensor:
    """Return the mean square distance of logits from what they should be."""
    return (wide(x) - target).square().mean()
