"""Ten thousand runs in a bucket: what it costs to see that nothing is new."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tracklib.records import RecordKind, RunStatus, new_id
from tracklib.stores.base import RunQuery
from tracklib.stores.layout import Marker, marker_key, records_key
from tracklib.stores.object_log import WriterLog, shipping_time
from tracklib.stores.objects import ObjectStore
from tracklib.testing.batches import WriterScript, points

if TYPE_CHECKING:
    from tests.servers.faulty_proxy import FaultyProxy
    from tests.servers.s3_server import S3Server

pytestmark = pytest.mark.slow

RUNS = 10_000
HANDFUL = 10


def finished_runs(store: ObjectStore, count: int) -> None:
    """Write what as many writers write that have ended, all at once; each ended a minute after the one before."""
    script = WriterScript()
    batch = script.start(
        script.record(RecordKind.PARAMS, params={"training": {"lr": 0.1}}),
        points({"eval/loss": [0.5, 0.25]}),
        script.record(RecordKind.END, status=RunStatus.COMPLETED),
        final=True,
    )
    text = WriterLog().extended(batch, shipping_time()).text()
    store.check()
    now = time.time()
    objects: dict[str, bytes] = {}
    for number in range(count):
        run = new_id(now - 60.0 * number)
        objects[records_key(run, "0", 0)] = text.replace(b'"name":"first"', f'"name":"run-{number}"'.encode())
        objects[marker_key(Marker(new_id(now - 60.0 * number), run))] = b""
    for key, data in objects.items():
        path = Path(store.bucket.path(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def test_ten_thousand_finished_runs_cost_a_handful_of_requests(
    s3_server: S3Server,
    s3_prefix: str,
    faulty_proxy: FaultyProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With nothing new; and a new reader needs no more than that, and the snapshot.

    The store is made in a folder, which is quicker. The bucket gets all of it but the runs themselves, of which the
    reader must not ask anything.
    """
    monkeypatch.setenv("TRACKLIB_CACHE", str(tmp_path / "first"))
    with ObjectStore(f"file://{tmp_path}/made") as made:
        finished_runs(made, RUNS)
        assert made.compact().runs == RUNS
    watched = s3_server.options(endpoint_url=faulty_proxy.endpoint_url)
    monkeypatch.setenv("TRACKLIB_CACHE", str(tmp_path / "second"))
    with ObjectStore(f"s3://{s3_prefix}", s3_server.options()) as store:
        paths = [path for path in (tmp_path / "made").rglob("*") if path.is_file() and "runs" not in path.parts]
        keys = [str(path.relative_to(tmp_path / "made")) for path in paths]
        store.bucket.fs.pipe({store.bucket.path(key): path.read_bytes() for key, path in zip(keys, paths, strict=True)})

    with ObjectStore(f"s3://{s3_prefix}", watched) as reader:
        costs = []
        for _ in range(3):
            faulty_proxy.requests.clear()
            found = reader.runs(RunQuery(order_by="eval/loss", limit=RUNS + 1))
            costs.append(len(faulty_proxy.requests))
            assert len(found) == RUNS
            assert found[0].params == {"training": {"lr": 0.1}}
    assert costs[0] <= 2 * HANDFUL, faulty_proxy.requests
    assert max(costs[1:]) <= HANDFUL, faulty_proxy.requests
