"""Which params make a metric what it is: `tracklib.param_importance`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.importance_result import Importance, ParamImportance
from tracklib.analysis.selecting import checked_statistic, stored_runs, value_of
from tracklib.errors import ConfigError, MissingDependency, NotFound
from tracklib.records import flatten_params
from tracklib.values import checked_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from tracklib.analysis.importance_model import ForestScores
    from tracklib.analysis.param_matrix import ParamColumn
    from tracklib.analysis.selecting import Statistic
    from tracklib.reading import StoredRun
    from tracklib.run import Run

__all__ = ["Importance", "param_importance"]

_ALIKE: Final = 0.95
"""Numbers whose ranks correlate more strongly share their scores, and are named."""

_MOST_PAIRS: Final = 5


def param_importance(
    runs: Iterable[str | Run | StoredRun],
    metric: str,
    *,
    params: Iterable[str] | None = None,
    statistic: Statistic = "last",
    seed: int = 0,
    store: str | os.PathLike[str] | None = None,
) -> Importance:
    """Return how much each param has to do with a metric.

    Numbers and flags have Pearson's and Spearman's correlation, categories the part of the variance that lies between
    their levels. Where there are 20 runs or more, a random forest learns the metric from all params at once; the
    score of a param is by how much its R² falls on runs that it has not seen when that param is shuffled among them.
    How good the forest is itself is told by `fit`: a useless one says so.

    A positive metric that spans two orders of magnitude is learned by its logarithm. Numbers that lie more evenly on a
    logarithmic scale, and span as much, enter Pearson's r by their logarithms; `scale` says which. Missing params
    count as a value of their own. All this tells what goes together in these runs, not what causes what.

    Sources: Pearson (1895), Spearman (1904), Fisher (1925), Breiman (2001), and Fisher, Rudin and Dominici (2019);
    cited in full in the modules `correlations` and `importance_model` of `tracklib.analysis`.

    Args:
        runs: Runs, or their ids; each counts once.
        metric: Name of the metric.
        params: Dotted names of the params to look at, or of groups of them such as `model`; all by default.
        statistic: Which number of a run stands for the metric: last, min, max, mean or count.
        seed: Of the forest and the shuffling; the same one gives the same scores.
        store: URI of the store for runs that are given by id; by default the one that runs go to.

    Raises:
        ConfigError: An argument cannot be meant.
        NotFound: There is no such run, or no run has the metric or a param.
        MissingDependency: SciPy or scikit-learn is not installed.

    Example:
        >>> runs = []
        >>> for number in range(40):
        ...     with tracklib.start_run(params={"lr": 10 ** -(number % 4), "net": "ab"[number % 2]}) as run:
        ...         run.log({"loss": number % 4 + 0.01 * number})
        ...     runs.append(run)
        >>> found = tracklib.param_importance(runs, "loss")
        >>> found.params[0].name, found.params[0].scale, found.is_reliable
        ('lr', 'log', True)
    """
    from tracklib.analysis.param_matrix import columns_of

    checked_text("metric", metric)
    chosen = checked_statistic(statistic)
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32 - 10:
        raise ConfigError(f"seed is {seed!r:.200}, but takes a whole number from 0 to some 4 billion")
    told = list({run.id: run for run in stored_runs(runs, store=store)}.values())
    wanted = _checked_params(params, told)
    measured = _measured(told, metric, chosen)
    _need_libraries()
    columns = columns_of([_chosen(run.params, wanted) for run in measured.runs])
    return _result(columns, measured, metric=metric, statistic=chosen, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """The runs that have a finite value, their values, and how many others there are."""

    runs: tuple[StoredRun, ...]
    values: tuple[float, ...]
    without_metric: int
    not_finite: int


def _measured(runs: Sequence[StoredRun], metric: str, statistic: Statistic) -> _Measured:
    from tracklib.analysis.samples import near_names

    values = {run.id: value_of(run, metric, statistic) for run in runs}
    told = [value for value in values.values() if value is not None]
    if runs and not told:
        known = {name for run in runs for name in run.metrics}
        raise NotFound(f"no run has a metric {metric!r}; {near_names(metric, known)}")
    used = [run for run in runs if math.isfinite(math.nan if (value := values[run.id]) is None else value)]
    return _Measured(
        runs=tuple(used),
        values=tuple(value for run in used if (value := values[run.id]) is not None),
        without_metric=len(runs) - len(told),
        not_finite=len(told) - len(used),
    )


def _checked_params(params: Any, runs: Sequence[StoredRun]) -> tuple[str, ...] | None:
    from tracklib.analysis.samples import near_names

    if params is None:
        return None
    if isinstance(params, (str, bytes)) or not hasattr(params, "__iter__"):
        raise ConfigError(f"params is {params!r:.200}, but takes a list of dotted names, such as ['training.lr']")
    wanted = tuple(checked_text("a name in params", name) for name in params)
    known = {name for run in runs for name, _ in flatten_params(run.params)}
    for name in wanted:
        if runs and not any(_is_in(each, name) for each in known):
            raise NotFound(f"no run has a param {name!r}; {near_names(name, known)}")
    return wanted


def _is_in(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}.")


def _chosen(params: Mapping[str, Any], wanted: tuple[str, ...] | None) -> dict[str, Any]:
    flat = dict(flatten_params(params))
    if wanted is None:
        return flat
    return {name: value for name, value in flat.items() if any(_is_in(name, each) for each in wanted)}


def _need_libraries() -> None:
    try:
        import_module("scipy")
        import_module("sklearn")
    except ImportError as error:
        raise MissingDependency(
            "param_importance needs SciPy and scikit-learn: pip install 'tracklib-ml[analysis]'"
        ) from error


def _result(
    columns: Sequence[ParamColumn], measured: _Measured, *, metric: str, statistic: Statistic, seed: int
) -> Importance:
    from tracklib.analysis.importance_words import conclusion_of, left_out, together, who_is_constant
    from tracklib.analysis.param_matrix import same_columns
    from tracklib.analysis.spreads import has_spread

    varying = [column for column in columns if column.kind not in {"constant", "unique"}]
    groups = same_columns(varying)
    explainable = has_spread(measured.values)
    scores = _scores(varying, groups, measured.values, seed=seed) if explainable else None
    described = [_described(column, measured.values, groups, scores) for column in columns]
    fit = None if scores is None else scores.fit
    reliable = fit is not None and fit.is_reliable
    described.sort(key=lambda param: _rank(param, measured.values, by_score=reliable), reverse=True)
    return Importance(
        metric=metric,
        statistic=statistic,
        params=tuple(described),
        fit=fit,
        runs=len(measured.runs),
        without_metric=measured.without_metric,
        not_finite=measured.not_finite,
        conclusion=conclusion_of(described, metric, runs=len(measured.runs), fit=fit, is_constant=not explainable),
        cautions=(
            *left_out(metric, without_metric=measured.without_metric, not_finite=measured.not_finite),
            *together(groups),
            *_alike(varying, groups),
            *who_is_constant(described),
        ),
    )


def _scores(
    varying: Sequence[ParamColumn], groups: Sequence[tuple[str, ...]], values: Sequence[float], *, seed: int
) -> ForestScores | None:
    import numpy as np

    from tracklib.analysis.importance_model import LEAST_RUNS, forest_scores

    if not varying or len(values) < LEAST_RUNS:
        return None
    named = {column.name: column for column in varying}
    return forest_scores([[named[name] for name in group] for group in groups], np.array(values), seed=seed)


def _described(
    column: ParamColumn, values: Sequence[float], groups: Sequence[tuple[str, ...]], scores: ForestScores | None
) -> ParamImportance:
    group = next((index for index, names in enumerate(groups) if column.name in names), None)
    scored: dict[str, Any] = {}
    if scores is not None and group is not None:
        scored = {"score": scores.means[group], "score_std": scores.stds[group]}
    return ParamImportance(
        name=column.name,
        kind=column.kind,
        distinct=column.distinct,
        missing=column.missing,
        together_with=() if group is None else tuple(name for name in groups[group] if name != column.name),
        **scored,
        **_one_by_one(column, values),
    )


def _one_by_one(column: ParamColumn, values: Sequence[float]) -> dict[str, Any]:
    """Return how a param by itself goes with the metric."""
    import numpy as np

    from tracklib.analysis.correlations import correlation_ratio, natural_scale, pearson, spearman

    if column.kind == "category":
        return {"eta_squared": correlation_ratio(column.levels, values)}
    if column.kind not in {"number", "flag"}:
        return {}
    there = ~np.isnan(column.numbers)
    x, y = column.numbers[there], np.array(values)[there]
    scale = natural_scale(x)
    return {
        "scale": scale if column.kind == "number" else None,
        "pearson": pearson(np.log(x) if scale == "log" else x, y),
        "spearman": spearman(x, y),
    }


def _rank(param: ParamImportance, values: Sequence[float], *, by_score: bool) -> tuple[int, float]:
    """Return where a param stands in the order: the larger the earlier."""
    if param.kind in {"constant", "unique"}:
        return (0, 0.0)
    if by_score:
        return (1, param.score or 0.0)
    coefficients = [each.r**2 for each in (param.pearson, param.spearman) if each is not None]
    if param.eta_squared is not None:
        # Less what as many levels would explain by chance, so that categories and numbers can be compared.
        within = max(1, len(values) - param.distinct)
        coefficients.append(1 - (1 - param.eta_squared) * (len(values) - 1) / within)
    return (1, max(coefficients, default=0.0))


def _alike(varying: Sequence[ParamColumn], groups: Sequence[tuple[str, ...]]) -> list[str]:
    """Say which numbers nearly always change together: a forest divides their score between them."""
    import numpy as np
    from scipy import stats

    same = {name: index for index, names in enumerate(groups) for name in names}
    numbers = [column for column in varying if column.kind == "number"]
    ranks = [stats.rankdata(column.features()[:, 0]) for column in numbers]
    if len(numbers) < 2 or len(ranks[0]) < 3:
        return []
    strong = np.triu(np.abs(np.corrcoef(ranks)) >= _ALIKE, 1)
    pairs = [(numbers[first].name, numbers[second].name) for first, second in np.argwhere(strong)]
    apart = [(one, two) for one, two in pairs if same[one] != same[two]]
    said = [
        f"{one} and {two} nearly always change together: a score may belong to the other as well."
        for one, two in apart[:_MOST_PAIRS]
    ]
    more = len(apart) - len(said)
    return [*said, *([f"So do {more} more pairs of params."] if more else [])]
