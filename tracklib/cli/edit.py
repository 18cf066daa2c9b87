"""`tracklib edit`: change what a recorded run says of itself."""

from __future__ import annotations

import click

from tracklib.cli.options import Command, json_option, project_option, store_option, tag_options
from tracklib.errors import ConfigError

__all__ = ["edit"]


@click.command(
    cls=Command,
    examples=[
        "tracklib edit latest --name baseline --tag stage=final --untag pilot",
        "tracklib edit 01JD4QHX --notes 'The loss rises after step 900: see the plan.'",
        "tracklib edit digits/lr-sweep/lr-1e-3 --project digits-2 --experiment lr-sweep",
    ],
)
@click.argument("run")
@click.option("--name", metavar="NAME", help="Rename the run.")
@tag_options
@click.option("--notes", metavar="TEXT", help="Replace its notes.")
@project_option("Move it to this project, which is made if it is missing.")
@click.option("--experiment", metavar="NAME", help="Move it to this experiment, likewise.")
@store_option
@json_option
def edit(
    *,
    run: str,
    tags: dict[str, str],
    untags: tuple[str, ...],
    store: str | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Change name, tags, notes or place of a recorded run.

    RUN is as for `tracklib show`. What is not given stays, and so do params, metrics and artifacts. A run that is
    going on may be changed as well.
    """
    from tracklib.cli.as_json import listed_run
    from tracklib.cli.output import print_json
    from tracklib.cli.run_page import print_head
    from tracklib.editing import edit_run

    changed = {**tags, **dict.fromkeys(untags)}
    if not changed and all(value is None for value in given.values()):
        raise ConfigError("there is nothing to change: give --name, --tag, --untag, --notes, --project or --experiment")
    edited = edit_run(run, tags=changed or None, store=store, **given)
    if as_json:
        print_json(listed_run(edited.info, edited.metrics))
    else:
        print_head(edited.info)
