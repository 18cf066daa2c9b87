"""The page about one run, section by section."""

from __future__ import annotations

import shlex
from itertools import groupby
from typing import TYPE_CHECKING

from tracklib.cli.formats import (
    flat_params,
    list_of_tags,
    number,
    size,
    status_mark,
    status_style,
    when,
)
from tracklib.cli.output import Column, heading, joined, line, pairs, styled, table
from tracklib.durations import duration_text
from tracklib.stores.base import ArtifactQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.text import Text

    from tracklib.model import Environment, Gpu, Resources, RunInfo, Source
    from tracklib.reading import StoredRun
    from tracklib.stores.base import Store

    Items = list[tuple[str, str | Text]]

__all__ = ["print_after_metrics", "print_before_metrics", "print_head"]


def print_before_metrics(info: RunInfo) -> None:
    """Print what the run is, how it ended and with which params it ran."""
    print_head(info)
    if info.params:
        heading("Params")
        pairs(list(flat_params(info.params)))


def print_after_metrics(store: Store, run: StoredRun) -> None:
    """Print what surrounds the run and what it left; its error comes last, where the eye is."""
    _section("Code", _code(run.source))
    _section("Environment", _environment(run.environment))
    _section("Resources", _resources(run.resources))
    _print_artifacts(store, run)
    _print_writers(run.info)
    _section(
        "Messages",
        [(str(event.data.get("level", "")), str(event.data.get("text", ""))) for event in run.events("message")],
    )
    _section("Not recorded", [(reason, styled(f"{count:,}", "bold red")) for reason, count in run.info.dropped.items()])
    _print_error(run.info)


def print_head(info: RunInfo) -> None:
    """Print the run's name, place and status, and the few things that everybody wants to know."""
    status = styled(status_mark(info.status), status_style(info.status))
    line(joined(styled(f"{info.name}  ", "bold"), status))
    line(joined(styled(f"{info.project}/{info.experiment}  ", "dim"), styled(info.id)))
    line()
    by = f" by {info.created_by}" if info.created_by else ""
    edited = max((writer.started_at for writer in info.writers if writer.is_edit), default=None)
    items: Items = [
        ("reason", info.reason),
        ("started", "" if info.start_time is None else when(info.start_time, full=True) + by),
        ("duration", "" if info.duration is None else duration_text(info.duration)),
        ("tags", list_of_tags(info.tags)),
        ("notes", info.notes),
        ("nested in", info.parent or ""),
        ("edited", "" if edited is None else when(edited, full=True)),
        ("archived", "" if info.archived_at is None else when(info.archived_at, full=True)),
    ]
    pairs(_filled(items))


def _section(title: str, items: Items) -> None:
    if items:
        heading(title)
        pairs(items)


def _filled(items: Iterable[tuple[str, str | Text]]) -> Items:
    return [(name, value) for name, value in items if value]


def _code(source: Source) -> Items:
    left_out = "\n".join(f"{path}: {reason}" for path, reason in source.skipped.items())
    return _filled(
        [
            ("commit", _commit(source)),
            ("changes", _changes(source)),
            ("left out", left_out),
            ("remote", source.repository_url or ""),
            ("entry point", source.entry_point or ""),
            ("command", shlex.join(source.command_line)),
            ("directory", source.directory or ""),
            ("snapshot", source.snapshot or ""),
        ]
    )


def _commit(source: Source) -> str:
    if source.source_type == "git" and source.commit is None:
        return "none yet"
    on = f" on {source.branch}" if source.branch else ", detached"
    tag = f", tag {source.tag}" if source.tag else ""
    return f"{source.commit}{on}{tag}" if source.commit else ""


def _changes(source: Source) -> Text | str:
    if source.dirty is None:
        return ""
    if not source.dirty:
        return "none since the commit"
    files = source.diff.count("\ndiff --git ") + source.diff.startswith("diff --git ") + len(source.untracked)
    return styled(f"{files} {'file' if files == 1 else 'files'} not committed: --diff shows them", "yellow")


def _environment(environment: Environment) -> Items:
    packages = f", {len(environment.packages)} packages" if environment.packages else ""
    implementation = f" ({environment.python_implementation})" if environment.python_implementation else ""
    cores = _cores(environment)
    return _filled(
        [
            ("Python", f"{environment.python_version}{implementation}{packages}" if environment.python_version else ""),
            ("frameworks", ", ".join(f"{name} {version}" for name, version in environment.frameworks.items())),
            ("conda", environment.conda_environment or ""),
            ("host", ", ".join(filter(None, (environment.hostname, environment.platform or environment.os)))),
            ("CPU", ", ".join(filter(None, (environment.cpu_model, cores)))),
            ("memory", "" if environment.memory_bytes is None else size(environment.memory_bytes)),
            ("GPU", _gpus(environment)),
            ("container", list_of_tags(environment.container)),
            ("variables", list_of_tags(environment.variables)),
        ]
    )


def _cores(environment: Environment) -> str:
    if environment.cpu_count is None:
        return ""
    physical = f" ({environment.cpu_count_physical} physical)" if environment.cpu_count_physical else ""
    return f"{environment.cpu_count} logical{physical}"


def _gpus(environment: Environment) -> str:
    if not environment.gpus:
        return "none" if environment.python_version else ""
    lines = []
    for (name, memory), same in groupby(environment.gpus, key=_model):
        count = len(list(same))
        lines.append((f"{count} x " if count > 1 else "") + name + (f", {size(memory)}" if memory else ""))
    driver = f"driver {environment.driver_version}" if environment.driver_version else ""
    cuda = f"CUDA {environment.cuda_version}" if environment.cuda_version else ""
    return "\n".join([*lines, *filter(None, [", ".join(filter(None, (driver, cuda)))])])


def _model(gpu: Gpu) -> tuple[str, int | None]:
    return gpu.name, gpu.memory_bytes


def _resources(resources: Resources) -> Items:
    values: dict[str, tuple[float | None, Callable[[float], str]]] = {
        "GPU time": (resources.gpu_hours, _hours),
        "CPU time": (resources.cpu_hours, _hours),
        "memory": (resources.memory_gb_hours, lambda value: f"{number(value)} GB h"),
        "storage": (resources.storage_gb, lambda value: size(value * 1e9)),
        "energy": (resources.energy_kwh, lambda value: f"{number(value)} kWh"),
        "cost": (resources.cost, number),
    }
    return [(name, text(value)) for name, (value, text) in values.items() if value is not None]


def _hours(hours: float) -> str:
    return f"{number(hours)} h" if hours >= 1 else duration_text(hours * 3600)


def _print_artifacts(store: Store, run: StoredRun) -> None:
    """Print what the run has logged and used: what projects count the versions of apart from figures and the like."""
    from tracklib.artifacts.stored import list_artifacts
    from tracklib.cli.artifact_pages import print_artifacts, print_media, print_uses

    found = list_artifacts(store, ArtifactQuery(run=run.id))
    versions = sorted((each for each in found if each.project), key=lambda each: each.created_at)
    media = sorted((each for each in found if not each.project), key=lambda each: each.created_at)
    if versions:
        heading("Artifacts")
        print_artifacts(versions, indent=2)
    if media:
        heading("Media")
        print_media(media)
    if run.used_artifacts:
        heading("Used artifacts")
        print_uses(run.used_artifacts)


def _print_writers(info: RunInfo) -> None:
    writers = [writer for writer in info.writers if not writer.is_edit]
    if len(writers) < 2:
        return
    heading("Writers", f"{len(writers)} processes wrote to this run")
    columns = [
        Column(title="rank", right=True, rank=9),
        Column(title="writer", rank=7),
        Column(title="status", rank=8),
        Column(title="host", rank=6, least=10),
        Column(title="process", right=True, rank=5),
        Column(title="started", rank=4),
        Column(title="last heard of", rank=3),
    ]
    rows: list[list[str | Text]] = [
        [
            str(writer.rank),
            writer.writer,
            styled(status_mark(writer.status), status_style(writer.status)),
            writer.host,
            str(writer.pid),
            when(writer.started_at),
            when(writer.heartbeat_at),
        ]
        for writer in sorted(writers, key=lambda writer: (writer.rank, writer.started_at))
    ]
    if len({writer.rank for writer in writers}) == 1:  # Of a job on one process, or of none.
        columns, rows = columns[1:], [row[1:] for row in rows]
    table(columns, rows, indent=2)


def _print_error(info: RunInfo) -> None:
    if info.error is None:
        return
    heading("Error")
    for part in (info.error.traceback.rstrip("\n") or f"{info.error.type}: {info.error.message}").split("\n"):
        line(styled(f"  {part}", "" if part.startswith(" ") else "red"), wrap=False)
