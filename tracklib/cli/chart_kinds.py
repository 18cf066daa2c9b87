"""The commands of `tracklib chart`, one for each function of `tracklib.charts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracklib.cli.chart import chart_options, show
from tracklib.cli.options import Command

if TYPE_CHECKING:
    from tracklib.cli.chart import Wanted

__all__ = [
    "bar",
    "contour",
    "correlation",
    "importance",
    "learning_curve",
    "metric",
    "parallel",
    "scatter",
    "system",
    "timeline",
]

_log_x = click.option("--log-x", is_flag=True, help="Make the axis across logarithmic.")
_log_y = click.option("--log-y", is_flag=True, help="Make the axis upwards logarithmic.")
_smoothing = click.option(
    "--smoothing",
    metavar="WEIGHT",
    default=0.0,
    type=click.FloatRange(min=0.0, max=1.0, max_open=True),
    help="Weight of what was before, from 0 to below 1, as in TensorBoard.",
)
_x = click.option(
    "--x",
    type=click.Choice(["step", "time", "relative", "epoch"]),
    default="step",
    show_default=True,
    help="What runs across.",
)
_max_points = click.option(
    "--max-points",
    metavar="N",
    default=1000,
    show_default=True,
    type=click.IntRange(min=2),
    help="Points of a line at the most.",
)


@click.command(
    cls=Command,
    examples=[
        "tracklib chart metric eval/loss --project digits --log-y",
        "tracklib chart metric train/loss --and eval/loss latest -o losses.png",
    ],
)
@click.argument("name", metavar="METRIC")
@click.option("--and", "more", metavar="METRIC", multiple=True, help="One more metric in the same chart; repeatable.")
@_x
@_smoothing
@_log_x
@_log_y
@_max_points
@click.option("--no-band", is_flag=True, help="Leave the band from the lowest to the highest value out.")
@chart_options
def metric(*, name: str, more: tuple[str, ...], no_band: bool, wanted: Wanted, **options: Any) -> None:
    """Draw a metric of many runs as lines."""
    from tracklib.charts.metric_lines import metric as draw

    show("metric", wanted, lambda runs: draw(runs, (name, *more), band=not no_band, **options))


@click.command(
    cls=Command,
    examples=[
        "tracklib chart scatter --x params.lr --y eval/accuracy --log-x",
        "tracklib chart scatter --x run.duration --y eval/accuracy --color params.model",
    ],
)
@click.option("--x", metavar="FIELD", required=True, help="What runs across: params.lr, run.duration, a metric.")
@click.option("--y", metavar="FIELD", required=True, help="What runs upwards.")
@click.option("--color", metavar="FIELD", help="What the colour stands for; by default for the run.")
@_log_x
@_log_y
@chart_options
def scatter(*, wanted: Wanted, **options: Any) -> None:
    """Draw runs as points: two of their params, metrics or attributes.

    FIELD is written as in a filter: `params.lr`, `metrics['eval/loss'].min`, `tags.team`, `run.duration`, or the bare
    name of a param or metric.
    """
    from tracklib.charts.points import scatter as draw

    show("scatter", wanted, lambda runs: draw(runs, **options))


@click.command(cls=Command, examples=["tracklib chart bar eval/accuracy --project digits --most 10"])
@click.argument("field", metavar="METRIC|FIELD")
@click.option("--lowest", is_flag=True, help="Put the lowest first.")
@click.option("--most", metavar="N", default=50, show_default=True, type=click.IntRange(min=1), help="How many bars.")
@chart_options
def bar(*, field: str, wanted: Wanted, **options: Any) -> None:
    """Draw a bar for each run, the highest first."""
    from tracklib.charts.bars import bar as draw

    show("bar", wanted, lambda runs: draw(runs, field, **options))


@click.command(cls=Command, examples=["tracklib chart parallel eval/accuracy --param lr --param batch -o params.html"])
@click.argument("metric", metavar="METRIC")
@click.option(
    "--param", "params", metavar="NAME", multiple=True, help="Only these; by default those that differ. Repeatable."
)
@chart_options
def parallel(*, metric: str, params: tuple[str, ...], wanted: Wanted) -> None:
    """Draw each run as a line through its params, coloured by a metric."""
    from tracklib.charts.parallel import parallel_coordinates as draw

    show("parallel", wanted, lambda runs: draw(runs, metric, params=params or None))


@click.command(cls=Command, examples=["tracklib chart contour eval/accuracy --x lr --y batch"])
@click.argument("metric", metavar="METRIC")
@click.option("--x", metavar="PARAM", required=True, help="What runs across: a param, or a field as of a scatter.")
@click.option("--y", metavar="PARAM", required=True, help="What runs upwards.")
@chart_options
def contour(*, metric: str, wanted: Wanted, **options: Any) -> None:
    """Draw a metric over two params, as a surface between the runs."""
    from tracklib.charts.contours import contour as draw

    show("contour", wanted, lambda runs: draw(runs, metric, **options))


@click.command(cls=Command, examples=["tracklib chart correlation --project digits --method pearson"])
@click.option("--param", "params", metavar="NAME", multiple=True, help="Only these; repeatable.")
@click.option("--metric", "metrics", metavar="NAME", multiple=True, help="Only these; repeatable.")
@click.option(
    "--method",
    type=click.Choice(["spearman", "pearson"]),
    default="spearman",
    show_default=True,
    help="Of ranks, or of values.",
)
@chart_options
def correlation(*, params: tuple[str, ...], metrics: tuple[str, ...], method: Any, wanted: Wanted) -> None:
    """Draw how strongly each param goes together with each metric."""
    from tracklib.charts.correlations import correlation as draw

    show("correlation", wanted, lambda runs: draw(runs, params=params or None, metrics=metrics or None, method=method))


@click.command(cls=Command, examples=["tracklib chart timeline --project digits"])
@chart_options
def timeline(*, wanted: Wanted) -> None:
    """Draw when each run ran, and how it ended."""
    from tracklib.charts.timelines import timeline as draw

    show("timeline", wanted, draw)


@click.command(
    cls=Command,
    examples=[
        "tracklib chart system latest",
        "tracklib chart system latest --metric 'system/gpu/*/power_w' -o power.png",
    ],
)
@click.option(
    "--metric", "metrics", metavar="GLOB", multiple=True, help="Only these, such as 'system/gpu/*'; repeatable."
)
@chart_options
def system(*, metrics: tuple[str, ...], wanted: Wanted) -> None:
    """Draw what was sampled of the machine while a run ran.

    It is drawn of one run: of several that are meant, of the first.
    """
    from tracklib.charts.machine import system as draw

    show("system", wanted, lambda runs: draw(runs[0], metrics=metrics or None))


@click.command(
    cls=Command,
    examples=["tracklib chart learning-curve eval/accuracy --by params.model --project digits -o curves.html"],
)
@click.argument("metric", metavar="METRIC")
@click.option(
    "--by",
    "group_by",
    metavar="FIELD",
    default="run.experiment",
    show_default=True,
    help="What runs of one group have in common.",
)
@click.option(
    "--confidence",
    metavar="SHARE",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    help="Of the band around the mean.",
)
@_x
@_smoothing
@_log_x
@_log_y
@_max_points
@chart_options
def learning_curve(*, metric: str, wanted: Wanted, **options: Any) -> None:
    """Draw the mean of a metric over the runs of each group, such as several seeds."""
    from tracklib.charts.learning_curves import learning_curve as draw

    show("learning-curve", wanted, lambda runs: draw(runs, metric, **options))


@click.command(cls=Command, examples=["tracklib chart importance eval/accuracy --project digits -o importance.svg"])
@click.argument("metric", metavar="METRIC")
@chart_options
def importance(*, metric: str, wanted: Wanted) -> None:
    """Draw how much each param had to do with a metric."""
    from tracklib.charts.importances import importance as draw

    show("importance", wanted, lambda runs: draw(runs, metric))
