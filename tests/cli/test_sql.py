"""`tracklib sql`: questions that change nothing."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import tracklib
from tracklib.cli.main import cli
from tracklib.errors import StoreError
from tracklib.stores.base import open_store
from tracklib.testing.memory import MemoryStore

Call = Callable[..., Result]

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


def told(call: Call, *words: str) -> Any:
    return json.loads(call("sql", *words, "--json").stdout)


def test_table(call: Call, store: str) -> None:
    """For people there is a table, numbers to the right."""
    text = call("sql", "SELECT name, 5 AS five FROM run WHERE name LIKE 'lr-%' ORDER BY name", "--store", store).stdout

    assert text.splitlines() == ["name      five", "lr-0.001     5", "lr-0.01      5", "lr-0.1       5"]


def test_json(call: Call, store: str) -> None:
    """Rows are lists of values; bytes are told by their number, infinities as everywhere."""
    found = told(call, "SELECT 1 AS a, NULL, x'0102', 1e999, 'text'", "--store", store)

    assert found["rows"] == [[1, None, "<2 bytes>", "Infinity", "text"]]
    assert found["columns"][0] == "a"
    assert found["more"] is False
    assert found["store"] == store


def test_csv_from_standard_input(store: str) -> None:
    """The statement may come from standard input, and the answer go on as CSV."""
    words = ["sql", "-", "--csv", "--store", store]

    done = CliRunner().invoke(cli, words, input="SELECT 'a,\"b' AS x,\n NULL AS y -- why\n")

    assert list(csv.reader(io.StringIO(done.stdout))) == [["x", "y"], ['a,"b', ""]]


def test_tables(call: Call, store: str) -> None:
    """What there is to ask is listed, without what is SQLite's own."""
    rows = told(call, "--tables", "--store", store)["rows"]

    assert ["run", "status", "TEXT"] in rows
    assert ["series", "last", "REAL"] in rows
    assert not [table for table, _, _ in rows if table.startswith(("sqlite", "_"))]


def test_limit(call: Call, store: str) -> None:
    """With a limit, that there are more is said beside the answer."""
    words = ("sql", "SELECT name FROM run", "--store", store)

    limited, everything = call(*words, "--limit", "2"), call(*words, "--limit", "0")

    assert len(limited.stdout.splitlines()) == 3
    assert "There are more rows: --limit 20" in limited.stderr
    assert len(everything.stdout.splitlines()) == 8
    assert everything.stderr == ""


def test_no_rows(call: Call, store: str) -> None:
    """That nothing was found is no failure."""
    done = call("sql", "SELECT 1 WHERE 0", "--store", store)

    assert (done.stdout, done.stderr) == ("", "No rows.\n")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM run",
        "UPDATE run SET name = 'x'",
        "INSERT INTO tag VALUES (1, 'a', 'b')",
        "DROP TABLE run",
        "CREATE TABLE x (y)",
        "CREATE TEMP TABLE x (y)",
        "ATTACH 'other.db' AS other",
        "VACUUM",
        "VACUUM INTO 'copy.db'",
        "BEGIN IMMEDIATE",
        "REINDEX",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version = 99",
        "PRAGMA writable_schema = 1",
        "SELECT * FROM pragma_journal_mode",
        "SELECT load_extension('evil')",
        "SELECT fts3_tokenizer('simple')",
        "WITH x AS (SELECT 1) DELETE FROM run",
        "EXPLAIN DELETE FROM run",
    ],
)
def test_nothing_but_reading(statement: str, call: Call, store: str) -> None:
    """Whatever does more is refused, with status 2, and changes nothing."""
    before = Path(store.removeprefix("sqlite:///")).read_bytes()

    assert "more than read" in call("sql", statement, "--store", store, status=2).stderr
    assert Path(store.removeprefix("sqlite:///")).read_bytes() == before
    assert not list(Path.cwd().iterdir())


def test_functions_that_make_tables(call: Call, store: str) -> None:
    """JSON within columns and the columns of tables can be asked for, with the functions that SQLite has for it."""
    rows = told(call, "SELECT j.key FROM run, json_each(run.params) j WHERE name = 'lr-0.1'", "--store", store)["rows"]
    columns = told(call, "SELECT name FROM pragma_table_info('tag')", "--store", store)["rows"]

    assert sorted(rows) == [["model"], ["training"]]
    assert columns == [["run_key"], ["name"], ["value"]]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("SELECT frm", "no such column: frm"),
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("SELECT ?", "bindings"),
        ("SELECT * FROM runs", "no such table: runs"),
    ],
)
def test_mistakes(statement: str, message: str, call: Call, store: str) -> None:
    """What SQLite says of a wrong statement is shown, and where to look."""
    text = call("sql", statement, "--store", store, status=2).stderr

    assert message in text
    assert "tracklib sql --tables" in text


def test_no_question(call: Call, store: str) -> None:
    """Without a statement it is said what can be given."""
    assert "--tables" in call("sql", "--store", store, status=2).stderr
    assert "--tables" in call("sql", " ", "--store", store, status=2).stderr


def test_no_store(call: Call) -> None:
    """Where there is no store, that is said, and none is made."""
    assert "there is no store" in call("sql", "SELECT 1", status=1).stderr
    assert not list(Path.cwd().iterdir())


@pytest.mark.usefixtures("bare")
def test_object_store(call: Call, tmp_path: Path) -> None:
    """The catalog of an object store is asked, and knows at once what others have written."""
    store = f"file://{tmp_path}/shared"
    for name in ("first", "second"):
        with tracklib.start_run("digits", name=name, store=store) as run:
            run.log({"loss": 0.5})
        found = told(call, "SELECT run.name, last FROM run JOIN series ON run_key = run.key", "--store", store)

        assert [name, 0.5] in found["rows"]
    assert "more than read" in call("sql", "DELETE FROM run", "--store", store, status=2).stderr


@pytest.mark.usefixtures("bare")
def test_writers_go_on(tmp_path: Path) -> None:
    """A question takes no part in what the process writes to the same file."""
    store = f"sqlite:///{tmp_path}/runs.db"
    with tracklib.start_run("first", store=store):
        pass
    with open_store(store) as opened, tracklib.start_run("digits", store=store, flush_interval=0.01) as run:
        for step in range(50):
            run.log({"loss": step}, step=step)
            opened.query("SELECT count(*) FROM series")
    with open_store(store) as opened:
        rows = opened.query("SELECT count FROM series WHERE name = :name", {"name": "loss"})

    assert rows.rows == [(50,)]
    assert rows.columns == ("count",)


def test_store_without_tables() -> None:
    """A store that has none says so."""
    with pytest.raises(StoreError, match="no tables"):
        MemoryStore("memory://x").query("SELECT 1")


def test_archive_that_cannot_be_written(call: Call, recorded: Path, tmp_path: Path) -> None:
    """A store in a folder without write permission can be asked."""
    folder = tmp_path / "archive"
    folder.mkdir()
    with open_store(f"sqlite:///{recorded}/.tracklib/tracklib.db") as opened:
        opened.query("SELECT 1")
    source = Path(f"{recorded}/.tracklib/tracklib.db")
    (folder / "runs.db").write_bytes(source.read_bytes())
    folder.chmod(0o500)
    try:
        assert told(call, "SELECT 7", "--store", f"sqlite:///{folder}/runs.db")["rows"] == [[7]]
    finally:
        folder.chmod(0o700)


def test_interrupted(store: str) -> None:
    """A question that takes too long ends with Ctrl-C."""
    code = "from tracklib.cli.main import main; print('ready', flush=True); main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sql", ENDLESS, "--store", store],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(1)
            except subprocess.TimeoutExpired:
                continue

    assert process.returncode != 0
