"""Artifacts for people: tables of them, the page about one, and what is wrong with them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from tracklib.cli.formats import NOTHING, flat_params, number, size, when
from tracklib.cli.output import Column, heading, joined, line, pairs, styled, table
from tracklib.stores.base import ArtifactQuery, RunQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.text import Text

    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.artifacts.verifying import Problem
    from tracklib.model import Artifact, ArtifactUse
    from tracklib.stores.base import Store

    Items = list[tuple[str, str | Text]]

__all__ = ["print_artifact", "print_artifacts", "print_media", "print_problems", "print_uses", "version_text"]

MOST_FILES: Final = 50
MOST_RUNS: Final = 10
_TOLD_ELSEWHERE: Final = frozenset({"reference", "problem", "skipped", "renamed", "marks"})


def version_text(version: int | None) -> str:
    """Return a version as it is typed.

    Example:
        >>> version_text(3), version_text(None)
        ('v3', '-')
    """
    return NOTHING if version is None else f"v{version}"


def print_artifacts(found: Sequence[StoredArtifact], *, indent: int = 0) -> None:
    """Print a table of versions of artifacts."""
    columns = [
        Column(title="name", rank=9, least=12),
        Column(title="version", right=True, rank=9),
        Column(title="aliases", rank=8, least=12),
        Column(title="type", rank=7),
        Column(title="size", right=True, rank=7),
        Column(title="step", right=True, rank=3),
        Column(title="made", rank=5),
        Column(title="not copied from", rank=6, least=20),
        Column(title="problem", rank=6, least=20),
    ]
    places = {each.project for each in found if each.project}
    rows: list[list[str | Text]] = [
        [
            styled(f"{each.project}/{each.name}" if len(places) > 1 and each.project else each.name, "bold"),
            version_text(each.version),
            styled(", ".join(each.aliases), "green"),
            each.type,
            size(each.size),
            "" if each.step is None else str(each.step),
            when(each.created_at),
            each.path if each.is_reference else "",
            styled(_problem(each.metadata), "red"),
        ]
        for each in found
    ]
    table(columns, rows, indent=indent)


def print_media(found: Sequence[StoredArtifact]) -> None:
    """Print a table of what belongs to a run alone: figures, tables, texts and the like."""
    columns = [
        Column(title="name", rank=9, least=12),
        Column(title="step", right=True, rank=8),
        Column(title="version", right=True, rank=7),
        Column(title="type", rank=8),
        Column(title="size", right=True, rank=6),
        Column(title="made", rank=5),
        Column(title="problem", rank=6, least=20),
    ]
    rows: list[list[str | Text]] = [
        [
            each.name,
            "" if each.step is None else str(each.step),
            version_text(each.version),
            each.type,
            size(each.size),
            when(each.created_at),
            styled(_problem(each.metadata), "red"),
        ]
        for each in found
    ]
    table(columns, rows, indent=2)


def print_uses(uses: Sequence[ArtifactUse]) -> None:
    """Print a table of what a run has used, each version once."""
    first = {(use.project, use.name, use.version, use.artifact if not use.project else ""): use for use in uses[::-1]}
    columns = [
        Column(title="name", rank=9, least=12),
        Column(title="version", right=True, rank=9),
        Column(title="first used", rank=5),
    ]
    rows: list[list[str | Text]] = [
        [f"{use.project}/{use.name}" if use.project else use.name, version_text(use.version), when(use.time)]
        for use in sorted(first.values(), key=lambda use: use.time)
    ]
    table(columns, rows, indent=2)


def _problem(metadata: Mapping[str, Any]) -> str:
    """Return what went wrong when an artifact was logged, in a few words."""
    skipped = len(metadata.get("skipped") or ())
    parts = [
        str(metadata.get("problem") or ""),
        f"{skipped:,} {'file was' if skipped == 1 else 'files were'} left out" if skipped else "",
    ]
    return "; ".join(filter(None, parts))


# ---- one artifact


def print_artifact(store: Store, artifact: StoredArtifact) -> None:
    """Print the page about a version."""
    line(joined(styled(artifact.reference, "bold"), styled(f"  {', '.join(artifact.aliases)}", "green")))
    line()
    pairs([(name, value) for name, value in _items(store, artifact) if value])
    metadata = {key: value for key, value in artifact.metadata.items() if key not in _TOLD_ELSEWHERE}
    _section("Metadata", flat_params(metadata))
    _print_files(artifact)
    _section("Left out", list(_texts(artifact.metadata.get("skipped"))))
    _print_versions(store, artifact)


def _section(title: str, items: Sequence[tuple[str, str]]) -> None:
    if items:
        heading(title)
        pairs(items)


def _texts(notes: Mapping[str, str] | None) -> list[tuple[str, str]]:
    return [(path, str(reason)) for path, reason in (notes or {}).items()]


def _items(store: Store, artifact: StoredArtifact) -> Items:
    return [
        ("type", artifact.type),
        ("size", f"{size(artifact.size)} in {len(artifact.files):,} file{'' if len(artifact.files) == 1 else 's'}"),
        ("checksum", artifact.checksum),
        ("problem", styled(artifact.problem, "red")),
        ("not copied from" if artifact.is_reference else "logged from", artifact.path),
        ("logged", when(artifact.created_at, full=True)),
        ("step", "" if artifact.step is None else str(artifact.step)),
        ("score", "" if artifact.score is None else number(artifact.score)),
        ("made by", _runs(store, artifact.logged_by)),
        ("used by", _runs(store, artifact.used_by)),
    ]


def _runs(store: Store, ids: Sequence[str]) -> str:
    """Return runs, one in a line: some on a terminal, all elsewhere."""
    some = tuple(ids[:MOST_RUNS] if sys.stdout.isatty() else ids)
    found = {info.id: info for info in store.runs(RunQuery(ids=some, archived=None))} if some else {}
    lines = [
        f"{run}  {found[run].name} ({found[run].project}/{found[run].experiment})" if run in found else run
        for run in some
    ]
    return "\n".join([*lines, *([f"… and {len(ids) - len(some):,} more"] if len(some) < len(ids) else [])])


def _print_files(artifact: StoredArtifact) -> None:
    some = artifact.files[:MOST_FILES] if sys.stdout.isatty() else artifact.files
    if not some:
        return
    heading("Files", f"the first {len(some)} of {len(artifact.files):,}" if len(some) < len(artifact.files) else "")
    columns = [
        Column(title="path", rank=9, least=12),
        Column(title="size", right=True, rank=8),
        Column(title="SHA-256", rank=5, least=12),
    ]
    table(columns, [[file.path, size(file.size), styled(file.checksum, "dim")] for file in some], indent=2)


def _print_versions(store: Store, artifact: StoredArtifact) -> None:
    from tracklib.artifacts.stored import list_artifacts

    if not artifact.project:
        return
    others = list_artifacts(store, ArtifactQuery(project=artifact.project, name=artifact.name))
    if len(others) > 1:
        some = others[:MOST_RUNS] if sys.stdout.isatty() else others
        heading("Versions", f"the newest {len(some)} of {len(others):,}" if len(some) < len(others) else "")
        print_artifacts(some, indent=2)


# ---- verification


def print_problems(looked_at: Sequence[Artifact], problems: Sequence[Problem]) -> None:
    """Print what is wrong with artifacts, or that nothing is."""
    columns = [
        Column(title="artifact", rank=9, least=16),
        Column(title="file", rank=9, least=12),
        Column(title="problem", rank=8, least=24),
        Column(title="blob", rank=4, least=12),
    ]
    if problems:
        table(
            columns,
            [[each.artifact, each.path, styled(each.text, "red"), styled(each.blob, "dim")] for each in problems],
        )
    count, total = len(looked_at), size(sum(artifact.size for artifact in looked_at))
    looked = f"{count:,} artifact{'' if count == 1 else 's'}"
    if problems:
        damaged = len({each.artifact for each in problems})
        line(
            styled(f"Of {looked} ({total}), {damaged:,} {'is' if damaged == 1 else 'are'} not as recorded.", "bold red")
        )
    else:
        line(f"{looked} ({total}): all is as it was recorded.")
