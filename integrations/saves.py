"""What all hooks of save functions share: which call is the save that the program means, and what becomes of it.

A save often calls others: a checkpoint writes a model, that writes files. Only the outermost call of a thread counts.

The training thread only takes down that something was saved. A moment later a thread looks what is there, and notes it:

- What was renamed within its folder, as a careful program does, is recorded under its new name.
- What is gone was temporary, and is not recorded. Nor is what lies in a `tempfile.TemporaryDirectory` that is still
  to be removed, unless the program works in that folder; nor a `NamedTemporaryFile`, nor what is below /dev or /proc.
- What is saved to the same path again and again is recorded at most once in ten seconds, when it is left alone for a
  second, and at the end of the run.
- An optimizer, or what else a training needs to go on, belongs to the model into whose folder it is saved.

What is stored, and under which names, is up to `saved_states`.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import stat
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.integrations.kept_models import is_terminated, settings_for
from tracklib.integrations.patching import nested
from tracklib.integrations.saved_states import FoundSave, Saved, SavedStates
from tracklib.integrations.session import guarded, open_run
from tracklib.integrations.temporary import is_temporary, is_volatile

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracklib import Run

    Describe = Callable[[Mapping[str, Any], Any], "Saved | None"]

__all__ = ["Saved", "class_name", "quiet", "record_save", "save_hook", "text_path", "watching_run"]

LOOK_SECONDS: Final = 1.0
"""From a save to the look at it: by then a temporary file is renamed or removed."""
INTERVAL_SECONDS: Final = 10.0
"""Between two records of the same path."""
_BESIDE: Final = re.compile(r"optim|sched|scaler|rng|random_state|training_args")
"""Names of files that belong to the model in whose folder they lie."""


def save_hook(describe: Describe) -> Callable[..., Any]:
    """Return what `Patches.wrap` puts around a function that saves.

    Args:
        describe: Given the arguments by name and the result of a call that has succeeded, returns what was saved; None
            if nothing was.
    """

    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        began = time.time()
        with nested("save") as within:
            result = original(*arguments, **keywords)
        if not within:
            _describe(describe, began, original, arguments, keywords, result)
        return result

    return around


def quiet(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a function whose saves are recorded by somebody else, or are none."""
    with nested("save"):
        return original(*arguments, **keywords)


@guarded()
def _describe(
    describe: Describe,
    began: float,
    original: Callable[..., Any],
    arguments: tuple[Any, ...],
    keywords: dict[str, Any],
    result: Any,
    /,
) -> None:
    run = watching_run()
    if run is None:
        return
    bound = _signature(original).bind(*arguments, **keywords)
    saved = describe(bound.arguments, result)
    if saved is not None:
        record_save(run, saved._replace(began=began))


@functools.lru_cache(maxsize=128)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def watching_run() -> Run | None:
    """Return the active run if it is to hear of saves."""
    run = open_run()
    return run if run is not None and run.id and settings_for(run.id).log_models != "off" else None


def text_path(value: Any) -> str | None:
    """Return a path or URL as absolute text; None for anything else, and for devices.

    Example:
        >>> text_path("/models/../models/a.pt"), text_path("s3://bucket/a.pt"), text_path("/dev/shm/a.pt")
        ('/models/a.pt', 's3://bucket/a.pt', None)
    """
    if not isinstance(value, (str, os.PathLike)):
        return None
    text = os.fspath(value)
    if not isinstance(text, str) or "://" in text:
        return text if isinstance(text, str) else None
    path = os.path.abspath(text)  # noqa: PTH100 - a link keeps its own name
    return None if is_volatile(path) else path


def class_name(value: Any) -> str:
    """Return the full name of a value's class.

    Example:
        >>> class_name({})
        'builtins.dict'
    """
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


# ---- what is to be looked at


class _Key(NamedTuple):
    run: str
    path: str
    type: str


class _Identity(NamedTuple):
    """By which a file is known again under another name."""

    device: int
    inode: int
    changed_ns: int


class _Waiting(NamedTuple):
    """What is to be looked at.

    Attributes:
        at: When it was saved, by the monotonic clock.
        due: When to look, likewise.
    """

    run: Run
    saved: Saved
    identity: _Identity | None
    at: float
    due: float


class _Recorder:
    """Looks at what was saved, a moment later.

    Adding takes no lock: a signal handler that ends the run may interrupt it. What is waiting is a dict, of which each
    entry is put and taken in one step.
    """

    def __init__(self) -> None:
        self.process = os.getpid()
        self._waiting: dict[_Key, _Waiting] = {}
        self._recorded: dict[_Key, float] = {}
        self._folders: dict[tuple[str, str], Saved] = {}
        self._states: dict[str, SavedStates] = {}
        self._recording = threading.RLock()
        self._thread: threading.Thread | None = None

    def add(self, run: Run, saved: Saved) -> None:
        """Take down that something was saved."""
        if saved.type == "optimizer" or (saved.type == "file" and _BESIDE.search(os.path.basename(saved.path))):  # noqa: PTH119 - text is quicker
            saved = self._folders.get((run.id, os.path.dirname(saved.path)), saved)  # noqa: PTH120 - text is quicker
        status = _status(saved.path)
        if status is None and not saved.late and "://" not in saved.path:
            return
        if status is not None and stat.S_ISDIR(status.st_mode) and saved.type in {"model", "checkpoint"}:
            self._folders[run.id, saved.path] = saved
        key, now = _Key(run.id, saved.path, saved.type), time.monotonic()
        # What is written without a pause is not looked at before it pauses: it would be found half written.
        due = max(now + LOOK_SECONDS, self._recorded.get(key, now - INTERVAL_SECONDS) + INTERVAL_SECONDS)
        self._waiting[key] = _Waiting(run, saved, _identity(status), now, due)
        if run.id not in self._states:
            self._states[run.id] = SavedStates(run)
            run.before_end(functools.partial(self.finish, run))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracklib-saves", daemon=True)
            self._thread.start()

    @guarded()
    def finish(self, run: Run) -> None:
        """Look at what is left of a run that is about to end, and keep the last of it."""
        if self.process != os.getpid():
            return
        taken = self._recording.acquire(timeout=LOOK_SECONDS if is_terminated(run) else INTERVAL_SECONDS)
        try:
            found = self._look([key for key in list(self._waiting) if key.run == run.id], last=True)
            states = self._states.pop(run.id, None)
            if states is not None:
                states.finish(found)
        finally:
            if taken:
                self._recording.release()
        self._recorded = {key: at for key, at in list(self._recorded.items()) if key.run != run.id}
        self._folders = {key: saved for key, saved in list(self._folders.items()) if key[0] != run.id}

    def _work(self) -> None:
        while True:
            if not self._waiting:
                self._thread = None
                if not self._waiting:  # What came in between has seen a thread.
                    return
            time.sleep(LOOK_SECONDS / 4)
            with self._recording:
                self._record_due(time.monotonic())

    @guarded()
    def _record_due(self, now: float) -> None:
        found = self._look([key for key, waiting in list(self._waiting.items()) if waiting.due <= now])
        for run, states in list(self._states.items()):
            states.note(each for each in found if each.run == run)

    def _look(self, keys: list[_Key], *, last: bool = False) -> list[FoundSave]:
        """Return what is there of the saves that are due, or of all if it is the last look."""
        done: dict[_Key, FoundSave] = {}
        for key in reversed(keys):  # Where several became one file, the latest is what lies there.
            waiting = self._waiting.pop(key, None)
            path = waiting and _found(waiting.saved, waiting.identity)
            if waiting is None or path is None or (own := key._replace(path=path)) in done:
                continue
            now, renamed = time.monotonic(), path != key.path
            if renamed and not last and now < (due := self._recorded.get(own, -INTERVAL_SECONDS) + INTERVAL_SECONDS):
                self._waiting[own] = waiting._replace(saved=waiting.saved._replace(path=path), due=due)
                continue
            done[own] = FoundSave(waiting.saved, path, waiting.at, key.run)
            self._recorded[key] = self._recorded[own] = now
        return list(reversed(done.values()))


_recorder = _Recorder()


def record_save(run: Run, saved: Saved) -> None:
    """Have something that was saved recorded in a run."""
    global _recorder  # noqa: PLW0603 - a forked process has its own
    if _recorder.process != os.getpid():
        _recorder = _Recorder()
    _recorder.add(run, saved if saved.step is not None else saved._replace(step=run.last_step))


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - on the training thread
    except OSError:
        return None


def _identity(status: os.stat_result | None) -> _Identity | None:
    return None if status is None else _Identity(status.st_dev, status.st_ino, status.st_mtime_ns)


@guarded()
def _found(saved: Saved, identity: _Identity | None) -> str | None:
    """Return where it is now; None if it was temporary."""
    path = saved.path
    if "://" in path:
        return path
    if is_temporary(path):
        return None
    now = _identity(_status(path))
    if identity is None or now == identity:
        return path
    renamed = _renamed(path, identity)
    return renamed or (path if now is not None else None)


def _renamed(path: str, identity: _Identity) -> str | None:
    try:
        with os.scandir(os.path.dirname(path)) as entries:  # noqa: PTH120 - entries know their inodes
            same = [entry.path for entry in entries if entry.inode() == identity.inode and entry.path != path]
    except OSError:
        return None
    return next((other for other in same if _identity(_status(other)) == identity), None)
