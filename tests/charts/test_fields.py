"""What an axis stands for."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.charts.fields import column_of, read_column
from tracklib.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun


@pytest.fixture
def pair(record: Record) -> list[StoredRun]:
    """Return two runs that do not have the same."""
    sampled = {"loss": [2.0, 1.0, 3.0], "eval/loss.max": [5.0], "system/gpu/0/power_w": [9.0]}
    return [
        record("first", {"lr": 0.1, "optimizer": {"name": "adam"}, "loss": "mse", "loss.x": 1}, **sampled),
        record("second", {"lr": 1, "fast": True}, loss=[math.nan]),
    ]


@pytest.mark.parametrize(
    ("field", "label", "values"),
    [
        ("params.lr", "lr", (0.1, 1.0)),
        ("lr", "lr", (0.1, 1.0)),
        ("params['optimizer.name']", "optimizer.name", ("adam", None)),
        ("optimizer.name", "optimizer.name", ("adam", None)),
        ("fast", "fast", (None, "True")),
        ("loss", "loss", ("mse", None)),
        ("metrics.loss.min", "loss (min)", (1.0, math.nan)),
        ("loss.count", "loss (count)", (3.0, 1.0)),
        ("metrics['eval/loss.max']", "eval/loss.max", (5.0, None)),
        ("run.name", "name", ("first", "second")),
        ("status", "status", ("completed", "completed")),
    ],
)
def test_a_field_is_found_by_its_name(pair: list[StoredRun], field: str, label: str, values: Any) -> None:
    """As a search has it, or bare: params before metrics before attributes."""
    column = read_column(pair, field)

    assert column.label == label
    assert repr(column.values) == repr(values)


def test_fields_have_units(pair: list[StoredRun]) -> None:
    """Times are moments, spans are seconds, metrics of the machine have theirs."""
    assert read_column(pair, "run.duration").unit == "seconds"
    assert read_column(pair, "run.started").kind == "time"
    assert read_column(pair, "run.started").values[0] == pytest.approx(1000 * (pair[0].started_at or 0))
    assert read_column(pair, "system/gpu/0/power_w").unit == "W"


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("params.optimizer.nam", "has 'params.optimizer.nam'; did you mean 'optimizer.name'"),
        ("metrics.lss", "did you mean 'loss'"),
        ("momentum", "has 'momentum'; there are: .*lr"),
        ("tags.team", "there are: none"),
    ],
)
def test_what_no_run_has_is_said(pair: list[StoredRun], field: str, words: str) -> None:
    """With the names that are near, or those that there are."""
    with pytest.raises(NotFound, match=f"none of these 2 runs {words}" if "has" in words else words):
        read_column(pair, field)


@pytest.mark.parametrize("field", [" ", 5, None])
def test_what_is_no_field_is_said(pair: list[StoredRun], field: Any) -> None:
    """It is shown."""
    with pytest.raises(ConfigError, match=re.escape(repr(field))):
        read_column(pair, field)


def test_an_attribute_that_runs_do_not_have_is_said(pair: list[StoredRun]) -> None:
    """As by a search."""
    with pytest.raises(ConfigError, match="nothing"):
        read_column(pair, "run.nothing")


def test_values_of_mixed_types_are_text() -> None:
    """Numbers of any size are numbers."""
    assert column_of("x", [1, "a", [1, 2]]).values == ("1", "a", "[1, 2]")
    assert column_of("x", [10**400, -(10**400)]).values == (math.inf, -math.inf)
    assert column_of("x", [None, None]).kind == "category"
