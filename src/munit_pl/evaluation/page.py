"""The report of an evaluation as one HTML file: pictures first, then numbers."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template

from munit_pl.checks import PositiveInt, checked
from munit_pl.evaluation.codes_section import into_the_codes
from munit_pl.evaluation.gallery import picture_of, picture_sections
from munit_pl.evaluation.plots import plot_distributions, plot_metrics, plot_style_map
from munit_pl.evaluation.report import Report
from munit_pl.evaluation.style_space import map_styles
from munit_pl.evaluation.task import DIRECTIONS, EvaluationTask
from munit_pl.io.files import write_whole
from munit_pl.reports.curves import draw_sections
from munit_pl.reports.logs import log_files, read_logs


@checked
def write_page(
    path: Path,
    report: Report,
    task: EvaluationTask,
    run_folder: Path | None,
    num_images: PositiveInt = 6,
    num_styles: PositiveInt = 8,
) -> None:
    """Write a page that shows what a model does, and what was measured of it.

    It needs no other file and no network.

    Args:
        path: The HTML file.
        report: What was measured.
        task: What it was measured on. Its first test images are shown.
        run_folder: The training run's, whose logs give curves, if it is known.
        num_images: Inputs, and examples, of each domain, or as many as there are.
        num_styles: Random styles.

    Raises:
        ValueError: If a number is below 1.
    """
    compared = [metric for metric in report.metrics if metric.real is not None]
    spread = report.distributions
    logs = read_logs(log_files(run_folder)) if run_folder else {}
    html = _template().render(
        report=report,
        sections=picture_sections(task, num_images, num_styles),
        maps=[
            picture_of(
                plot_style_map(map_styles(task, there)), f"map of domain {there.target}'s styles"
            )
            for there in (DIRECTIONS if task.translator.reads_styles else ())
        ],
        codes=[(block, picture_of(block.plot, block.title)) for block in into_the_codes(task)],
        curves=draw_sections(logs),
        style=files("munit_pl.reports").joinpath("page.css").read_text(encoding="utf-8"),
        overview=picture_of(
            plot_metrics(compared) if compared else None, "each metric beside that of real images"
        ),
        distributions=picture_of(
            plot_distributions(spread) if spread else None, "histograms of single inputs' values"
        ),
    )
    write_whole(path, html)


def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("munit_pl.evaluation").joinpath("page.html.jinja")
    return environment.from_string(source.read_text(encoding="utf-8"))
