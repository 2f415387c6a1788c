import os

import pytest

from munit_pl.data.skipped_files import BadFile, SkippedFiles
from munit_pl.exits import ExitCode


def bad(i, domain="a", **about):
    return BadFile(f"{domain}/{i}.png", domain, "is empty", **about)


def count(skipped_files, **options):
    made = SkippedFiles({"a": 100, "b": 2}, **options)
    made.add(skipped_files)
    return made


@pytest.mark.parametrize(
    ("fraction", "most"), [(0.02, 2), (0.01, 1), (0.0, 1), (0.029, 2), (1.0, 100)]
)
def test_more_than_the_fraction_ends_a_run_and_a_single_file_never(fraction, most):
    assert count([bad(i) for i in range(most)], max_fraction=fraction).stop_reason is None
    if most < 100:
        stop_reason = count([bad(i) for i in range(most + 1)], max_fraction=fraction).stop_reason
        assert stop_reason.code == ExitCode.BAD_DATA
        assert f"domain a: {most + 1} of 100 images cannot be used" in stop_reason.message


def test_all_that_is_found_at_once_is_counted_before_it_is_judged():
    stop_reason = count([bad(i) for i in range(5)], max_fraction=0.01).stop_reason
    assert "domain a: 5 of 100 images" in stop_reason.message


def test_each_domain_has_its_own_share():
    assert count([bad(0), bad(0, "b")], max_fraction=0.01).stop_reason is None
    stop_reason = count([bad(0, "b"), bad(1, "b")], max_fraction=0.01).stop_reason
    assert "domain b: 2 of 2" in stop_reason.message


def test_a_file_counts_once_however_often_it_is_met():
    skipped = count([bad(0, position=p) for p in range(50)])
    skipped.add([BadFile("a/0.png", "b", "is empty")])  # as where domains share their files
    assert skipped.count == 1
    assert skipped.stop_reason is None


def test_blank_crops_are_listed_but_never_too_many():
    skipped = count([bad(i, blank=True) for i in range(90)])
    assert skipped.count == 90
    assert skipped.stop_reason is None


def test_the_reason_names_the_first_ten_their_reasons_and_the_list(tmp_path):
    skipped = SkippedFiles({"a": 100}, max_fraction=0.11)
    skipped.list_file = tmp_path / "bad_files.jsonl"
    skipped.add(bad(i) for i in range(12))
    message = skipped.stop_reason.message
    assert "'a/0.png' is empty; " in message
    assert "'a/9.png' is empty, and 2 more" in message
    assert "a/10.png" not in message
    assert str(skipped.list_file) in message
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
    skipped = count([bad(0)])
    skipped.add([bad(0), bad(1)], replaced=3)
    skipped.add([], replaced=1)
    assert skipped.take_news() == ([bad(0), bad(1)], 4)
    skipped.add([bad(1)], replaced=1)
    assert skipped.take_news() == ([], 1)


def test_what_is_restored_counts_but_ends_a_run_only_when_met_again():
    skipped = SkippedFiles({"a": 100}, max_fraction=0.01)
    skipped.restore([bad(0), bad(1), bad(2)])
    assert skipped.count == 3
    assert skipped.stop_reason is None
    skipped.add([bad(0)])
    assert skipped.stop_reason is None
    assert skipped.take_news() == ([], 0)
    skipped.add([bad(2)])
    assert "2 of 100" in skipped.stop_reason.message
