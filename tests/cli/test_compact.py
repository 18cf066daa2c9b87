"""`tracklib compact`, and the other commands on an object store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Call = Callable[..., Result]


@pytest.fixture(name="folder")
def _folder(call: Call, store: str, tmp_path: Path) -> str:
    """Return a store in a folder that has the runs of the usual one."""
    uri = f"file://{tmp_path}/shared"
    call("sync", "--from", store, "--to", uri)
    return uri


def test_a_snapshot_of_all_runs_is_written(call: Call, folder: str, tmp_path: Path) -> None:
    """It says how many; programs are told the same."""
    count = len(json.loads(call("runs", "--store", folder, "--limit", "0", "--json").stdout)["runs"])

    assert call("compact", "--store", folder).stdout.startswith(
        f"The new snapshot holds {count} runs; 0 files of points"
    )
    assert len(list((tmp_path / "shared" / "snapshots").iterdir())) == 1
    told = json.loads(call("compact", "--store", folder, "--settled", "0", "--json").stdout)
    assert told == {"store": folder, "runs": count, "merged": 0, "deleted": 0}


def test_a_sqlite_store_needs_none(call: Call, store: str) -> None:
    """It keeps itself compact."""
    assert "nothing to do" in call("compact", "--store", store).stdout
    assert json.loads(call("compact", "--store", store, "--json").stdout)["runs"] == 0


def test_a_store_that_is_not_there_is_told(call: Call, tmp_path: Path) -> None:
    """And is not made."""
    result = call("compact", "--store", f"file://{tmp_path}/nothing", status=1)

    assert "there is no store at" in result.stderr
    assert not (tmp_path / "nothing").exists()


def test_other_commands_say_the_same_of_both_kinds_of_stores(call: Call, store: str, folder: str) -> None:
    """Lists, runs, projects and experiments are told alike."""
    for words in (("runs", "--limit", "0"), ("show", "full"), ("projects",), ("experiments",)):
        one, other = (call(*words, "--store", uri).stdout for uri in (store, folder))
        assert other.replace(folder, store) == one
    assert "✔ yes" in call("doctor", "--store", folder).stdout
