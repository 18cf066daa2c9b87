"""What a program tells MLflow, recorded in the active run as well.

Each value is recorded once, whichever way the program went: `mlflow.log_metric`, `mlflow.log_batch` or a client of its
own. `mlflow.autolog` is left alone; what it logs is heard like everything else.

Known trade-offs:
    All MLflow runs of a process, nested ones too, go to the run that is active when they log.
    MLflow gives points without a step the step 0. Here they are counted; but a program that has taken the function out
    of the module before we listen comes by its client, where the 0 is all that can be seen.
    Samples of the machine (`system/…`) are left out: tracklib takes its own.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tracklib.integrations.argv import typed
from tracklib.integrations.imports import when_imported
from tracklib.integrations.mirrors import describe, heard_by, numbers
from tracklib.integrations.patching import nested
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tracklib.integrations.patching import Patches

    Hook = Callable[[Mapping[str, Any], Any], None]

__all__ = ["install"]

_PLACES = {"mlflow.note.content": "notes", "mlflow.runName": "name"}
"""Tags by which MLflow says what has a place of its own here."""


def install(patches: Patches) -> None:
    """Listen to MLflow as soon as it has been imported.

    Example:
        >>> from tracklib.integrations.patching import Patches
        >>> patches = Patches()
        >>> install(patches)
        >>> patches.undo()
    """
    when_imported("mlflow", lambda module: _listen(patches, module))


def _listen(patches: Patches, mlflow: ModuleType) -> None:
    fluent = sys.modules.get("mlflow.tracking.fluent")
    if fluent is not None:
        for name, record in _FUNCTIONS.items():
            patches.wrap(fluent, name, _around(record), (fluent, name), (mlflow, name))
    client = getattr(mlflow, "MlflowClient", None)
    if client is not None:
        for name, record in _METHODS.items():
            patches.wrap(client, name, _around(record))


def _around(record: Hook) -> Callable[..., Any]:
    """Return what stands in for a function: the outermost call is recorded, once MLflow has taken it."""

    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        with nested("mlflow") as inner:
            result = original(*arguments, **keywords)
        if not inner:
            _recorded(record, original, arguments, keywords, result)
        return result

    return around


@guarded()
def _recorded(record: Hook, original: Callable[..., Any], arguments: Any, keywords: Any, result: Any) -> None:
    record(inspect.signature(original).bind(*arguments, **keywords).arguments, result)


# ---- functions and methods, by what they were called with and what they returned


def _log_metric(said: Mapping[str, Any], _: Any) -> None:
    _measured({said["key"]: said["value"]}, said.get("step"))


def _log_metrics(said: Mapping[str, Any], _: Any) -> None:
    _measured(said["metrics"], said.get("step"))


def _log_param(said: Mapping[str, Any], _: Any) -> None:
    _described(params={said["key"]: said["value"]})


def _log_params(said: Mapping[str, Any], _: Any) -> None:
    _described(params=said["params"])


def _set_tag(said: Mapping[str, Any], _: Any) -> None:
    _described(tags={said["key"]: said["value"]})


def _set_tags(said: Mapping[str, Any], _: Any) -> None:
    _described(tags=said["tags"])


def _set_experiment(_: Mapping[str, Any], experiment: Any) -> None:
    _described(place={"experiment": experiment.name}, begins=True)


def _start_run(said: Mapping[str, Any], _: Any) -> None:
    tags = said.get("tags") or {}
    if said.get("nested") or said.get("parent_run_id"):  # A part of the run, which has its name already.
        _described(tags=_without_places(tags))
        return
    experiment = said.get("experiment_id")
    named = os.environ.get("MLFLOW_EXPERIMENT_NAME") if experiment is None else _experiment_name(experiment)
    place = {"name": said.get("run_name"), "notes": said.get("description"), "experiment": named}
    _described(tags=tags, place=place, begins=True)


def _create_run(said: Mapping[str, Any], _: Any) -> None:
    tags = said.get("tags") or {}
    if "mlflow.parentRunId" in tags:
        _described(tags=_without_places(tags))
    else:
        place = {"name": said.get("run_name"), "experiment": _experiment_name(said["experiment_id"])}
        _described(tags=tags, place=place, begins=True)


def _log_batch(said: Mapping[str, Any], _: Any) -> None:
    by_step: dict[Any, dict[str, Any]] = {}
    for metric in said.get("metrics") or ():
        by_step.setdefault(metric.step, {})[metric.key] = metric.value
    for step, metrics in by_step.items():
        _measured(metrics, step)
    # MLflow keeps params as text, and hands them on as such.
    _described(
        params={param.key: typed(str(param.value)) for param in said.get("params") or ()},
        tags={tag.key: tag.value for tag in said.get("tags") or ()},
    )


_FUNCTIONS: dict[str, Hook] = {
    "log_metric": _log_metric,
    "log_metrics": _log_metrics,
    "log_param": _log_param,
    "log_params": _log_params,
    "set_tag": _set_tag,
    "set_tags": _set_tags,
    "set_experiment": _set_experiment,
    "start_run": _start_run,
}
_METHODS: dict[str, Hook] = {
    "log_metric": _log_metric,
    "log_param": _log_param,
    "log_batch": _log_batch,
    "set_tag": _set_tag,
    "create_run": _create_run,
}


# ---- what becomes of it


def _measured(metrics: Mapping[str, Any], step: Any) -> None:
    run = heard_by()
    if run is not None:
        values = numbers({name: value for name, value in metrics.items() if not str(name).startswith("system/")})
        if values:
            run.log(values, None if step is None else int(step))


def _described(
    *,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    place: Mapping[str, str | None] | None = None,
    begins: bool = False,
) -> None:
    run = heard_by()
    if run is not None:
        said = {_PLACES[name]: value for name, value in (tags or {}).items() if name in _PLACES}
        given = {kind: text for kind, text in (place or {}).items() if text or kind not in said}
        describe(run, place={**said, **given}, begins=begins, params=params, tags=_without_places(tags or {}))


def _without_places(tags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the program's own tags, without those in which MLflow keeps its books."""
    return {name: value for name, value in tags.items() if not str(name).startswith("mlflow.")}


@guarded()
def _experiment_name(experiment_id: Any) -> str | None:
    """Return the name of an experiment; that which is there without having been asked for is none."""
    import mlflow

    if str(experiment_id) == "0":
        return None
    run = heard_by()
    if run is None or not run.provisional:  # Nobody would use it, and the question may go over a network.
        return None
    name: str = mlflow.get_experiment(str(experiment_id)).name
    return name
