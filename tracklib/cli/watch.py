"""`tracklib watch`: a run while it is going on."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, project_option, store_option
from tracklib.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracklib.cli.watching import Frame, Watcher

__all__ = ["watch"]

INTERRUPTED = 130
"""What shells say of a program that was ended with Ctrl-C."""


@click.command(
    cls=Command,
    examples=[
        "tracklib watch",
        "tracklib watch digits/lr-sweep/lr-1e-3 --metrics 'eval/*' --interval 0.5",
        "tracklib watch latest --once",
        "tracklib watch --json | jq '.metrics.\"train/loss\".last'",
    ],
)
@click.argument("run", required=False)
@project_option("Look among the runs of this project only.")
@click.option(
    "--metrics", "globs", metavar="GLOB", multiple=True, help="Only the metrics that fit, such as 'eval/*'; repeatable."
)
@click.option(
    "--interval",
    metavar="SECONDS",
    default=2.0,
    show_default=True,
    type=click.FloatRange(min=0.05, max=86_400),
    help="How long to wait before looking again.",
)
@click.option("--once", is_flag=True, help="Look once, also where the run is going on.")
@store_option
@json_option
def watch(  # noqa: PLR0913 - one argument for each option
    *,
    run: str | None,
    project: str | None,
    globs: tuple[str, ...],
    interval: float,
    once: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """Show a run while it is going on: status, step, values and their course.

    RUN is as for `tracklib show`; without it, the newest run that is going on is meant. On a terminal the picture is
    drawn anew each time; elsewhere there is a line for each look that saw something new, and with --json one JSON
    object in a line for each look. It ends when the run does: with status 0 if it completed, 1 if it failed or was
    killed, 130 after Ctrl-C. With --once the status is 0 whatever became of the run.
    """
    from tracklib.cli.reaching import check_place, reach_existing
    from tracklib.cli.watch_page import MOST_DRAWN
    from tracklib.cli.watching import Watcher, find_watched

    opened = reach_existing(store)
    check_place(opened, project, None)
    found = find_watched(opened, run, project)
    drawn = MOST_DRAWN if sys.stdout.isatty() or once else 0
    watcher = Watcher(opened, found, globs, drawn=0 if as_json else drawn)
    frames = iter([watcher.look()]) if once else _frames(watcher, interval, lambda: _recover(store))
    try:
        last = _shown(frames, as_json=as_json, once=once)
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)
    if not once and last.info.status is not RunStatus.COMPLETED:
        click.get_current_context().exit(1)


def _recover(store: str | None) -> None:
    """Ship what a process that was killed has left, so that its last words are seen."""
    from tracklib.reading import open_for_reading

    open_for_reading(store).close()


def _frames(watcher: Watcher, interval: float, on_killed: Callable[[], None]) -> Iterator[Frame]:
    """Yield what is seen, until the run has ended."""
    while True:
        frame = watcher.look()
        if frame.info.status is RunStatus.KILLED and not frame.problem:
            on_killed()
            frame = watcher.look()
        yield frame
        if frame.has_ended and not frame.problem:
            return
        time.sleep(interval)


def _shown(frames: Iterator[Frame], *, as_json: bool, once: bool) -> Frame:
    """Show frames as they come; return the last one."""
    if as_json:
        return _print_json(frames)
    if once:
        return _print_once(frames)
    return _draw(frames) if sys.stdout.isatty() else _print_lines(frames)


def _draw(frames: Iterator[Frame]) -> Frame:
    """Draw each frame over the one before; the last one stays."""
    from rich.console import Group
    from rich.live import Live

    from tracklib.cli.output import console, speaks_unicode
    from tracklib.cli.watch_page import frame_lines

    out = console()
    with Live(console=out, auto_refresh=False, vertical_overflow="crop") as live:
        for frame in frames:
            lines = frame_lines(frame, width=out.width, height=max(4, out.height - 1), draws=speaks_unicode())
            live.update(Group(*lines), refresh=True)
    return frame


def _print_once(frames: Iterator[Frame]) -> Frame:
    from tracklib.cli.output import console, line, speaks_unicode
    from tracklib.cli.watch_page import frame_lines

    frame = next(frames)
    terminal = console()
    width = min(terminal.width, 100)
    for part in frame_lines(frame, width=width, height=10_000, draws=speaks_unicode()):
        line(part, wrap=False)
    return frame


def _print_lines(frames: Iterator[Frame]) -> Frame:
    """Print a line for each frame that says something new."""
    from tracklib.cli.watch_page import plain_line

    before = None
    for frame in frames:
        news = (frame.info.status, frame.problem, frame.summaries)
        if news != before:
            click.echo(plain_line(frame))
            sys.stdout.flush()
        before = news
    return frame


def _print_json(frames: Iterator[Frame]) -> Frame:
    from tracklib.cli.output import plain, speaks_unicode
    from tracklib.cli.watching import frame_as_json

    for frame in frames:
        click.echo(json.dumps(plain(frame_as_json(frame)), ensure_ascii=not speaks_unicode(), allow_nan=False))
        sys.stdout.flush()
    return frame
