"""The configuration of Hydra programs, as params of their run.

What the function below `@hydra.main` gets is recorded, resolved. With `--multirun` each job that this process runs is a
run of its own, nested in the active one; jobs that a launcher starts in other processes are theirs to record.
`OmegaConf.from_cli()` counts like a parser of the command line.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import tracklib
from tracklib.integrations.command_line import command_line
from tracklib.integrations.imports import when_imported
from tracklib.integrations.session import guarded, open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["install"]

_LONGEST_NAME = 200


def install(patches: Patches) -> None:
    """Listen to Hydra and OmegaConf as soon as they have been imported.

    Example:
        >>> from tracklib.integrations.patching import Patches
        >>> patches = Patches()
        >>> install(patches)
        >>> patches.undo()
    """
    when_imported("hydra._internal.hydra", lambda module: _listen(patches, module))
    when_imported("omegaconf", lambda module: patches.wrap(module.OmegaConf, "from_cli", _around_from_cli))


def _listen(patches: Patches, module: ModuleType) -> None:
    patches.wrap(module.Hydra, "run", functools.partial(_around_run, many=False))
    patches.wrap(module.Hydra, "multirun", functools.partial(_around_run, many=True))


def _around_run(
    original: Callable[..., Any],
    hydra: Any,
    config_name: str | None,
    task_function: Callable[..., Any],
    *arguments: Any,
    many: bool,
    **keywords: Any,
) -> Any:
    return original(hydra, config_name, _Task(task_function, many=many), *arguments, **keywords)


class _Task:
    """The program's function, which says its configuration before it runs. It can be pickled if the function can."""

    def __init__(self, function: Callable[..., Any], *, many: bool) -> None:
        self._function = function
        self._many = many
        functools.update_wrapper(self, function)

    def __call__(self, config: Any) -> Any:
        with self._run(config):
            return self._function(config)

    def _run(self, config: Any) -> AbstractContextManager[Any]:
        run: AbstractContextManager[Any] | None = _job_run(config) if self._many else _configured(config)
        return nullcontext() if run is None else run


@guarded()
def _configured(config: Any) -> None:
    command_line.hear(_plain(config))


@guarded()
def _job_run(config: Any) -> AbstractContextManager[Any] | None:
    """Begin the run of a job of many. If the program starts one itself, that is this one."""
    from hydra.core.hydra_config import HydraConfig

    command_line.parsed = True
    if open_run() is None:
        return None
    job = HydraConfig.get().job
    name = str(job.override_dirname or job.num)[:_LONGEST_NAME]
    run = tracklib.start_run(nested=True, name=name, params=_plain(config))
    run.provisional = True
    return run


def _plain(config: Any) -> dict[str, Any]:
    """Return a configuration as a dictionary, resolved where that can be done."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not OmegaConf.is_config(config):
        return dict(vars(config))
    try:
        plain: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException:  # An interpolation that leads nowhere; the program may never follow it.
        plain = OmegaConf.to_container(config, resolve=False)
    return plain if isinstance(plain, dict) else {"args": plain}


def _around_from_cli(original: Callable[..., Any], args_list: Any = None) -> Any:
    config = original(args_list)
    _from_cli(args_list, config)
    return config


@guarded()
def _from_cli(args: Any, config: Any) -> None:
    if command_line.gave(args) and command_line.is_asked_for({"omegaconf"}):
        command_line.hear(_plain(config))
