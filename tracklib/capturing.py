"""What goes along with a run and records its code, environment, machine and console, all in the background."""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.records import RecordKind
from tracklib.run import Companion
from tracklib.values import clean_text, jsonable

if TYPE_CHECKING:
    from tracklib.capture.console import ConsoleCapture
    from tracklib.capture.system import SystemMonitor
    from tracklib.run import Run, RunIdentity
    from tracklib.settings import Settings

__all__ = ["Surroundings"]

STOP_PATIENCE_SECONDS: Final = 10.0
"""How long the end of a run waits at the most for the last sample and for a capture that is still going on."""
HEAD_START_SECONDS: Final = 0.05

_log = logging.getLogger("tracklib")


class Surroundings(Companion):
    """Records what surrounds a run, as its settings say."""

    def __init__(self, run: Run, settings: Settings, identity: RunIdentity) -> None:
        """Begin: the console at once, everything else in threads."""
        self._run = run
        self._settings = settings
        self._identity = identity
        self._directory = _working_directory()
        self._console: ConsoleCapture | None = None
        self._monitor: SystemMonitor | None = None
        if settings.auto_log_console:
            from tracklib.capture.console import ConsoleCapture
            from tracklib.capture.redact import mask_text

            self._mask = mask_text
            self._console = ConsoleCapture(self._on_line)
            self._console.start()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._capture, name=f"tracklib-capture-{run.id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Record the last lines, the last sample and the resources."""
        if self._console:
            self._console.stop()
        self._stopping.set()
        self._thread.join(STOP_PATIENCE_SECONDS)
        if self._monitor:
            resources = self._monitor.stop(timeout_s=STOP_PATIENCE_SECONDS, storage_bytes=self._run.stored_bytes)
            self._run.record_event(RecordKind.RESOURCES, jsonable(_added(asdict(resources), self._identity.used)))

    def _on_line(self, stream: str, time: float, text: str) -> None:
        line = clean_text(self._mask(text))
        self._run.record_event(RecordKind.CONSOLE, {"stream": stream, "lines": [[time, line]]})

    # ---- in the thread

    def _capture(self) -> None:
        # What is imported here competes with `start_run` for the interpreter, so that goes first.
        self._stopping.wait(HEAD_START_SECONDS)
        for wanted, part in (
            (self._settings.system_interval > 0, self._watch_system),
            (self._settings.auto_log_git, self._record_source),
            (self._settings.auto_log_env, self._record_environment),
        ):
            try:
                if wanted:
                    part()
            except Exception as error:  # noqa: BLE001 - whatever is odd about this machine, the training goes on
                _log.warning("run %s: %s failed: %r", self._run.id, part.__name__.strip("_").replace("_", " "), error)

    def _watch_system(self) -> None:
        from tracklib.capture.system import SystemMonitor

        self._monitor = SystemMonitor(
            self._log_sample, interval_s=self._settings.system_interval, prices=self._settings.prices
        )
        self._monitor.start()

    def _log_sample(self, values: dict[str, float], number: int) -> None:
        node = self._identity.node
        if node:  # The machines of a job are told apart; the first one has the plain names.
            values = {name.replace("system/", f"system/node{node}/", 1): value for name, value in values.items()}
        self._run.log_aside(values, self._identity.first_sample + number)

    def _record_source(self) -> None:
        from tracklib.capture.git import capture_source
        from tracklib.model import SourceType

        source = _plain(capture_source(self._directory, diff_limit=self._settings.diff_limit))
        if source["source_type"] == SourceType.LOCAL:
            source["snapshot"] = self._keep_snapshot()
        self._run.record_event(RecordKind.SOURCE, source)

    def _keep_snapshot(self) -> str | None:
        """Keep an archive of a small project that is in no repository; return the name of its blob."""
        from tracklib.capture.snapshot import snapshot_archive

        archive = snapshot_archive(self._directory, limit=self._settings.diff_limit)
        if archive is None:
            return None
        return self._run.keep_bytes(archive, "the snapshot of the source")

    def _record_environment(self) -> None:
        from tracklib.capture.environment import capture_environment
        from tracklib.capture.gpu import visible_gpus

        environment = _plain(capture_environment())
        inventory = visible_gpus()
        environment.update(
            gpus=[_plain(gpu) for gpu in inventory.gpus],
            driver_version=inventory.driver_version,
            cuda_version=inventory.cuda_version,
        )
        self._run.record_event(RecordKind.ENVIRONMENT, environment)


def _added(used: dict[str, float | None], before: dict[str, float]) -> dict[str, float | None]:
    """Return what a run has used with what it had used before it was resumed."""
    return {name: before.get(name) if value is None else value + before.get(name, 0.0) for name, value in used.items()}


def _plain(value: Any) -> dict[str, Any]:
    plain: dict[str, Any] = jsonable(asdict(value))
    return plain


def _working_directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # It was deleted.
        return Path("/")
