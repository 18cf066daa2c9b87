"""Stores that may only be read, and those that may not even be looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from tracklib.errors import StoreError, StoreUnavailable
from tracklib.stores.base import RunQuery
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, points

InChild = Callable[..., str]
Mount = Callable[..., None]


def written(store: SqliteStore) -> WriterScript:
    """Return a writer whose run is in the store."""
    script = WriterScript()
    script.ship(store, points({"loss": [0.0]}))
    return script


@pytest.fixture(name="archive")
def _archive(public_folder: Path) -> tuple[str, WriterScript]:
    """Return a store that nobody has open, and the writer of its run."""
    uri = f"sqlite:///{public_folder}/archive/tracklib.db"
    with SqliteStore(uri) as store:
        script = written(store)
        list(store.runs(RunQuery()))
    return uri, script


def test_a_store_in_a_read_only_folder_can_be_read(
    archive: tuple[str, WriterScript], public_folder: Path, in_child: InChild
) -> None:
    """Who may not write reads a store that nobody has open, and is told when trying to write."""
    uri, script = archive
    (public_folder / "archive" / "tracklib.db").chmod(0o444)
    (public_folder / "archive").chmod(0o555)

    def read() -> object:
        store = SqliteStore(uri)
        return store.series(script.run, "loss").values.tolist(), [info.id for info in store.runs(RunQuery())]

    assert in_child(read, unprivileged=True) == str(([0.0], [script.run]))
    check, write = SqliteStore(uri).check, partial(SqliteStore(uri).append, script.batch())
    assert in_child(check, unprivileged=True).startswith(f"StoreError: the store {uri[10:]} cannot be written to")
    assert in_child(write, unprivileged=True).startswith("StoreUnavailable: ")


def test_a_store_that_is_being_written_can_be_read_without_rights(public_folder: Path, in_child: InChild) -> None:
    """Who may not write sees a live run, its newest batch too."""
    uri = f"sqlite:///{public_folder}/tracklib.db"

    def read() -> object:
        return SqliteStore(uri).series(script.run, "loss").values.tolist()

    with SqliteStore(uri) as store:
        script = written(store)
        assert in_child(read, unprivileged=True) == "[0.0]"
        script.ship(store, points({"loss": [1.0]}, steps=[1]))
        assert in_child(read, unprivileged=True) == "[0.0, 1.0]"


def test_a_reader_without_rights_sees_what_came_since(archive: tuple[str, WriterScript], in_child: InChild) -> None:
    """A store that was at rest when it was first read is read anew each time."""
    uri, script = archive
    (to_reader, from_writer), (to_writer, from_reader) = os.pipe(), os.pipe()

    def read_twice() -> object:
        store = SqliteStore(uri)
        lengths = [len(store.series(script.run, "loss").values)]
        os.write(from_reader, b"read")
        os.read(to_reader, 4)
        return [*lengths, len(store.series(script.run, "loss").values)]

    def write() -> None:
        os.read(to_writer, 4)
        with SqliteStore(uri) as store:
            script.ship(store, points({"loss": [1.0]}, steps=[1]))
        os.write(from_writer, b"done")

    writer = Thread(target=write)
    writer.start()
    told = in_child(read_twice, unprivileged=True)
    os.write(from_reader, b"gone")  # The writer must not wait for a reader that failed.
    writer.join()
    for descriptor in (to_reader, from_writer, to_writer, from_reader):
        os.close(descriptor)

    assert told == "[1, 2]"


def test_a_store_on_a_read_only_file_system_can_be_read(
    archive: tuple[str, WriterScript], public_folder: Path, mounted: Mount
) -> None:
    """A store on a medium that nobody can write to is read as any other."""
    _, script = archive
    target = public_folder / "mounted"
    target.mkdir()
    mounted(target, "-o", "ro,bind", str(public_folder / "archive"))

    with SqliteStore(f"sqlite:///{target}/tracklib.db") as store:
        assert store.series(script.run, "loss").values.tolist() == [0.0]
        with pytest.raises(StoreError, match="cannot be written to"):
            store.check()
        with pytest.raises(StoreUnavailable):
            store.append(script.batch())


@pytest.mark.parametrize("depth", ["tracklib.db", "sub/tracklib.db", "sub/sub/tracklib.db"])
def test_a_hidden_folder_is_told(public_folder: Path, in_child: InChild, depth: str) -> None:
    """A store in a folder that may not be looked into is told as that, not as missing."""
    hidden = public_folder / "hidden"
    with SqliteStore(f"sqlite:///{hidden}/{depth}") as store:
        written(store)
    hidden.chmod(0o000)
    store = SqliteStore(f"sqlite:///{hidden}/{depth}")

    for use in (store.check, partial(store.runs, RunQuery()), partial(store.append, WriterScript().start())):
        assert in_child(use, unprivileged=True).startswith(("StoreError: ", "StoreUnavailable: "))
