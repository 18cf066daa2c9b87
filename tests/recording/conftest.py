"""Journals to write to, and what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tracklib.recording.format import HEADER_SIZE
from tracklib.recording.journal import Journal
from tracklib.recording.reader import SegmentReader
from tracklib.records import new_id

if TYPE_CHECKING:
    from tracklib.recording.decode import Decoded

# A slow machine is no fault of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

Point = tuple[str, int, float]


class Heard:
    """A journal's observer that remembers."""

    def __init__(self) -> None:
        self.skips: list[str] = []
        self.drops = 0
        self.refusals = 0

    def skipped(self, name: str, value: object) -> str:
        self.skips.append(name)
        return f"{name} was skipped"

    def dropped(self, points: int, error: OSError | None) -> str:
        assert error is not None
        self.drops += points
        return ""

    def refused(self) -> str:
        self.refusals += 1
        return ""


@pytest.fixture(name="heard")
def _heard() -> Heard:
    """Return what the journals of a test tell their observer."""
    return Heard()


@pytest.fixture(name="new_journal")
def _new_journal(tmp_path: Path, heard: Heard) -> Iterator[Callable[..., Journal]]:
    """Return a function that opens a journal of a run of its own, in the spool `tmp_path / "spool"`."""
    opened: list[Journal] = []

    def new(**options: Any) -> Journal:
        run = options.pop("run", None) or new_id()
        given = {"writer": "0", "store": f"sqlite:///{tmp_path / 'runs.db'}", "observer": heard, **options}
        opened.append(Journal(tmp_path / "spool" / run, run=run, **given))
        return opened[-1]

    yield new
    for journal in opened:
        journal.close(delete=False)


@pytest.fixture(name="journal")
def _journal(new_journal: Callable[..., Journal]) -> Journal:
    """Return an empty journal."""
    return new_journal()


@pytest.fixture(name="decode")
def _decode() -> Callable[[Journal], list[Decoded]]:
    """Return a function that decodes each segment of a journal, and sees to it that none is damaged or out of place."""

    def decode(journal: Journal) -> list[Decoded]:
        decoded, position = [], 0
        for segment in journal.segments:
            assert segment.base == position
            decoded.append(SegmentReader(segment).take())
            assert not decoded[-1].damaged
            position += segment.committed - HEADER_SIZE
        return decoded

    return decode


@pytest.fixture(name="points_of")
def _points_of() -> Callable[[Decoded], list[Point]]:
    """Return a function that lists what was decoded as name, step and value, in the order of the calls."""
    return _listed


@pytest.fixture(name="logged")
def _logged(decode: Callable[[Journal], list[Decoded]]) -> Callable[[Journal], list[Point]]:
    """Return a function that lists the points in a journal as name, step and value, in the order of the calls."""

    def logged(journal: Journal) -> list[Point]:
        return [point for decoded in decode(journal) for point in _listed(decoded)]

    return logged


def _listed(decoded: Decoded) -> list[Point]:
    calls: list[tuple[int, list[Point]]] = []
    for group in decoded.groups:
        rows = zip(group.order.tolist(), group.steps.tolist(), group.values.tolist(), strict=True)
        calls += [
            (at, [(name, step, value) for name, value in zip(group.names, row, strict=True)]) for at, step, row in rows
        ]
    if decoded.scattered is not None:
        one = decoded.scattered
        singles = zip(one.order.tolist(), one.which.tolist(), one.steps.tolist(), one.values.tolist(), strict=True)
        calls += [(at, [(one.names[which], step, value)]) for at, which, step, value in singles]
    return [point for _, call in sorted(calls) for point in call]
