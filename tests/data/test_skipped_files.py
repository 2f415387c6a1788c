import os

import pytest

from munit_pl.data.skipped_files import BadFile, BadFiles
from munit_pl.exits import ExitCode


def bad(i, domain="a", **about):
    return BadFile(f"{domain}/{i}.png", domain, "is empty", **about)


def ledger(bad_files, **options):
    made = BadFiles({"a": 100, "b": 2}, **options)
    made.add(bad_files)
    return made


@pytest.mark.parametrize(
    ("fraction", "most"), [(0.02, 2), (0.01, 1), (0.0, 1), (0.029, 2), (1.0, 100)]
)
def test_more_than_the_fraction_is_trouble_and_a_single_file_never(fraction, most):
    assert ledger([bad(i) for i in range(most)], max_fraction=fraction).trouble is None
    if most < 100:
        trouble = ledger([bad(i) for i in range(most + 1)], max_fraction=fraction).trouble
        assert trouble.code == ExitCode.BAD_DATA
        assert f"domain a: {most + 1} of 100 images cannot be used" in trouble.message


def test_all_that_is_found_at_once_is_counted_before_it_is_judged():
    trouble = ledger([bad(i) for i in range(5)], max_fraction=0.01).trouble
    assert "domain a: 5 of 100 images" in trouble.message


def test_each_domain_has_its_own_share():
    assert ledger([bad(0), bad(0, "b")], max_fraction=0.01).trouble is None
    trouble = ledger([bad(0, "b"), bad(1, "b")], max_fraction=0.01).trouble
    assert "domain b: 2 of 2" in trouble.message


def test_a_file_counts_once_however_often_it_is_met():
    books = ledger([bad(0, position=p) for p in range(50)])
    books.add([BadFile("a/0.png", "b", "is empty")])  # as where domains share their files
    assert books.count == 1
    assert books.trouble is None


def test_blank_crops_are_listed_but_never_too_many():
    books = ledger([bad(i, blank=True) for i in range(90)])
    assert books.count == 90
    assert books.trouble is None


def test_trouble_names_the_first_ten_their_reasons_and_the_list(tmp_path):
    books = BadFiles({"a": 100}, max_fraction=0.11)
    books.list_file = tmp_path / "bad_files.jsonl"
    books.add(bad(i) for i in range(12))
    message = books.trouble.message
    assert "'a/0.png' is empty; " in message
    assert "'a/9.png' is empty, and 2 more" in message
    assert "a/10.png" not in message
    assert str(books.list_file) in message
    assert "\n" not in message


def test_a_name_that_is_no_text_can_be_printed():
    name = os.fsdecode(b"a/\xff\n.png")
    for reason in ("is empty", f"cannot read image {name!r}: torn", f"{name} is torn"):
        said = str(BadFile(name, "a", reason))
        assert said.encode("utf-8")
        assert "\\udcff" in said


def test_a_reason_that_names_the_file_is_not_preceded_by_it():
    assert str(BadFile("x.png", "a", "cannot read 'x.png'")) == "cannot read 'x.png'"
    assert str(BadFile("x.png", "a", "is empty")) == "'x.png' is empty"


def test_news_are_told_once():
    books = ledger([bad(0)])
    books.add([bad(0), bad(1)], substituted=3)
    books.add([], substituted=1)
    assert books.take_news() == ([bad(0), bad(1)], 4)
    books.add([bad(1)], substituted=1)
    assert books.take_news() == ([], 1)


def test_what_is_restored_counts_but_is_trouble_only_when_met_again():
    books = BadFiles({"a": 100}, max_fraction=0.01)
    books.restore([bad(0), bad(1), bad(2)])
    assert books.count == 3
    assert books.trouble is None
    books.add([bad(0)])
    assert books.trouble is None
    assert books.take_news() == ([], 0)
    books.add([bad(2)])
    assert "2 of 100" in books.trouble.message
