"""What batches say of a run, told anew from all of them each time: slow, and plain enough to be seen to be right.

This is what stores are compared to. It shares no code with them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tracklib.model import (
    Alias,
    Artifact,
    ArtifactFile,
    ArtifactUse,
    Environment,
    Event,
    Gpu,
    Resources,
    RunError,
    RunInfo,
    RunStatus,
    SeriesPoints,
    Source,
    SourceType,
    WriterInfo,
)
from tracklib.records import Record, RecordKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from tracklib.records import Batch

__all__ = ["RunLog"]

_CHANGING = {RecordKind.PARAMS, RecordKind.TAGS, RecordKind.NOTES, RecordKind.NAME, RecordKind.ARCHIVE}
_TABULAR = {
    *(RecordKind.START, RecordKind.END, RecordKind.SOURCE, RecordKind.ENVIRONMENT, RecordKind.RESOURCES),
    *(RecordKind.ARTIFACT, RecordKind.DROPPED, RecordKind.HEARTBEAT),
}


@dataclass(slots=True)
class RunLog:
    """All batches of a run in the order of their arrival, and what they say.

    Attributes:
        id: The run's id.
    """

    id: str
    batches: list[Batch] = field(default_factory=list)

    def position(self, writer: str) -> int:
        """Return how far the log is in a writer's journal."""
        return max((batch.end for batch in self.batches if batch.writer == writer), default=0)

    # ---- records

    @property
    def first_start(self) -> Record:
        """The start record of the first batch, or one that says nothing."""
        first = self.batches[0]
        return next((r for r in first.records if r.kind == RecordKind.START), Record(RecordKind.START, first.time, {}))

    @property
    def place(self) -> Record:
        """The record that says last in which project and experiment the run is."""
        return (self._by_time(RecordKind.PLACE) or [self.first_start])[-1]

    def info(self) -> RunInfo:
        """Return what the records say, but for project and experiment."""
        start = self.first_start
        began = min([start.time, *(r.time for w, r in self._records(RecordKind.START) if r.data.get("primary", True))])
        writers = tuple(self._writers())
        # Of what has no main process yet, helpers are all that was heard; a change from outside is no sign of life.
        heard = [w for w in writers if w.primary] or [w for w in writers if not w.writer.startswith("edit.")]
        heartbeat = max((writer.heartbeat_at for writer in heard), default=None)
        info = RunInfo(
            id=self.id,
            project="",
            experiment="",
            name=start.data.get("name") or self.id,
            parent=start.data.get("parent"),
            created_by=start.data.get("created_by", ""),
            start_time=began,
            created_at=min(began, start.data.get("created_at", began)),
            writers=writers,
            heartbeat_at=heartbeat,
            dropped=self._dropped(),
            source=_source(self._merged(RecordKind.SOURCE)),
            environment=_environment(self._merged(RecordKind.ENVIRONMENT)),
            resources=Resources(**_known(Resources, self._merged(RecordKind.RESOURCES))),
        )
        return _lasted(self._ended(_changed(info, self._by_time(*_CHANGING))))

    def events(self) -> list[Event]:
        """Return the records that are kept as they came."""
        return [
            Event(record.kind, record.time, batch.writer, record.data)
            for batch in self.batches
            for record in batch.records
            if record.kind not in _TABULAR or _is_deletion(record)
        ]

    def artifacts(self) -> list[Artifact]:
        """Return the artifacts by time."""
        found: dict[str, Artifact] = {}
        for _, record in self._records(RecordKind.ARTIFACT):
            if _is_deletion(record):
                found.pop(record.data["id"], None)
            else:
                found[record.data["id"]] = _artifact(self.id, record)
        return sorted(found.values(), key=lambda artifact: (artifact.created_at, artifact.id))

    def aliases(self) -> list[Alias]:
        """Return what was said of aliases after artifacts were logged, as it was told."""
        return [
            Alias(**{**_known(Alias, r.data), "score": _score(r.data), "time": r.time, "run": self.id})
            for _, r in self._records(RecordKind.ALIAS)
        ]

    def uses(self) -> list[ArtifactUse]:
        """Return which artifacts the run reads, as it was told."""
        return [
            ArtifactUse(**{**_known(ArtifactUse, r.data), "time": r.time, "run": self.id})
            for _, r in self._records(RecordKind.USE)
        ]

    def _records(self, *kinds: str) -> Iterator[tuple[str, Record]]:
        for batch in self.batches:
            yield from ((batch.writer, record) for record in batch.records if record.kind in kinds)

    def _by_time(self, *kinds: str) -> list[Record]:
        """Return records in the order in which they were written: those that come late are old."""
        return sorted((record for _, record in self._records(*kinds)), key=lambda record: record.time)

    def _merged(self, kind: str) -> dict[str, Any]:
        return {name: value for record in self._by_time(kind) for name, value in record.data.items()}

    def _dropped(self) -> dict[str, int]:
        last = {writer: record.data["counts"] for writer, record in self._records(RecordKind.DROPPED)}
        reasons = {reason for counts in last.values() for reason in counts}
        return {reason: sum(counts.get(reason, 0) for counts in last.values()) for reason in sorted(reasons)}

    def _writers(self) -> Iterator[WriterInfo]:
        for name in dict.fromkeys(batch.writer for batch in self.batches):
            mine = [batch for batch in self.batches if batch.writer == name]
            status, start = RunStatus.RUNNING, Record(RecordKind.START, mine[0].time, {})
            for record in (record for batch in mine for record in batch.records):
                if record.kind == RecordKind.START:
                    status, start = RunStatus.RUNNING, record
                elif record.kind == RecordKind.END:
                    status = RunStatus(record.data.get("status", "completed"))
            yield WriterInfo(
                writer=name,
                position=mine[-1].end,
                status=status,
                started_at=start.time,
                heartbeat_at=max(batch.time for batch in mine),
                primary=bool(start.data.get("primary", True)),
                **{key: start.data[key] for key in ("rank", "host", "pid", "spool") if key in start.data},
            )

    def _ended(self, info: RunInfo) -> RunInfo:
        """Let the main processes begin and end, in the order in which they began."""
        info = replace(info, status=RunStatus.RUNNING)
        for writer in sorted((w for w in info.writers if w.primary), key=lambda writer: writer.started_at):
            began = next(batch.time for batch in self.batches if batch.writer == writer.writer)
            for name, record in self._records(RecordKind.START, RecordKind.END):
                if name == writer.writer and record.kind == RecordKind.START:
                    began = record.time
                    info = replace(info, status=RunStatus.RUNNING, reason="", error=None, end_time=None)
                elif name == writer.writer:
                    info = _end(info, began, record)
        return info

    # ---- points

    def series(self) -> dict[str, SeriesPoints]:
        """Return all points by name: writer by writer, in the order in which they began, each in that of its calls."""
        parts: dict[str, list[SeriesPoints]] = {}
        began = {writer.writer: writer.started_at for writer in self._writers()}
        for batch in sorted(self.batches, key=lambda batch: began[batch.writer]):
            for name, found in _of_batch(batch).items():
                parts.setdefault(name, []).append(found)
        return {
            name: SeriesPoints(*(np.concatenate(column) for column in zip(*found, strict=True)))
            for name, found in parts.items()
        }


def _of_batch(batch: Batch) -> dict[str, SeriesPoints]:
    """Return the points of a batch by name, in the order of the calls."""
    rows: dict[str, list[tuple[NDArray[np.int64], SeriesPoints]]] = {}
    for group in batch.groups:
        for column, name in enumerate(group.names):
            points = SeriesPoints(group.steps, group.times, group.values[:, column])
            rows.setdefault(name, []).append((group.order, points))
    if batch.scattered is not None:
        few = batch.scattered
        for index, name in enumerate(few.names):
            mine = few.which == index
            points = SeriesPoints(few.steps[mine], few.times[mine], few.values[mine])
            rows.setdefault(name, []).append((few.order[mine], points))
    return {name: _in_order(parts) for name, parts in rows.items()}


def _in_order(parts: list[tuple[NDArray[np.int64], SeriesPoints]]) -> SeriesPoints:
    order = np.argsort(np.concatenate([places for places, _ in parts]), kind="stable")
    steps, times, values = (np.concatenate(column)[order] for column in zip(*(p for _, p in parts), strict=True))
    return SeriesPoints(steps, times, values)


# ---- what single records do


def _changed(info: RunInfo, records: list[Record]) -> RunInfo:
    params: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for record in records:
        if record.kind == RecordKind.PARAMS:
            params = {**params, **_over_all(params, record.data["params"])}
        elif record.kind == RecordKind.TAGS:
            tags = {name: text for name, text in {**tags, **record.data["tags"]}.items() if text is not None}
        elif record.kind == RecordKind.NOTES:
            info = replace(info, notes=record.data["text"])
        elif record.kind == RecordKind.NAME:
            info = replace(info, name=record.data["name"])
        elif record.kind == RecordKind.ARCHIVE:
            info = replace(info, archived_at=record.data["archived_at"])
    return replace(info, params=_unmarked(params), tags=tags)


def _over_all(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return what there is for the names of later params: mappings with them over those that were there."""
    return {key: _over(old[key], value) if key in old else value for key, value in new.items()}


def _over(old: Any, new: Any) -> Any:
    marks = ({"$float"}, {"$repr", "$type"})
    if not all(isinstance(value, dict) and value.keys() not in marks for value in (old, new)):
        return new
    return {**old, **_over_all(old, new)}


def _unmarked(value: Any) -> Any:
    """Return data with the floats that JSON cannot say."""
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    numbers = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
    mark = value.get("$float") if len(value) == 1 else None
    if mark in tuple(numbers):
        return numbers[mark]
    return {key[1:] if key.startswith("$$") else key: _unmarked(item) for key, item in value.items()}


def _end(info: RunInfo, began: float, record: Record) -> RunInfo:
    data = record.data
    end = data.get("end_time") or record.time
    measured = data.get("duration")
    seconds = max(0.0, end - began) if measured is None else measured
    return replace(
        info,
        status=RunStatus(data.get("status", "completed")),
        reason=data.get("reason", ""),
        error=RunError(**data["error"]) if data.get("error") else None,
        end_time=end,
        duration=(info.duration or 0.0) + seconds,
    )


def _lasted(info: RunInfo) -> RunInfo:
    """Count the time of a main process that goes on."""
    if info.end_time is not None or info.heartbeat_at is None:
        return info
    began = max((writer.started_at for writer in info.writers if writer.primary), default=info.heartbeat_at)
    return replace(info, duration=(info.duration or 0.0) + max(0.0, info.heartbeat_at - began))


def _known(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {name: value for name, value in data.items() if name in names}


def _source(data: dict[str, Any]) -> Source:
    known = _known(Source, data)
    known["source_type"] = SourceType(known.get("source_type", "local"))
    known["command_line"] = tuple(known.get("command_line", ()))
    return Source(**known)


def _environment(data: dict[str, Any]) -> Environment:
    known = _known(Environment, data)
    return Environment(**{**known, "gpus": tuple(Gpu(**gpu) for gpu in known.get("gpus", ()))})


def _is_deletion(record: Record) -> bool:
    return record.kind == RecordKind.ARTIFACT and record.data.get("deleted", False)


def _artifact(run: str, record: Record) -> Artifact:
    known = _known(Artifact, record.data)
    made = {
        "run": run,
        "created_at": known.get("created_at") or record.time,
        "files": tuple(ArtifactFile(**file) for file in known.get("files", ())),
        "metadata": _unmarked(known.get("metadata", {})),
        "aliases": tuple(known.get("aliases", ())),
        "score": _score(known),
    }
    return Artifact(**{**known, **made})


def _score(data: dict[str, Any]) -> float | None:
    """Return a score; one that is no number, or greater than any, is none."""
    score = _unmarked(data.get("score"))
    return float(score) if score is not None and math.isfinite(score) else None
