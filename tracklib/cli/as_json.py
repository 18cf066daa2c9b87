"""What `--json` prints of runs. The keys are those of the model, and `docs/reference/cli.md` lists them: they stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib.cli.output import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.model import RunInfo, Summary
    from tracklib.reading import StoredRun

__all__ = ["listed_run", "stored_artifact", "summaries_by_name", "whole_run"]

_BULKY = ("source", "environment", "writers")


def listed_run(info: RunInfo, summaries: Mapping[str, Summary]) -> dict[str, Any]:
    """Return a run as lists of runs have it: without its code and machine, and without metrics of the system."""
    told = plain(info)
    for name in _BULKY:
        del told[name]
    return {**told, "metrics": summaries_by_name(s for s in summaries.values() if not s.name.startswith("system/"))}


def whole_run(run: StoredRun, summaries: Iterable[Summary], children: Iterable[RunInfo]) -> dict[str, Any]:
    """Return everything about a run but its points and what it printed."""
    told: dict[str, Any] = plain(run.info)
    return {
        **told,
        "metrics": summaries_by_name(summaries),
        "artifacts": plain(run.artifacts),
        "used_artifacts": plain(run.used_artifacts),
        "messages": [{"time": event.time, **event.data} for event in run.events("message")],
        "children": [{"id": child.id, "name": child.name, "status": str(child.status)} for child in children],
    }


def stored_artifact(artifact: StoredArtifact) -> dict[str, Any]:
    """Return a version of an artifact: how it is said in text, all that was recorded, and its aliases of now."""
    told: dict[str, Any] = plain(artifact.info)
    return {"reference": artifact.reference, **told, "aliases": artifact.aliases, "logged_by": artifact.logged_by}


def summaries_by_name(summaries: Iterable[Summary]) -> dict[str, dict[str, Any]]:
    """Return summaries by the names of their metrics."""
    return {summary.name: {k: v for k, v in plain(summary).items() if k != "name"} for summary in summaries}
