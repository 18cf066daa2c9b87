"""What is known of how params and a metric belong together: as numbers, in words, as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tracklib.analysis.grids import Grid, grid_html, grid_text
from tracklib.analysis.group_comparison import p_text, value_text
from tracklib.errors import NotFound
from tracklib.frames import column_of, pandas_frame

if TYPE_CHECKING:
    from tracklib.analysis.correlations import Correlation, Scale
    from tracklib.analysis.importance_model import ModelFit
    from tracklib.analysis.param_matrix import ParamKind
    from tracklib.analysis.selecting import Statistic

__all__ = ["Importance", "ParamImportance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParamImportance:
    """One param and the metric.

    Attributes:
        name: Dotted.
        kind: number, flag (true or false), category, constant (the same in all runs), or unique (text that nearly
            every run has its own). The last two have no scores.
        distinct: How many values it has.
        missing: In how many runs it is missing, or None.
        score: By how much the model's R² on held-out runs falls when the param is shuffled; None without a model.
        score_std: The standard deviation of that over repeats.
        scale: Of a number: whether Pearson's r takes it as it is, or its logarithm.
        pearson: The linear correlation, of a number or flag.
        spearman: The correlation of ranks, likewise.
        eta_squared: Of a category: which part of the variance lies between its levels.
        together_with: Params that always change along with it: their score is one, and cannot be told apart.
    """

    name: str
    kind: ParamKind
    distinct: int
    missing: int
    score: float | None = None
    score_std: float | None = None
    scale: Scale | None = None
    pearson: Correlation | None = None
    spearman: Correlation | None = None
    eta_squared: float | None = None
    together_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Importance:
    """How much params have to do with a metric. Printed, it says what follows; in a notebook it shows itself.

    Attributes:
        metric: Its name.
        statistic: Which number of a run stands for it: last, min, max, mean or count.
        params: The most important first: by score where the model is reliable, else by how strongly they go with the
            metric one by one. Those without scores come last.
        fit: How good the model is; None where there is none.
        runs: How many runs were used.
        without_metric: How many were left out because they have no such metric.
        not_finite: How many were left out because its value is NaN or infinite.
        conclusion: What can be said, in sentences.
        cautions: What is to be known beside that.
    """

    metric: str
    statistic: Statistic
    params: tuple[ParamImportance, ...]
    fit: ModelFit | None
    runs: int
    without_metric: int
    not_finite: int
    conclusion: str
    cautions: tuple[str, ...]

    @property
    def is_reliable(self) -> bool:
        """Whether there is a model, and its scores may be relied on."""
        return self.fit is not None and self.fit.is_reliable

    def __getitem__(self, name: str) -> ParamImportance:
        found = next((param for param in self.params if param.name == name), None)
        if found is None:
            names = ", ".join(param.name for param in self.params[:10]) or "none"
            raise NotFound(f"there is no param {name!r} in this; there are: {names}")
        return found

    def to_pandas(self) -> Any:
        """Return a data frame with a row for each param, in their order.

        Raises:
            MissingDependency: pandas is not installed.
        """
        rows = [_row(param) for param in self.params]
        names = list(_row(ParamImportance(name="", kind="constant", distinct=0, missing=0)))
        return pandas_frame(column_of(name, [row[name] for row in rows]) for name in names)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        plain = asdict(self)
        if self.fit is not None:
            plain["fit"]["is_reliable"] = self.fit.is_reliable
        return plain

    def __repr__(self) -> str:
        fit = "no model" if self.fit is None else f"R² {self.fit.r2:.2f}"
        return f"<Importance of {len(self.params):,} params for {self.metric}: {self.runs:,} runs, {fit}>"

    def __str__(self) -> str:
        notes = [self.conclusion, *(f"- {caution}" for caution in self.cautions)]
        return "\n".join([*([grid_text(_grid(self))] if self.params else []), *notes])

    def _repr_html_(self) -> str:
        return grid_html(_grid(self, notes=(self.conclusion, *self.cautions)))


def _grid(found: Importance, *, notes: tuple[str, ...] = ()) -> Grid:
    header = ("param", "kind", "score", "±", "Pearson", "p", "Spearman", "p", "eta²", "values", "missing")
    return Grid(
        title=f"{found.metric} ({found.statistic}) in {found.runs:,} {'run' if found.runs == 1 else 'runs'}",
        header=header,
        rows=tuple(_cells(param) for param in found.params),
        notes=notes,
        keep=3,
    )


def _cells(param: ParamImportance) -> tuple[str, ...]:
    one, ranks = param.pearson, param.spearman
    return (
        param.name,
        f"{param.kind}, log" if param.scale == "log" else param.kind,
        _hundredths(param.score),
        _hundredths(param.score_std),
        _hundredths(None if one is None else one.r),
        p_text(None if one is None else one.p),
        _hundredths(None if ranks is None else ranks.r),
        p_text(None if ranks is None else ranks.p),
        _hundredths(param.eta_squared),
        str(param.distinct),
        str(param.missing),
    )


def _hundredths(value: float | None) -> str:
    # Nought is added so that what rounds to it has no sign.
    return value_text(None) if value is None else f"{round(value, 2) + 0.0:.2f}"


def _row(param: ParamImportance) -> dict[str, Any]:
    one, ranks = param.pearson, param.spearman
    return {
        "param": param.name,
        "kind": param.kind,
        "score": param.score,
        "score_std": param.score_std,
        "scale": param.scale,
        "pearson": None if one is None else one.r,
        "pearson_p": None if one is None else one.p,
        "spearman": None if ranks is None else ranks.r,
        "spearman_p": None if ranks is None else ranks.p,
        "n": None if one is None else one.n,
        "eta_squared": param.eta_squared,
        "distinct": param.distinct,
        "missing": param.missing,
        "together_with": ", ".join(param.together_with),
    }
