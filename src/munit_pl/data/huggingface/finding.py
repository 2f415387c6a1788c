"""Which rows and columns of a data set are domains a and b: as named, or where it is clear."""

from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from munit_pl.data.domain import Split
from munit_pl.data.huggingface.columns import image_columns, label_column_of, labels_of, rows_with
from munit_pl.data.huggingface.opening import OpenedSet
from munit_pl.data.huggingface.rows import ImageColumn, Rows

_TESTS = ("test", "validation", "valid", "val", "dev")
_LISTED = 20  # names in a message


class Selection(NamedTuple):
    """Which images of a data set are a domain's; None is found where it is clear.

    Attributes:
        configuration: Of the set.
        train: The split of its training images.
        test: That of its test images; where there is none, they are the training images.
        column: The images' column.
        label: The class of the rows that are the domain's; None takes all rows.
        mask: The column of the images' masks; None has no masks.
    """

    configuration: str | None = None
    train: str | None = None
    test: str | None = None
    column: str | None = None
    label: str | int | None = None
    mask: str | None = None

    def __str__(self) -> str:
        named = self._asdict().items()
        return " ".join(f"{name}={value}" for name, value in named if value is not None)


Selections = tuple[Selection, Selection]


def find_domains(
    opened: OpenedSet, named: Selections, label_column: str | None = None
) -> Selections:
    """Return where the images of domains a and b are.

    Domains differ in their configuration, split, column or label. What is named for one domain
    holds for the other as well, if there it exists; labels and masks do not. What is not named is
    found where there is

    - one configuration, or two, neither of which has both domains;
    - a split "train", or one split, or trainA and trainB, or two that are neither train nor test;
    - one column of images in each domain, or two like imageA and imageB;
    - a column of labels, of which there are two.

    Args:
        opened: The data set.
        named: What is named of both.
        label_column: The column of the labels.

    Raises:
        ValueError: Something that is named does not exist, or it is not clear what is meant.
    """
    there = opened.configurations
    both = _named(opened, named, "configuration", there, there)
    if both[0].configuration is None:
        if len(there) == 1:
            both = _with(both, "configuration", there[0], there[0])
        elif len(there) == 2 and not any(_suffices(opened, both, label_column, x) for x in there):
            both = _with(both, "configuration", *there)
        else:
            raise ValueError(
                f"data set {opened.path!r} has configurations {_listed(there)}: add "
                f"data.domain_a.configuration={there[0]}, of which domain b will be as well unless "
                "it names its own"
            )
    both = _find_columns(opened, _find_splits(opened, both))
    return _find_labels(opened, both, label_column)


def check_pairs(found: Selections) -> None:
    """Refuse domains that are not two columns of the same rows.

    Args:
        found: From `find_domains`.

    Raises:
        ValueError: They are not.
    """
    a, b = found
    if a._replace(column=b.column, mask=b.mask) != b:
        raise ValueError(
            f"data.paired=true takes both images of a pair from one row, but domain a is {a} and "
            f"domain b is {b}: name two columns (data.domain_a.column, data.domain_b.column) and "
            "nothing else of one domain alone, or leave data.paired out"
        )


def _suffices(
    opened: OpenedSet, both: Selections, label_column: str | None, configuration: str
) -> bool:
    """Tell whether one configuration has both domains."""
    try:
        find_domains(
            opened, _with(both, "configuration", configuration, configuration), label_column
        )
    except ValueError:
        return False
    return True


def _find_splits(opened: OpenedSet, both: Selections) -> Selections:
    a, b = (opened.splits(str(x.configuration)) for x in both)
    both = _named(opened, both, "train", a, b)
    if both[0].train is None:
        pair = _pair_of_splits(a) if _alike(both, "configuration") else None
        first, second = pair or (_training(a), _training(b))
        if first is None or second is None:
            _refuse(opened, both, "train", a[0], b[-1])
        both = _with(both, "train", first, second)
    if _alike(both, "configuration", "train"):
        both = _named(opened, both, "test", a, b)
    tests = (x.test or _test_of(str(x.train), there) for x, there in zip(both, (a, b), strict=True))
    both = _with(both, "test", *tests)
    _check_named(opened, both, "test", a, b)
    return both


def _training(there: Sequence[str]) -> str | None:
    return "train" if "train" in there else there[0] if len(there) == 1 else None


def _pair_of_splits(there: Sequence[str]) -> tuple[str, str] | None:
    """Return the splits trainA and trainB, or two that are neither training nor test images."""
    if pair := _pair([name for name in there if name.lower().startswith("train")]) or _pair(there):
        return pair
    usual = any(name.lower() in ("train", *_TESTS) for name in there)
    return (there[0], there[1]) if len(there) == 2 and not usual else None


def _test_of(train: str, there: Sequence[str]) -> str | None:
    """Return the split that is to a training split as test or validation is to train."""
    names = (train.replace("train", test) for test in _TESTS)
    return next((name for name in names if name in there and name != train), None)


def _find_columns(opened: OpenedSet, both: Selections) -> Selections:
    tables = [opened.load(str(x.configuration), str(x.train)) for x in both]
    columns_a, columns_b = ([*table.features] for table in tables)
    both = _named(opened, both, "column", columns_a, columns_b)
    masks = [x.mask for x in both]
    images_a, images_b = (
        [name for name in image_columns(table) if name not in masks] for table in tables
    )
    if both[0].column is None:
        pair = _pair(images_a) if _alike(both, "configuration", "train") else None
        if pair is None and len(images_a) == len(images_b) == 1:
            pair = images_a[0], images_b[0]
        if pair is None:
            first, second = [*images_a[:1], "COLUMN"][0], ["COLUMN", *images_b[-1:]][-1]
            _refuse(opened, both, "column", first, second)
        both = _with(both, "column", *pair)
    for x, table in zip(both, tables, strict=True):
        held = image_columns(table, declared=False)
        for name in (x.column, x.mask):
            if name is not None and name not in held:
                raise ValueError(
                    f"data set {opened.path!r} has images in the columns {_listed(held)}, not in "
                    f"{name!r}"
                )
    return both


def _find_labels(opened: OpenedSet, both: Selections, label_column: str | None) -> Selections:
    apart = not _alike(both, "configuration", "train", "column")
    a, b = both
    if apart and a.label is None and b.label is None:
        return both
    known = [
        [*labels_of(opened.load(str(x.configuration), str(x.train)), label_column)] for x in both
    ]
    if a.label is None and b.label is None and len(known[0]) == 2:
        return _with(both, "label", *known[0])
    for x, there in zip(both, known, strict=True):
        if x.label is not None and str(x.label) not in there:
            raise ValueError(
                f"data set {opened.path!r} has no rows of label {x.label} in split {x.train}, but "
                f"of {_listed(there)}"
            )
    if not apart and (a.label is None or b.label is None or str(a.label) == str(b.label)):
        first, second = known[0][:2] if len(known[0]) > 1 else ("CLASS", "CLASS")
        _refuse(opened, both, "label", first, second)
    return both


def rows_of(
    opened: OpenedSet, domain: Selection, split: Split, label_column: str | None = None
) -> Rows:
    """Return a domain's images of a split, in the order of the table.

    Args:
        opened: The data set.
        domain: A domain of `find_domains`.
        split: Which images; without test images, the training ones.
        label_column: The column of the labels.

    Raises:
        ValueError: If the table of the test images lacks a column that the training images' has.
    """
    column = image_column_of(opened, domain, split, str(domain.column))
    table = opened.load(str(domain.configuration), _split_of(domain, split))
    if domain.label is None:
        return Rows(column, range(len(table)))
    return Rows(column, rows_with(table, domain.label, label_column))


def image_column_of(opened: OpenedSet, domain: Selection, split: Split, column: str) -> ImageColumn:
    """Return a column of a split, such as the masks of a domain's images; see `rows_of`."""
    named, configuration = _split_of(domain, split), str(domain.configuration)
    table = opened.load(configuration, named)
    if column not in table.features:
        raise ValueError(
            f"data set {opened.path!r} has columns {_listed([*table.features])} in split {named}, "
            f"but no {column}"
        )
    within = [configuration] if len(opened.configurations) > 1 else []
    return ImageColumn(table, column, "/".join([opened.path, *within, named]), opened.folders)


def _split_of(domain: Selection, split: Split) -> str:
    return str(domain.test if split == "test" and domain.test else domain.train)


def _alike(both: Selections, *fields: str) -> bool:
    return all(getattr(both[0], field) == getattr(both[1], field) for field in fields)


def _with(both: Selections, field: str, a: str | None, b: str | None) -> Selections:
    return both[0]._replace(**{field: a}), both[1]._replace(**{field: b})


def _named(
    opened: OpenedSet, both: Selections, field: str, a: Sequence[str], b: Sequence[str]
) -> Selections:
    """Let what is named for one domain hold for the other; refuse what does not exist."""
    first, second = (getattr(x, field) for x in both)
    shared = _with(both, field, first or second, second or first)
    _check_named(opened, shared, field, a, b)
    return shared


def _check_named(
    opened: OpenedSet, both: Selections, field: str, a: Sequence[str], b: Sequence[str]
) -> None:
    for domain, x, there in zip("ab", both, (a, b), strict=True):
        if (name := getattr(x, field)) is not None and name not in there:
            raise ValueError(
                f"data.domain_{domain}.{field}={name}: {opened.path!r} has {_listed(there)}"
            )


def _pair(names: Sequence[str]) -> tuple[str, str] | None:
    """Return two names that differ in their last letter, a and b, if there are no others such."""
    pairs = [
        (first, second)
        for first in names
        for second in names
        if first[:-1] == second[:-1] and (first[-1], second[-1]) in (("a", "b"), ("A", "B"))
    ]
    return pairs[0] if len(pairs) == 1 else None


def _refuse(opened: OpenedSet, both: Selections, field: str, a: str, b: str) -> NoReturn:
    """Say what must be named, and list what there is."""
    configuration = str(both[0].configuration)
    splits = opened.splits(configuration)
    table = opened.load(configuration, both[0].train or splits[0])
    label_column = label_column_of(table)
    labels = [*labels_of(table, label_column)]
    held = [
        f"splits {_listed(splits)}",
        f"columns {_listed([*table.features])}",
        *([f"labels {_listed(labels)} in column {label_column}"] if labels else []),
    ]
    raise ValueError(
        f"data set {opened.path!r}: which images are domains a and b is not clear, of "
        f"{'; '.join(held)}: name them, such as data.domain_a.{field}={a} data.domain_b.{field}={b}"
    )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(map(str, names[:_LISTED])) or "none") + more
