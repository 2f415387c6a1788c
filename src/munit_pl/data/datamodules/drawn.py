"""The drawn shoes as a LightningDataModule."""

from munit_pl.checks import HeightWidth, NonNegativeInt, PositiveInt, Seed, checked
from munit_pl.data.datamodules.base import TwoDomains
from munit_pl.data.domain import DomainName, SampleDomain, Split
from munit_pl.data.drawn.dataset import DrawnShoes, MaskedShoes
from munit_pl.data.sizes import height_and_width


class DrawnDataModule(TwoDomains):
    """The embedded data set: line drawings of shoes (a) and colored shoes (b).

    Equal indices of ``domains`` show different shoes always, as the evaluation asks for.

    Args:
        size: Height and width of the drawings, or one number for both, at least 16.
        length: Training drawings of each domain.
        test_length: Test drawings of each domain.
        batch_size: Drawings of each domain in one process and iteration.
        num_workers: Processes that draw.
        seed: What the shoes and their order depend on.
        paired: Training and validation batches hold domain a's shoes in both domains.
        masks: Batches hold masks as well, which say where the shoes are.
    """

    @checked
    def __init__(
        self,
        size: HeightWidth = (64, 64),
        length: PositiveInt = 2000,
        test_length: PositiveInt = 64,
        batch_size: PositiveInt = 1,
        num_workers: NonNegativeInt = 0,
        seed: Seed = 0,
        paired: bool = False,
        masks: bool = False,
    ) -> None:
        super().__init__(height_and_width(size), batch_size, num_workers, seed, paired, masks=masks)
        self.lengths = {"train": length, "test": test_length}
        self.make_domains("train")  # which refuses sizes that cannot be drawn

    @property
    def has_pairs(self) -> bool:
        """There always are."""
        return True

    def make_domains(self, split: Split) -> tuple[DrawnShoes, DrawnShoes]:
        """Return both domains' drawings of a split."""
        return self._make_domain(split, "a", "a"), self._make_domain(split, "b", "b")

    def batch_domains(self, split: Split) -> tuple[SampleDomain, SampleDomain]:
        """Return both domains' drawings of a split; if paired, domain a's shoes in both."""
        if self.masks:
            a = self._make_domain(split, "a", "a")
            b = self._make_domain(split, "b", "a" if self.paired else "b")
            return MaskedShoes(a), MaskedShoes(b)
        own_a, own_b = self.domains[split]
        return own_a, self._make_domain(split, "b", "a") if self.paired else own_b

    def _make_domain(self, split: Split, domain: DomainName, shoes_of: DomainName) -> DrawnShoes:
        length = self.lengths[split]
        return DrawnShoes(domain, split, length, self.size, self.seed, shoes_of)
