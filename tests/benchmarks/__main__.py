"""`python -m tests.benchmarks`: measure tracklib beside its peers and print the table."""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import s3
from .adapters import ADAPTERS, adapter_class
from .cases import CASES, Case
from .driver import Bench
from .environments import ENVIRONMENTS, EnvironmentFailedError
from .plan import LONG, NORMAL, QUICK, Plan
from .processes import ToolFailedError
from .report import Report, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).resolve().parent / "results"
QUICK_TOOLS = ("tracklib", "trackio", "list", "sqlite3")
MARKS = ("<!-- {part}: begin -->", "<!-- {part}: end -->")


def main() -> None:
    """Install what is missing, measure, print."""
    options = _options()
    report = Report(_plan(options), options.tools)
    unusable = _install(options.tools)
    bench = Bench(report.plan)
    samples = RESULTS / time.strftime("%Y%m%d-%H%M%S.jsonl")
    RESULTS.mkdir(exist_ok=True)
    try:
        for rep in range(report.plan.reps):
            for name in options.only:
                for sample in _measure(bench, CASES[name], options.tools, rep=rep, unusable=unusable):
                    report.samples.append(sample)
                    _note(sample, rep, samples)
    except KeyboardInterrupt:
        print("interrupted: the table holds what was measured so far", file=sys.stderr)
    finally:
        bench.clean()
        s3.close()
    text = report.markdown()
    print(text)
    if options.write:
        _write(options.write, text, options.part)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="CASE", choices=CASES, default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--tools", nargs="+", metavar="TOOL", choices=ADAPTERS, help=", ".join(ADAPTERS))
    parser.add_argument("--reps", type=int, metavar="N", help=f"repeats of each figure (default {NORMAL.reps})")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="two minutes, to see that it works; the numbers mean little")
    size.add_argument("--long", action="store_true", help="ten times as many runs to search")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this page, between its marks")
    parser.add_argument("--part", metavar="NAME", default="measured", help="between the marks of this name, instead")
    options = parser.parse_args()
    options.tools = options.tools or (QUICK_TOOLS if options.quick else tuple(ADAPTERS))
    return options


def _plan(options: argparse.Namespace) -> Plan:
    plan = QUICK if options.quick else LONG if options.long else NORMAL
    return replace(plan, reps=options.reps) if options.reps else plan


def _install(tools: Sequence[str]) -> dict[str, str]:
    """Make the environments; return the reasons of those that could not be."""
    unusable = {}
    for tool in tools:
        try:
            ENVIRONMENTS[adapter_class(tool).environment].ensure()
            adapter_class(tool).prepare()
        except (EnvironmentFailedError, s3.S3ServerFailedError) as error:
            unusable[tool] = str(error)
    return unusable


def _measure(bench: Bench, case: Case, tools: Sequence[str], *, rep: int, unusable: dict[str, str]) -> Sequence[Sample]:
    def take(tool: str) -> Sample:
        if tool in unusable:
            return Sample(case=case.name, tool=tool, failure=unusable[tool])
        try:
            return Sample(case=case.name, tool=tool, figures=bench.take(case, tool))
        except ToolFailedError as error:
            return Sample(case=case.name, tool=tool, figures=error.figures, failure=str(error))

    if rep and not case.repeats:
        return ()
    tools = [tool for tool in tools if case.asks(tool)]
    if case.together:
        with ThreadPoolExecutor(max(1, len(tools))) as pool:
            return list(pool.map(take, tools))
    # Every other repeat runs backwards, so that no tool always follows the same neighbour.
    return [take(tool) for tool in (tools[::-1] if rep % 2 else tools)]


def _note(sample: Sample, rep: int, path: Path) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"rep": rep, **asdict(sample)}) + "\n")
    figures = ", ".join(f"{key} {value:.4g}" for key, value in sample.figures.items())
    told = "; ".join(part for part in (figures, sample.failure) if part)
    print(f"{rep} {sample.case} {sample.tool}: {told}", file=sys.stderr, flush=True)


def _write(path: Path, text: str, part: str) -> None:
    page = path.read_text(encoding="utf-8")
    first, last = (mark.format(part=part) for mark in MARKS)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not end:
        raise SystemExit(f"{path} has no lines {first} and {last} to write between")
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")
    print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
