"""`tracklib chart`: every chart as a page, and as data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tracklib.cli.chart import KINDS

Call = Callable[..., Result]

SWEEP = ("--project", "digits", "--experiment", "lr-sweep")
WORDS: dict[str, tuple[str, ...]] = {
    "metric": ("eval/accuracy", "--and", "train/loss", "--smoothing", "0.5", "--log-y", *SWEEP),
    "scatter": ("--x", "params.training.lr", "--y", "eval/accuracy", "--log-x", *SWEEP),
    "bar": ("eval/accuracy", *SWEEP),
    "parallel": ("eval/accuracy", *SWEEP),
    "contour": ("eval/accuracy", "--x", "training.lr", "--y", "run.duration", *SWEEP),
    "correlation": ("--method", "pearson", *SWEEP),
    "importance": ("eval/accuracy", *SWEEP),
    "timeline": SWEEP,
    "system": ("full",),
    "learning-curve": ("eval/accuracy", "--by", "params.model.hidden", *SWEEP),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pages(kind: str, call: Call, store: str) -> None:
    """Without -o a page named after the chart is written here, and its name printed."""
    text = call("chart", kind, *WORDS[kind], "--store", store).stdout

    assert text == f"chart-{kind}.html\n"
    assert "plotly" in Path(text.strip()).read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("kind", KINDS)
def test_data(kind: str, call: Call, store: str) -> None:
    """With --json the data are printed, as lists of numbers and texts, and no file is written."""
    told = json.loads(call("chart", kind, *WORDS[kind], "--store", store, "--json").stdout)

    assert set(told) == {"chart", "file", "runs", "data", "layout"}
    assert (told["chart"], told["file"]) == (kind, None)
    assert all("type" in trace for trace in told["data"])
    assert told["runs"]
    assert not list(Path.cwd().iterdir())


def test_values_of_a_metric(call: Call, store: str) -> None:
    """The numbers are those that were logged."""
    told = json.loads(call("chart", "metric", "eval/accuracy", "lr-0.1", "--store", store, "--json").stdout)

    line = next(trace for trace in told["data"] if trace.get("name") == "lr-0.1")
    assert line["x"] == list(range(50))
    assert line["y"][-1] == pytest.approx(0.99255, abs=1e-5)


def test_data_and_file(call: Call, store: str) -> None:
    """With --json and -o there are both."""
    words = ("chart", "bar", "eval/accuracy", *SWEEP, "-o", "bar.json", "--json", "--store", store)

    assert json.loads(call(*words).stdout)["file"] == "bar.json"
    assert "data" in json.loads(Path("bar.json").read_text())


def test_limit(call: Call, store: str) -> None:
    """Of many runs that a filter finds the newest are drawn, and that is said."""
    done = call("chart", "timeline", "--limit", "2", "--store", store)

    assert "the newest 2 are drawn" in done.stderr
    assert len(json.loads(call("chart", "timeline", "--limit", "2", "--json", "--store", store).stdout)["runs"]) == 2


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("metric", "nope"), 1, "metric 'nope'"),
        (("metric", "eval/accuracy", "-o", "x.txt"), 2, "does not say what to write"),
        (("metric", "eval/accuracy", "nono"), 1, "there is no run 'nono'"),
        (("metric", "eval/accuracy", "--smoothing", "1"), 2, "smoothing"),
        (("metric", "eval/accuracy", "--project", "digit"), 1, "did you mean 'digits'?"),
        (("metric",), 2, "METRIC"),
        (("scatter", "--x", "params.nope", "--y", "eval/accuracy"), 1, "nope"),
        (("pie",), 2, "No such command"),
    ],
)
def test_mistakes(words: tuple[str, ...], status: int, message: str, call: Call, store: str) -> None:
    """What cannot be meant or is not there is said in a line."""
    call_words = ("chart", words[0], *words[1:], *(() if words[0] == "pie" else ("--store", store)))

    assert message in call(*call_words, status=status).stderr
