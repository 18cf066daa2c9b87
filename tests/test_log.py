"""Metrics: what counts as a number, as a step and as a name, and what becomes of the rest."""

from __future__ import annotations

import logging
import math
import threading
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracklib

if TYPE_CHECKING:
    from tracklib.reading import Series

pytestmark = pytest.mark.usefixtures("bare")

VALUES: list[tuple[Any, float]] = [
    (1, 1.0),
    (-0.0, -0.0),
    (0.1, 0.1),
    (True, 1.0),
    (2**53 + 1, float(2**53)),
    (10**400, math.inf),
    (-(10**400), -math.inf),
    (5e-324, 5e-324),
    (1.7976931348623157e308, 1.7976931348623157e308),
    (math.nan, math.nan),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    (Decimal("0.25"), 0.25),
    (Decimal("1e400"), math.inf),
    (Fraction(1, 8), 0.125),
    (Fraction(-(10**400)), -math.inf),
    (np.float64(0.5), 0.5),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float16(0.5), 0.5),
    (np.int64(-3), -3.0),
    (np.uint8(255), 255.0),
    (np.bool_(True), 1.0),
    (np.array(0.5), 0.5),
    (np.array([0.5]), 0.5),
    (np.array([[7]]), 7.0),
    (torch.tensor(0.5), 0.5),
    (torch.tensor([0.5]), 0.5),
    (torch.tensor([[3]]), 3.0),
    (torch.tensor(True), 1.0),
    (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
    (torch.tensor(0.5, requires_grad=True), 0.5),
    (torch.tensor([0.5], requires_grad=True) * 2, 1.0),
]
NO_NUMBERS: list[Any] = [
    None,
    "0.5",
    b"1",
    bytearray(b"1"),
    memoryview(b"1"),
    [0.5],
    {"a": 1},
    object(),
    1j,
    np.array([1.0, 2.0]),
    np.array([]),
    np.array("0.5"),
    np.str_("1"),
    np.complex64(1),
    torch.tensor([1.0, 2.0]),
    torch.tensor([]),
    Decimal("sNaN"),
]


def logged(*values: Any, step: Any = None) -> Series:
    with tracklib.start_run() as run:
        for value in values:
            run.log({"value": value}, step=step)
    return tracklib.get_run(run).series("value")


def of_type(value: object) -> str:
    # Without addresses, which differ from process to process.
    return f"{type(value).__name__}-{repr(value).partition(' at 0x')[0]:.30}"


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=of_type)
def test_a_number_of_any_library_is_kept(value: Any, expected: float) -> None:
    """Through the first call of a name as through the later ones, which take another way."""
    series = logged(value, value, value)

    np.testing.assert_array_equal(series.values, [expected] * 3)
    assert math.copysign(1, series.values[-1]) == math.copysign(1, expected)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=of_type)
def test_what_is_no_number_is_left_out_with_a_warning(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the call is kept, each value counted; the warning names metric and type, and comes once."""
    with tracklib.start_run() as run:
        for step in range(3):
            run.log({"good": step, "odd": value, "better": -step})

    stored = tracklib.get_run(run)
    assert sorted(stored.metrics) == ["better", "good"]
    assert stored.series("better").values.tolist() == [0, -1, -2]
    assert stored.info.dropped == {"no number": 3}
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "'odd'" in warning
    assert type(value).__name__ in warning


def test_each_name_has_a_warning_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Two odd metrics are two pieces of news."""
    with tracklib.start_run() as run:
        run.log({"a": "x", "b": None})
        run.log({"a": "y", "b": None})

    assert [name for record in caplog.records for name in ("'a'", "'b'") if name in record.getMessage()] == [
        "'a'",
        "'b'",
    ]
    assert tracklib.get_run(run).metrics == {}


def test_a_metric_that_was_a_number_may_cease_to_be_one() -> None:
    """And begin again: only the odd values are missing."""
    series = logged(1, None, 2, "x", 3)

    assert series.values.tolist() == [1, 2, 3]
    assert series.steps.tolist() == [0, 2, 4]


@given(values=st.lists(st.floats(), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_floats_come_back_bit_by_bit(values: list[float]) -> None:
    """Signed zeros, subnormal numbers, infinities and NaN among them."""
    series = logged(*values)

    expected = np.array(values)
    np.testing.assert_array_equal(series.values, expected)
    np.testing.assert_array_equal(np.signbit(series.values), np.signbit(expected))


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0),
        (-5, -5),
        (True, 1),
        (3.0, 3),
        (-0.0, 0),
        (Decimal(4), 4),
        (np.int64(5), 5),
        (np.int8(127), 127),
        (np.uint64(6), 6),
        (np.float32(7), 7),
        (np.array(8), 8),
        (torch.tensor(9), 9),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
    ],
    ids=of_type,
)
def test_a_whole_number_is_a_step(step: Any, expected: int) -> None:
    """Of any library and type, on the first call as on later ones."""
    series = logged(0, 1, 2, step=step)

    assert series.steps.tolist() == [expected]
    assert series.values.tolist() == [2]


@pytest.mark.parametrize(
    "step",
    [0.5, math.nan, math.inf, "7", "seven", [1], {}, np.array([1, 2]), torch.tensor([1, 2]), torch.tensor(0.5), 1j],
    ids=of_type,
)
def test_a_step_that_is_no_whole_number_is_refused(step: Any) -> None:
    """At once and by name; calls without a step go on where they were."""
    with tracklib.start_run() as run:
        for _ in range(2):
            run.log({"value": 1})
            with pytest.raises(TypeError, match=r"step is .*whole number"):
                run.log({"value": 2}, step=step)

    assert tracklib.get_run(run).series("value").steps.tolist() == [0, 1]


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 2**200, 1e300])
def test_a_step_that_does_not_fit_is_refused(step: float) -> None:
    """The message says what does."""
    with tracklib.start_run() as run, pytest.raises(ValueError, match=r"step is .*64 bits"):
        run.log({"value": 1}, step=step)  # type: ignore[arg-type]


def test_steps_come_in_any_order() -> None:
    """They are read in theirs; where one was logged again the later value counts, and both are kept."""
    with tracklib.start_run() as run:
        for step, value in [(5, 0), (-2, 1), (5, 2), (0, 3), (5, 4), (-2, 5)]:
            run.log({"value": value}, step=step)

    stored = tracklib.get_run(run)
    assert stored.series("value").steps.tolist() == [-2, 0, 5]
    assert stored.series("value").values.tolist() == [5, 3, 4]
    every = stored.series("value", every=True)
    assert every.steps.tolist() == [-2, -2, 0, 5, 5, 5]
    assert every.values.tolist() == [1, 5, 3, 0, 2, 4]
    assert stored.metrics["value"].count == 6


def test_calls_without_a_step_are_counted() -> None:
    """One counter for a run, which goes on behind the highest step."""
    with tracklib.start_run() as run:
        run.log({"a": 0})
        run.log({"b": 1})
        run.log({"a": 2}, step=10)
        run.log({"a": 3})
        run.log({"a": 4}, step=3)
        run.log({"a": 5}, step=np.int64(20))  # type: ignore[arg-type]
        run.log({"a": 6})
        run.log({"a": 7}, step=30.0)  # type: ignore[arg-type]
        run.log({"a": 8})

    stored = tracklib.get_run(run)
    assert stored.series("a").steps.tolist() == [0, 3, 10, 11, 20, 21, 30, 31]
    assert stored.series("b").steps.tolist() == [1]


def test_the_counter_is_not_of_the_last_steps_type() -> None:
    """One more than the highest number of eight bits is a step too."""
    with tracklib.start_run() as run:
        run.log({"a": 0}, step=0)
        run.log({"a": 1}, step=np.int8(127))  # type: ignore[arg-type]
        run.log({"a": 2})

    assert tracklib.get_run(run).series("a").steps.tolist() == [0, 127, 128]


def test_a_context_goes_before_the_name() -> None:
    """It is the first segment of a path."""
    with tracklib.start_run() as run:
        for step in range(3):
            run.log({"loss": step, "a/b": 1}, step=step, context="eval")
            run.log_metric("loss", -step, step, "train")
            run.log({"loss": 5}, step=step, context="")

    stored = tracklib.get_run(run)
    assert sorted(stored.metrics) == ["eval/a/b", "eval/loss", "loss", "train/loss"]
    assert stored.metrics["eval/loss"].context == "eval"
    assert stored.series("train/loss").values.tolist() == [0, -1, -2]


@pytest.mark.parametrize("context", [5, b"eval", ["eval"]], ids=of_type)
def test_a_context_is_text(context: Any) -> None:
    """Anything else is refused by name."""
    with tracklib.start_run() as run, pytest.raises(TypeError, match="context is"):
        run.log({"loss": 1}, context=context)


@pytest.mark.parametrize(
    "name",
    [
        "loss",
        "",
        " ",
        "a b",
        "a/b/c",
        "/",
        "//a",
        "a.b",
        ".",
        "..",
        "a'b\"c",
        "a\nb",
        "a\x00b",
        "größe",
        "损失",
        "🔥",
        "%s",
    ],
    ids=repr,
)
def test_any_text_is_a_name(name: str) -> None:
    """It is read back as it was."""
    with tracklib.start_run() as run:
        run.log({name: 1})
        run.log({name: 2})

    stored = tracklib.get_run(run)
    assert list(stored.metrics) == [name]
    assert stored.series(name).values.tolist() == [1, 2]


def test_a_name_may_have_ten_thousand_characters() -> None:
    """Names that are alike up to their ends stay apart."""
    names = [f"{'x' * 9_999}{end}" for end in "ab"]
    with tracklib.start_run() as run:
        run.log(dict(zip(names, (1, 2), strict=True)))

    stored = tracklib.get_run(run)
    assert [stored.metrics[name].last for name in names] == [1, 2]


def test_half_of_a_character_is_escaped() -> None:
    """A lone surrogate, which no file could hold, is kept as its escape."""
    with tracklib.start_run() as run:
        run.log({"\ud800x": 1})

    assert list(tracklib.get_run(run).metrics) == ["\\ud800x"]


def test_a_run_may_have_ten_thousand_metrics() -> None:
    """In one call or in many."""
    many = {f"layer.{number}/norm": float(number) for number in range(10_000)}
    with tracklib.start_run() as run:
        run.log(many, step=0)
        for name, value in many.items():
            run.log({name: -value}, step=1)

    stored = tracklib.get_run(run)
    assert len(stored.metrics) == 10_000
    assert stored.series("layer.9999/norm").values.tolist() == [9999, -9999]
    assert sum(summary.count for summary in stored.metrics.values()) == 20_000


@pytest.mark.parametrize(
    "values", [3, None, "loss", ["loss"], [("loss", 1)], {1, 2}, {5: 1}, {None: 1}, {("a",): 1}], ids=str
)
def test_what_is_no_mapping_of_names_is_refused(values: Any) -> None:
    """At the call, with an example of what would do."""
    with tracklib.start_run() as run:
        run.log({"loss": 1})
        with pytest.raises(TypeError, match=r"log\(\{'loss': 0.3\}\)|write str\(name\)"):
            run.log(values)


def test_any_mapping_will_do() -> None:
    """Also one that cannot be changed, and one without anything in it."""
    with tracklib.start_run() as run:
        run.log(MappingProxyType({"loss": 1}))
        run.log({})
        run.log(MappingProxyType({"loss": 2}))

    assert tracklib.get_run(run).series("loss").values.tolist() == [1, 2]


def test_the_order_of_names_does_not_matter() -> None:
    """The same names in another order, and some of them alone, are the same metrics."""
    with tracklib.start_run() as run:
        for values in ({"a": 1, "b": 2}, {"b": 3, "a": 4}, {"a": 5}, {"b": 6}, {"a": 7, "b": 8}):
            run.log(values)

    stored = tracklib.get_run(run)
    assert stored.series("a").values.tolist() == [1, 4, 5, 7]
    assert stored.series("b").values.tolist() == [2, 3, 6, 8]


def test_the_dict_may_be_changed_and_used_again() -> None:
    """What was logged is what it held at the call."""
    values = {"a": 1.0}
    with tracklib.start_run() as run:
        for number in range(3):
            values["a"] = number
            run.log(values)
            values.clear()

    assert tracklib.get_run(run).series("a").values.tolist() == [0, 1, 2]


def test_the_module_functions_log_to_the_active_run() -> None:
    """`log`, `log_metric` and `log_metrics` are one."""
    with tracklib.start_run() as run:
        tracklib.log({"loss": 1}, step=3)
        tracklib.log_metric("loss", 2, step=4)
        tracklib.log_metrics({"loss": 3}, 5, "eval")
        run.log_metrics({"loss": 4}, 6)

    stored = tracklib.get_run(run)
    assert stored.series("loss").steps.tolist() == [3, 4, 6]
    assert stored.series("eval/loss").steps.tolist() == [5]


def test_threads_log_side_by_side() -> None:
    """Nothing is lost and nothing torn apart."""
    with tracklib.start_run() as run:

        def work(number: int) -> None:
            for step in range(1000):
                run.log({f"thread/{number}": step, "shared": number}, step=step)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    stored = tracklib.get_run(run)
    assert stored.metrics["shared"].count == 4000
    for number in range(4):
        assert stored.series(f"thread/{number}").values.tolist() == list(range(1000))


def test_what_is_logged_after_the_end_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The program goes on; the warning says how to go on with the run."""
    with tracklib.start_run() as run:
        run.log({"loss": 1})
    run.log({"loss": 2})
    run.log({"loss": 3})
    run.log_params({"lr": 1})

    (warning,) = [record.getMessage() for record in caplog.records]
    assert f"start_run(resume='{run.id}')" in warning
    assert tracklib.get_run(run).series("loss").values.tolist() == [1]


def test_times_are_those_of_the_calls() -> None:
    """They do not go back within a run, and lie within it."""
    with tracklib.start_run() as run:
        for _ in range(5):
            run.log({"loss": 1})

    stored = tracklib.get_run(run)
    assert stored.started_at is not None
    assert stored.ended_at is not None
    times = stored.series("loss").times
    assert stored.started_at <= times[0] <= times[-1] <= stored.ended_at
    assert (np.diff(times) >= 0).all()


def test_the_summary_is_a_fold_of_the_points() -> None:
    """NaN counts as a point, but is neither least nor greatest nor part of the mean."""
    with tracklib.start_run() as run:
        for step, value in enumerate([3.0, math.nan, 1.0, 2.0]):
            run.log({"loss": value}, step=step * 10)

    summary = tracklib.get_run(run).metrics["loss"]
    assert (summary.last, summary.min, summary.max, summary.mean) == (2, 1, 3, 2)
    assert (summary.count, summary.first_step, summary.last_step) == (4, 0, 30)
