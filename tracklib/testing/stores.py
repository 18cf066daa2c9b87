"""One suite for all stores: whoever writes a store proves it by passing `StoreContract`.

The modules beside this one hold its parts: `appends`, `points`, `summaries`, `runs`, `resumption`, `queries`,
`searching`, `catalog`, `artifacts`, `versions`, `lineage`, `blobs`, `pieces`, `history`, `edits`, `deletion`, `export`,
`sharing` and `states`. `harness` says what a store's tests must give, `batches` makes what a shipper would ship,
`entities` has one of each entity with every field set, `zoo` runs to search among, and `memory` the store that others
are compared to.
"""

from __future__ import annotations

from tracklib.testing.appends import AppendContract
from tracklib.testing.artifacts import ArtifactContract
from tracklib.testing.blobs import BlobContract
from tracklib.testing.catalog import CatalogContract
from tracklib.testing.deletion import DeletionContract
from tracklib.testing.edits import EditContract
from tracklib.testing.export import ExportContract
from tracklib.testing.history import HistoryContract
from tracklib.testing.lineage import LineageContract
from tracklib.testing.pieces import PieceContract
from tracklib.testing.points import PointContract
from tracklib.testing.queries import QueryContract
from tracklib.testing.resumption import ResumptionContract
from tracklib.testing.runs import RunContract
from tracklib.testing.searching import SearchContract
from tracklib.testing.sharing import SharingContract
from tracklib.testing.states import StateContract
from tracklib.testing.summaries import SummaryContract
from tracklib.testing.versions import VersionContract

__all__ = ["StoreContract"]


class StoreContract(
    AppendContract,
    PointContract,
    SummaryContract,
    RunContract,
    ResumptionContract,
    QueryContract,
    SearchContract,
    CatalogContract,
    ArtifactContract,
    BlobContract,
    PieceContract,
    VersionContract,
    LineageContract,
    HistoryContract,
    EditContract,
    DeletionContract,
    ExportContract,
    SharingContract,
    StateContract,
):
    """Every promise of `tracklib.stores.base.Store`, as tests.

    A store's test file is a subclass with the fixture `store`, which gives an empty one for each test, and with the
    four methods that look past the store, so that what was written is not proved by what wrote it:

        class TestShelf(StoreContract):
            @pytest.fixture
            def store(self, tmp_path):
                with ShelfStore(f"shelf://{tmp_path}") as store:
                    yield store

            def read_raw(self, store, run, name): ...
            def read_raw_blob(self, store, checksum): ...
            def write_raw_blob(self, store, content): ...
            def overwrite_raw_blob(self, store, name, content): ...

    What a store cannot do is said by a class attribute: `raw = False` where there is nothing to look at past it,
    `processes = False` where it lives in one process. Tests that need that are then expected to raise
    `NotImplementedError`, and to go on doing so: a gap is asserted, never skipped. It takes the line
    `pytest_plugins = ["tracklib.testing.plugin"]` in the topmost `conftest.py`.
    """
