"""The command `tracklib`."""

from __future__ import annotations

import click

import tracklib
from tracklib.cli.options import Commands

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "run": "tracklib.cli.run:run",
    "runs": "tracklib.cli.runs:runs",
    "show": "tracklib.cli.show:show",
    "edit": "tracklib.cli.edit:edit",
    "archive": "tracklib.cli.archive:archive",
    "restore": "tracklib.cli.archive:restore",
    "rm": "tracklib.cli.rm:rm",
    "projects": "tracklib.cli.projects:projects",
    "experiments": "tracklib.cli.experiments:experiments",
    "artifacts": "tracklib.cli.artifacts:artifacts",
    "compare": "tracklib.cli.compare:compare",
    "watch": "tracklib.cli.watch:watch",
    "chart": "tracklib.cli.chart:chart",
    "report": "tracklib.cli.report:report",
    "export": "tracklib.cli.export:export",
    "sql": "tracklib.cli.sql:sql",
    "sync": "tracklib.cli.sync:sync",
    "compact": "tracklib.cli.compact:compact",
    "gc": "tracklib.cli.gc:gc",
    "doctor": "tracklib.cli.doctor:doctor",
}
"""Where each command is, in the order of the help."""


@click.group(
    cls=Commands,
    homes=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    examples=[
        "tracklib run train.py --lr 1e-3",
        "tracklib runs --project digits --sort eval/accuracy",
        "tracklib show latest",
        "tracklib runs --json | jq -r '.runs[].id'",
    ],
)
@click.version_option(tracklib.__version__, prog_name="tracklib")
@click.pass_context
def cli(context: click.Context) -> None:
    """Record training programs, look at what was recorded, and look after it.

    Exit status: 0 when all is well, 1 when something was not found or failed, 2 for a command that cannot be meant.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command line: the entry point of the distribution."""
    cli(prog_name="tracklib")
