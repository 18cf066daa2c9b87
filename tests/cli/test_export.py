"""`tracklib export`: what others read of runs, params and points."""

from __future__ import annotations

import csv
import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import Result

import tracklib

Call = Callable[..., Result]
Program = Callable[..., subprocess.CompletedProcess[bytes]]

PLACE = ["run_id", "project", "experiment", "run_name"]


@pytest.fixture(name="odd")
def _odd(tmp_path: Path) -> str:
    """Return a store of two runs with odd values."""
    store = f"sqlite:///{tmp_path}/odd/runs.db"
    params: dict[str, Any] = {"lr": 0.1, "depth": 3, "flag": True, "mixed": 1, "nested": {"list": [1, 2]}, "none": None}
    with tracklib.start_run("p", "e", name='a,"b"\nc', store=store, params=params, tags={"team": "x"}) as run:
        for step, value in enumerate([1.5, math.nan, math.inf, -math.inf]):
            run.log({"loss": value}, step=step)
        run.log({"loss": 2.5}, step=0)
    with tracklib.start_run("p", "e", name="two", store=store, params={"mixed": "text", "lr": 1e-3}):
        pass
    return store


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_runs(call: Call, store: str) -> None:
    """A run has a row: what it is, its params, last values and tags."""
    text = call("export", "runs", "--project", "digits", "--experiment", "lr-sweep", "--store", store).stdout

    first = rows_of(text)[0]
    assert list(first)[:6] == ["id", "project", "experiment", "name", "status", "reason"]
    assert first["name"] == "lr-0.001"
    assert first["params.training.lr"] == "0.001"
    assert first["params.model.hidden"] == "128"
    assert float(first["metrics.eval/accuracy"]) == pytest.approx(1 - math.exp(-0.049))
    assert first["tags.team"] == "vision"


def test_kinds_of_params(call: Call, odd: str) -> None:
    """A param is of one kind where all runs agree, and text where they do not."""
    call("export", "runs", "--store", odd, "-o", "runs.parquet")

    table = pq.read_table("runs.parquet")
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names if name.startswith("params.")}
    assert kinds == {
        "params.depth": "int64",
        "params.flag": "bool",
        "params.lr": "double",
        "params.mixed": "string",
        "params.nested.list": "string",
        "params.none": "string",
    }
    assert table["params.mixed"].to_pylist() == ["text", "1"]
    assert table["params.depth"].to_pylist() == [None, 3]


def test_params(call: Call, odd: str) -> None:
    """A param has a row: its text, and its number where it is one."""
    rows = rows_of(call("export", "params", "--store", odd).stdout.replace("\nc", "|c"))

    found = {(row["run_name"], row["param"]): (row["value"], row["number"]) for row in rows}
    assert found['a,"b"|c', "lr"] == ("0.1", "0.1")
    assert found['a,"b"|c', "flag"] == ("true", "")
    assert found['a,"b"|c', "nested.list"] == ("[1, 2]", "")
    assert found["two", "mixed"] == ("text", "")


def test_metrics_in_all_formats(call: Call, odd: str) -> None:
    """Each format has the same points, and says in its own way what is no number."""
    for name in ("points.csv", "points.jsonl", "points.parquet"):
        call("export", "metrics", "--store", odd, "-o", name)

    frame = pd.read_csv("points.csv")
    assert list(frame) == [*PLACE, "metric", "step", "time", "value"]
    assert list(frame["step"]) == [0, 1, 2, 3]
    expected = [2.5, math.nan, math.inf, -math.inf]
    assert frame["value"].to_list() == pytest.approx(expected, nan_ok=True)
    assert set(frame["run_name"]) == {'a,"b"\nc'}
    pd.testing.assert_frame_equal(frame, pd.read_parquet("points.parquet"), check_dtype=False)
    lines = [json.loads(line) for line in Path("points.jsonl").read_text().splitlines()]
    assert [line["value"] for line in lines] == [2.5, "NaN", "Infinity", "-Infinity"]
    assert [line["time"] for line in lines] == frame["time"].to_list()
    assert "inf" in Path("points.csv").read_text().splitlines()[-1]


def test_every_point(call: Call, odd: str) -> None:
    """With --every, points that others replaced at their step are there as well."""
    once, every = (call("export", "metrics", "--store", odd, *more).stdout for more in ((), ("--every",)))

    assert len(rows_of(every.replace("\nc", ""))) == len(rows_of(once.replace("\nc", ""))) + 1


def test_globs(call: Call, store: str) -> None:
    """Metrics are chosen by patterns; those of the system only so."""
    chosen = rows_of(call("export", "metrics", "--store", store, "--metric", "eval/*", "--metric", "ppl").stdout)
    default = rows_of(call("export", "metrics", "full", "--store", store).stdout)
    system = rows_of(call("export", "metrics", "full", "--store", store, "--metric", "system/*").stdout)

    assert {row["metric"] for row in chosen} == {"eval/accuracy", "ppl"}
    assert {row["metric"] for row in default} == {"train/loss"}
    assert system
    assert all(row["metric"].startswith("system/") for row in system)
    assert "there are: " in call("export", "metrics", "--store", store, "--metric", "nope", status=1).stderr


def test_chosen_by_words_and_filter(call: Call, store: str) -> None:
    """Runs are named one by one, or meant by a filter, or narrowed down by options."""
    named = rows_of(call("export", "runs", "lr-0.1", "full", "--store", store).stdout)
    filtered = rows_of(call("export", "runs", "params.training.lr < 0.05", "--store", store).stdout)
    tagged = rows_of(call("export", "runs", "--tag", "team=vision", "--status", "completed", "--store", store).stdout)

    assert [row["name"] for row in named] == ["lr-0.1", "full"]
    assert [row["name"] for row in filtered] == ["lr-0.001", "lr-0.01"]
    assert len(tagged) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nono",), "there is no run 'nono'"),
        (("lr-0.1", "nono"), "there is no run 'nono'"),
        (("--project", "digit"), "did you mean 'digits'?"),
        (("params.training.lr > 5",), "no runs in"),
    ],
)
def test_nothing_found(words: tuple[str, ...], message: str, call: Call, store: str) -> None:
    """Where nothing is meant, a line says why, and no file appears."""
    assert message in call("export", "runs", *words, "--store", store, "-o", "x.csv", status=1).stderr
    assert not Path("x.csv").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("runs", "-o", "x.txt"), "does not say what to write"),
        (("runs", "--format", "parquet"), "Parquet goes to a file"),
        (("runs", "--json"), "give one with -o"),
        (("runs", "--every"), "for `tracklib export metrics`"),
        (("runs", "-o", "no/such/folder.csv"), "lies in a folder that is not there"),
        (("runs", "params.training.lr <"), "filter"),
        (("what",), "is not one of"),
    ],
)
def test_misuse(words: tuple[str, ...], message: str, call: Call, store: str) -> None:
    """What cannot be meant has status 2 and says why."""
    assert message in call("export", *words, "--store", store, status=2).stderr


def test_what_was_written(call: Call, store: str) -> None:
    """It is told on standard error, or as JSON."""
    said = call("export", "metrics", "lr-0.1", "--store", store, "-o", "points.csv")
    told = json.loads(call("export", "metrics", "lr-0.1", "--store", store, "-o", "points.csv", "--json").stdout)

    assert said.stdout == ""
    assert said.stderr.startswith("points.csv: 100 rows of 1 run, ")
    assert told == {
        "file": "points.csv",
        "format": "csv",
        "rows": 100,
        "runs": 1,
        "size": Path("points.csv").stat().st_size,
    }


def test_standard_output_has_nothing_else(program: Program, store: str) -> None:
    """In a pipe there are rows and nothing more."""
    done = program("export", "params", "--format", "jsonl", "-o", "-", "--store", store)

    assert done.stderr == b""
    assert {json.loads(line)["param"] for line in done.stdout.splitlines()} >= {"training.lr", "note"}


def test_progress_on_a_terminal(terminal: Callable[..., str], store: str) -> None:
    """A terminal is told at the end what was written."""
    text = terminal("export", "metrics", "--store", store, "-o", "points.parquet", columns=100)

    assert text.splitlines()[-1].startswith("points.parquet: ")


def test_older_file_stays_until_the_new_one_is_whole(call: Call, odd: str, tmp_path: Path) -> None:
    """What breaks off leaves the older file, and nothing beside it."""
    Path("points.csv").write_text("old")
    database = tmp_path / "odd" / "runs.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE chunk SET data = x'00'")
    connection.close()

    call("export", "metrics", "--store", odd, "-o", "points.csv", status=1)

    assert Path("points.csv").read_text() == "old"
    assert [path.name for path in Path.cwd().iterdir() if path.is_file()] == ["points.csv"]


def test_without_pyarrow(call: Call, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet says what to install; CSV and JSON lines need nothing."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert "pip install" in call("export", "runs", "--store", store, "-o", "x.parquet", status=1).stderr
    call("export", "runs", "--store", store, "-o", "x.csv")
    call("export", "metrics", "--store", store, "-o", "x.jsonl")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["x.csv", "x.jsonl"]


@pytest.mark.usefixtures("bare")
def test_object_store(call: Call, tmp_path: Path) -> None:
    """Runs in a folder or bucket are exported like others."""
    store = f"file://{tmp_path}/shared"
    with tracklib.start_run("p", name="n", params={"lr": 0.1}, store=store) as run:
        for step in range(3):
            run.log({"loss": step / 2}, step=step)

    rows = rows_of(call("export", "metrics", "params.lr > 0", "--store", store).stdout)

    assert [(row["run_name"], row["metric"], row["step"], row["value"]) for row in rows] == [
        ("n", "loss", "0", "0.0"),
        ("n", "loss", "1", "0.5"),
        ("n", "loss", "2", "1.0"),
    ]


def test_no_store(call: Call) -> None:
    """Where nothing was recorded, that is said."""
    assert "there are no runs in sqlite:///" in call("export", "runs", status=1).stderr


MANY = """
import resource, sys
import numpy as np
import tracklib
from tracklib.cli.main import cli
from tracklib.model import Batch, PointGroup, Record
from tracklib.stores.base import open_store

store, words = sys.argv[1], sys.argv[2:]
place = {"project": "p", "experiment": "e", "name": "n"}
start = {**place, "rank": 0, "host": "h", "pid": 1, "spool": "/x", "primary": True}
with open_store(store) as opened:
    for index in range(20):
        names = tuple(f"m{i}" for i in range(5))
        steps = np.arange(10_000)
        group = PointGroup(names, steps, steps * 1.0, np.random.rand(10_000, 5), steps)
        records = (Record("start", 1.0, start), Record("end", 2.0, {"status": "completed", "duration": 1.0}))
        run = f"{index:026d}"
        opened.append(
            Batch(run=run, writer="0", start=0, end=1, time=1.0, records=records, groups=(group,), final=True)
        )
import pandas, pyarrow.parquet, tracklib.analysis.search
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cli(["export", "metrics", "--store", store, *words], standalone_mode=False)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, file=sys.stderr)
"""


@pytest.mark.parametrize("name", ["points.csv", "points.parquet", pytest.param("points.jsonl", marks=pytest.mark.slow)])
def test_a_million_points_in_little_memory(name: str, tmp_path: Path) -> None:
    """Points are written as they are read: memory does not grow with their number."""
    store = f"sqlite:///{tmp_path}/many.db"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", MANY, store, "-o", name], env=environment, capture_output=True, text=True, check=True
    )

    *_, said, megabytes = done.stderr.splitlines()
    assert "1,000,000 rows of 20 runs" in said
    assert float(megabytes) < 150
