"""Experiment tracking for people who train models: it costs nothing, loses nothing and asks for nothing.

    import tracklib

    with tracklib.start_run(project="digits", params={"lr": 1e-3}) as run:
        run.log({"train/loss": 0.3}, step=0)

What a training script uses is loaded at once, so that starting a run need not wait for it; everything else
when it is first used. Neither loads NumPy or a framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracklib.api import (
    ProcessRank,
    active_run,
    current_settings,
    end_run,
    init,
    log,
    log_artifact,
    log_audio,
    log_figure,
    log_histogram,
    log_html,
    log_image,
    log_metric,
    log_metrics,
    log_model,
    log_param,
    log_params,
    log_table,
    log_text,
    next_run_id,
    parent_run_id,
    process_rank,
    set_notes,
    set_tag,
    set_tags,
    start_run,
    use_artifact,
)

if TYPE_CHECKING:
    from tracklib import charts
    from tracklib.analysis.aligning import AlignedSeries, align_series
    from tracklib.analysis.compare import Comparison, compare
    from tracklib.analysis.compare_experiments import ExperimentComparison, compare_experiments
    from tracklib.analysis.counting import RunCounts, count_runs
    from tracklib.analysis.importance import Importance, param_importance
    from tracklib.analysis.run_table import RunTable
    from tracklib.analysis.search import search_runs
    from tracklib.analysis.significance import GroupComparison, compare_groups
    from tracklib.artifact_reading import (
        Lineage,
        StoredArtifact,
        artifact_lineage,
        get_artifact,
        list_artifacts,
        load_model,
        remove_alias,
        set_alias,
    )
    from tracklib.collecting import Garbage, collect_garbage
    from tracklib.copying import copy_runs
    from tracklib.decorator import track
    from tracklib.editing import archive_run, delete_run, edit_run, restore_run
    from tracklib.errors import TracklibError
    from tracklib.integrations.autolog import autolog
    from tracklib.organizing import (
        archive_experiment,
        archive_project,
        get_experiment,
        get_project,
        list_experiments,
        list_projects,
        restore_experiment,
        restore_project,
        set_experiment,
        set_project,
    )
    from tracklib.reading import StoredRun, get_run, list_runs
    from tracklib.report.writing import write_report
    from tracklib.run import Run
    from tracklib.series import Buckets, Series
    from tracklib.settings import Settings
    from tracklib.stores.base import RunQuery, Store, open_store
    from tracklib.syncing import sync

__version__ = "0.1.0"

_HOMES = {
    "analysis.aligning": ("AlignedSeries", "align_series"),
    "analysis.compare": ("Comparison", "compare"),
    "analysis.compare_experiments": ("ExperimentComparison", "compare_experiments"),
    "analysis.importance": ("Importance", "param_importance"),
    "analysis.counting": ("RunCounts", "count_runs"),
    "analysis.run_table": ("RunTable",),
    "analysis.search": ("search_runs",),
    "analysis.significance": ("GroupComparison", "compare_groups"),
    "artifact_reading": (
        "Lineage",
        "StoredArtifact",
        "artifact_lineage",
        "get_artifact",
        "list_artifacts",
        "load_model",
        "remove_alias",
        "set_alias",
    ),
    "collecting": ("Garbage", "collect_garbage"),
    "copying": ("copy_runs",),
    "decorator": ("track",),
    "editing": ("archive_run", "delete_run", "edit_run", "restore_run"),
    "errors": ("TracklibError",),
    "integrations.autolog": ("autolog",),
    "organizing": (
        "archive_experiment",
        "archive_project",
        "get_experiment",
        "get_project",
        "list_experiments",
        "list_projects",
        "restore_experiment",
        "restore_project",
        "set_experiment",
        "set_project",
    ),
    "reading": ("StoredRun", "get_run", "list_runs"),
    "report.writing": ("write_report",),
    "run": ("Run",),
    "series": ("Buckets", "Series"),
    "settings": ("Settings",),
    "stores.base": ("RunQuery", "Store", "open_store"),
    "syncing": ("sync",),
}
_SUBMODULES = frozenset({"charts"})
_ORIGINS = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AlignedSeries",
    "Buckets",
    "Comparison",
    "ExperimentComparison",
    "Garbage",
    "GroupComparison",
    "Importance",
    "Lineage",
    "ProcessRank",
    "Run",
    "RunCounts",
    "RunQuery",
    "RunTable",
    "Series",
    "Settings",
    "Store",
    "StoredArtifact",
    "StoredRun",
    "TracklibError",
    "active_run",
    "align_series",
    "archive_experiment",
    "archive_project",
    "archive_run",
    "artifact_lineage",
    "autolog",
    "charts",
    "collect_garbage",
    "compare",
    "compare_experiments",
    "compare_groups",
    "copy_runs",
    "count_runs",
    "current_settings",
    "delete_run",
    "edit_run",
    "end_run",
    "get_artifact",
    "get_experiment",
    "get_project",
    "get_run",
    "init",
    "list_artifacts",
    "list_experiments",
    "list_projects",
    "list_runs",
    "load_model",
    "log",
    "log_artifact",
    "log_audio",
    "log_figure",
    "log_histogram",
    "log_html",
    "log_image",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "next_run_id",
    "open_store",
    "param_importance",
    "parent_run_id",
    "process_rank",
    "remove_alias",
    "restore_experiment",
    "restore_project",
    "restore_run",
    "search_runs",
    "set_alias",
    "set_experiment",
    "set_notes",
    "set_project",
    "set_tag",
    "set_tags",
    "start_run",
    "sync",
    "track",
    "use_artifact",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"tracklib.{name}")
    module = _ORIGINS.get(name)
    if module is None:
        raise AttributeError(f"module 'tracklib' has no attribute {name!r}")
    value = getattr(import_module(f"tracklib.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
