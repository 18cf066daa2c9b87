"""The page on the object format as its reader would use it: its code finds what tracklib finds."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from s3fs import S3FileSystem

from tracklib.model import Project
from tracklib.stores import object_log
from tracklib.stores.layout import segment_key
from tracklib.stores.objects import ObjectStore
from tracklib.stores.pieces import Piece, write_recipe
from tracklib.stores.segments import encode_rows, rows_of
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.versions import log_artifact

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

PAGE = Path(__file__).parents[2] / "docs" / "object-format.md"
ODD = "odd 'name'\n\"/é\x00="


@pytest.fixture(scope="module", name="page")
def _page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module", name="functions")
def _functions(page: str) -> dict[str, Any]:
    """Return the functions that the page shows, without what it shows of tracklib."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    namespace: dict[str, Any] = {}
    for block in blocks:
        if "import tracklib" not in block:
            exec(compile(block, str(PAGE), "exec"), namespace)  # noqa: S102 - it is what the page is for
    return namespace


@pytest.fixture(name="store", params=["file", "memory"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    with ObjectStore(f"{request.param}://{tmp_path}/store") as store:
        yield store


@pytest.fixture(name="small_segments")
def _small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let segments be full, and objects of records long enough, after a few batches."""
    monkeypatch.setattr(object_log, "SEGMENT_ROWS", 4)
    monkeypatch.setattr(object_log, "RECORDS_BYTES", 600)


def by_the_page(functions: dict[str, Any], store: ObjectStore, run: str, name: str) -> list[Any]:
    root = store.bucket.path("")
    return list(zip(*functions["read_points"](store.bucket.fs, root, run, name), strict=True))


def by_tracklib(store: ObjectStore, run: str, name: str) -> list[Any]:
    series = store.series(run, name, every=True)
    return list(zip(series.steps.tolist(), series.times.tolist(), series.values.tolist(), strict=True))


def written(store: ObjectStore) -> WriterScript:
    """Write a run with two writers, repeated steps and several objects of each kind."""
    script = WriterScript()
    for step in range(10):
        tags = script.record("tags", tags={"step": str(step)})
        script.ship(store, tags, points({"loss": [step / 3, step / 7], ODD: [-step, step]}, steps=[step, 5]))
    joined = script.joined_by("0.late", after_s=100.0)
    joined.ship(store, points({"loss": [40.0, 50.0]}, steps=[4, 5], times=[1.5, 2.5]))
    script.ship(store, points({"loss": [8.0]}, steps=[5], times=[EPOCH + 99]))
    ship(store, [joined.end(), script.end()])
    return script


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("name", ["loss", ODD])
def test_the_page_reads_every_point(functions: dict[str, Any], store: ObjectStore, name: str) -> None:
    """Its reader finds all points in tracklib's order: of several writers, over many objects, under odd names."""
    run = written(store).run

    assert len(store.bucket.list(f"runs/{run}/metrics")) > 3
    assert len(store.bucket.list(f"runs/{run}/records")) > 2
    assert by_the_page(functions, store, run, name) == by_tracklib(store, run, name)


@pytest.mark.usefixtures("small_segments")
def test_the_page_reads_a_bucket(functions: dict[str, Any], s3_server: S3Server, s3_prefix: str) -> None:
    """It does so in a bucket too, with a file system that somebody else opened."""
    with ObjectStore(f"s3://{s3_prefix}", s3_server.options()) as store:
        run = written(store).run
        fs = S3FileSystem(**s3_server.options("read"), skip_instance_cache=True)
        found = functions["read_points"](fs, s3_prefix, run, "loss")

        assert list(zip(*found, strict=True)) == by_tracklib(store, run, "loss")


@pytest.mark.usefixtures("small_segments")
def test_the_page_knows_merged_segments(functions: dict[str, Any], store: ObjectStore) -> None:
    """Its reader finds each point once: with merged segments alone, and beside those that were merged."""
    run = written(store).run
    folder = f"runs/{run}/metrics"
    apart = {key: store.bucket.get(key) for key in store.bucket.list(folder)}
    before = by_the_page(functions, store, run, "loss")
    store.compact(settled_s=0)
    merged = by_the_page(functions, store, run, "loss")
    remaining = len(store.bucket.list(folder))
    for key, data in apart.items():
        store.bucket.put(key, data)

    assert remaining < len(apart)
    assert merged == before
    assert by_the_page(functions, store, run, "loss") == before


def test_the_page_knows_what_does_not_count(functions: dict[str, Any], store: ObjectStore) -> None:
    """Its reader leaves out rows that the records do not confirm, as a kill between two writes leaves them."""
    script = WriterScript()
    script.ship(store, points({"loss": [1.0, 2.0]}))
    lost = script.batch(points({"loss": [3.0]}, steps=[2]))
    store.bucket.put(segment_key(script.run, script.writer, 1), encode_rows(rows_of(lost), script.run))

    assert [value for _, _, value in by_the_page(functions, store, script.run, "loss")] == [1.0, 2.0]
    assert by_the_page(functions, store, script.run, "loss") == by_tracklib(store, script.run, "loss")


def test_the_page_knows_runs_without_points(functions: dict[str, Any], store: ObjectStore) -> None:
    """A run that logged nothing has no points, and no folder for them."""
    script = WriterScript()
    script.ship(store)

    assert by_the_page(functions, store, script.run, "loss") == []
    assert store.bucket.list(f"runs/{script.run}/metrics") == {}


def test_the_page_knows_deleted_runs(functions: dict[str, Any], store: ObjectStore) -> None:
    """A run with a tombstone is not there, though an object of it may be."""
    run = written(store).run
    key, *_ = store.bucket.list(f"runs/{run}/metrics")
    data = store.bucket.get(key)
    store.delete_run(run)
    store.bucket.put(key, data)

    with pytest.raises(KeyError, match=run):
        by_the_page(functions, store, run, "loss")


def patterns_of(page: str) -> list[str]:
    """Return as patterns the names of objects that the page lists."""
    ulid, number = "[0-9A-Z]{26}", r"\d+"
    words = {"<run id>": ulid, "<ulid>": ulid, "<writer>": "[^/]+", "<n>": number, "<first>": number, "<last>": number}
    words |= {"<hash>": r"\w{64}", "<checksum>": r"\w{64}", "ab/abcdef…": r"\w{2}/\w{64}", ".": r"\."}
    table = page.partition("| --- |")[2].partition("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall("`([^`]+)`", row.split(" | ")[0])]
    return [re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], name) for name in names]


@pytest.mark.usefixtures("small_segments")
def test_every_object_is_on_the_page(page: str, store: ObjectStore) -> None:
    """All kinds of objects that a store makes stand in the table of objects, and no others do."""
    written(store)
    script = WriterScript()
    script.ship(store, points({"loss": [1.0]}))
    store.put_blob(io.BytesIO(b"content"))
    store.put_recipe(hashlib.sha256(b"in pieces").hexdigest(), write_recipe([Piece(9, content=b"in pieces")]))
    log_artifact(store, "content", script=script)
    store.delete_run(script.run)
    store.compact(settled_s=0)
    folders = ("runs", "changes", "entities", "snapshots", "versions", "blobs")
    keys, patterns = [key for folder in folders for key in store.bucket.list(folder)], patterns_of(page)

    assert [key for key in keys if not any(re.fullmatch(pattern, key) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(re.fullmatch(pattern, key) for key in keys)] == patterns[:1]
    assert store.bucket.get("tracklib.json")


def test_files_in_pieces_are_read_by_the_page(functions: dict[str, Any], store: ObjectStore) -> None:
    """Those that are whole likewise."""
    parts, root = (b"backbone" * 1000, b"head" * 1000), store.bucket.path("")
    pieces = [Piece(len(part), store.put_blob(io.BytesIO(part))[0]) for part in parts]
    checksum = hashlib.sha256(b"in " + b"".join(parts)).hexdigest()
    store.put_recipe(checksum, write_recipe([Piece(3, content=b"in "), *pieces]))

    assert functions["read_file"](store.bucket.fs, root, checksum) == b"in " + b"".join(parts)
    assert functions["read_file"](store.bucket.fs, root, pieces[0].checksum) == parts[0]


def test_versions_are_where_the_page_says(store: ObjectStore) -> None:
    """Under the hash of project and name."""
    log_artifact(store, "content", project="é", name='a "b"')
    folder = hashlib.sha256(b'["\\u00e9","a \\"b\\""]').hexdigest()

    assert json.loads(store.bucket.get(f"versions/{folder}/numbers/0.json"))["name"] == 'a "b"'


def schema_of(store: ObjectStore, key: str) -> Any:
    """Return the columns of a Parquet object."""
    import pyarrow.parquet as pq

    with store.bucket.open(key) as file:
        return pq.read_schema(file)


def test_every_column_and_key_of_snapshots_is_on_the_page(page: str, store: ObjectStore) -> None:
    """Columns, the fields of summaries and what the metadata hold are all described."""
    written(store)
    store.compact(settled_s=0)
    (snapshot,) = store.bucket.list("snapshots")
    schema = schema_of(store, snapshot)
    summary = schema.field("metrics").type.item_type
    notes = json.loads(schema.metadata[b"tracklib"])
    names = [*schema.names, *(field.name for field in summary), *notes]

    assert [name for name in names if f"`{name}`" not in page.partition("## Snapshots")[2]] == []


def test_every_key_in_json_is_on_the_page(page: str, store: ObjectStore) -> None:
    """So are the keys of a record, of a state, of what is said of a project and of the store itself."""
    store.put_project(Project(id="", name="digits"))
    run = written(store).run
    first, *_, state = map(json.loads, store.bucket.get(f"runs/{run}/records/0-0.jsonl").splitlines())
    (entity,) = [json.loads(store.bucket.get(key)) for key in store.bucket.list("entities")]
    names = {*first, *state, *state["data"], *entity, *json.loads(store.bucket.get("tracklib.json"))}
    log_artifact(store, "content")
    names |= {name for key in store.bucket.list("versions") for name in json.loads(store.bucket.get(key))}

    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    assert state["kind"] == "state"
    assert len(state["data"]["sums"]["loss"]) == 9


def test_segments_are_what_the_page_says(page: str, store: ObjectStore) -> None:
    """Columns, types and encodings of a segment are those of the table."""
    import pyarrow.parquet as pq

    table = page.partition("## Points")[2].partition("###")[0]
    told = re.findall(r"^\| `(\w+)` \| (\w+) \| `?(\w+)`? \|", table, re.MULTILINE)
    key = segment_key(written(store).run, "0", 0)
    with store.bucket.open(key) as file:
        group = pq.read_metadata(file).row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
    encodings = [set(column.encodings) - {"RLE", "PLAIN"} for column in columns]

    assert [(name, kind) for name, kind, _ in told] == [
        (field.name, str(field.type)) for field in schema_of(store, key)
    ]
    assert [{{"dictionary": "RLE_DICTIONARY"}.get(encoding, encoding)} for _, _, encoding in told] == encodings
    assert {column.compression for column in columns} == {"ZSTD"}
