"""tracklib with its object store, in a folder and on S3."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from .base import Adapter, FinishedRun, Traffic
from .tracklib import TracklibAdapter, finished_batch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tracklib.model import Batch

_THREADS = 8
_SPREAD_S = 5 * 86_400.0
_KINDS = {"list_objects_v2": "LIST", "get_object": "GET", "head_object": "HEAD", "put_object": "PUT"}


class FileAdapter(TracklibAdapter):
    """The store is a folder of this machine."""

    environment = "tracklib-s3"
    settings = "`store='file://…'`, otherwise as tracklib; many runs are searched with a catalog that is up to date"
    top = Adapter.top
    most_runs: ClassVar[float] = 20_000

    @property
    def store(self) -> str:
        """The URI of its store."""
        return f"file://{self.root}/store"

    def write_runs(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        from tracklib.stores.base import open_store

        batches = [finished_batch(run) for run in runs]
        _spread_markers(batches)
        # A store ships one batch after the other.
        stores = [open_store(self.store) for _ in range(_THREADS)]

        def write(number: int) -> None:
            for batch in batches[number::_THREADS]:
                stores[number].append(batch)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(write, range(_THREADS)))
        return len(batches)

    def write_searched(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        import tracklib

        done = self.write_runs(runs, deadline)
        tracklib.list_runs(limit=1, store=self.store)  # Now the catalog is there, and the next reader finds it.
        return done

    def catalog(self) -> dict[str, float]:
        from tracklib.stores.base import open_store
        from tracklib.stores.objects import ObjectStore

        with open_store(self.store) as store:
            assert isinstance(store, ObjectStore)
            store.bucket.delete([*store.bucket.list("snapshots")])
        figures = self._look("first", self._new_reader())
        with open_store(self.store) as store:
            store.compact()
        reader = self._new_reader()
        figures |= self._look("snapshot", reader) | self._look("again", reader)
        with open_store(self.store) as store:
            store.append(finished_batch(FinishedRun("one more", {"lr": 0.1}, [{"val_loss": 0.5}])))
        return figures | self._look("more", reader)

    def _new_reader(self) -> Any:
        from tracklib.stores.base import open_store

        os.environ["TRACKLIB_CACHE"] = tempfile.mkdtemp(dir=self.root.parent)
        return open_store(self.store)

    def _look(self, situation: str, reader: Any) -> dict[str, float]:
        from tracklib.stores.base import RunQuery

        traffic = self.traffic()
        if traffic:
            traffic.clear()
        before = time.perf_counter()
        found = reader.runs(RunQuery(limit=1))
        seconds = time.perf_counter() - before
        if len(found) != 1:
            raise RuntimeError("it shows no run")
        requests = traffic.requests if traffic else {}
        return {f"{situation}_s": seconds, **{f"{situation}.{kind}": count for kind, count in requests.items()}}


class S3Adapter(FileAdapter):
    """The store is in a bucket of an S3 server on this machine."""

    settings = "`store='s3://…'` on SeaweedFS, which runs on the same machine; otherwise as tracklib"

    @property
    def store(self) -> str:
        """The URI of its store."""
        return (self.root / "where").read_text(encoding="utf-8")

    @classmethod
    def prepare(cls) -> None:
        """Start the server."""
        from tests.benchmarks.s3 import server

        server()

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:
        """Return how the server is found, and give the store a prefix of its own."""
        from tests.benchmarks.s3 import BUCKET, environment

        where = root / "where"
        if not where.exists():
            where.write_text(f"s3://{BUCKET}/{uuid.uuid4().hex}", encoding="utf-8")
        return super().variables(root) | environment()

    @classmethod
    def stored_bytes(cls, root: Path) -> int:
        """Return the sizes of the objects, summed."""
        return cls.remote_bytes(root)

    @classmethod
    def remote_bytes(cls, root: Path) -> int:
        """Return the same: they are all that is elsewhere than in files."""
        from tests.benchmarks.s3 import size_bytes

        return size_bytes(cls(root).store)

    def traffic(self) -> Traffic:
        return _counted()


def _spread_markers(batches: list[Batch]) -> None:
    """Let the markers of runs be as old as if the runs had been recorded day and night.

    A reader always lists those of the last quarter of an hour; nobody records thousands of runs in one.
    """
    from tracklib.records import new_id
    from tracklib.stores import object_writing
    from tracklib.stores.layout import Marker

    now = time.time()
    moments = {batch.run: now - _SPREAD_S * (1 - n / len(batches)) for n, batch in enumerate(batches)}
    object_writing.new_marker = lambda run="": Marker(new_id(moments[run]), run)


@cache
def _counted() -> Traffic:
    """Count what s3fs asks for from now on; this is the only place where all of it passes."""
    from s3fs import S3FileSystem

    traffic, plain = Traffic(Counter()), S3FileSystem._call_s3

    async def call(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
        traffic.requests[_KINDS.get(method, "other")] += 1
        traffic.sent_bytes += len(options.get("Body") or b"")
        return await plain(self, method, *arguments, **options)

    S3FileSystem._call_s3 = call
    return traffic
