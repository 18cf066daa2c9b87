"""`tracklib compare`: runs, experiments and groups side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result
from rich.cells import cell_len

import tracklib

Call = Callable[..., Result]
Terminal = Callable[..., str]


def told(call: Call, *words: str) -> Any:
    return json.loads(call("compare", *words, "--json").stdout)


def test_two_runs(call: Call, store: str) -> None:
    """Params that differ and metrics stand beside each other, with the changes; the best is named."""
    text = call("compare", "lr-0.1", "lr-0.01", "--store", store).stdout

    lines = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith(("training", "eval"))}
    assert text.startswith("2 runs, compared to lr-0.1\nbest by eval/accuracy: lr-0.1 (")
    assert lines["training.lr"] == ["0.1", "0.01"]
    assert lines["eval/accuracy"] == ["0.99255*", "0.38737", "(-61.0%)"]
    assert "model.hidden=128" in text


def test_many_runs(call: Call, store: str) -> None:
    """Of more runs than fit side by side, each has a row; those of a filter are compared."""
    text = call("compare", "--store", store).stdout

    assert text.startswith("7 runs, compared to ")
    assert [line.split()[1] for line in text.splitlines() if len(line.split()[:1] or "") and "lr-" in line][:1]


def test_filter(call: Call, store: str) -> None:
    """A filter means the runs."""
    data = told(call, "params.training.lr < 0.05", "--store", store)

    assert [run["name"] for run in data["runs"]] == ["lr-0.001", "lr-0.01"]
    assert data["metric"] == "eval/accuracy"
    assert data["best"] == data["runs"][1]["id"]
    assert set(data["params"]) == {"training.lr"}
    assert data["common_params"] == {"model.hidden": 128}


def test_baseline_metric_and_statistic(call: Call, store: str) -> None:
    """What others are compared to, what is decisive, and which number counts can be said."""
    words = ("lr-0.1", "lr-0.01", "--baseline", "lr-0.01", "--metric", "train/loss", "--lower-is-better")

    data = told(call, *words, "--statistic", "max", "--store", store)

    assert data["baseline"] == data["runs"][1]["id"]
    assert (data["metric"], data["statistic"]) == ("train/loss", "max")
    assert data["metrics"]["train/loss"]["higher_is_better"] is False


@pytest.mark.parametrize("columns", [200, 80, 50])
def test_on_a_terminal(columns: int, terminal: Terminal, store: str) -> None:
    """It fits."""
    text = terminal("compare", "lr-0.1", "lr-0.01", "--store", store, columns=columns)
    many = terminal("compare", "--store", store, columns=columns)

    assert max(map(cell_len, [*text.splitlines(), *many.splitlines()])) <= columns


def test_colours(terminal: Terminal, store: str) -> None:
    """On a terminal what is better is green and what is worse is red."""
    words = ("compare", "lr-0.01", "lr-0.1", "lr-0.001", "--store", store)

    text = terminal(*words, columns=150, colours=True)

    assert "\x1b[32m (+156.2%)" in text
    assert "\x1b[31m (-87." in text


def test_experiments(call: Call, store: str) -> None:
    """Experiments are compared by what their runs reached."""
    text = call("compare", "--experiments", "--project", "digits", "--metric", "eval/accuracy", "--store", store).stdout
    data = told(call, "lr-sweep", "full", "--experiments", "--project", "digits", "--store", store)

    assert text.splitlines()[2].split()[:4] == ["metric", "experiment", "runs", "mean"]
    assert any(line.startswith("eval/accuracy  lr-sweep") for line in text.splitlines())
    assert data["experiments"] == ["lr-sweep", "full"]
    assert {"metric", "experiment", "mean", "std", "best"} <= set(data["rows"][0])


@pytest.mark.parametrize("page", ["code", "environment", "inputs"])
def test_differences(page: str, call: Call, store: str) -> None:
    """Instead of metrics, code, environment or inputs of two runs are compared."""
    data = told(call, "full", "lr-0.1", f"--{page}", "--store", store)
    text = call("compare", "full", "lr-0.1", f"--{page}", "--store", store).stdout

    assert {"a", "b", "same"} <= set(data)
    assert text.strip()


@pytest.mark.usefixtures("bare")
def test_groups(call: Call) -> None:
    """Groups are tested against each other, and the answer stands there in words."""
    for number in range(10):
        with tracklib.start_run("digits", params={"model": "ab"[number % 2]}) as run:
            run.log({"accuracy": number % 2 + 0.01 * number})
    groups = ("--group", "params.model == 'a'", "--group", "params.model == 'b'")

    text = call("compare", *groups, "--metric", "accuracy", "--higher-is-better").stdout
    data = told(call, *groups, "--metric", "accuracy")

    assert "params.model == 'b' is better than params.model == 'a'" in text
    assert data["metrics"]["accuracy"]["pairs"][0]["verdict"] == "different"
    assert "conclusion" in data


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("lr-0.1",), 2, "only the run 'lr-0.1' is meant"),
        (("lr-0.1", "nono"), 1, "there is no run 'nono'"),
        (("lr-0.1", "full", "--baseline", "broken"), 2, "none of the 2 runs"),
        (("lr-0.1", "full", "--metric", "eval/acc"), 1, "has the metric 'eval/acc'; there are: eval/accuracy"),
        (("lr-0.1", "full", "--metric", "train/loss"), 2, "is not known"),
        (("lr-0.1", "full", "--metric", "a", "--metric", "b"), 2, "One --metric"),
        (("lr-0.1", "full", "--higher-is-better"), 2, "name it"),
        (("lr-0.1", "lr-0.01", "full", "--code"), 2, "compares two runs, not 3"),
        (("lr-0.1", "lr-0.01", "--inputs", "--code"), 2, "--inputs and --code are shown one at a time"),
        (("--experiments",), 2, "Name experiments"),
        (("--experiments", "--project", "digit"), 1, "did you mean 'digits'?"),
        (("--experiments", "--project", "digits", "--tag", "a=b"), 2, "do not go with"),
        (("nope", "--experiments"), 1, "there is no experiment 'nope'"),
        (("--group", "params.a == 1", "--metric", "x"), 2, "two groups"),
        (("--group", "params.a == 1", "--group", "params.a == 2"), 2, "at least one --metric"),
        (("--group", "params.a == 1", "--group", "params.a == 2", "--metric", "x"), 1, "fit"),
        (("--group", "params.a == 1", "--group", "params.a == 2", "--code"), 2, "--code does not go"),
        (("--group", "params.a == 1", "--group", "params.a == 2", "--metric", "x", "run"), 2, "With --group"),
        (("--group", "params.a ==", "--group", "params.a == 2", "--metric", "x"), 2, "params.a =="),
    ],
)
def test_mistakes(words: tuple[str, ...], status: int, message: str, call: Call, store: str) -> None:
    """What cannot be meant or is not there is said in a line."""
    assert message in call("compare", *words, "--store", store, status=status).stderr


def test_no_store(call: Call) -> None:
    """Where nothing was recorded, that is said."""
    assert "there are no runs" in call("compare", status=1).stderr
