"""`tracklib doctor`: what is installed, where runs go, and what is in the way."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from tracklib.cli.checks import Check

__all__ = ["doctor"]


@click.command(cls=Command, examples=["tracklib doctor", "tracklib doctor --store sqlite:////data/runs.db"])
@store_option
@json_option
def doctor(*, store: str | None, as_json: bool) -> None:
    """See what is installed, where runs go, and what is in the way.

    Looks at the packages, the store, the spool and the machine, and says what to do about what is wrong. Nothing is
    changed. Exit status 1 if something keeps runs from being recorded.
    """
    from tracklib.cli.checks import BROKEN, check_places
    from tracklib.cli.machine_checks import check_installation, check_machine
    from tracklib.cli.output import print_json

    checks = [*check_installation(), *check_places(store), *check_machine()]
    broken = [check for check in checks if check.state == BROKEN]
    if as_json:
        print_json({"ok": not broken, "checks": checks})
    else:
        _print(checks, broken)
    if broken:
        click.get_current_context().exit(1)


def _print(checks: Sequence[Check], broken: Sequence[Check]) -> None:
    from tracklib.cli.output import line, pairs, styled

    for section, found in groupby(checks, key=lambda check: check.section):
        line(styled(section, "bold cyan"))
        pairs([(check.name, _told(check)) for check in found])
        line()
    if broken:
        what = "One thing is" if len(broken) == 1 else f"{len(broken)} things are"
        line(styled(f"✘ {what} broken: {', '.join(check.name for check in broken)}", "bold red"))
    else:
        line(styled("✔ Runs can be recorded here.", "bold green"))


def _told(check: Check) -> Text:
    from tracklib.cli.output import joined, styled

    mark, colour = {"ok": ("✔", "green"), "note": ("!", "yellow"), "broken": ("✘", "bold red")}[check.state]
    text = styled(check.text, "" if check.state == "ok" else colour, line=False)
    fix = styled(f"\n  → {check.fix}" if check.fix else "", "bold", line=False)
    return joined(styled(f"{mark} ", colour), text, fix)
