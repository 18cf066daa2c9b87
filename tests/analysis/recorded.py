"""Runs with given params and last values, put into a real store past recording, which is quick."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import tracklib
from tracklib.records import RecordKind
from tracklib.testing.batches import WriterScript, points

if TYPE_CHECKING:
    from tracklib.reading import StoredRun

__all__ = ["STORE", "recorded_runs"]

STORE = "recorded.db"


def recorded_runs(
    rows: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], *, experiment: str = "sweep"
) -> list[StoredRun]:
    """Return runs, in the order of `rows`: of each its params, and by metric a value or all values."""
    ids: list[str] = []
    with tracklib.open_store(STORE) as store:
        for params, metrics in rows:
            script = WriterScript(experiment=experiment, name=f"run {len(ids)}")
            parts: list[Any] = [script.record(RecordKind.PARAMS, params=dict(params))]
            parts += [points({name: values}) for name, values in metrics.items()]
            script.ship(store, *parts, script.record(RecordKind.END, status="completed"))
            ids.append(script.run)
    found = {run.id: run for run in tracklib.list_runs(ids=tuple(ids), store=STORE)}
    return [found[each] for each in ids]
