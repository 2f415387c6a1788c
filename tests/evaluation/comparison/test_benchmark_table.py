import pytest

from munit_pl.evaluation.comparison import table as table_file
from munit_pl.evaluation.comparison.subject import Wording
from munit_pl.evaluation.comparison.table import summarize

SHOES = Wording("To shoes", "real shoes", "drawn shoes", "drawing", ("As drawn.",), published=True)
PHOTOS = Wording("x: a to b", "real images", "images", "image", ("Of photos.",))


def make_table(runs, real, wording=SHOES):
    return table_file.make_table(runs, real, wording)


def make_run(seed, iou, image=0.5, **more):
    return {
        "seed": seed,
        "asked": {
            "steps": 20,
            "settings": ["a=1"],
            "extent": {"inputs": 4, "styles": 2, "varied": 3, "pairs": 5, "compared": 8},
        },
        "data": {"size": [16, 32], "batch_size": 2},
        "metrics": {"silhouette_iou": iou, "parameters": 1234567, **more},
        "losses": {"image": image, "content": 1.0, "style": 2.0},
        "seconds": 90.0,
        "versions": {"torch": "9.9"},
    }


def line(table, label):
    """Return the cells of the rows so labeled."""
    return [
        [cell.strip() for cell in row.strip("|").split("|")[1:]]
        for row in table.splitlines()
        if row.startswith(f"| {label} |")
    ]


def test_runs_are_summarized_by_mean_and_unbiased_deviation():
    # The mean of 1, 2 and 6 is 3; the squares of -2, -1 and 3 add up to 14, and 14 / 2 is 7.
    assert summarize([1.0, 2.0, 6.0], 3) == "3.000 ± 2.646"
    assert summarize([0.25], 1) == "0.2"


def test_a_metric_that_a_run_lacks_is_not_made_up():
    assert summarize([], 2) == "-"
    assert summarize([1.0, None], 2) == "-"


def test_rows_come_in_the_papers_order_with_its_metrics_beside():
    runs = {"munit": [make_run(0, 0.9), make_run(1, 0.7)], "unit": [make_run(0, 0.5)]}
    table = make_table(runs, {"silhouette_iou": 0.99})
    assert table.index("| UNIT |") < table.index("| MUNIT |") < table.index("| real shoes |")
    (unit, *_), (munit, *_), (real,) = (line(table, x) for x in ("UNIT", "MUNIT", "real shoes"))
    assert munit[0] == "0.800 ± 0.141"
    assert unit[0] == "0.500"
    assert real[0] == "0.990"
    assert munit[-2:] == ["50.0 %", "0.109"]
    assert unit[-2:] == ["37.4 % ?", "0.011 ?"]
    assert real[-2:] == ["-", "0.293 ?"]


def test_an_ablations_own_loss_is_in_bold():
    runs = {"no_image": [make_run(0, 0.1, image=1.25)], "munit": [make_run(0, 0.9)]}
    table = make_table(runs, {})
    _, losses, _ = line(table, "MUNIT without image reconstruction")
    assert losses == ["**1.250**", "1.000", "2.000"]
    _, losses, _ = line(table, "MUNIT")
    assert losses == ["0.500", "1.000", "2.000"]


def test_the_table_says_what_was_run():
    table = make_table({"unit": [make_run(0, 0.5), make_run(4, 0.5)]}, {})
    for told in ("20 iterations of 2 drawn shoes", "16x32; settings a=1", "torch 9.9"):
        assert told in table
    assert line(table, "UNIT")[-1] == ["1,234,567", "1.5 ± 0.0", "0, 4"]


@pytest.mark.parametrize("rows", [["unit"], ["munit", "no_style"]])
def test_every_line_of_a_table_has_as_many_cells(rows):
    table = make_table({row: [make_run(0, 0.5)] for row in rows}, {})
    for part in table.split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_own_images_have_the_metrics_that_there_are_and_not_the_papers():
    runs = {"unit": [make_run(0, None, color_energy=2.0)], "munit": [make_run(0, None)]}
    for name in runs:
        del runs[name][0]["metrics"]["silhouette_iou"]
    runs["munit"][0]["metrics"]["guided_error"] = 20.0
    table = make_table(runs, {"color_energy": 1.0}, PHOTOS)
    assert table.startswith("# x: a to b\n")
    titles = table.splitlines()[2]
    assert titles.count("|") == 4
    assert "silhouette" not in titles
    assert "paper" not in table
    assert line(table, "UNIT")[0] == ["2.0", "-"]
    assert line(table, "real images") == [["1.0", "-"]]
    assert "2 images of each domain" in table
    assert "- Of photos." in table
