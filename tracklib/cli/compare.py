"""`tracklib compare`: runs, experiments or groups of runs side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from tracklib.cli.choosing import choosing_options
from tracklib.cli.options import Command, json_option
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from tracklib.analysis.compare import Comparison
    from tracklib.analysis.compared_code import CodeDiff
    from tracklib.analysis.compared_environments import EnvironmentDiff
    from tracklib.analysis.compared_inputs import InputsDiff
    from tracklib.cli.choosing import Choice

__all__ = ["compare"]

MOST_RUNS: Final = 1000
"""So many of the runs that a filter finds are compared."""

_STATISTICS: Final = ("last", "min", "max", "mean", "count")


@click.command(
    cls=Command,
    examples=[
        "tracklib compare lr-0.1 lr-0.01 --baseline lr-0.01",
        "tracklib compare \"params.model == 'resnet'\" --project digits --metric eval/accuracy",
        "tracklib compare --experiments --project digits --metric eval/accuracy",
        'tracklib compare --group "params.lr < 0.01" --group "params.lr >= 0.01" --metric eval/accuracy',
        "tracklib compare latest baseline --code",
    ],
)
@choosing_options
@click.option("--baseline", metavar="RUN", help="What the others are compared to; by default the first.")
@click.option("--metric", "metrics", metavar="NAME", multiple=True, help="What decides which is best; repeatable.")
@click.option(
    "--statistic",
    type=click.Choice(_STATISTICS),
    default="last",
    show_default=True,
    help="Which number stands for a metric of a run.",
)
@click.option(
    "--higher-is-better/--lower-is-better", "higher", default=None, help="Of --metric, over the project's setting."
)
@click.option(
    "--experiments",
    "pages",
    flag_value="experiments",
    multiple=True,
    help="Compare experiments by what their runs reached.",
)
@click.option(
    "--code", "pages", flag_value="code", multiple=True, help="Show how the code of two runs differs instead."
)
@click.option(
    "--environment", "pages", flag_value="environment", multiple=True, help="The same for packages, system and machine."
)
@click.option(
    "--inputs", "pages", flag_value="inputs", multiple=True, help="The same for the artifacts that they read."
)
@click.option(
    "--group", "groups", metavar="FILTER", multiple=True, help="Test whether groups of runs differ; two or more times."
)
@json_option
def compare(  # noqa: PLR0913 - one argument for each option
    *,
    choice: Choice,
    baseline: str | None,
    metrics: tuple[str, ...],
    statistic: str,
    higher: bool | None,
    pages: tuple[str, ...],
    groups: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare runs: the params that differ, and metrics beside those of a baseline.

    RUN is as for `tracklib show`; FILTER as for `tracklib runs`, whose newest 1,000 runs are compared. With
    --experiments, words are names of experiments, and without any all of the --project are meant. With --group, the
    runs that each filter finds are tested against each other: the means of the --metric, with p-values and confidence
    intervals. Which way is better is never guessed: it stands in the project's settings, or is given.
    """
    asked: dict[str, Any] = {"statistic": statistic, "higher_is_better": higher}
    page = _only(pages)
    if higher is not None and not metrics:
        raise click.UsageError("--higher-is-better and --lower-is-better are about a --metric: name it.")
    if groups:
        _refuse(baseline=baseline, page=page)
        _compare_groups(choice, groups, metrics, asked, as_json=as_json)
    elif page == "experiments":
        _compare_experiments(choice, baseline, metrics, asked, as_json=as_json)
    else:
        compared = _compared_runs(choice, baseline, metrics, asked)
        _show(compared, page, as_json=as_json)


def _only(pages: tuple[str, ...]) -> str | None:
    several = [f"--{page}" for page in dict.fromkeys(pages)]
    if len(several) > 1:
        raise click.UsageError(f"{' and '.join(several)} are shown one at a time.")
    return pages[0] if pages else None


def _refuse(**given: str | None) -> None:
    for name, value in given.items():
        if value is not None:
            word = value if name == "page" else name
            raise click.UsageError(f"--{word} does not go with --group.")


def _compared_runs(choice: Choice, baseline: str | None, metrics: tuple[str, ...], asked: dict[str, Any]) -> Comparison:
    from tracklib.analysis.compare import compare as compare_runs
    from tracklib.cli.choosing import choose_runs
    from tracklib.cli.output import console, styled

    if len(metrics) > 1:
        raise click.UsageError("One --metric decides which run is best.")
    chosen = choose_runs(choice, limit=MOST_RUNS)
    if chosen.more:
        console(error=True).print(styled(f"There are more: the newest {MOST_RUNS:,} are compared.", "dim"))
    if len(chosen.runs) < 2:
        raise ConfigError(f"only the run {chosen.runs[0].name!r} is meant, but a comparison takes two or more")
    return compare_runs(chosen.runs, baseline=baseline, metric=metrics[0] if metrics else None, **asked)


def _show(compared: Comparison, page: str | None, *, as_json: bool) -> None:
    """Print a comparison, or what differs of the code, environment or inputs of its two runs."""
    from tracklib.cli.compare_pages import print_comparison, print_difference
    from tracklib.cli.output import print_json

    if page is None:
        print_json(compared.to_dict()) if as_json else print_comparison(compared)
        return
    if len(compared.runs) != 2:
        raise click.UsageError(f"--{page} compares two runs, not {len(compared.runs):,}: name them.")
    difference = _difference(compared, page)
    print_json(difference.to_dict()) if as_json else print_difference(str(difference))


def _difference(compared: Comparison, page: str) -> CodeDiff | EnvironmentDiff | InputsDiff:
    if page == "code":
        return compared.code_diff()
    return compared.environment_diff() if page == "environment" else compared.inputs_diff()


def _compare_experiments(
    choice: Choice, baseline: str | None, metrics: tuple[str, ...], asked: dict[str, Any], *, as_json: bool
) -> None:
    from tracklib.analysis.compare_experiments import compare_experiments
    from tracklib.cli.compare_pages import print_experiments
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import check_place, reach_existing

    if choice.experiment or choice.tags or choice.archived:
        raise click.UsageError("--experiment, --tag and --archived do not go with --experiments: name the experiments.")
    if not choice.words and choice.project is None:
        raise click.UsageError("Name experiments, or the --project of which all are meant.")
    store = reach_existing(choice.store)
    check_place(store, choice.project, None)
    compared = compare_experiments(
        choice.words or None,
        project=choice.project,
        metrics=metrics or None,
        baseline=baseline,
        status=choice.status or "completed",
        store=store.uri,
        **asked,
    )
    print_json(compared.to_dict()) if as_json else print_experiments(compared)


def _compare_groups(
    choice: Choice, groups: tuple[str, ...], metrics: tuple[str, ...], asked: dict[str, Any], *, as_json: bool
) -> None:
    from tracklib.analysis.significance import compare_groups
    from tracklib.cli.choosing import choose_runs
    from tracklib.cli.compare_pages import print_groups
    from tracklib.cli.output import print_json

    if choice.words:
        raise click.UsageError("With --group, runs are meant by its filters and by options such as --project alone.")
    if not metrics or len(set(groups)) < 2:
        raise click.UsageError("Name at least one --metric, and two groups: --group FILTER --group FILTER.")
    members = {text: choose_runs(replace(choice, words=(text,))).runs for text in groups}
    compared = compare_groups(members, metric=metrics, **asked)
    print_json(compared.to_dict()) if as_json else print_groups(compared)
