"""What the importance of params says, and what it cannot say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.analysis.importance_model import LEAST_RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.analysis.importance_model import ModelFit
    from tracklib.analysis.importance_result import ParamImportance

__all__ = ["conclusion_of", "left_out", "together", "who_is_constant"]

_MOST_NAMED: Final = 3
_CLEAR: Final = 2.0
"""A score of so many standard deviations over nought counts."""


def conclusion_of(
    params: Sequence[ParamImportance], metric: str, *, runs: int, fit: ModelFit | None, is_constant: bool
) -> str:
    """Return what can be said, in sentences."""
    if not runs:
        return f"No run has a value of {metric}: nothing can be said."
    if is_constant:
        return f"All values of {metric} are the same: there is nothing to explain."
    if not any(param.kind not in {"constant", "unique"} for param in params):
        return "No param differs between the runs in a way that could be told: there is nothing to explain it with."
    if fit is None:
        return (
            f"There is no model: it takes {LEAST_RUNS} runs, and there are {runs}. "
            "Correlations stand for themselves; with so few runs, little should be read into them."
        )
    if not fit.is_reliable:
        return (
            f"The model explains {_percent(fit.r2)} of the variance of {metric} in runs that it has not seen, which is "
            "too little: do not rely on the scores. Params may not matter, or more runs are needed. "
            "The order is that of the correlations."
        )
    return (
        f"The model explains {_percent(fit.r2)} of the variance of {metric} in runs that it has not seen. "
        f"{_leaders(params)}"
    )


def left_out(metric: str, *, without_metric: int, not_finite: int) -> list[str]:
    """Say which runs were not used."""
    said = []
    if without_metric:
        said.append(f"{_runs(without_metric)} without {metric} left out.")
    if not_finite:
        said.append(f"{_runs(not_finite)} left out whose {metric} is NaN or infinite.")
    return said


def together(groups: Sequence[tuple[str, ...]]) -> list[str]:
    """Say which params cannot be told apart."""
    return [
        f"{', '.join(names[:-1])} and {names[-1]} always change together: which of them matters cannot be told."
        for names in groups
        if len(names) > 1
    ]


def who_is_constant(params: Sequence[ParamImportance]) -> list[str]:
    """Say which params have no scores, and why."""
    said = []
    for kind, why in (("constant", "the same in all runs"), ("unique", "different in nearly every run")):
        names = [param.name for param in params if param.kind == kind]
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            said.append(f"Without scores, being {why}: {', '.join(names[:10])}{more}.")
    return said


def _leaders(params: Sequence[ParamImportance]) -> str:
    clear = [
        param
        for param in params
        if param.score is not None and param.score > 0.01 and param.score > _CLEAR * (param.score_std or 0.0)
    ]
    if not clear:
        return "No single param stands out."
    first, rest = clear[0], clear[1:_MOST_NAMED]
    after = f", then {' and '.join(_scored(param) for param in rest)}" if rest else ""
    more = len(clear) - 1 - len(rest)
    others = f"; {more} more matter less" if more > 0 else "; no other param adds much" if not rest else ""
    return f"{_scored(first)} matters most{after}{others}."


def _scored(param: ParamImportance) -> str:
    return f"{' with '.join([param.name, *param.together_with])} ({param.score:.2f})"


def _percent(r2: float) -> str:
    return "nothing" if r2 <= 0 else f"{100 * r2:.0f} %"


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"
