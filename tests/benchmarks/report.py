"""Samples to tables in Markdown: medians, and how many times tracklib's."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .adapters import adapter_class
from .cases import CASES
from .environments import ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .cases import Case, Figure
    from .plan import Plan

__all__ = ["Report", "Sample"]

_REFERENCE = "tracklib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one measurement of a case with a tool gave: figures by key, or the reason why they are not there."""

    case: str
    tool: str
    figures: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def factor(self) -> float:
        """What totals are multiplied with, since the tool was stopped by its cap: 1 where it was not."""
        return self.figures["asked"] / self.figures["done"] if self.figures.get("done") else 1.0


@dataclass(slots=True)
class Report:
    """All samples of a run of the benchmarks."""

    plan: Plan
    tools: Sequence[str]
    samples: list[Sample] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the tables with what has to be known to read them."""
        notes: dict[str, int] = {}
        cell = partial(self._cell, notes=notes)
        parts = [self._head(), *self._tables("must reach", cell)]
        if notes:
            parts.append("\n".join(f"{number}. {reason}" for reason, number in notes.items()))
        parts.append(self._tools())
        if self.plan.reps > 1:
            parts += ["Lowest and highest of the repeats:", *self._tables("", self._range)]
        return "\n\n".join(parts) + "\n"

    def _head(self) -> str:
        load = os.getloadavg()[0]
        return (
            f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores ({_cpu()}), {platform.system()} "
            f"{platform.release()}, Python {platform.python_version()}, load average {load:.1f} at the end.\n"
            f"Medians of {self.plan.reps}; in brackets how many times tracklib's.\n"
            "`*`: stopped by the time cap, extrapolated from what was done."
        )

    def _tables(self, goal: str, cell: Callable[[Case, Figure, str], str]) -> list[str]:
        """Return a table for all tools, and one for each choice of tools that cases have made."""
        taken = {sample.case for sample in self.samples}
        by_tools: dict[tuple[str, ...], list[Case]] = {}
        for case in CASES.values():
            if case.name in taken:
                by_tools.setdefault(case.tools, []).append(case)
        return [
            self._table(goal, cell, cases, [tool for tool in self.tools if not tools or tool in tools])
            for tools, cases in by_tools.items()
        ]

    def _table(
        self, goal: str, cell: Callable[[Case, Figure, str], str], cases: Sequence[Case], tools: Sequence[str]
    ) -> str:
        rows = [["what", "unit", *([goal] if goal else []), *tools]]
        for case in cases:
            for figure in case.figures:
                texts = [figure.title, figure.unit, *([figure.goal] if goal else [])]
                head = [text.format(plan=self.plan) for text in texts]
                rows.append(head + [cell(case, figure, tool) for tool in tools])
        return _markdown(rows)

    def _cell(self, case: Case, figure: Figure, tool: str, *, notes: dict[str, int]) -> str:
        values = self.values(case, figure, tool)
        parts = [_number(statistics.median(values)) if values else "-"]
        if self._extrapolated(case, figure, tool):
            parts[0] += "*"
        reference = self.values(case, figure, _REFERENCE)
        if figure.ratio and values and reference and tool != _REFERENCE and statistics.median(reference) > 0:
            ratio = statistics.median(values) / statistics.median(reference)
            parts.append(f"({_number(ratio)}x)" if ratio >= 0.01 else "(< 0.01x)")
        if figure.requests:
            parts += self._requests(case, figure, tool)
        reason = self._reason(case, figure, tool)
        if reason:
            parts.append(f"[{notes.setdefault(reason, len(notes) + 1)}]")
        return " ".join(parts)

    def _requests(self, case: Case, figure: Figure, tool: str) -> list[str]:
        """Return the counts of requests in brackets, if there were any."""
        samples = [sample.figures for sample in self._of(case, tool) if sample.figures]
        kinds = dict.fromkeys(key for figures in samples for key in figures if key.startswith(f"{figure.requests}."))
        counts = {key: statistics.median_high(figures.get(key, 0) for figures in samples) for key in kinds}
        told = ", ".join(f"{count:,.0f} {key.rpartition('.')[2]}" for key, count in counts.items())
        return [f"({told})"] if told else []

    def _range(self, case: Case, figure: Figure, tool: str) -> str:
        values = self.values(case, figure, tool)
        return f"{_number(min(values))} … {_number(max(values))}" if values else "-"

    def values(self, case: Case, figure: Figure, tool: str) -> list[float]:
        """Return a figure of each repeat that has it."""
        return [
            sample.figures[figure.key] * (sample.factor if figure.total else 1)
            for sample in self._of(case, tool)
            if figure.key in sample.figures
        ]

    def _extrapolated(self, case: Case, figure: Figure, tool: str) -> bool:
        return figure.total and any(sample.factor > 1 for sample in self._of(case, tool))

    def _reason(self, case: Case, figure: Figure, tool: str) -> str:
        failed = [sample for sample in self._of(case, tool) if sample.failure and figure.key not in sample.figures]
        return failed[0].failure if failed else ""

    def _of(self, case: Case, tool: str) -> list[Sample]:
        return [sample for sample in self.samples if (sample.case, sample.tool) == (case.name, tool)]

    def _tools(self) -> str:
        rows = [["tool", "version", "how it is used"]]
        for tool in self.tools:
            adapter = adapter_class(tool)
            rows.append([tool, ENVIRONMENTS[adapter.environment].version(), adapter.settings])
        return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _number(value: float) -> str:
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
