import pytest

from munit_pl.data.huggingface.finding import Selection, check_pairs, find_domains, rows_of
from munit_pl.data.huggingface.opening import OpenedSet

# A folder of tests has its name, too.
pytest.importorskip("datasets.features", reason="the extra datasets has it")
datasets = pytest.importorskip("datasets")


class Tables(OpenedSet):
    """Tables in memory, by configuration and split."""

    def __init__(self, tables):
        self.path, self.folders = "set", []
        self.tables = tables
        self.configurations = [*tables]

    def splits(self, configuration):
        return [*self.tables[configuration]]

    def load(self, configuration, split):
        return self.tables[configuration][split]


def table(*images, labels=None, names=None, **others):
    kinds = {name: datasets.Image() for name in images}
    rows = {name: [{"bytes": b"x", "path": None}] * len(labels or "xxx") for name in images}
    if labels is not None:
        column = "label" if names else "kind"
        kinds[column] = datasets.ClassLabel(names=names) if names else datasets.Value("string")
        rows[column] = labels
    for name, value in others.items():
        kinds[name] = datasets.Value("string")
        rows[name] = [value] * 3
    return datasets.Dataset.from_dict(rows, datasets.Features(kinds))


ONE = table("image", text="x")
TWO = table("imageA", "imageB")
PETS = table("image", labels=[0, 2, 1, 0, 2], names=["cat", "dog", "wild"])
HALF = table("image", labels=[1, 0, 0], names=["cat", "dog"])


def find(tables, a=None, b=None, label_column=None):
    """Return what is found of both domains, as far as they differ from each other or the usual."""
    named = Selection(**a or {}), Selection(**b or {})
    found = find_domains(Tables(tables), named, label_column)
    return [tuple(x for x in domain[:-1] if x not in ("default", None)) for domain in found]


def test_domains_are_found_where_it_is_clear():
    for tables, *found in [
        ({"train": TWO}, ("train", "imageA"), ("train", "imageB")),
        ({"train": TWO, "test": TWO}, ("train", "test", "imageA"), ("train", "test", "imageB")),
        (
            {"validation": TWO, "train": TWO},
            ("train", "validation", "imageA"),
            ("train", "validation", "imageB"),
        ),
        ({"train": HALF}, ("train", "image", "cat"), ("train", "image", "dog")),
        (
            {"trainA": ONE, "trainB": ONE, "testA": ONE, "testB": ONE},
            ("trainA", "testA", "image"),
            ("trainB", "testB", "image"),
        ),
        ({"horse": ONE, "zebra": ONE}, ("horse", "image"), ("zebra", "image")),
    ]:
        assert find({"default": tables}) == found
    two = {"horse": {"train": ONE}, "zebra": {"train": ONE, "test": ONE}}
    assert find(two) == [("horse", "train", "image"), ("zebra", "train", "test", "image")]


def test_domains_are_what_is_named():
    pets, both = {"default": {"train": PETS}}, {"x": {"train": TWO}, "y": {"train": TWO}}
    cat, dog = {"label": "cat"}, {"label": "dog"}
    assert find(pets, cat, dog) == [("train", "image", "cat"), ("train", "image", "dog")]
    assert find(both, {"configuration": "y"}) == [
        ("y", "train", "imageA"),
        ("y", "train", "imageB"),
    ]
    swapped = find({"default": {"train": TWO}}, {"column": "imageB"}, {"column": "imageA"})
    assert swapped == [("train", "imageB"), ("train", "imageA")]
    kinds = table("image", labels=["q", "p", "q"])
    found = find({"default": {"train": kinds}}, label_column="kind")
    assert found == [("train", "image", "p"), ("train", "image", "q")]
    masked = table("imageA", "imageB", "maskA", "maskB")
    a, b = {"mask": "maskA"}, {"mask": "maskB"}
    assert find({"default": {"train": masked}}, a, b) == [("train", "imageA"), ("train", "imageB")]


def test_what_is_not_clear_or_not_there_is_told_with_what_there_is():
    pets = {"default": {"train": PETS}}
    for tables, a, b, message in [
        (pets, {}, {}, "labels cat, dog, wild in column label: .* data.domain_b.label=dog"),
        (pets, {"label": "cat"}, {}, "not clear"),
        (pets, {"label": "cat"}, {"label": "cat"}, "not clear"),
        (pets, {"label": "cat"}, {"label": "lion"}, "no rows of label lion .* of cat, dog, wild"),
        ({"default": {"train": table("image", "mask")}}, {}, {}, "columns image, mask: .*a.column"),
        ({"default": {"train": ONE}}, {}, {}, "columns image, text"),
        ({"default": {"train": ONE}}, {"column": "text"}, {}, "images in the columns image, not"),
        ({"default": {"train": TWO}}, {"column": "imageC"}, {}, "imageC: 'set' has imageA, imageB"),
        ({"default": {"train": TWO}}, {"train": "all"}, {}, "domain_a.train=all: 'set' has train"),
        ({"default": {"p": ONE, "q": ONE, "r": ONE}}, {}, {}, "splits p, q, r; .*a.train=p"),
        ({"p": {"train": TWO}, "q": {"train": TWO}}, {}, {}, "configurations p, q: add data.dom"),
        ({x: {"train": ONE} for x in "pqr"}, {}, {}, "configurations p, q, r: add data.domain_a"),
        ({"default": {"train": TWO}}, {"configuration": "x"}, {}, "configuration=x: .* default"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            find(tables, a, b)
        assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ValueError, match=r"data\.label_column=sort: the columns are image, label"):
        find(pets, label_column="sort")


def test_a_domain_has_the_rows_of_its_label():
    opened = Tables({"default": {"train": PETS, "test": TWO}})
    named = Selection(label="cat"), Selection(label="wild")
    a, b = find_domains(opened, named)
    assert [*rows_of(opened, a, "train").indices] == [0, 3]
    assert [str(row) for row in rows_of(opened, b, "train")] == [
        "set/train/image/1",
        "set/train/image/4",
    ]
    with pytest.raises(ValueError, match="columns imageA, imageB in split test, but no image"):
        rows_of(opened, a, "test")


def test_pairs_are_two_columns_of_the_same_rows():
    base = Selection("default", "train", "test", "imageA", "shoe")
    check_pairs((base, base._replace(column="imageB", mask="maskB")))
    for field in ("configuration", "train", "test", "label"):
        other = base._replace(column="imageB", **{field: "other"})
        message = rf"domain a is .*{field}={getattr(base, field)}.* and domain b is .*{field}=other"
        with pytest.raises(ValueError, match=message):
            check_pairs((base, other))
