"""Where artifacts come from and where they went: runs make versions of them, and runs use them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Lineage", "LineageEdge", "LineageNode", "Relation"]


class Relation(StrEnum):
    """What a run has to do with a version of an artifact."""

    MADE = "made"
    USED = "used"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageNode:
    """A run, or a version of an artifact; its fields are keys of JSON.

    Attributes:
        id: Of the run; of an artifact how it is said in text, such as `digits/train-data:v3`.
        kind: "run" or "artifact".
        project: Empty for a figure or the like, which belongs to its run alone.
        version: None for a run.
        type: Of the artifact; empty for a run.
        experiment: Of the run; empty for an artifact.
        status: Of the run; empty for an artifact.
        time: When the run began, or the version was logged first; None where that is not known any more.
    """

    id: str
    kind: str
    project: str
    name: str
    version: int | None = None
    type: str = ""
    experiment: str = ""
    status: str = ""
    time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageEdge:
    """That a run made or used a version; its fields are keys of JSON.

    Attributes:
        relation: made or used.
        run: Id of its node.
        artifact: Id of its node.
        time: When it did so first.
    """

    relation: Relation
    run: str
    artifact: str
    time: float


class Lineage:
    """What a version of an artifact came from, and what came of it.

    Attributes:
        root: The version itself.
        nodes: All runs and versions that were found, by id.
        edges: Which run made or used which version, by time.
    """

    root: LineageNode
    nodes: dict[str, LineageNode]
    edges: tuple[LineageEdge, ...]

    def __init__(self, root: LineageNode, nodes: Iterable[LineageNode], edges: Iterable[LineageEdge]) -> None:
        self.root = root
        self.nodes = {node.id: node for node in nodes}
        self.edges = tuple(sorted(edges, key=lambda edge: (edge.time, edge.run)))
        self._back: dict[str, list[LineageEdge]] = defaultdict(list)
        self._on: dict[str, list[LineageEdge]] = defaultdict(list)
        for edge in self.edges:
            made = edge.relation is Relation.MADE
            self._back[edge.artifact if made else edge.run].append(edge)
            self._on[edge.run if made else edge.artifact].append(edge)

    @property
    def makers(self) -> list[LineageNode]:
        """The runs that made it, the first one first."""
        return self.before(self.root.id)

    @property
    def users(self) -> list[LineageNode]:
        """The runs that used it, likewise."""
        return self.behind(self.root.id)

    def before(self, node: str) -> list[LineageNode]:
        """Return what is right before a node: the makers of a version, or what a run used."""
        return [self.nodes[_other(edge, node)] for edge in self._back[node]]

    def behind(self, node: str) -> list[LineageNode]:
        """Return what is right behind a node: the users of a version, or what a run made."""
        return [self.nodes[_other(edge, node)] for edge in self._on[node]]

    def upstream(self, depth: int | None = None) -> list[LineageNode]:
        """Return all runs and versions that it came from, the nearest first.

        Args:
            depth: How many steps to go at the most: 1 leads to its makers, 2 to what they used.
        """
        return _walk(self.root.id, self.before, depth)

    def downstream(self, depth: int | None = None) -> list[LineageNode]:
        """Return all runs and versions that came of it, the nearest first.

        Args:
            depth: How many steps to go at the most: 1 leads to its users, 2 to what they made.
        """
        return _walk(self.root.id, self.behind, depth)

    def __repr__(self) -> str:
        return f"<Lineage of {self.root.id}: {len(self.nodes):,} nodes, {len(self.edges):,} edges>"


def _other(edge: LineageEdge, node: str) -> str:
    return edge.run if node == edge.artifact else edge.artifact


def _walk(start: str, step: Callable[[str], list[LineageNode]], depth: int | None) -> list[LineageNode]:
    seen = {start}
    found: list[LineageNode] = []
    frontier = [start]
    while frontier and (depth is None or depth > 0):
        depth = None if depth is None else depth - 1
        reached = {node.id: node for each in frontier for node in step(each) if node.id not in seen}
        seen |= reached.keys()
        found += reached.values()
        frontier = list(reached)
    return found
