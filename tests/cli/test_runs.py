"""`tracklib runs`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

import tracklib
from tracklib.cli.listing import list_runs
from tracklib.model import RunStatus
from tracklib.stores.base import RunQuery, open_store

Call = Callable[..., Result]


def names(call: Call, *words: str) -> list[str]:
    """Return the names of the runs that are listed."""
    return [run["name"] for run in json.loads(call("runs", "--json", *words).stdout)["runs"]]


def test_newest_first(call: Call, store: str) -> None:
    """Runs of all projects are listed, the newest first; a sort the other way round turns them."""
    found = names(call, "--store", store)

    assert found[0] == "full"
    assert found[-3:] == ["lr-0.001", "lr-0.01", "lr-0.1"]
    assert names(call, "--store", store, "--ascending") == found[::-1]
    assert names(call, "--store", store, "--reverse") == found[::-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--project", "nlp"], {"child", "ünïcödé [red]文[/red]"}),
        (["--project", "digits", "--experiment", "odd"], {"broken"}),
        (["--status", "failed", "--status", "killed"], {"broken"}),
        (["--tag", "team=vision", "--limit", "2"], {"lr-0.01", "lr-0.001"}),
        (["--tag", "team=vision", "--tag", "other=1"], set()),
        (["--archived"], set()),
    ],
)
def test_filters(words: list[str], expected: set[str], call: Call, store: str) -> None:
    """Each option narrows the list."""
    assert set(names(call, "--store", store, *words)) == expected


def test_sorted_by_a_metric(call: Call, store: str) -> None:
    """The highest last value comes first, the lowest with --ascending; runs without the metric come last."""
    by_accuracy = names(call, "--store", store, "--sort", "eval/accuracy")
    lowest = names(call, "--store", store, "--sort", "eval/accuracy", "--ascending", "--limit", "1")

    assert by_accuracy[:3] == ["lr-0.1", "lr-0.01", "lr-0.001"]
    assert lowest == ["lr-0.001"]


def test_sorted_by_an_unknown_metric(call: Call, store: str) -> None:
    """A metric that no run has is an error that names near ones."""
    assert "'eval/accuracy'" not in call("runs", "--store", store, "--sort", "eval/accuracx", status=1).stdout
    assert "eval/accuracy" in call("runs", "--store", store, "--sort", "eval/accuracx", status=1).stderr


def test_table_in_a_pipe(call: Call, store: str) -> None:
    """Off a terminal ids are whole, no colours are printed, and the primary metric has its column."""
    head, *lines = call("runs", "--store", store, "--project", "digits").stdout.splitlines()

    assert head.split() == ["id", "name", "status", "experiment", "started", "duration", "eval/accuracy", "tags"]
    assert [len(line.split()[0]) for line in lines] == [26] * 5
    assert "\x1b" not in "".join(lines)
    assert any("✘ failed" in line for line in lines)


def test_metrics_without_primary_ones(call: Call, store: str) -> None:
    """Where a project names none, the metrics that most runs have are shown, and none of the system."""
    head = call("runs", "--store", store, "--project", "nlp").stdout.splitlines()[0]

    assert "ppl" in head.split()
    assert "system/" not in head


def test_odd_names(call: Call, store: str) -> None:
    """Markup in names is text, and escape sequences in tags are shown, not obeyed."""
    text = call("runs", "--store", store, "--project", "nlp").stdout

    assert "ünïcödé [red]文[/red]" in text
    assert "evil=\\x1b[31mred" in text


def test_more_than_the_limit(call: Call, store: str) -> None:
    """That there are more is said beside the table, and in JSON; a limit of 0 lists all."""
    some = call("runs", "--store", store, "--limit", "2")
    everything = json.loads(call("runs", "--store", store, "--limit", "0", "--json").stdout)

    assert len(some.stdout.splitlines()) == 3
    assert "There are more" in some.stderr
    assert json.loads(call("runs", "--store", store, "--limit", "2", "--json").stdout)["more"] is True
    assert everything["more"] is False
    assert len(everything["runs"]) == 7


def test_json(call: Call, store: str) -> None:
    """JSON has params as given, summaries of metrics, and texts for numbers that it lacks."""
    broken, best = (
        json.loads(call("runs", "--store", store, "--json", "--experiment", name).stdout)["runs"][-1]
        for name in ("odd", "lr-sweep")
    )

    assert best["params"] == {"model": {"hidden": 128}, "training": {"lr": 0.1}}
    assert best["metrics"]["train/loss"]["max"] == 1.0
    assert broken["metrics"]["a nan"]["last"] == "NaN"
    assert broken["metrics"]["minus"]["last"] == "-Infinity"
    assert broken["error"]["message"] == "out of memory"


@pytest.mark.parametrize(
    ("option", "name", "near"), [("--project", "digit", "digits"), ("--experiment", "sweep", "lr-sweep")]
)
def test_unknown_places(option: str, name: str, near: str, call: Call, store: str) -> None:
    """A project or experiment that is not there is an error that names near ones."""
    assert f"did you mean '{near}'" in call("runs", "--store", store, option, name, status=1).stderr


def test_nothing_fits(call: Call, store: str) -> None:
    """Where runs are there but none fits, that is said, and no advice for beginners."""
    text = call("runs", "--store", store, "--status", "pending").stdout

    assert text.startswith("No runs in sqlite:///")
    assert "start_run" not in text


def test_no_store_yet(call: Call) -> None:
    """Where nothing was recorded yet, it is said how to, and looking leaves nothing behind."""
    from pathlib import Path

    text = call("runs").stdout

    assert text.startswith("There are no runs in sqlite:///")
    assert "with tracklib.start_run(" in text
    assert json.loads(call("runs", "--json").stdout)["runs"] == []
    assert not list(Path.cwd().iterdir())


def test_named_store_that_is_not_there(call: Call) -> None:
    """A store that was named and is not there is an error, since it is likely misspelt."""
    assert "there is no store" in call("runs", "--store", "sqlite:///none.db", status=1).stderr


def test_misuse(call: Call) -> None:
    """A tag without a value, an unknown status and a negative limit cannot be meant."""
    assert "not of the form NAME=VALUE" in call("runs", "--tag", "team", status=2).stderr
    call("runs", "--status", "done", status=2)
    call("runs", "--limit", "-1", status=2)


def test_dead_run_counts_as_killed(call: Call, orphan: str) -> None:
    """A run whose process was killed is shipped and closed when runs are listed."""
    assert names(call, "--store", orphan, "--status", "killed") == ["killed"]


@pytest.mark.usefixtures("bare")
def test_silent_run_counts_as_killed(call: Call, tmp_path: Any) -> None:
    """A run on another machine that went silent is listed as killed, not as running, also where the store says so."""
    from tracklib.model import Batch, Record

    store = f"sqlite:///{tmp_path}/runs.db"
    start = {
        "project": "p",
        "experiment": "e",
        "name": "far",
        "rank": 0,
        "host": "far away",
        "pid": 1,
        "spool": "/x",
        "primary": True,
    }
    with open_store(store) as opened:
        opened.append(Batch(run="0" * 26, writer="0", start=0, end=1, time=1.0, records=(Record("start", 1.0, start),)))

    assert names(call, "--store", store, "--status", "killed") == ["far"]
    assert names(call, "--store", store, "--status", "running") == []


@pytest.mark.usefixtures("bare")
def test_no_more_than_the_limit_is_read(tmp_path: Any) -> None:
    """So many runs are read as were asked for, and one more to know whether there are more."""
    store = f"sqlite:///{tmp_path}/runs.db"
    for number in range(7):
        with tracklib.start_run("p", name=str(number), store=store) as run:
            run.log({"loss": number})

    with open_store(store) as opened:
        listing = list_runs(opened, RunQuery(status=(RunStatus.COMPLETED,)), limit=5)

    assert [run.name for run in listing.runs] == ["6", "5", "4", "3", "2"]
    assert listing.more
    assert listing.metrics == ("loss",)


# ---- the language of filters


@pytest.mark.parametrize(
    ("filter_text", "expected"),
    [
        ("params.training.lr < 0.05", ["lr-0.001", "lr-0.01"]),
        ("metrics['eval/accuracy'] > 0.9 and tags.team == 'vision'", ["lr-0.1"]),
        ("run.status == 'failed' or run.parent is not None", ["child", "broken"]),
        ("not run.started > ago('365d')", []),
    ],
)
def test_a_filter_narrows_the_list(filter_text: str, expected: list[str], call: Call, store: str) -> None:
    """It stands where nothing else does, and goes with the options."""
    assert names(call, filter_text, "--store", store) == expected
    assert names(call, "--store", store, "--limit", "1", filter_text) == expected[:1]


def test_a_filter_that_cannot_be_understood(call: Call, store: str) -> None:
    """It is misuse, and the message points at the place."""
    said = call("runs", "params.training.lr < 1 and run.statsu == 'failed'", "--store", store, status=2).stderr

    assert "did you mean run.status?" in said
    assert said.splitlines()[-1].strip() == "^"


def test_sorted_by_an_expression(call: Call, store: str) -> None:
    """The highest first, or the lowest where that was said, also by params and by what is computed."""
    project = ("--store", store, "--project", "digits", "--experiment", "lr-sweep")

    assert names(call, *project, "--sort", "params.training.lr") == ["lr-0.1", "lr-0.01", "lr-0.001"]
    assert names(call, *project, "--sort", "-params.training.lr") == ["lr-0.1", "lr-0.01", "lr-0.001"]
    assert names(call, *project, "--sort", "params.training.lr", "--ascending") == ["lr-0.001", "lr-0.01", "lr-0.1"]
    difference = "metrics['train/loss'] - metrics['eval/accuracy'] desc"
    assert names(call, *project, "--sort", difference) == ["lr-0.001", "lr-0.01", "lr-0.1"]


def test_columns(call: Call, store: str) -> None:
    """What is asked for is shown beside the id, as people read it."""
    fields = "name,params.training.lr,metrics['eval/accuracy'].max,run.status,tags.team,run.duration"
    head, *lines = call(
        "runs", "--store", store, "--experiment", "lr-sweep", "--columns", fields, "--sort", "params.training.lr"
    ).stdout.splitlines()

    assert head.split() == ["id", "name", "training.lr", "eval/accuracy", "(max)", "status", "team", "duration"]
    assert lines[0].split()[1:3] == ["lr-0.1", "0.1"]
    assert all("✔ completed" in line and "vision" in line for line in lines)


def test_columns_in_json(call: Call, store: str) -> None:
    """Each run has them under their texts, beside all else that runs have."""
    words = ("--columns", "params.training.lr, metrics['a nan'], tags.team", "--json", "--experiment", "odd")
    (run,) = json.loads(call("runs", "--store", store, *words).stdout)["runs"]

    assert run["columns"] == {"params.training.lr": None, "metrics['a nan']": "NaN", "tags.team": None}
    assert run["name"] == "broken"


def test_an_unknown_column(call: Call, store: str) -> None:
    """It is misuse, and a near name is told."""
    assert "did you mean run.status" in call("runs", "--store", store, "--columns", "name,run.statsu", status=2).stderr


def test_names_that_no_run_has_are_told(call: Call, store: str) -> None:
    """On standard error, so that programs that read the answer are not disturbed."""
    result = call("runs", "params.training.rl < 1", "--store", store)

    assert "No run has a param 'training.rl'; did you mean 'training.lr'?" in result.stderr
    assert result.stdout.startswith("No runs in ")
    assert "team" in call("runs", "tags.taem == 'vision'", "--store", store, "--json").stderr
    assert not call("runs", "params.training.lr > 5", "--store", store).stderr
