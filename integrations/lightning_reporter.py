"""The run that a Lightning trainer's logger and callback report to together.

It stands between them and the session, so that of the processes that a trainer starts only the first one writes, and so
that checkpoints are noted once.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_utilities.core.rank_zero import rank_zero_only

import tracklib
from tracklib.integrations.kept_models import claim, is_terminated
from tracklib.integrations.lightning_checkpoints import (
    best_saved,
    described,
    is_remote,
    is_same,
    last_saved,
    main_monitor,
    model_metadata,
    path_saved,
    rank_of,
)
from tracklib.integrations.session import Session, guarded, open_run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracklib import Run

__all__ = ["Reporter", "adoptable_run", "disabled_run", "session_for_callback", "session_for_logger"]

_loggers: weakref.WeakSet[Session] = weakref.WeakSet()
"""Sessions of loggers; those that have not begun are about to be used."""


class Reporter:
    """Reports to one run, and raises nothing.

    Attributes:
        session: Holds the run.
        described: Whether the run has been told what trainer and model it is about.
    """

    def __init__(self, session: Session, *, log_checkpoints: bool) -> None:
        """Begin nothing yet.

        Args:
            log_checkpoints: Whether to note checkpoints, as far as the setting `log_models` has it.
        """
        self.session = session
        self.described = False
        self._log_checkpoints = log_checkpoints
        self._noted: dict[str, Any] = {}
        self._steps: dict[str, int | None] = {}
        self._main_monitor: str | None = None
        self._has_saved = False
        self._failed = False
        self._ended = False
        self._process = os.getpid()

    @property
    def run(self) -> Run | None:
        """The run, begun now if there is none; None where another process reports."""
        return None if self.is_mute else self.session.run

    @property
    def begun(self) -> Run | None:
        """The run if it is open, without beginning one."""
        return None if self.is_mute else self.session.begun

    @property
    def is_mute(self) -> bool:
        """Whether this is a process above rank 0 that came with a copy of what rank 0 holds."""
        return bool(getattr(rank_zero_only, "rank", 0)) and os.getpid() != self._process

    @guarded()
    def begin_fit(self, checkpoints: Iterable[Any] = ()) -> None:
        """Say that a training begins: whatever became of the one before, the run is running.

        Args:
            checkpoints: The callbacks that save its checkpoints.
        """
        self._failed = self._ended = self._has_saved = False
        self._main_monitor = main_monitor(checkpoints)
        if self.run is not None:
            self.session.proceed()

    @guarded()
    def end(self) -> None:
        """Say that a training or a test has gone well. That does not heal a training that has failed before."""
        if not self._failed and not self._ended and self.begun is not None:
            self._ended = True
            self.session.settle()
        self._leave()

    @guarded()
    def fail(self, error: BaseException) -> None:
        """Say that a training or a test has failed."""
        # What a program exits with is seen when it does; but Lightning makes such an exit of a signal, too.
        exits = isinstance(error, SystemExit) and type(error).__name__ != "SIGTERMException"
        if not exits and not self._failed and self.begun is not None:
            self._failed = True
            self.session.settle(error)
        self._leave()

    def _leave(self) -> None:
        """Ship everything now in a process that was started for this training alone: it may end without a word."""
        if multiprocessing.parent_process() is not None and os.getpid() != self._process and not self.is_mute:
            self.session.close()

    # ---- checkpoints

    @guarded()
    def note_saved(self, checkpoint: Any) -> None:
        """Note what a ModelCheckpoint has just saved."""
        path = path_saved(checkpoint)
        self._noted[path] = _stamp(path)
        self._note(checkpoint, path)

    @guarded()
    def note_new(self, checkpoint: Any, run: Run | None = None) -> None:
        """Note what a ModelCheckpoint has saved since it was last looked at.

        Args:
            run: That of the training; begun now if there is none.
        """
        attributes = ("best_model_path", "_last_checkpoint_saved", "last_model_path")
        kept = [*getattr(checkpoint, "best_k_models", ()), *(getattr(checkpoint, name, "") for name in attributes)]
        for path in dict.fromkeys(str(path) for path in kept if path):
            stamp = _stamp(path)
            if path not in self._noted or self._noted[path] != stamp:
                self._noted[path] = stamp
                self._note(checkpoint, path, run)

    def _note(self, checkpoint: Any, path: str, run: Run | None = None) -> None:
        policy = self._policy()
        run = (run or self.run) if path and policy != "off" else None
        if run is None:
            return
        self._has_saved = True
        known = described(checkpoint, path)
        step = self._steps[path] = getattr(checkpoint, "_last_global_step_saved", None)
        if not is_remote(path):
            claim(run, path)
            # An asynchronous writer may not have begun: then there is nothing to copy yet.
            if policy == "all" and Path(path).exists():
                score = rank_of(checkpoint, path) if known.get("monitor") == self._main_monitor else None
                keep = tracklib.current_settings().keep_checkpoints
                run.log_artifact(
                    path, "checkpoint", type="checkpoint", metadata=known, step=step, score=score, keep_last=keep
                )
                return
        run.log_artifact(path, "checkpoint", type="checkpoint", metadata=known, step=step, copy=False)

    def _policy(self) -> str:
        return tracklib.current_settings().log_models if self._log_checkpoints else "off"

    @guarded()
    def say_best(self, checkpoint: Any) -> None:
        """At the end of a training: say which checkpoint is the best."""
        path, run = str(getattr(checkpoint, "best_model_path", "") or ""), self.begun
        if path and run is not None:
            score = described(checkpoint, path).get("score")
            where = path if is_remote(path) else os.path.abspath(path)  # noqa: PTH100 - a link keeps its own name
            run.set_tags({"best_model_path": where, "best_model_score": score})

    @guarded()
    def keep_models(self, checkpoints: Sequence[Any], module: Any, run: Run | None = None) -> None:
        """At the end of a training: store the last checkpoint, and the best one by each monitored value.

        Args:
            checkpoints: The callbacks that saved them.
            module: The LightningModule.
            run: That of the training; by default the open one.
        """
        run = run or self.begun
        if run is None or not self._has_saved or self._policy() not in {"all", "end"} or is_terminated(run):
            return
        last, known = last_saved(checkpoints), model_metadata(module)
        for best in best_saved(checkpoints):
            is_main, step = best.monitor == self._main_monitor, self._steps.get(best.path)
            # `last.ckpt` is another file, with the same weights in it.
            is_last = is_main and last is not None and (is_same(last.path, best.path) or last.step == step is not None)
            run.log_artifact(
                best.path,
                "model" if is_main else f"model-{best.monitor.replace('/', '-')}",
                type="model",
                metadata={**known, **best.metadata},
                step=step,
                score=best.rank,
                aliases=("last",) if is_last else (),
            )
            last = None if is_last else last
        if last is not None:  # It comes last, since it is the latest state.
            metadata = {**known, **last.metadata}
            run.log_artifact(last.path, "model", type="model", metadata=metadata, step=last.step, aliases="last")

    @guarded()
    def keep_models_later(self, checkpoints: Sequence[Any], module: Any) -> None:
        """Do the same when the run ends: what a training leaves that breaks off may still have to be saved."""
        run = self.begun
        if run is not None:
            run.before_end(functools.partial(self._keep_late, checkpoints, module, run))

    def _keep_late(self, checkpoints: Sequence[Any], module: Any, run: Run) -> None:
        for checkpoint in checkpoints:
            self.note_new(checkpoint, run)
        self.keep_models(checkpoints, module, run)


def session_for_logger(run_id: str | None, session_options: dict[str, Any]) -> Session:
    """Return the session of a new logger, its run's id chosen now: processes that are started later have to know it."""
    session = Session(_chosen_id(run_id), **session_options)
    _loggers.add(session)
    return session


def session_for_callback(run_id: str | None, session_options: dict[str, Any]) -> Session:
    """Return the session of a new callback.

    Beside a logger that has not begun it chooses no id: the callback will report to the logger's run, and other
    processes must not be told of a second one.
    """
    waiting = any(session.begun is None and not session.owned for session in _loggers)
    return Session(run_id if waiting else _chosen_id(run_id), **session_options)


def adoptable_run() -> Run | None:
    """Return the active run, unless it is that of a training that has ended."""
    run = open_run()
    return None if Session.is_idle(run) else run


@guarded()
def _chosen_id(run_id: str | None) -> str | None:
    active = adoptable_run()
    return run_id or (active.id if active else "") or tracklib.current_settings().run_id or tracklib.next_run_id()


@guarded()
def disabled_run() -> Run:
    """Return a run that records nothing."""
    return tracklib.start_run(mode="disabled", activate=False)


def _stamp(path: str) -> tuple[int, int] | None:
    """Return what tells whether a file was written again."""
    try:
        state = None if is_remote(path) else Path(path).stat()
    except OSError:
        return None
    return (state.st_mtime_ns, state.st_size) if state else None
