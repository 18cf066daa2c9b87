"""The part of `tracklib sync` that copies runs from one store to another."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.text import Text

    from tracklib.copying import Copied, CopyProgress

__all__ = ["copy"]


def copy(stores: tuple[str, str], *, project: str | None, runs: Sequence[str], as_json: bool) -> None:
    """Copy runs, print what was done with each, and exit with status 1 if one could not be copied.

    Args:
        stores: From where, and where to.
    """
    from tracklib.cli.output import print_json
    from tracklib.copying import copy_runs

    with _bar() as show:
        copied = copy_runs(*stores, runs=list(runs) or None, project=project, on_progress=show)
    if as_json:
        print_json({"runs": copied})
    else:
        _print(copied)
    if any(each.problem for each in copied):
        click.get_current_context().exit(1)


@contextlib.contextmanager
def _bar() -> Iterator[Callable[[CopyProgress], None] | None]:
    """Show on a terminal how far a copy is; elsewhere nothing."""
    from tracklib.cli.output import console

    out = console(error=True)
    if not out.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from tracklib.cli.formats import clean, size

    columns = (
        TextColumn("copying"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("runs, {task.description}"),
    )
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("", total=None)

        def show(state: CopyProgress) -> None:
            told = f"{state.points:,} points, {size(state.size_bytes)} of files  {clean(state.name, line=True):.30}"
            progress.update(task, completed=state.done, total=state.total, description=told)

        yield show


def _print(copied: Sequence[Copied]) -> None:
    from tracklib.cli.formats import size
    from tracklib.cli.output import Column, line, styled, table

    columns = [
        Column(title="run", rank=9),
        Column(title="project", rank=4, least=8),
        Column(title="name", rank=6, least=8),
        Column(title="points", right=True, rank=8),
        Column(title="records", right=True, rank=2),
        Column(title="files", right=True, rank=5),
        Column(title="size", right=True, rank=3),
        Column(title="outcome", rank=9),
    ]
    rows: list[list[str | Text]] = [
        [
            each.run,
            each.project,
            each.name,
            f"{each.points:,}",
            f"{each.records:,}",
            f"{each.files:,}",
            size(each.size_bytes),
            _outcome(each),
        ]
        for each in copied
        if each.outcome != "there"
    ]
    if rows:
        table(columns, rows)
    for each in copied:
        if each.problem:
            line(styled(f"{each.run}: {each.problem}", "red"))
    counts = Counter(str(each.outcome) for each in copied)
    if not copied:
        line("There is nothing to copy: the store has no such run.")
    if counts["there"]:
        line(f"{_runs(counts['there'])} there already.")
    if counts["running"]:
        line(f"{_runs(counts['running'])} still being written: copy again when that has ended.")


def _runs(count: int) -> str:
    return f"{count:,} run{' is' if count == 1 else 's are'}"


def _outcome(copied: Copied) -> str:
    if copied.outcome == "copied":
        return "✘ copied, but for files" if copied.problem else "✔ copied"
    return {"failed": "✘ failed", "running": "▶ running, left out"}[copied.outcome]
