"""What all hooks of save functions share: which call is the save that the program means, and what becomes of it.

A save often calls others: a checkpoint writes a model, that writes files. Only the outermost call of a thread counts.
It becomes a reference: the run notes the path, sizes and SHA-256, and no bytes are copied.

The training thread only takes down that something was saved. A moment later a thread looks what is there:

- What was renamed within its folder, as a careful program does, is recorded under its new name.
- What is gone was temporary, and is not recorded. Nor is what lies in a `tempfile.TemporaryDirectory` that is still
  to be removed, unless the program works in that folder; nor a `NamedTemporaryFile`, nor what is below /dev or /proc.
- What is saved to the same path again and again is recorded at most once in ten seconds, when it is left alone for a
  second, and at the end of the run.
- An optimizer, or what else a training needs to go on, belongs to the model into whose folder it is saved.
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

import tracklib
from tracklib.integrations.patching import nested
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


class Saved(NamedTuple):
    """What a call has saved.

    Attributes:
        path: Where; a file, a folder or a URL.
        type: model, checkpoint, optimizer, tokenizer, processor or file.
        metadata: The framework, the function, the class of what was saved, and more.
        step: The training step, if the call knows it; otherwise it is the last one that was logged.
        late: Whether it may still be written after the call has returned.
    """

    path: str
    type: str
    metadata: dict[str, Any]
    step: int | None = None
    late: bool = False


def save_hook(describe: Describe) -> Callable[..., Any]:
    """Return what `Patches.wrap` puts around a function that saves.

    Args:
        describe: Given the arguments by name and the result of a call that has succeeded, returns what was saved; None
            if nothing was.
    """

    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        with nested("save") as within:
            result = original(*arguments, **keywords)
        if not within:
            _describe(describe, original, arguments, keywords, result)
        return result

    return around


def quiet(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call a function whose saves are recorded by somebody else, or are none."""
    with nested("save"):
        return original(*arguments, **keywords)


@guarded()
def _describe(
    describe: Describe, original: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any], result: Any
) -> None:
    run = watching_run()
    if run is None:
        return
    bound = _signature(original).bind(*arguments, **keywords)
    saved = describe(bound.arguments, result)
    if saved is not None:
        record_save(run, saved)


@functools.lru_cache(maxsize=128)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def watching_run() -> Run | None:
    """Return the active run if it is to hear of saves."""
    run = open_run()
    return run if run is not None and run.id and _is_wanted(run.id) else None


@functools.lru_cache(maxsize=8)
def _is_wanted(_run_id: str) -> bool:
    """Ask once for each run: settings are read from files."""
    return tracklib.current_settings().log_models != "off"


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
    run: Run
    saved: Saved
    identity: _Identity | None
    due: float
    """By the monotonic clock."""


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
        self._runs: set[str] = set()
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
        self._waiting[key] = _Waiting(run, saved, _identity(status), due)
        if run.id not in self._runs:
            self._runs.add(run.id)
            run.before_end(functools.partial(self.finish, run.id))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="tracklib-saves", daemon=True)
            self._thread.start()

    def finish(self, run: str) -> None:
        """Look at what is left of a run that is about to end."""
        if self.process != os.getpid():
            return
        taken = self._recording.acquire(timeout=INTERVAL_SECONDS)
        try:
            self._record([key for key in list(self._waiting) if key.run == run], last=True)
        finally:
            if taken:
                self._recording.release()
        self._runs.discard(run)
        self._recorded = {key: at for key, at in list(self._recorded.items()) if key.run != run}
        self._folders = {key: saved for key, saved in list(self._folders.items()) if key[0] != run}

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
        self._record([key for key, waiting in list(self._waiting.items()) if waiting.due <= now])

    def _record(self, keys: list[_Key], *, last: bool = False) -> None:
        done: set[_Key] = set()
        for key in reversed(keys):  # Where several became one file, the latest is what lies there.
            waiting = self._waiting.pop(key, None)
            path = waiting and _found(waiting.saved, waiting.identity)
            if waiting is None or path is None or (own := key._replace(path=path)) in done:
                continue
            now, renamed = time.monotonic(), path != key.path
            if renamed and not last and now < (due := self._recorded.get(own, -INTERVAL_SECONDS) + INTERVAL_SECONDS):
                self._waiting[own] = waiting._replace(saved=waiting.saved._replace(path=path), due=due)
                continue
            done.add(own)
            self._recorded[key] = self._recorded[own] = now
            _log(waiting.run, waiting.saved, path)


@guarded()
def _log(run: Run, saved: Saved, path: str) -> None:
    name = _name(path, saved.type)
    run.log_artifact(path, name, type=saved.type, metadata=saved.metadata, step=saved.step, copy=False)


_recorder = _Recorder()


def record_save(run: Run, saved: Saved) -> None:
    """Have something that was saved recorded in a run."""
    global _recorder  # noqa: PLW0603 - a forked process has its own
    if _recorder.process != os.getpid():
        _recorder = _Recorder()
    _recorder.add(run, saved if saved.step is not None else saved._replace(step=run.last_step))


def _name(path: str, kind: str) -> str:
    """Return the name of the file or folder; what goes with a model is often saved into the model's folder."""
    name = os.path.basename(path.rstrip("/")) or path  # noqa: PTH119 - it may be a URL
    return f"{name}-{kind}" if kind in {"tokenizer", "processor"} and kind not in name else name


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
