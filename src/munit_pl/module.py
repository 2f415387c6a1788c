"""MUNIT as a LightningModule: who is updated, when, by which optimiser."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import StepLR

from munit_pl.formats.nvlabs import read_checkpoint
from munit_pl.layers import at_least_one
from munit_pl.losses import ADVERSARIAL_LOSSES, GanLoss
from munit_pl.munit import MUNIT
from munit_pl.objective import (
    Codes,
    Decodings,
    LossWeights,
    Terms,
    decode,
    discriminator_terms,
    encode,
    generator_terms,
    total,
    translate,
)
from munit_pl.perceptual import Vgg16, load_vgg16, perceptual_loss
from munit_pl.randomness import generator as place

Images = tuple[Tensor, Tensor]
Styles = tuple[Tensor, Tensor]


@dataclass
class _Part:
    """A share of a batch, and what the first update computed that the second can use again."""

    x_a: Tensor
    x_b: Tensor
    for_dis: Styles
    for_gen: Styles
    share: float
    codes: Codes | None = None
    decoded: Decodings | None = None


class MUNITModule(MUNIT, LightningModule):
    """MUNIT (Huang et al., ECCV 2018): two generators, two discriminators and how they learn.

    Each iteration updates the discriminators, then the generators on the same images, and counts
    as one step of the trainer. Batches are pairs ``(x_a, x_b)`` of images ``(N, C, H, W)`` in
    [-1, 1]; the pairing carries no meaning. The defaults are the original's.

    Args:
        input_channels_a: See `MUNIT`, as of the next four.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `AdaINGenerator`.
        discriminator: Arguments of `MultiScaleDiscriminator`.
        initialisation: How weights are drawn.
        gan_loss: "lsgan" (least squares) or "nsgan" (non-saturating, from logits).
        weights: The terms' weights, see `LossWeights`. A term of weight 0 is not computed if it is
            "cycle" or "perceptual".
        perceptual: Arguments of `load_vgg16`, for a perceptual weight above 0.
        optimizer: Arguments of `torch.optim.Adam`, the same for both optimisers.
        scheduler: Arguments of `torch.optim.lr_scheduler.StepLR`, in iterations: iteration ``k``,
            from 0, runs at ``lr * gamma ** (k // step_size)``.
        shared_styles: Draw one pair of styles for both updates and not one for each. The
            generators' pass is then computed once; the algorithm differs a little from the
            published one.
        clip_norm: Largest norm of each optimiser's gradient; none unless given.
        accumulate: Parts that a batch is split into, whose gradients are added up before each
            step: the same update in less memory.
        seed: Where the random styles of training come from.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If a value is none that can be trained with.
    """

    def __init__(
        self,
        input_channels_a: int = 3,
        input_channels_b: int = 3,
        generator: Mapping[str, Any] | None = None,
        discriminator: Mapping[str, Any] | None = None,
        initialisation: Mapping[str, Any] | None = None,
        gan_loss: GanLoss = "lsgan",
        weights: Mapping[str, float] | None = None,
        perceptual: Mapping[str, Any] | None = None,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
        shared_styles: bool = False,
        clip_norm: float | None = None,
        accumulate: int = 1,
        seed: int = 0,
    ) -> None:
        generator, discriminator = _plain(generator or {}), _plain(discriminator or {})
        initialisation, weights = _plain(initialisation or {}), _plain(weights or {})
        optimizer, scheduler = _plain(optimizer or {}), _plain(scheduler or {})
        perceptual = _plain(perceptual or {})
        super().__init__(
            input_channels_a, input_channels_b, generator, discriminator, initialisation
        )
        self.save_hyperparameters()
        self.automatic_optimization = False
        if gan_loss not in ADVERSARIAL_LOSSES:
            raise ValueError(f"gan_loss is {gan_loss!r}, but must be lsgan or nsgan")
        at_least_one(accumulate=accumulate)
        self.gan_loss = ADVERSARIAL_LOSSES[gan_loss]
        self.weights = LossWeights(**weights)
        if self.weights.perceptual and (input_channels_a, input_channels_b) != (3, 3):
            raise ValueError("the perceptual loss reads images of 3 channels in both domains")

        self._vgg: Vgg16 | None = None
        self._logging = False

    @classmethod
    def from_nvlabs(
        cls,
        gen_path: str | Path,
        dis_path: str | Path | None = None,
        config_path: str | Path | None = None,
    ) -> "MUNITModule":
        """Read a checkpoint of the original MUNIT.

        Args:
            gen_path: ``gen_*.pt``. The networks' sizes are inferred from it.
            dis_path: ``dis_*.pt``; without it the discriminators are new.
            config_path: The YAML file of the run, for what no shape tells: activations (the
                originals' defaults otherwise), loss weights, optimiser and schedule.

        Raises:
            ValueError: If a file is something else; the message says what.
        """
        arguments, states = read_checkpoint(
            Path(gen_path),
            Path(dis_path) if dis_path else None,
            Path(config_path) if config_path else None,
        )
        module = cls(**arguments)
        for name, state in states.items():
            try:
                module.get_submodule(name).load_state_dict(state)
            except RuntimeError as error:  # many lines, of which the first names no file
                path = gen_path if name.startswith("gen") else dis_path
                detail = " ".join(str(error).split())
                raise ValueError(f"{path} does not fit the networks: {detail}") from None
        return module

    def training_step(self, batch: Images, batch_idx: int) -> None:
        """Update the discriminators, then the generators, then the learning rates."""
        # Logging costs more than a small network's update, so it is left to the iterations that the
        # trainer writes down.
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        self._logging = (self.trainer.global_step + 1) % every == 0
        parts = self._split(batch)
        opt_dis, opt_gen = self.trainer.optimizers
        counted_opt_gen = cast("list[LightningOptimizer]", self.optimizers())[1]

        opt_dis.zero_grad()
        dis_terms = [self._discriminators_backward(part, keep=len(parts) == 1) for part in parts]
        self._step_discriminators(opt_dis)

        opt_gen.zero_grad()
        with self.toggled_optimizer(opt_gen):  # no gradients for the discriminators' weights
            gen_terms = [self._generators_backward(part) for part in parts]
        counted_opt_gen.step()

        if self._logging:
            self._log_update("dis", dis_terms, opt_dis)
            self._log_update("gen", gen_terms, opt_gen)
            self._log_styles(parts)
        for config in self.trainer.lr_scheduler_configs:
            cast(StepLR, config.scheduler).step()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Measure and clip a gradient that the precision plugin has unscaled."""
        clip_norm = self.hparams["clip_norm"]
        if clip_norm is None and not self._logging:
            return
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self._logging:
            name = "gen" if optimizer is self.trainer.optimizers[1] else "dis"
            self.log(f"{name}/grad_norm", norm)
        if clip_norm is not None:
            clip_grads_with_norm_(parameters, clip_norm, norm)

    def validation_step(self, batch: Images, batch_idx: int) -> None:
        """Log the generators' terms on images that are not trained on."""
        x_a, x_b = batch
        z_a, z_b = self.draw_styles(len(x_a), "validation", batch_idx)
        codes = encode(self.gen_a, self.gen_b, x_a, x_b)
        decoded = decode(self.gen_a, self.gen_b, codes, z_a, z_b)
        terms = self._generator_terms(x_a, x_b, codes, decoded, z_a, z_b)
        values = {f"val/{self._tag(term)}": pair.sum() for term, pair in terms.items()}
        self.log_dict(values, batch_size=len(x_a), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return one Adam for both discriminators and one for both generators."""
        adam = {"lr": 1e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4} | self.hparams["optimizer"]
        steps = {"step_size": 100_000, "gamma": 0.5} | self.hparams["scheduler"]
        pairs = (self.dis_a, self.dis_b), (self.gen_a, self.gen_b)
        optimizers = [Adam([*a.parameters(), *b.parameters()], **adam) for a, b in pairs]
        return optimizers, [StepLR(optimizer, **steps) for optimizer in optimizers]

    def setup(self, stage: str) -> None:
        """Read the perceptual loss's network, so that a missing file is known before training."""
        if stage == "fit" and self.weights.perceptual and self._vgg is None:
            self._vgg = load_vgg16(**self.hparams["perceptual"])

    def on_fit_start(self) -> None:
        """Refuse a fused Adam under fp16: it unscales gradients too late to measure and clip."""
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        if scaled and self.hparams["optimizer"].get("fused"):
            raise ValueError("optimizer fused=True cannot be had with precision 16-mixed")

    def draw_styles(self, n: int, *where: int | str) -> Styles:
        """Draw styles for ``n`` images of each domain, as a function of the seed and ``where``.

        Every process of a distributed run draws other styles, and all together those that one
        process would draw for all their images.
        """
        first = self.global_rank * n
        styles = [self._draw_pair(*where, first + i) for i in range(n)]
        z_a, z_b = torch.stack(styles, 1).to(self.gen_a.style_encoder.head.weight)
        return z_a, z_b

    def _draw_pair(self, *where: int | str) -> Tensor:
        rng = place(self.hparams["seed"], "style", *where)
        # In fp32 whatever the default is, so that all precisions draw the same numbers.
        return torch.randn(2, self.style_dim, generator=rng, dtype=torch.float32)

    def _split(self, batch: Images) -> list[_Part]:
        """Split a batch as ``accumulate`` says and give each part its styles."""
        x_a, x_b = batch
        n, step = len(x_a), self.trainer.global_step
        for_gen = self.draw_styles(n, "gen", step)
        for_dis = for_gen if self.hparams["shared_styles"] else self.draw_styles(n, "dis", step)
        chunks = zip(
            *(t.chunk(self.hparams["accumulate"]) for t in (x_a, x_b, *for_dis, *for_gen)),
            strict=True,
        )
        return [_Part(c[0], c[1], (c[2], c[3]), (c[4], c[5]), len(c[0]) / n) for c in chunks]

    def _discriminators_backward(self, part: _Part, keep: bool) -> Terms:
        """Add one part's share to the discriminators' gradient and return its share of the terms.

        Args:
            part: Images and styles.
            keep: Leave in ``part`` what the generators' update can use again, graph included.
        """
        with torch.set_grad_enabled(keep):
            codes = encode(self.gen_a, self.gen_b, part.x_a, part.x_b)
        part.codes = codes if keep else None
        if keep and self.hparams["shared_styles"]:
            part.decoded = decode(self.gen_a, self.gen_b, codes, *part.for_dis)
            x_ab, x_ba = part.decoded.x_ab, part.decoded.x_ba
        else:
            with torch.no_grad():
                x_ab, x_ba = translate(self.gen_a, self.gen_b, codes, *part.for_dis)
        terms = discriminator_terms(
            self.dis_a, self.dis_b, part.x_a, part.x_b, x_ab, x_ba, self.gan_loss
        )
        terms = {term: part.share * pair for term, pair in terms.items()}
        self.manual_backward(total(terms, self.weights))
        return terms

    def _step_discriminators(self, optimizer: Optimizer) -> None:
        """Step without Lightning's wrapper, which would count a second step of the iteration.

        Under fp16 the gradient is unscaled here and the step skipped if it overflowed; the
        generators' step, which goes through Lightning, then updates the scale for both.
        """
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            scaler.unscale_(optimizer)
        self.on_before_optimizer_step(optimizer)
        if scaler is not None:
            scaler.step(optimizer)
        else:
            optimizer.step()

    def _generators_backward(self, part: _Part) -> Terms:
        """Add one part's share to the generators' gradient and return its share of the terms."""
        codes = part.codes or encode(self.gen_a, self.gen_b, part.x_a, part.x_b)
        decoded = part.decoded or decode(self.gen_a, self.gen_b, codes, *part.for_gen)
        terms = self._generator_terms(part.x_a, part.x_b, codes, decoded, *part.for_gen)
        terms = {term: part.share * pair for term, pair in terms.items()}
        self.manual_backward(total(terms, self.weights))
        part.codes = codes
        return terms

    def _generator_terms(
        self, x_a: Tensor, x_b: Tensor, codes: Codes, decoded: Decodings, z_a: Tensor, z_b: Tensor
    ) -> Terms:
        networks = self.gen_a, self.gen_b, self.dis_a, self.dis_b
        perceptual = None
        if self._vgg is not None:
            self._vgg = self._vgg.to(x_a.device)  # it is no part of the module, so nobody moves it
            perceptual = partial(perceptual_loss, vgg=self._vgg)
        cycle = self.weights.cycle > 0
        return generator_terms(
            *networks, x_a, x_b, codes, decoded, z_a, z_b, self.gan_loss, cycle, perceptual
        )

    def _tag(self, term: str) -> str:
        """Return the term's name in the logs; the perceptual one's says whose weights it uses."""
        return f"{term}_{self._vgg.source}" if term == "perceptual" and self._vgg else term

    def _log_update(self, name: str, part_terms: list[Terms], optimizer: Optimizer) -> None:
        """Log one update's terms, their weighted sum and the learning rate."""
        terms = {
            term: torch.stack([of_part[term].detach() for of_part in part_terms]).sum(0)
            for term in part_terms[0]
        }
        values = {
            f"{name}/{self._tag(term)}_{domain}": value
            for term, pair in terms.items()
            for domain, value in zip("ab", pair, strict=True)
        }
        self.log_dict(values | {f"{name}/lr": optimizer.param_groups[0]["lr"]})
        self.log(f"{name}/total", total(terms, self.weights), prog_bar=True)

    def _log_styles(self, parts: list[_Part]) -> None:
        """Log mean and variance of the encoded styles: 0 and 1 if they follow the prior."""
        for domain in ("a", "b"):
            styles = torch.cat([getattr(part.codes, f"s_{domain}").detach() for part in parts])
            var, mean = torch.var_mean(styles.float())
            self.log_dict({f"style/mean_{domain}": mean, f"style/var_{domain}": var})


def _plain(value: Any) -> Any:
    """Return ``value`` with its mappings and sequences as dicts and lists, which checkpoints hold.

    Configurations come as containers of their own, and a checkpoint with those does not load.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value
