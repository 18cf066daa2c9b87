"""Finding out where an artifact comes from and where it went, from what a store knows."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tracklib.artifacts.aliases import reference_to
from tracklib.artifacts.lineage import Lineage, LineageEdge, LineageNode, Relation
from tracklib.stores.base import ArtifactQuery, RunQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracklib.model import Artifact, ArtifactUse, RunInfo
    from tracklib.stores.base import Store

__all__ = ["lineage_of"]

_TOGETHER: Final = 500
"""So many runs are asked for at once."""


def lineage_of(
    store: Store,
    artifact: Artifact,
    *,
    directions: Sequence[str] = ("up", "down"),
    depth: int | None = None,
    status: Callable[[RunInfo], RunInfo] = lambda info: info,
) -> Lineage:
    """Return what an artifact came from and what came of it.

    Args:
        directions: "up", "down" or both.
        depth: How many steps to go at the most; all by default.
        status: Finds out how a run stands now.
    """
    search = _Search(store, artifact, status)
    for direction in directions:
        search.go(direction, depth)
    return Lineage(search.root, search.nodes.values(), search.edges.values())


class _Search:
    """Looks for what is before or behind a version, step by step. Who used what is asked for once."""

    def __init__(self, store: Store, artifact: Artifact, status: Callable[[RunInfo], RunInfo]) -> None:
        self._store = store
        self._status = status
        self._asked: set[tuple[str, str]] = set()
        self._records: dict[str, list[Artifact]] = defaultdict(list)
        self._uses: dict[str, ArtifactUse] = {}
        self._used_by: dict[str, list[LineageEdge]] = defaultdict(list)
        self._users_of: dict[str, list[LineageEdge]] = defaultdict(list)
        self._read_uses()
        self.root = _artifact_node(artifact)
        self.nodes = {self.root.id: self.root}
        self.edges: dict[tuple[Relation, str, str], LineageEdge] = {}

    def _read_uses(self) -> None:
        uses = self._store.uses()
        # What belongs to its run alone is known by its id.
        ids = {use.artifact for use in uses if not _is_numbered(use)}
        own = self._store.find_artifacts(ArtifactQuery(ids=tuple(ids), files=False)) if ids else []
        names = {record.id: reference_to(record) for record in own}
        self._known = set(names)
        for record in own:
            self._records[names[record.id]].append(record)
        for use in uses:
            node = _numbered(use) if _is_numbered(use) else names.get(use.artifact, use.artifact)
            edge = LineageEdge(relation=Relation.USED, run=use.run, artifact=node, time=use.time)
            self._uses.setdefault(node, use)
            self._used_by[use.run].append(edge)
            self._users_of[node].append(edge)

    def go(self, direction: str, depth: int | None) -> None:
        """Walk in one direction."""
        seen, frontier = {self.root.id}, [self.root.id]
        while frontier and (depth is None or depth > 0):
            depth = None if depth is None else depth - 1
            edges = [edge for node in frontier for edge in self._step(self.nodes[node], direction)]
            for edge in edges:
                self.edges.setdefault((edge.relation, edge.run, edge.artifact), edge)
            self._add_runs({edge.run for edge in edges} - self.nodes.keys())
            reached = [end for edge in edges for end in (edge.run, edge.artifact) if end not in seen]
            frontier = list(dict.fromkeys(reached))
            seen.update(frontier)

    def _step(self, node: LineageNode, direction: str) -> list[LineageEdge]:
        """Return the edges that lead on from a node, the artifacts at their ends added."""
        if node.kind == "run":
            return self._made(node.id) if direction == "down" else self._used(node.id)
        if direction == "down":
            return self._users_of.get(node.id, [])
        return [_making(record) for record in self._tellers(node.id, node.project, node.name)]

    def _made(self, run: str) -> list[LineageEdge]:
        told = []
        for record in self._store.find_artifacts(ArtifactQuery(run=run, files=False)):
            node = _artifact_node(record)
            # A figure or the like matters to those alone who use it.
            if record.project or node.id in self._users_of:
                self.nodes.setdefault(node.id, node)
                told.append(_making(record))
        return told

    def _used(self, run: str) -> list[LineageEdge]:
        edges = self._used_by.get(run, [])
        for edge in edges:
            if edge.artifact not in self.nodes:
                use = self._uses[edge.artifact]
                records = self._tellers(edge.artifact, use.project, use.name)
                self.nodes[edge.artifact] = _artifact_node(records[0]) if records else _gone_node(edge.artifact, use)
        return edges

    def _tellers(self, node: str, project: str, name: str) -> list[Artifact]:
        """Return the records that tell of a version; none where their runs were deleted."""
        if project and (project, name) not in self._asked:
            self._asked.add((project, name))
            for record in self._store.find_artifacts(ArtifactQuery(project=project, name=name, files=False)):
                if record.id not in self._known:
                    self._known.add(record.id)
                    self._records[reference_to(record)].append(record)
        return self._records[node]

    def _add_runs(self, runs: set[str]) -> None:
        ordered = sorted(runs)
        for start in range(0, len(ordered), _TOGETHER):
            part = tuple(ordered[start : start + _TOGETHER])
            for info in self._store.runs(RunQuery(ids=part, archived=None)):
                self.nodes[info.id] = _run_node(self._status(info))
        # It was deleted meanwhile.
        self.nodes |= {run: LineageNode(id=run, kind="run", project="", name="") for run in runs - self.nodes.keys()}


def _is_numbered(use: ArtifactUse) -> bool:
    return bool(use.project) and use.version is not None


def _numbered(use: ArtifactUse) -> str:
    return f"{use.project}/{use.name}:v{use.version}"


def _making(record: Artifact) -> LineageEdge:
    return LineageEdge(relation=Relation.MADE, run=record.run, artifact=reference_to(record), time=record.created_at)


def _artifact_node(record: Artifact) -> LineageNode:
    return LineageNode(
        id=reference_to(record),
        kind="artifact",
        project=record.project,
        name=record.name,
        version=record.version,
        type=record.type,
        time=record.created_at,
    )


def _gone_node(node: str, use: ArtifactUse) -> LineageNode:
    return LineageNode(id=node, kind="artifact", project=use.project, name=use.name, version=use.version)


def _run_node(info: RunInfo) -> LineageNode:
    return LineageNode(
        id=info.id,
        kind="run",
        project=info.project,
        name=info.name,
        experiment=info.experiment,
        status=str(info.status),
        time=info.start_time or info.created_at,
    )
