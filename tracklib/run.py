"""The run as a user's program holds it."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Self

from tracklib import jobs
from tracklib.artifacts.keeping_media import KeepsMedia
from tracklib.describing import nested_param, notes_record, params_record, tags_record, user_name
from tracklib.errors import StoreError
from tracklib.lifecycle import Ending, chosen_ending, ending_of, manage, managed, release
from tracklib.recording.journal import Journal
from tracklib.recording.observer import Observer
from tracklib.recording.shared_store import SharedStore
from tracklib.recording.shipper import Shipper
from tracklib.records import RecordKind, RunStatus, new_id
from tracklib.stores.base import open_store
from tracklib.values import checked_name, clean_text, jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tracklib.recording.uploader import Uploader
    from tracklib.settings import Settings
    from tracklib.stores.base import Store

__all__ = ["Run", "RunIdentity"]

_log = logging.getLogger("tracklib")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunIdentity:
    """Which run it is, and in what part this process writes to it.

    Attributes:
        store: URI of the store.
        spool: The folder of journals.
        rank: The number of this process in its job.
        node: The number of its machine.
        primary: Whether the end of this process is the end of the run.
        first_step: What the counter of calls without a step begins with.
        first_sample: What samples of the machine are counted from.
        used: Resources that the run had used before, by the names of `Resources`.
        versions: Per name of a figure or the like, the highest version that the run has.
    """

    id: str
    project: str
    experiment: str
    name: str
    store: str
    spool: Path
    writer: str = "0"
    rank: int = 0
    node: int = 0
    parent: str | None = None
    primary: bool = True
    first_step: int = 0
    first_sample: int = 0
    used: dict[str, float] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)


class Run(KeepsMedia):
    """A run that is being recorded. `tracklib.start_run` makes one; `with` ends it, or `finish`.

    Methods never wait for a disk, a database or a network, but for `finish`, `flush` and, while they copy bytes,
    the ones that log files. They may be called from any thread. After a fork, a child that logs becomes another writer
    of the same run. A pickled run re-attaches where it is unpickled.

    Attributes:
        id: The run's ULID.
        project: Name of its project.
        experiment: Name of its experiment.
        name: Its name.
        store: URI of its store.
        provisional: Whether it was begun unasked, so that the next `start_run` of the program takes it over.
    """

    provisional: bool = False

    def __init__(
        self, identity: RunIdentity, settings: Settings, capture: Callable[[Run], Companion] | None = None
    ) -> None:
        """Open the journal and begin to ship it.

        Args:
            capture: Makes what records the surroundings of the run; nothing is recorded by default.

        Raises:
            StoreError: The journal cannot be written.
        """
        self.id = identity.id
        self.project = identity.project
        self.experiment = identity.experiment
        self.name = identity.name
        self.store = identity.store
        self._identity = identity
        self._settings = settings
        self._observer = Observer(identity.id, strict=settings.strict)
        self._ending = threading.Lock()
        self._finished: RunStatus | None = None
        self._settled: Ending | None = None
        self._settled_at = 0.0
        self._last_actions: list[Callable[[], None]] = []
        self._versions = {name: count(version + 1) for name, version in identity.versions.items()}
        self._logged = {}
        self._began = time.monotonic()
        self._open_journal()
        self._journal.revive = self._revive
        self._shipper = self._ship()
        manage(self)
        self._companion = capture(self) if capture else None

    def _open_journal(self) -> None:
        directory = self._identity.spool / self.id
        try:
            self._journal = Journal(
                directory,
                run=self.id,
                writer=self._identity.writer,
                store=self.store,
                observer=self._observer,
                first_step=self._identity.first_step,
            )
            self._journal.record(RecordKind.START, self._start_record())
        except (OSError, ValueError) as error:
            raise StoreError(
                f"the journal of the run cannot be written in {directory}: {error}; "
                "set TRACKLIB_SPOOL to a local folder with room"
            ) from error
        # The closure itself: a method around it would take as long again as the call.
        self.__dict__["log"] = self._journal.log

    def _start_record(self) -> dict[str, Any]:
        import os
        import platform

        return {
            "project": self.project,
            "experiment": self.experiment,
            "name": self.name,
            "parent": self._identity.parent,
            "created_by": user_name(),
            "rank": self._identity.rank,
            "host": platform.node(),
            "pid": os.getpid(),
            "spool": clean_text(str(self._identity.spool)),
            "primary": self._identity.primary,
        }

    def _ship(self) -> Shipper:
        uri, options = self.store, self._settings.store_options
        shipper = Shipper(
            self._journal,
            SharedStore(lambda: open_store(uri, options)),
            interval_s=self._settings.flush_interval,
            offline=self._settings.mode == "offline",
        )
        shipper.start()
        return shipper

    # ---- metrics

    def log(self, values: Mapping[str, Any], step: int | None = None, context: str | None = None) -> None:
        """Keep one point for each name: the call that everything else is built around. It takes about a microsecond.

        Numbers of Python, NumPy and torch are taken, also as arrays and tensors of one element; they are kept as
        float64, so integers beyond 2⁵³ are rounded, and numbers beyond 10³⁰⁸ infinite. NaN and infinities are values. A
        value that is no number is left out with one warning for its name, and counted on the run. Any order of steps
        will do; where a step is logged again, a reader sees the later value.

        Args:
            values: Numbers by name. Any text is a name; the part before its first `/` is its context.
            step: A whole number of 64 bits; by default one more than the highest so far, from 0.
            context: Put before each name with a `/`: `log({"loss": 1}, context="eval")` logs `eval/loss`.

        Raises:
            TypeError: `values` is no mapping with names of text, or `step` no whole number.
            NotANumber: In strict mode: a value is no number. The others were kept.

        Example:
            >>> run = tracklib.start_run(project="docs")
            >>> run.log({"train/loss": 0.3, "train/lr": 1e-3}, step=7)
            >>> run.finish()
            True
        """
        # Shadowed by the journal's closure; this one stands for documentation and types.
        self._journal.log(values, step, context)

    def log_aside(self, values: dict[str, float], step: int) -> None:
        """Keep points that have a step count of their own, as samples of the machine have."""
        self._journal.log_aside(values, step)

    @property
    def last_step(self) -> int | None:
        """The highest step that was logged so far, before the run was resumed as well; None before the first."""
        return self._journal.last_step()

    def log_metric(self, key: str, value: Any, step: int | None = None, context: str | None = None) -> None:
        """Keep one point of one metric; see `log`."""
        self.log({key: value}, step, context)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None, context: str | None = None) -> None:
        """Keep one point for each name; the same as `log`."""
        self.log(metrics, step, context)

    # ---- what describes the run

    def log_param(self, key: str, value: Any) -> None:
        """Keep one param, over what it was before. The history stays readable.

        Args:
            key: Its name; dots nest: `training.lr`.

        Raises:
            ConfigError: The name is no text, or empty.
        """
        self.log_params(nested_param(key, value))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Keep the run's configuration, nested as it is, over what was kept before.

        Dataclasses and namespaces are taken as well. What JSON cannot say is kept by its `repr`, marked as such.
        Values under secret names (`api_key`, `password`, …) are masked.

        Raises:
            TypeError: It is no mapping.
        """
        self._record(*params_record(params))

    def set_tag(self, key: str, value: Any) -> None:
        """Set a tag; None removes it."""
        self.set_tags({key: value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags; those whose value is None are removed.

        Raises:
            TypeError: It is no mapping.
        """
        self._record(*tags_record(tags))

    def set_notes(self, text: str) -> None:
        """Replace the run's notes.

        Raises:
            TypeError: It is no text.
        """
        self._record(*notes_record(text))

    def set_name(self, name: str) -> None:
        """Rename the run."""
        self.name = checked_name("name", name)
        self._record(RecordKind.NAME, {"name": self.name})

    def move(self, project: str | None = None, experiment: str | None = None) -> None:
        """Move the run to another project or experiment, which is made if it is missing.

        Raises:
            ConfigError: A name is empty.
        """
        place = (
            self.project if project is None else checked_name("project", project),
            self.experiment if experiment is None else checked_name("experiment", experiment),
        )
        self.project, self.experiment = place
        self._record(RecordKind.PLACE, {"project": self.project, "experiment": self.experiment})

    # ---- the end

    @property
    def status(self) -> RunStatus:
        """running, or how it stands or ended."""
        return self._finished or (self._settled.status if self._settled else RunStatus.RUNNING)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self._finished is None

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the store has all that was logged; tell whether it has within the time."""
        patience = self._settings.finish_timeout if timeout_s is None else timeout_s
        began = time.monotonic()
        brought = self._journal.interrupted() or self._uploader.drain(patience)
        return self._shipper.flush(max(0.0, patience - (time.monotonic() - began))) and brought

    def settle(self, error: BaseException | None = None) -> None:
        """Say how the run stands without ending it: completed, or failed with an exception.

        The store shows it as ended, and the end of the process changes nothing about that. What is logged later still
        belongs to the run: a test after the training, say. `proceed` takes it back.

        Example:
            >>> run = tracklib.start_run(project="docs")
            >>> run.settle()
            >>> run.log({"test/accuracy": 0.9})
            >>> run.status, run.is_open, run.finish()
            (<RunStatus.COMPLETED: 'completed'>, True, True)
        """
        ending = ending_of(error)
        with self._ending:
            if self._finished is not None:
                return
            self._settled, self._settled_at = ending, time.time()
            now = time.monotonic()
            seconds, self._began = now - self._began, now
        self._record_end(ending, seconds, last=False)

    def proceed(self) -> None:
        """Take back what `settle` said: the run is running again."""
        with self._ending:
            if self._finished is not None or self._settled is None:
                return
            self._settled, self._began = None, time.monotonic()
        self._record(RecordKind.START, self._start_record())

    @property
    def settled(self) -> Ending | None:
        """How the run stands, if `settle` has said it."""
        return self._settled

    def finish(self, status: str | RunStatus | None = None, reason: str = "") -> bool:
        """End the run and wait, for at most the setting `finish_timeout`, until the store has everything.

        A second call does nothing.

        Args:
            status: completed, failed or killed; by default what `settle` said, else completed.
            reason: Why, in words.

        Returns:
            Whether the store has everything. If not, the journal keeps it and `tracklib sync` ships it.

        Raises:
            ConfigError: That is no status for an end.
        """
        if status is None and self._settled is not None:
            return self.finish_because(self._settled)
        return self.finish_because(chosen_ending(RunStatus.COMPLETED if status is None else status, reason))

    def finish_because(self, ending: Ending, timeout_s: float | None = None) -> bool:
        """End the run as `ending` says; see `finish`."""
        with self._ending:
            first, self._finished = self._finished is None, self._finished or ending.status
        patience = self._settings.finish_timeout if timeout_s is None else timeout_s
        if first:
            try:
                for action in self._last_actions:
                    action()
                if self._companion:
                    self._companion.stop()
                # The records are worth more than files: half of the time is theirs.
                patience -= self._finish_artifacts(patience / 2)
            finally:
                self._write_end(ending)
                release(self)
                jobs.withdraw(self.id)
        done = self._shipper.finish(patience)
        if first and not done:
            self._say_what_waits()
        return done

    def _finish_artifacts(self, timeout_s: float) -> float:
        """Bring artifacts to the store for so long at the most; return how many seconds it took."""
        began = time.monotonic()
        if not self._journal.interrupted():
            self._uploader.finish(timeout_s)
        return min(timeout_s, time.monotonic() - began)

    @property
    def _uploader(self) -> Uploader:
        return self._shipper.uploader

    def _opened_store(self) -> Store:
        return open_store(self.store, self._settings.store_options)

    def _write_end(self, ending: Ending) -> None:
        counts = self._observer.counts(self._journal)
        if counts:
            self._record(RecordKind.DROPPED, {"counts": counts})
        if ending is self._settled:  # It has stood still since.
            self._record_end(ending, 0.0, end_time=self._settled_at)
        else:
            self._record_end(ending, time.monotonic() - self._began)

    def _record_end(self, ending: Ending, seconds: float, *, last: bool = True, **more: Any) -> None:
        error = jsonable(ending.error) if ending.error else None
        data = {"status": str(ending.status), "reason": clean_text(ending.reason), "error": error, **more}
        self._record(RecordKind.END, {**data, "duration": seconds}, last=last)

    def _say_what_waits(self) -> None:
        if self._settings.mode == "offline":
            return
        _log.warning(
            "run %s (%s) has ended, but its store %s has not got everything yet%s. Nothing is lost: the journal in %s "
            "has it, and the next run or `tracklib sync` ships it",
            self.id,
            self.name,
            self.store,
            f" ({self._shipper.problem})" if self._shipper.problem else "",
            self._journal.directory,
        )

    def __enter__(self) -> Self:
        from tracklib.active import push

        push(self)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self.finish_because(self._settled if error is None and self._settled else ending_of(error))

    def __repr__(self) -> str:
        return f"<Run {self.project}/{self.experiment}/{self.name} {self.id} {self.status}>"

    # ---- processes

    def before_end(self, action: Callable[[], None]) -> None:
        """Have `action` called when the run ends, while it can still be logged to; it must not raise."""
        self._last_actions.append(action)

    def position(self) -> int:
        """Return a number that grows with everything that is logged."""
        return self._journal.position if self._journal.segments and not self._journal.closed else -1

    def after_fork(self) -> None:
        """Let go of the parent's files in a forked child; what it logs goes to a journal of its own."""
        self._journal.abandon()
        self._observer.reset()
        self._uploader.abandon()
        self._ending = threading.Lock()
        self._companion = None
        self._last_actions.clear()

    def _revive(self) -> None:
        """Become another writer of the run: something was logged in a child after a fork."""
        identity = self._identity
        self._identity = replace(identity, writer=f"{identity.rank}.{new_id()[-10:].lower()}", primary=False)
        self._journal.reopen(self._identity.writer, self._start_record())
        self._shipper = self._ship()
        self._began = time.monotonic()
        manage(self)
        _finish_with_worker(self)

    def __reduce__(self) -> tuple[Callable[..., Run], tuple[Any, ...]]:
        return attach, (type(self), self._identity, self._settings)

    # ---- what all of these share

    def record_event(self, kind: str, data: dict[str, Any]) -> None:
        """Keep a record of any kind, for what watches over a run; `data` must be what JSON can say."""
        self._record(kind, data)

    def _record(self, kind: str, data: dict[str, Any], *, last: bool = True) -> bool:
        try:
            self._journal.record(kind, data, last=last)
        except (OSError, ValueError) as error:
            self._observer.lost("record", f"a {kind} record", error)
            return False
        return True


class Companion:
    """What goes along with a run and records its surroundings."""

    def stop(self) -> None:
        """Record the last of it; the run is about to end."""


def attach(kind: type[Run], identity: RunIdentity, settings: Settings) -> Run:
    """Join a run as one more writer: what unpickling does."""
    here = managed(identity.id)
    if isinstance(here, Run):
        return here
    writer = f"{identity.rank}.{new_id()[-10:].lower()}"
    run = kind(replace(identity, writer=writer, primary=False), settings)
    _finish_with_worker(run)
    return run


def _finish_with_worker(run: Run) -> None:
    """End the writer with its worker process: those of `multiprocessing` leave without `atexit`."""
    import sys

    if "multiprocessing.util" in sys.modules:
        from multiprocessing.util import Finalize

        Finalize(None, run.finish, exitpriority=0)
