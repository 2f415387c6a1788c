"""MUNIT's four networks as one plain module: what a trained model is used through."""

import tempfile
from pathlib import Path
from typing import Annotated, TypeVar

from munit_pl.checks import Arguments, ArgumentsOf, PositiveInt, checked
from munit_pl.hub import huggingface as hub
from munit_pl.hub.card import Facts
from munit_pl.hub.folder import write_folder
from munit_pl.models.base.description import describe, recall_images
from munit_pl.models.base.pair import DomainPair
from munit_pl.models.components.discriminators import MultiScaleDiscriminator
from munit_pl.models.munit.networks import AdaINGenerator
from munit_pl.models.munit.sharing import munit_arguments, read_munit

Networks = TypeVar("Networks", bound="MUNIT")


class MUNIT(DomainPair):
    """Two auto-encoders and two discriminators, one of each for domain a and for domain b.

    Args:
        input_channels_a: Channels of domain a's images.
        input_channels_b: Channels of domain b's images.
        generator: Arguments of `AdaINGenerator` but for ``in_channels``.
        discriminator: Arguments of `MultiScaleDiscriminator` but for ``in_channels``.
        initialization: ``generator`` and ``discriminator``, each a name that `initialize` knows
            ("kaiming" and "normal" unless given), and its ``skip_spectral``.

    Attributes:
        gen_a: Domain a's auto-encoder.
        gen_b: Domain b's auto-encoder.
        dis_a: Domain a's discriminator.
        dis_b: Domain b's discriminator.

    Raises:
        TypeError: If a mapping has a key that is no argument of its class.
        ValueError: If an argument is out of range.
    """

    gen_a: AdaINGenerator
    gen_b: AdaINGenerator
    dis_a: MultiScaleDiscriminator
    dis_b: MultiScaleDiscriminator

    @checked
    def __init__(
        self,
        input_channels_a: PositiveInt = 3,
        input_channels_b: PositiveInt = 3,
        generator: Annotated[Arguments, ArgumentsOf(AdaINGenerator, ("in_channels",))] = None,
        discriminator: Annotated[
            Arguments, ArgumentsOf(MultiScaleDiscriminator, ("in_channels",))
        ] = None,
        initialization: Annotated[Arguments, ArgumentsOf(DomainPair.initialize)] = None,
    ) -> None:
        super().__init__()
        self.gen_a = AdaINGenerator(input_channels_a, **generator or {})
        self.gen_b = AdaINGenerator(input_channels_b, **generator or {})
        self.dis_a = MultiScaleDiscriminator(input_channels_a, **discriminator or {})
        self.dis_b = MultiScaleDiscriminator(input_channels_b, **discriminator or {})
        self._discriminator = dict(discriminator or {})
        self.initialize(**initialization or {})

    def save_pretrained(
        self, folder: str | Path, facts: Facts | None = None, half: bool = False
    ) -> None:
        """Write all four networks to a folder, with a card for whoever gets it.

        `Translator.load` and ``munit-translate`` take the folder, too.

        Args:
            folder: Where ``model.safetensors``, ``config.json`` and ``README.md`` go.
            facts: Data, metrics and license, for the card.
            half: Store weights as float16.

        Raises:
            OSError: If nothing can be written there.
            ValueError: If a weight is too large for half precision.
        """
        networks = {name: getattr(self, name) for name in ("gen_a", "gen_b", "dis_a", "dis_b")}
        arguments = munit_arguments(self.gen_a, self.gen_b, self._discriminator)
        write_folder(Path(folder), networks, describe(networks), facts or Facts(), half, arguments)

    @classmethod
    def from_pretrained(
        cls: type[Networks], name: str | Path, revision: str | None = None
    ) -> Networks:
        """Read what `save_pretrained` wrote, or `push_to_hub` uploaded.

        Nothing in the files is run, whoever wrote them.

        Args:
            name: The folder; or, if there is none of that name, a repository of Hugging Face's
                hub, "user/name", which is fetched.
            revision: The repository's branch, tag or commit.

        Returns:
            The networks, on the CPU, in float32 and in evaluation mode.

        Raises:
            ImportError: If a repository is asked for and huggingface_hub is not installed.
            OSError: If a file is missing, or the hub does not answer.
            ValueError: If it is something else; the message says what.
        """
        folder = Path(name)
        if not folder.is_dir():
            if str(name).count("/") != 1:
                raise FileNotFoundError(f"there is no folder {name}; repositories are user/name")
            folder = hub.download(str(name), revision)
        arguments, description, state = read_munit(folder)
        networks = cls(**arguments)
        networks.load_state_dict(state)
        recall_images({"gen_a": networks.gen_a, "gen_b": networks.gen_b}, description)
        return networks.eval()

    def push_to_hub(
        self,
        repo_id: str,
        facts: Facts | None = None,
        half: bool = False,
        private: bool = False,
    ) -> str:
        """Upload what `save_pretrained` writes to Hugging Face's hub.

        Args:
            repo_id: The repository, "user/name"; made if it is not there.
            facts: See `save_pretrained`.
            half: See `save_pretrained`.
            private: Whether a new repository can be seen by its owner alone.

        Returns:
            The commit's address.

        Raises:
            ConnectionError: If the hub does not answer, or refuses.
            ImportError: If huggingface_hub is not installed.
        """
        hub.require_hub()
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, facts, half)
            return hub.upload(Path(folder), repo_id, private)
