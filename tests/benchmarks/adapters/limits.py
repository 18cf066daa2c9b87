"""What a logger in Python can hardly beat: a list, and plain SQLite behind a list."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from .base import Adapter, FinishedRun, Log, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS name (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS param (run INTEGER, name TEXT, value);
CREATE TABLE IF NOT EXISTS last (run INTEGER, name INTEGER, value REAL);
CREATE TABLE IF NOT EXISTS point (run INTEGER, name INTEGER, step INTEGER, time REAL, value REAL);
"""
_TOP = """
SELECT run.name, last.value FROM last
JOIN run ON run.id = last.run
JOIN name ON name.id = last.name AND name.text = 'val_loss'
JOIN param ON param.run = run.id AND param.name = 'lr' AND param.value < 0.01
ORDER BY last.value LIMIT ?
"""


class ListAdapter(Adapter):
    """One tuple per scalar appended to a list."""

    environment = "plain"
    keeps = False
    settings = "limit: `(name, step, time, value)` tuples appended to a list; nothing is stored"

    def start(self, name: str, params: dict[str, Any]) -> Log:
        self._rows: list[tuple[str, int, float, float]] = []
        append, now = self._rows.append, time.time

        def log(metrics: dict[str, float], /, *, step: int) -> None:
            at = now()
            for key, value in metrics.items():
                append((key, step, at, value))

        return log

    def finish(self) -> None:
        """Keep nothing."""


class SqliteAdapter(Adapter):
    """The calls go to a list, whose rows a thread inserts and commits; no index, nothing compressed."""

    environment = "plain"
    module = "sqlite3"
    settings = "limit: a list in the caller; a thread inserts a row per scalar, commits every 0.25 s (WAL, NORMAL)"

    def load(self) -> None:
        """Import nothing: sqlite3 is here already."""

    def start(self, name: str, params: dict[str, Any]) -> Log:
        self._open()
        self._run = self._insert_run(name, params)
        self._rows: list[tuple[int, float, dict[str, float]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        append, now = self._rows.append, time.time

        def log(metrics: dict[str, float], /, *, step: int) -> None:
            append((step, now(), metrics))

        return log

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()
        self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._database.close()

    def write_runs(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        self._open()
        done = 0
        self._database.execute("BEGIN IMMEDIATE")
        for run in runs:
            self._run = self._insert_run(run.name, run.params)
            self._insert_points((step, 0.0, metrics) for step, metrics in enumerate(run.steps))
            last = [(self._run, self._id(key), value) for key, value in run.steps[-1].items()]
            self._database.executemany("INSERT INTO last VALUES (?, ?, ?)", last)
            done += 1
            if time.perf_counter() > deadline:
                break
        self._database.execute("COMMIT")
        return done

    def count(self, name: str, keys: Sequence[str]) -> int:
        self._open()
        question = "SELECT count(*) FROM point JOIN run ON run.id = point.run WHERE run.name = ?"
        return int(self._database.execute(question, (name,)).fetchone()[0])

    def read(self, name: str, key: str) -> Sequence[float]:
        import numpy as np

        self._open()
        rows = self._database.execute(
            "SELECT value FROM point JOIN run ON run.id = point.run JOIN name ON name.id = point.name"
            " WHERE run.name = ? AND name.text = ? ORDER BY step",
            (name, key),
        ).fetchall()
        return np.fromiter((row[0] for row in rows), float, len(rows))

    def top(self, limit: int) -> list[Ranked]:
        self._open()
        return [Ranked(*row) for row in self._database.execute(_TOP, (limit,))]

    def _open(self) -> None:
        # SQLite does not wait where two connections turn a new file to WAL at once, so they take turns.
        with (self.root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._connect()

    def _connect(self) -> None:
        self._database = sqlite3.connect(self.root / "t.db", timeout=60, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.executescript(_SCHEMA)
        self._ids: dict[str, int] = {}

    def _insert_run(self, name: str, params: dict[str, Any]) -> int:
        run = self._database.execute("INSERT INTO run (name) VALUES (?)", (name,)).lastrowid
        rows = [(run, key, value if isinstance(value, float) else str(value)) for key, value in params.items()]
        self._database.executemany("INSERT INTO param VALUES (?, ?, ?)", rows)
        return int(run or 0)

    def _id(self, name: str) -> int:
        if name not in self._ids:
            self._database.execute("INSERT OR IGNORE INTO name (text) VALUES (?)", (name,))
            row = self._database.execute("SELECT id FROM name WHERE text = ?", (name,)).fetchone()
            self._ids[name] = row[0]
        return self._ids[name]

    def _work(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(0.25)
            rows = self._rows[:]
            if rows:
                self._database.execute("BEGIN IMMEDIATE")
                self._insert_points(iter(rows))
                self._database.execute("COMMIT")
                del self._rows[: len(rows)]

    def _insert_points(self, rows: Iterator[tuple[int, float, dict[str, float]]]) -> None:
        run, identify = self._run, self._id
        self._database.executemany(
            "INSERT INTO point VALUES (?, ?, ?, ?, ?)",
            ((run, identify(key), step, at, value) for step, at, metrics in rows for key, value in metrics.items()),
        )
