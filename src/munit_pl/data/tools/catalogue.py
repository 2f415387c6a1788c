"""Public data sets by name: where each lies, what it is, and how its archive is laid out.

Checksums are those that others recorded when they fetched the archives; ``recorded_by`` says who.
None was made up, and none computed here: where nobody published one, there is none.
"""

from typing import Literal, NamedTuple

Layout = Literal["folders", "pairs", "classes", "cityscapes", "synthia2cityscape"]

_PIX2PIX = "https://phillipi.github.io/pix2pix/"
_CYCLEGAN = "https://junyanz.github.io/CycleGAN/"
_EFROS = "http://efrosgans.eecs.berkeley.edu"
_TFDS = "TensorFlow Datasets"


class DataSet(NamedTuple):
    """A data set that people train translators on.

    Attributes:
        name: What it is asked for by, and the name of its folder.
        what: Its domains, a first.
        layout: How its archive is laid out; `munit_pl.data.tools.layouts` reads each.
        license: Of its images, or "none stated" and where they are from.
        page: Its source, for people.
        url: Its archive's address; "" where its makers want it fetched by hand.
        hosts: Others, and with them their subdomains, that this address may lead on to.
        size: The archive's bytes, as published; rounded where it ends in many zeros. None without
            an address.
        sha256: The archive's checksum; None where none is published.
        recorded_by: Whose record the checksum is.
        by_hand: What to fetch, and from where, if there is no address.
        classes: The folders two of which are the domains, if the archive has more than two.
        experiments: The configurations that train on it.
    """

    name: str
    what: str
    layout: Layout
    license: str
    page: str
    url: str = ""
    hosts: tuple[str, ...] = ()
    size: int | None = None
    sha256: str | None = None
    recorded_by: str = ""
    by_hand: str = ""
    classes: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()

    @property
    def shown_size(self) -> str:
        """The archive's size in words."""
        if self.size is None:
            return "by hand"
        gigabytes = self.size / 10**9
        return f"{gigabytes:.2g} GB" if gigabytes >= 1 else f"{gigabytes * 1000:.0f} MB"


def _pix2pix(name: str, what: str, license: str, size: int) -> DataSet:
    url = f"{_EFROS}/pix2pix/datasets/{name}.tar.gz"
    return DataSet(name, what, "pairs", license, _PIX2PIX, url, size=size, experiments=(name,))


def _cyclegan(name: str, what: str, origin: str, size: int, sha256: str) -> DataSet:
    url = f"{_EFROS}/cyclegan/datasets/{name}.zip"
    license = f"none stated ({origin})"
    experiment = f"{name}256" if name == "summer2winter_yosemite" else name
    return DataSet(
        *(name, what, "folders", license, _CYCLEGAN, url, (), size, sha256, _TFDS),
        experiments=(experiment,),
    )


_ALL = [
    _pix2pix("edges2shoes", "drawings, shoes", "academic use (Zappos50K)", 2_000_000_000),
    _pix2pix("edges2handbags", "drawings, handbags", "none stated (Amazon)", 8_000_000_000),
    _cyclegan(
        *("summer2winter_yosemite", "summer, winter", "Flickr", 132_640_856),
        "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
    ),
    _cyclegan(
        *("horse2zebra", "horses, zebras", "ImageNet", 116_867_962),
        "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
    ),
    _cyclegan(
        *("apple2orange", "apples, oranges", "ImageNet", 78_456_409),
        "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
    ),
    _cyclegan(
        *("monet2photo", "paintings, photos", "WikiArt", 305_231_073),
        "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
    ),
    _cyclegan(
        *("maps", "aerial photos, maps", "Google", 1_476_754_427),
        "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
    ),
    _cyclegan(
        *("facades", "photos, labels", "CMP Facade", 35_135_868),
        "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
    ),
    DataSet(
        name="cityscapes",
        what="photos, labels",
        layout="cityscapes",
        license="own, non-commercial",
        page="https://www.cityscapes-dataset.com",
        by_hand="register at https://www.cityscapes-dataset.com, and unpack "
        "leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip into one FOLDER",
        experiments=("cityscapes",),
    ),
    DataSet(
        name="synthia2cityscape",
        what="drawn streets, photos",
        layout="synthia2cityscape",
        license="own, non-commercial",
        page="https://synthia-dataset.net",
        by_hand="unpack SYNTHIA's images (https://synthia-dataset.net) and Cityscapes' "
        "leftImg8bit_trainvaltest.zip (https://www.cityscapes-dataset.com, which asks you to "
        "register) into one FOLDER",
        experiments=("synthia2cityscape",),
    ),
    DataSet(
        name="afhq",
        what="two of cat, dog, wild",
        layout="classes",
        license="CC BY-NC 4.0",
        page="https://github.com/clovaai/stargan-v2",
        url="https://www.dropbox.com/s/t9l9o3vsx2jai3z/afhq.zip?dl=1",
        hosts=("dropbox.com", "dropboxusercontent.com"),
        size=729_000_000,
        sha256="7f63dcc14ef58c0e849b59091287e1844da97016073aac20403ae6c6132b950f",
        recorded_by="UVCGAN2",
        classes=("cat", "dog", "wild"),
        experiments=("afhq_cat2dog", "afhq_wild2dog", "afhq_wild2cat"),
    ),
]

CATALOGUE = {one.name: one for one in _ALL}
