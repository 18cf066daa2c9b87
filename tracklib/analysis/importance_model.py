"""A random forest that learns a metric from params, and what it loses when a param is shuffled.

Known trade-offs: the forest is small enough that a thousand runs take a second or two, and of more than two thousand
runs each tree sees a part. Missing numbers are filled with the median of all runs, held-out ones among them, which
tells the forest nothing of the metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracklib.analysis.correlations import natural_scale
from tracklib.analysis.spreads import common_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tracklib.analysis.correlations import Scale
    from tracklib.analysis.param_matrix import ParamColumn

__all__ = ["LEAST_RUNS", "RELIABLE_R2", "ForestScores", "ModelFit", "forest_scores"]

LEAST_RUNS: Final = 20
"""With fewer runs there is no forest."""

RELIABLE_R2: Final = 0.3
"""A forest that explains less of the variance of held-out runs is not to be relied on."""

FOLDS: Final = 5
TREES: Final = 60
REPEATS: Final = 5
_MOST_SAMPLES: Final = 1600
"""How many runs a tree sees at the most."""

_MOST_ROWS: Final = 200_000
"""How many rows are predicted at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFit:
    """How well a random forest predicts the metric of runs that it has not seen.

    Attributes:
        r2: The part of the variance that it explains in held-out runs; 0 is as good as the mean, less is worse.
        runs: How many runs it has learned from.
        folds: Into how many parts the runs were divided, each of which was held out once.
        trees: Of each forest.
        repeats: How often each param was shuffled in each part.
        metric_scale: Whether it has learned the metric itself or its logarithm.
    """

    r2: float
    runs: int
    folds: int
    trees: int
    repeats: int
    metric_scale: Scale

    @property
    def is_reliable(self) -> bool:
        """Whether the scores may be relied on: from an R² of 0.3 on, by rule of thumb."""
        return self.r2 >= RELIABLE_R2


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestScores:
    """What a forest says of each group of params.

    Attributes:
        fit: How good it is itself.
        means: By group: by how much R² falls when the group is shuffled, the mean of all repeats.
        stds: The standard deviation of the repeats.
    """

    fit: ModelFit
    means: tuple[float, ...]
    stds: tuple[float, ...]


def forest_scores(groups: Sequence[Sequence[ParamColumn]], metric: NDArray[Any], *, seed: int) -> ForestScores:
    """Learn a metric from params, and return the permutation importance of each group of params.

    Each fifth of the runs is predicted by a forest that has not seen it. The importance of a group is by how much the
    R² of these predictions falls when the values of the group are dealt anew among the held-out runs, all columns
    of it together. So a param that was only learned by heart is worth nothing.

    Sources: L. Breiman (2001), Random forests, Machine Learning 45, 5-32; for groups and held-out data A. Fisher,
    C. Rudin and F. Dominici (2019), All models are wrong, but many are useful, Journal of Machine Learning Research
    20(177); forests are those of scikit-learn.

    Args:
        groups: Params that change together are one group.
        metric: `(runs,)`, finite and not constant.
        seed: The same one gives the same scores.
    """
    from sklearn.model_selection import KFold

    scale = natural_scale(metric)
    target = np.log(metric) if scale == "log" else metric / common_scale(metric)
    target = (target - target.mean()) / target.std()
    blocks = [np.column_stack([column.features() for column in group]) for group in groups]
    matrix = np.column_stack(blocks).astype(np.float32)
    ends = np.cumsum([block.shape[1] for block in blocks])
    spans = [slice(int(end) - block.shape[1], int(end)) for end, block in zip(ends, blocks, strict=True)]
    random = np.random.default_rng(seed)
    plain = 0.0
    shuffled = np.zeros((len(groups), REPEATS))
    for number, (train, test) in enumerate(KFold(FOLDS, shuffle=True, random_state=seed).split(matrix)):
        forest = _forest(len(train), seed + number).fit(matrix[train], target[train])
        plain += float(((forest.predict(matrix[test]) - target[test]) ** 2).sum())
        shuffled += _errors_of_dealt(forest, matrix[test], target[test], spans, random)
    # The target has variance 1, so that squares by the number of runs are parts of the variance.
    losses = (shuffled - plain) / len(target)
    fit = ModelFit(
        r2=1 - plain / len(target), runs=len(target), folds=FOLDS, trees=TREES, repeats=REPEATS, metric_scale=scale
    )
    return ForestScores(
        fit=fit,
        means=tuple(float(each) for each in losses.mean(axis=1)),
        stds=tuple(float(each) for each in losses.std(axis=1, ddof=1)),
    )


def _forest(runs: int, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        n_estimators=TREES,
        min_samples_leaf=2,
        max_features=0.5,
        max_samples=min(1.0, _MOST_SAMPLES / runs),
        random_state=seed,
        n_jobs=1,
    )


def _errors_of_dealt(
    forest: Any, rows: NDArray[Any], target: NDArray[Any], spans: Sequence[slice], random: np.random.Generator
) -> NDArray[Any]:
    """Return `(groups, repeats)`: the squared errors with each group of columns dealt anew among the rows.

    Many copies of the rows are predicted at once: a forest takes a while to begin, whatever it is asked.
    """
    errors = np.empty((len(spans), REPEATS))
    at_once = max(1, _MOST_ROWS // (REPEATS * len(rows)))
    for first in range(0, len(spans), at_once):
        part = spans[first : first + at_once]
        copies = np.broadcast_to(rows, (len(part), REPEATS, *rows.shape)).copy()
        for index, span in enumerate(part):
            for repeat in range(REPEATS):
                copies[index, repeat, :, span] = rows[random.permutation(len(rows)), span]
        predicted = forest.predict(copies.reshape(-1, rows.shape[1])).reshape(len(part), REPEATS, len(rows))
        errors[first : first + len(part)] = ((predicted - target) ** 2).sum(axis=2)
    return errors
