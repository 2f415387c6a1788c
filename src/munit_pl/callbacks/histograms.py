"""Histograms of encoded styles and of gradients, which tell early if a run goes wrong."""

from collections.abc import Iterator

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from munit_pl.callbacks.rich_logs import log_histograms
from munit_pl.checks import PositiveInt, checked
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.domain import DomainName
from munit_pl.models.base.module import AdversarialModule
from munit_pl.optim.freezing import evaluating

_AT_ONCE = 8  # images that are encoded
_NETWORKS = ("gen_a", "gen_b", "dis_a", "dis_b")


class Histograms(Callback):
    """Give the loggers that take any histograms of encoded styles and of gradients.

    ``histogram/style_a`` and ``histogram/style_b`` are all dimensions of the test images' styles
    together; those that follow the prior look like N(0, 1), as whitened ones do in any case.
    ``histogram/gradient_gen_a`` and its like are the magnitudes, as powers of ten, of what each
    network was last updated with.

    Args:
        every_n_steps: Iterations from one time to the next; none unless given.
        num_images: Test images of each domain, or as many as there are.
    """

    @checked
    def __init__(
        self, every_n_steps: PositiveInt | None = None, num_images: PositiveInt = 64
    ) -> None:
        self.every_n_steps = every_n_steps
        self.num_images = num_images

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: object) -> None:
        """Log them every ``every_n_steps`` iterations."""
        every = self.every_n_steps
        if every is None or trainer.global_step % every or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, AdversarialModule)
        values = dict(gradients(pl_module))
        networks = evaluating(pl_module.gen_a, pl_module.gen_b)
        with torch.no_grad(), networks, trainer.precision_plugin.forward_context():
            values |= self._styles(trainer, pl_module)
        log_histograms(trainer, values)

    def _styles(self, trainer: Trainer, module: AdversarialModule) -> dict[str, Tensor]:
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(datamodule, TwoDomains):
            return {}
        domains: tuple[DomainName, DomainName] = ("a", "b")
        return {
            f"histogram/style_{domain}": self._encode(datamodule, module, domain)
            for domain, gen in zip(domains, (module.gen_a, module.gen_b), strict=True)
            if gen.style_encoder is not None
        }

    def _encode(
        self, datamodule: TwoDomains, module: AdversarialModule, domain: DomainName
    ) -> Tensor:
        x = datamodule.first_images("test", domain, self.num_images)
        parts = torch.split(x, _AT_ONCE)
        return torch.cat([module.encode(part.to(module.device), domain)[1] for part in parts])


def gradients(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield each network's gradient, as log10 of the magnitudes that are not zero."""
    for name in _NETWORKS:
        parameters = module.get_submodule(name).parameters()
        parts = [p.grad.detach().abs().float().flatten() for p in parameters if p.grad is not None]
        magnitudes = torch.cat(parts) if parts else torch.empty(0)
        magnitudes = magnitudes[magnitudes > 0]
        if len(magnitudes):
            yield f"histogram/gradient_{name}", magnitudes.log10()
