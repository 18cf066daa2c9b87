"""`tracklib sync`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Call = Callable[..., Result]


def spool_of(store: str) -> Path:
    return Path(store.removeprefix("sqlite:///")).parent / "spool"


def test_ships_what_a_dead_process_left(call: Call, orphan: str) -> None:
    """The journal of a killed process is shipped, its run closed, and a second time there is nothing to do."""
    text = call("sync", "--store", orphan).stdout

    head, line = text.splitlines()
    assert head.split() == ["run", "writer", "points", "records", "outcome", "store"]
    assert "■ closed as killed" in line
    assert "There is nothing to ship" in call("sync", "--store", orphan).stdout


def test_json(call: Call, orphan: str) -> None:
    """JSON tells of each journal what was done, also when there was none."""
    (journal,) = json.loads(call("sync", "--spool", str(spool_of(orphan)), "--json").stdout)["journals"]

    assert (journal["points"], journal["closed"], journal["problem"]) == (1, True, None)
    assert journal["store"] == orphan
    assert json.loads(call("sync", "--store", orphan, "--json").stdout) == {"journals": []}


def test_problem(call: Call, orphan: str) -> None:
    """A store that cannot be used is a problem: it is told, the journal waits, and the status is 1."""
    Path(orphan.removeprefix("sqlite:///")).write_bytes(b"this is no database" * 100)
    spool = spool_of(orphan)

    done = call("sync", "--spool", str(spool), status=1)

    assert "✘ waits" in done.stdout
    assert "is no" in done.stdout or "damaged" in done.stdout
    assert list(spool.glob("*/*.journal"))


def test_unreadable_journal(call: Call, orphan: str) -> None:
    """A journal without a readable header is set aside, and that is a problem too."""
    spool = spool_of(orphan)
    for path in spool.glob("*/*.journal"):
        path.write_bytes(b"\xff" * path.stat().st_size)

    done = call("sync", "--spool", str(spool), status=1)

    assert "✘ unreadable" in done.stdout
    assert ".damaged" in done.stdout


def test_spool_that_is_not_there(call: Call) -> None:
    """A spool that was named must be there."""
    assert "does not exist" in call("sync", "--spool", "nowhere", status=2).stderr
