"""One suite for all stores."""

from __future__ import annotations

from tracklib.testing.appends import AppendContract
from tracklib.testing.artifacts import ArtifactContract
from tracklib.testing.catalog import CatalogContract
from tracklib.testing.history import HistoryContract
from tracklib.testing.points import PointContract
from tracklib.testing.queries import QueryContract
from tracklib.testing.resumption import ResumptionContract
from tracklib.testing.runs import RunContract
from tracklib.testing.sharing import SharingContract
from tracklib.testing.states import StateContract
from tracklib.testing.summaries import SummaryContract

__all__ = ["StoreContract"]


class StoreContract(
    AppendContract,
    PointContract,
    SummaryContract,
    RunContract,
    ResumptionContract,
    QueryContract,
    CatalogContract,
    ArtifactContract,
    HistoryContract,
    SharingContract,
    StateContract,
):
    """X."""
