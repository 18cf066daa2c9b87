"""Batches and records made by hand: what a shipper would hand to a store, without a run and a journal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tracklib.records import Batch, PointGroup, Record, RecordKind, ScatteredPoints, new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from tracklib.stores.base import Store

    Part = Record | PointGroup | ScatteredPoints

__all__ = ["EPOCH", "WriterScript", "logged", "points", "scattered", "ship"]

EPOCH = 1_700_000_000.0
"""When the first batch of a `WriterScript` is written by default, in seconds since the Unix epoch (UTC)."""

_LENGTH = 1000


def points(
    columns: Mapping[str, ArrayLike],
    *,
    steps: Sequence[int] | None = None,
    times: Sequence[float] | None = None,
    order: Sequence[int] | None = None,
) -> PointGroup:
    """Return n calls that logged the same k names.

    Args:
        columns: Per name n values; or one value for one call.
        steps: n steps; 0, 1, 2 … by default.
        times: n times in seconds since the epoch; one a second from `EPOCH` on by default.
        order: The place of each call among all calls of its batch; by default they are the first n ones.

    Example:
        >>> group = points({"loss": [0.5, 0.25], "lr": [0.1, 0.1]}, steps=[10, 20])
        >>> group.names, group.values.shape
        (('loss', 'lr'), (2, 2))
    """
    values = np.array([np.atleast_1d(np.asarray(column, dtype=np.float64)) for column in columns.values()]).T
    count = len(values)
    return PointGroup(
        tuple(columns),
        np.array(range(count) if steps is None else steps, dtype=np.int64),
        EPOCH + np.arange(count, dtype=np.float64) if times is None else np.array(times, dtype=np.float64),
        np.ascontiguousarray(values),
        np.array(range(count) if order is None else order, dtype=np.int64),
    )


def scattered(calls: Sequence[tuple[str, int, float]], *, order: Sequence[int] | None = None) -> ScatteredPoints:
    """Return calls that logged one name each.

    Args:
        calls: Name, step and value of each; the times are one a second from `EPOCH` on.
        order: The place of each call among all calls of its batch; by default they are the first ones.

    Example:
        >>> few = scattered([("loss", 0, 0.5), ("lr", 0, 0.1), ("loss", 1, 0.25)])
        >>> few.names, few.which.tolist()
        (('loss', 'lr'), [0, 1, 0])
    """
    names = tuple(dict.fromkeys(name for name, _, _ in calls))
    return ScatteredPoints(
        names,
        np.array([names.index(name) for name, _, _ in calls], dtype=np.int64),
        np.array([step for _, step, _ in calls], dtype=np.int64),
        EPOCH + np.arange(len(calls), dtype=np.float64),
        np.array([value for _, _, value in calls], dtype=np.float64),
        np.array(range(len(calls)) if order is None else order, dtype=np.int64),
    )


def logged(calls: Iterable[tuple[Mapping[str, float], int]], *, at: float = EPOCH) -> list[Part]:
    """Return what a shipper makes of calls `log(values, step)`: a group for each set of names, single points apart.

    Args:
        calls: Values and step of each.
        at: When the first one was; the others follow a second after each other.

    Example:
        >>> single, pairs = logged([({"a": 1.0, "b": 2.0}, 0), ({"a": 3.0}, 1), ({"a": 4.0, "b": 5.0}, 2)])[::-1]
        >>> single.order.tolist(), pairs.order.tolist(), pairs.values.tolist()
        ([1], [0, 2], [[1.0, 2.0], [4.0, 5.0]])
    """
    shapes: dict[tuple[str, ...], list[tuple[int, Mapping[str, float], int]]] = {}
    singles: list[tuple[int, str, int, float]] = []
    for place, (values, step) in enumerate(calls):
        if len(values) == 1:
            singles += [(place, name, step, value) for name, value in values.items()]
        else:
            shapes.setdefault(tuple(values), []).append((place, values, step))
    parts: list[Part] = []
    for names, rows in shapes.items():
        places = [place for place, _, _ in rows]
        columns = {name: [values[name] for _, values, _ in rows] for name in names}
        times = [at + place for place in places]
        parts.append(points(columns, steps=[step for _, _, step in rows], times=times, order=places))
    if singles:
        few = scattered([single[1:] for single in singles], order=[place for place, *_ in singles])
        parts.append(replace(few, times=at + few.order.astype(np.float64)))
    return parts


@dataclass(slots=True, kw_only=True)
class WriterScript:
    """One writer of a run: it numbers its batches as a journal does, and its clock goes on a second with each.

    Attributes:
        writer: Its name within the run.
        position: Where its next batch begins.
        clock: When its next batch is written.

    Example:
        >>> script = WriterScript(project="digits")
        >>> first, second = script.start(), script.batch(points({"loss": [0.5]}))
        >>> (first.start, first.end), (second.start, second.end)
        ((0, 1000), (1000, 2000))
    """

    run: str = field(default_factory=new_id)
    writer: str = "0"
    project: str = "digits"
    experiment: str = "sweep"
    name: str = "first"
    position: int = 0
    clock: float = EPOCH

    def start(self, *parts: Part, final: bool = False, **data: Any) -> Batch:
        """Return the writer's first batch: its start record, with `data` over the usual, then `parts`."""
        usual = {"project": self.project, "experiment": self.experiment, "name": self.name}
        return self.batch(self.record(RecordKind.START, **{**usual, **data}), *parts, final=final)

    def record(self, kind: str, **data: Any) -> Record:
        """Return a record of now."""
        return Record(kind, self.clock, data)

    def batch(self, *parts: Part, after_gap: bool = False, final: bool = False) -> Batch:
        """Return the next batch, made of records, groups of points, and scattered points at most once."""
        start, time = self.position, self.clock
        self.position, self.clock = start + _LENGTH, time + 1.0
        return Batch(
            run=self.run,
            writer=self.writer,
            start=start,
            end=self.position,
            time=time,
            records=tuple(part for part in parts if isinstance(part, Record)),
            groups=tuple(part for part in parts if isinstance(part, PointGroup)),
            scattered=next((part for part in parts if isinstance(part, ScatteredPoints)), None),
            after_gap=after_gap,
            final=final,
        )

    def end(self, status: str = "completed", **data: Any) -> Batch:
        """Return the writer's last batch, with its end record."""
        return self.batch(self.record(RecordKind.END, status=status, **data), final=True)

    def lose(self, length: int = _LENGTH) -> None:
        """Leave out a stretch, as if that part of the journal were lost."""
        self.position += length

    def joined_by(self, writer: str, *, after_s: float = 1.0) -> WriterScript:
        """Return another writer of the same run, which begins so many seconds later."""
        return WriterScript(
            run=self.run,
            writer=writer,
            project=self.project,
            experiment=self.experiment,
            name=self.name,
            clock=self.clock + after_s,
        )

    def ship(self, store: Store, *parts: Part, final: bool = False) -> None:
        """Append the next batch and make sure that the store took it; the first one gets a start record."""
        make = self.batch if self.position else self.start
        ship(store, [make(*parts, final=final)])


def ship(store: Store, batches: Iterable[Batch]) -> None:
    """Append batches and make sure that the store took each of them.

    Raises:
        AssertionError: It did not.
    """
    for batch in batches:
        end = store.append(batch)
        if end != batch.end:
            raise AssertionError(f"{store!r} is at {end} of writer {batch.writer!r}, but was given up to {batch.end}")
