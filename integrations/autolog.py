"""Record what a program does although it says nothing to tracklib.

    import tracklib

    tracklib.autolog()

Frameworks are watched as soon as the program has imported them, and nothing is imported for it. `undo` puts everything
back. A program that is started by `tracklib run`, or with `TRACKLIB_AUTOLOG=1`, needs not even that line.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Self

import tracklib
from tracklib.integrations import imports
from tracklib.integrations.patching import Patches
from tracklib.integrations.session import guarded, open_run

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklib import Run
    from tracklib.integrations.startup import Program

__all__ = ["PARTS", "Autolog", "autolog", "begin_program"]

PARTS: Final = {
    "arguments": ("arguments", "hydra"),
    "lightning": ("lightning_auto",),
    "transformers": ("transformers_auto",),
    "accelerate": ("accelerate_auto",),
    "saves": ("torch", "pretrained"),
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
}
"""What can be left out, and the modules that watch it."""


class Autolog:
    """What is being watched; `undo` ends it. It can be used with `with`."""

    def __init__(self, parts: Collection[str]) -> None:
        """Watch these parts; see `PARTS`."""
        self._parts = frozenset(parts)
        self._patches = Patches()
        self._run: Run | None = None
        for part in parts:
            for name in PARTS[part]:
                _install(name, self._patches)

    def begin_run(self, **options: Any) -> None:
        """Begin the run of the program, unless one is active. The program's own `start_run` takes it over."""
        if open_run() is not None:
            return
        run = self._run = tracklib.start_run(**options)
        run.provisional = True
        if "arguments" in self._parts:
            from tracklib.integrations.arguments import fallback

            run.before_end(partial(fallback, run))

    def undo(self) -> None:
        """Leave everything as it was before, and end the run that was begun."""
        global _current  # noqa: PLW0603 - a process has one
        if _current is self:
            _current = None
        imports.forget()
        self._patches.undo()
        if self._run is not None:
            self._run.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()


_current: Autolog | None = None


def autolog(*, exclude: Collection[str] = (), **options: Any) -> Autolog:
    """Record this process from now on: trainings of frameworks, saved models, arguments, calls of other trackers.

    A run is begun at once, unless one is active, so that the program's output and the machine are recorded as well.
    Called again, it returns what is there.

    Args:
        exclude: What to leave alone: some of arguments, lightning, transformers, accelerate, saves, tensorboard, wandb,
            mlflow.
        options: What `tracklib.start_run` takes.

    Raises:
        ValueError: `exclude` names something else.
        ConfigError: An option cannot be meant.
        StoreError: The store cannot be used.

    Example:
        >>> with tracklib.autolog(project="digits", exclude=["wandb"]):
        ...     tracklib.log({"loss": 0.3})
        >>> tracklib.get_run("latest").metrics["loss"].last
        0.3
    """
    before, wanted = _current, _wanted(exclude)
    watching = _watching(wanted)
    try:
        if tracklib.current_settings().mode != "disabled":
            watching.begin_run(**options)
    except BaseException:
        if before is None:
            watching.undo()
        raise
    return watching


def _wanted(exclude: Collection[str]) -> list[str]:
    always = (tracklib.current_settings().autolog_exclude or "").split(",")
    names = [*([exclude] if isinstance(exclude, str) else exclude), *(name.strip() for name in always if name.strip())]
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise ValueError(f"autolog is to leave {unknown[0]!r} alone, but knows only {', '.join(PARTS)}")
    return [part for part in PARTS if part not in names]


def _watching(parts: Collection[str]) -> Autolog:
    global _current  # noqa: PLW0603 - a process has one
    if _current is None:
        disabled = tracklib.current_settings().mode == "disabled"
        _current = Autolog(() if disabled else parts)
    return _current


@guarded()
def _install(name: str, patches: Patches) -> None:
    import_module(f"tracklib.integrations.{name}").install(patches)


def begin_program(program: Program) -> None:
    """Record the program that this interpreter was started for; called before it begins.

    A child of a program that is recorded begins no run of its own, unless it is a process of the same job: what it
    trains is a run, what it merely does is not.

    Args:
        program: What kind of program it is.
    """
    if tracklib.current_settings().mode == "disabled":
        return
    watching = _watching(_wanted(()))
    is_rank = tracklib.process_rank().world_size > 1
    if program.trains and (is_rank or tracklib.parent_run_id() is None):
        # The program runs in any case; where the store cannot be used, the journal keeps what it does.
        watching.begin_run(on_error="spool")
