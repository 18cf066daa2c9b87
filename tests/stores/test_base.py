"""URIs become stores, and what was not chosen is chosen well."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tracklib.errors import ConfigError
from tracklib.records import Batch
from tracklib.stores import mounts
from tracklib.stores.base import SCHEMES, Store, default_uri, is_next, open_store
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript
from tracklib.testing.memory import MemoryStore


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////abs/a.db", "/abs/a.db"),
        ("sqlite:///rel/a.db", "rel/a.db"),
        ("sqlite:///a b/ü%20?#.x", "a b/ü%20?#.x"),
        ("runs.db", "runs.db"),
        ("/abs/runs.sqlite", "/abs/runs.sqlite"),
        ("../up/runs.sqlite3", "../up/runs.sqlite3"),
    ],
)
def test_a_uri_names_a_file(tmp_path: Path, uri: str, path: str) -> None:
    """Three slashes are relative to the working directory, four absolute; a path that ends in .db will do."""
    store = open_store(uri)

    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / path
    assert open_store(store.uri).uri == store.uri == f"sqlite:///{tmp_path / path}"


def test_a_relative_path_stays_where_it_was_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may go elsewhere: its store does not."""
    store = open_store("sqlite:///a.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with store:
        WriterScript().ship(store)

    assert (tmp_path / "a.db").exists()


@pytest.mark.parametrize("uri", ["sqlite:///", "sqlite://host/a.db", "sqlite:///folder/", "sqlite://"])
def test_a_uri_without_a_file_is_refused(uri: str) -> None:
    """The message says how it is written."""
    with pytest.raises(ConfigError, match=r"sqlite:///relative/path\.db"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["", "nonsense", "ftp://host/x", "C:\\runs", "sqlite:/a.txt", "s3:bucket"])
def test_an_unknown_kind_is_refused(uri: str) -> None:
    """The message lists what there is."""
    with pytest.raises(ConfigError, match=r"of no known kind.*sqlite://"):
        open_store(uri)


def test_a_scheme_may_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of somebody else is opened by its scheme like any other."""
    monkeypatch.setitem(SCHEMES, "reference", "tracklib.testing.memory:MemoryStore")

    assert isinstance(open_store("reference://x"), MemoryStore)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_has_its_class(scheme: str) -> None:
    """What the table of schemes names is there, and is a store."""
    module, _, name = SCHEMES[scheme].partition(":")

    assert issubclass(getattr(importlib.import_module(module), name), Store)


def test_the_default_store_lies_in_the_working_directory(tmp_path: Path) -> None:
    """Where nothing was chosen, `.tracklib` is made here."""
    assert default_uri(tmp_path) == f"sqlite:///{tmp_path}/.tracklib/tracklib.db"


def test_the_default_store_of_a_folder_above_is_used(tmp_path: Path) -> None:
    """A script in a subfolder finds its project's store; the nearest one counts."""
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    for home in (tmp_path, tmp_path / "a"):
        (home / ".tracklib").mkdir()

    assert default_uri(inner) == f"sqlite:///{tmp_path}/a/.tracklib/tracklib.db"


def test_a_file_of_that_name_is_no_store(tmp_path: Path) -> None:
    """Only a folder called `.tracklib` is a home."""
    (tmp_path / ".tracklib").write_text("")
    (tmp_path / "a").mkdir()

    assert default_uri(tmp_path / "a") == f"sqlite:///{tmp_path}/a/.tracklib/tracklib.db"


def test_the_default_store_on_a_network_is_one_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite does not work, what nobody chose becomes what does."""
    table = tmp_path / "mounts"
    table.write_text(f"server:/home {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(mounts, "network_filesystem", partial(mounts.network_filesystem, mount_table=table))

    assert default_uri(tmp_path) == f"file://{tmp_path}/.tracklib"


@pytest.mark.parametrize(
    ("start", "end", "options", "taken"),
    [
        (100, 200, {}, True),
        (100, 100, {}, False),
        (50, 200, {}, False),
        (50, 200, {"after_gap": True}, False),
        (0, 100, {}, False),
        (150, 200, {}, False),
        (150, 200, {"after_gap": True}, True),
        (100, 200, {"after_gap": True}, True),
        (200, 200, {"after_gap": True}, True),
    ],
)
def test_the_next_batch_begins_where_the_last_one_ended(
    start: int, end: int, options: dict[str, Any], *, taken: bool
) -> None:
    """Of a store that is at 100: what it takes and what it refuses."""
    batch = Batch(run="r", writer="0", start=start, end=end, time=0.0, **options)

    assert is_next(batch, 100) is taken
