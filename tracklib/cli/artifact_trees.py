"""The lineage of an artifact, drawn as trees."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from tracklib.cli.formats import short_ids, status_mark, status_style
from tracklib.cli.output import console, heading, joined, line, styled
from tracklib.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text
    from rich.tree import Tree

    from tracklib.artifacts.lineage import Lineage, LineageNode

__all__ = ["print_lineage"]

_MOST_BRANCHES: Final = 20
"""On a terminal; elsewhere all are drawn."""


def print_lineage(lineage: Lineage, directions: Sequence[str]) -> None:
    """Print what an artifact came from, and what came of it.

    Args:
        directions: "up", "down" or both.
    """
    line(_said(lineage.root, {}))
    for direction, title, step in (("up", "Came from", lineage.before), ("down", "Went into", lineage.behind)):
        if direction in directions:
            heading(title)
            if step(lineage.root.id):
                _print_tree(lineage, step)
            else:
                line("  nothing that is known")


def _print_tree(lineage: Lineage, step: Callable[[str], list[LineageNode]]) -> None:
    from rich.tree import Tree

    runs = [node.id for node in lineage.nodes.values() if node.kind == "run"]
    names = short_ids(runs) if sys.stdout.isatty() else {run: run for run in runs}
    most = _MOST_BRANCHES if sys.stdout.isatty() else len(lineage.nodes)
    root = Tree("", guide_style="dim", hide_root=True)
    drawn = {lineage.root.id}
    # Without recursion: a chain of runs may be longer than the stack is high.
    waiting: list[tuple[Tree, str]] = [(root, lineage.root.id)]
    while waiting:
        branch, node = waiting.pop(0)
        found = step(node)
        for each in found[:most]:
            is_new = each.id not in drawn
            below = branch.add(joined(_said(each, names), styled("" if is_new else "  (see above)", "dim")))
            if is_new:
                drawn.add(each.id)
                waiting.append((below, each.id))
        if len(found) > most:
            branch.add(styled(f"… and {len(found) - most:,} more", "dim"))
    console().print(root, soft_wrap=True)


def _said(node: LineageNode, names: dict[str, str]) -> Text:
    if node.kind == "artifact":
        return joined(styled(node.id, "bold"), styled(f"  {node.type}" if node.type else "", "dim"))
    parts = [styled("run "), styled(node.name, "bold"), styled(f"  {names.get(node.id, node.id)}", "dim")]
    if node.status:
        status = RunStatus(node.status)
        parts += [styled("  "), styled(status_mark(status), status_style(status))]
    place = f"  {node.project}/{node.experiment}" if node.project else ""
    return joined(*parts, styled(place, "dim"))
