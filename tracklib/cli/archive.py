"""`tracklib archive` and `tracklib restore`: put recorded runs out of the way, and bring them back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, store_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.reading import StoredRun

__all__ = ["archive", "restore"]


@click.command(cls=Command, examples=["tracklib archive 01JD4QHX", "tracklib archive digits/lr-sweep/lr-1e-3 latest"])
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@store_option
@json_option
def archive(*, runs: tuple[str, ...], store: str | None, as_json: bool) -> None:
    """Put runs out of the way. Nothing is deleted.

    RUN is as for `tracklib show`. Lists leave archived runs out; `tracklib runs --archived` has them, and by their id
    or name they are found as before.
    """
    from tracklib.editing import archive_run

    _do("Archived", archive_run, runs, store=store, as_json=as_json)


@click.command(cls=Command, examples=["tracklib restore 01JD4QHX"])
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@store_option
@json_option
def restore(*, runs: tuple[str, ...], store: str | None, as_json: bool) -> None:
    """Bring archived runs back.

    RUN is as for `tracklib show`; `latest` is the latest run that is not archived.
    """
    from tracklib.editing import restore_run

    _do("Restored", restore_run, runs, store=store, as_json=as_json)


def _do(
    word: str, change: Callable[[StoredRun], StoredRun], runs: tuple[str, ...], *, store: str | None, as_json: bool
) -> None:
    from tracklib.cli.as_json import listed_run
    from tracklib.cli.output import joined, line, print_json, styled
    from tracklib.cli.reaching import found_runs, reach_existing, safe_uri

    opened = reach_existing(store)
    # All of them are found before the first is changed.
    changed = [change(run) for run in found_runs(opened, runs)]
    if as_json:
        listed = [listed_run(run.info, run.metrics) for run in changed]
        print_json({"store": safe_uri(opened.uri), "runs": listed})
        return
    for run in changed:
        line(
            joined(styled(f"{word}: "), styled(f"{run.project}/{run.experiment}/{run.name}  ", "bold"), styled(run.id))
        )
