"""What one run has saved: under which names that is noted, and what of it is stored.

With `log_models = "end"`, the end of the run stores the last state of what was saved and is still there: of files that
differ only by a counter the newest, and nothing of optimizers and plain files. Of a folder, the files count that were
written since it was first saved to, without those of other saves: a model may be saved into a folder that has
checkpoints in it, or the whole project.

Copies are made by whoever ends the run. None is begun when `finish_timeout` has passed, and none at all when a signal
ends the run.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.integrations.kept_models import claimed, is_terminated, part_of, settings_for
from tracklib.integrations.series import series_name, series_of
from tracklib.integrations.session import guarded
from tracklib.integrations.temporary import is_temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tracklib import Run

__all__ = ["FoundSave", "Saved", "SavedStates"]

_STORED: Final = frozenset({"model", "checkpoint", "tokenizer", "processor"})
"""The types of which copies are made."""
_FOREIGN: Final = frozenset({".git", ".tracklib", "lightning_logs", "logs", "mlruns", "runs", "wandb"})
"""Folders that are no part of a model, wherever they lie."""
_SLACK_SECONDS: Final = 60.0
"""So much may the clock of a file server differ from ours."""


class Saved(NamedTuple):
    """What a call has saved.

    Attributes:
        path: Where; a file, a folder or a URL.
        type: model, checkpoint, optimizer, tokenizer, processor or file.
        metadata: The framework, the function, the class of what was saved, and more.
        step: The training step, if the call knows it; otherwise it is the last one that was logged.
        late: Whether it may still be written after the call has returned.
        began: When the call began, in seconds since the epoch.
    """

    path: str
    type: str
    metadata: dict[str, Any]
    step: int | None = None
    late: bool = False
    began: float = 0.0


class FoundSave(NamedTuple):
    """What is there of a save.

    Attributes:
        path: Where it is by now.
        at: When it was saved, by the monotonic clock.
        run: The id of the run.
    """

    saved: Saved
    path: str
    at: float
    run: str


class _Series(NamedTuple):
    path: str
    type: str


class SavedStates:
    """What one run has saved so far, as far as it was looked at."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._settings = settings_for(run.id)
        self._names: dict[tuple[str, str], str] = {}
        self._found: dict[_Series, dict[str, FoundSave]] = {}
        self._began: dict[str, float] = {}

    def note(self, found: Iterable[FoundSave]) -> None:
        """Note what was saved, or store it where each save is to be."""
        copies = self._settings.log_models == "all" and not is_terminated(self._run)
        for each in sorted(found, key=lambda each: each.at):
            self._remember(each)
            self._log(each, copy=copies)

    def finish(self, found: Sequence[FoundSave]) -> None:
        """Note what was saved in the end, and store the last states."""
        if self._settings.log_models != "end" or is_terminated(self._run):
            self.note(found)
            return
        for each in found:
            self._remember(each)
        last = self._last_states()
        # What is stored need not be noted as well.
        self.note(each for each in found if each not in last)
        deadline = time.monotonic() + self._settings.finish_timeout
        for each in last:
            in_time = time.monotonic() < deadline
            if in_time or each in found:
                self._log(each, copy=in_time)

    def _remember(self, found: FoundSave) -> None:
        self._found.setdefault(_series(found), {})[found.path] = found
        for folder in (found.path, os.path.dirname(found.path)):  # noqa: PTH120 - text is quicker
            self._began[folder] = min(found.saved.began, self._began.get(folder, found.saved.began))

    def _last_states(self) -> list[FoundSave]:
        """Return the newest of each series that is still there, the newest of all first."""
        reported = claimed(self._run)
        last: dict[str, FoundSave] = {}
        for series, found in self._found.items():
            newest = sorted(found.values(), key=lambda each: -each.at) if series.type in _STORED else []
            there = next((each for each in newest if each.path not in reported and _is_there(each.path)), None)
            # A tokenizer in the folder of a model is stored with that.
            if there is not None and (there.path not in last or _weight(there) > _weight(last[there.path])):
                last[there.path] = there
        return sorted(last.values(), key=lambda each: -each.at)

    @guarded()
    def _log(self, found: FoundSave, *, copy: bool) -> None:
        saved, path, name = found.saved, found.path, self._name(found)
        if not copy or saved.type not in _STORED or not os.path.exists(path):  # noqa: PTH110 - it may be a URL
            self._run.log_artifact(path, name, type=saved.type, metadata=saved.metadata, step=saved.step, copy=False)
            return
        keep = self._settings.keep_checkpoints if self._settings.log_models == "all" else None
        with self._own_files(path) as source:
            known = {**saved.metadata, **({} if source == path else {"path": path})}
            self._run.log_artifact(source, name, type=saved.type, metadata=known, step=saved.step, keep_last=keep)

    def _name(self, found: FoundSave) -> str:
        """Return the name of the series; where another one of this run has it, with folders before it."""
        path, (name, *above) = series_of(found.path), _names(found.path, found.saved.type)
        own = (path, name)
        if own not in self._names:
            taken = set(self._names.values())
            while name in taken and above:
                name = f"{above.pop(0)}/{name}"
            self._names[own] = name
        return self._names[own]

    @contextmanager
    def _own_files(self, path: str) -> Iterator[str]:
        """Give the path, or a folder that has only what belongs to the save."""
        others = {each.path for found in self._found.values() for each in found.values()} | claimed(self._run)
        files = _files_since(path, self._began.get(path, 0.0) - _SLACK_SECONDS, others - {path})
        if files is None:
            yield path
            return
        with part_of(path, files) as folder:
            yield folder


def _series(found: FoundSave) -> _Series:
    return _Series(series_of(found.path), found.saved.type)


def _names(path: str, kind: str) -> list[str]:
    """Return what a save is called, and what the folders are called that it is in.

    What goes with a model is often saved into the model's folder.
    """
    name = series_name(path, kind) or path
    name = f"{name}-{kind}" if kind in {"tokenizer", "processor"} and kind not in name else name
    return [name, *filter(None, reversed(os.path.dirname(series_of(path)).split("/")))]  # noqa: PTH120 - it may be a URL


def _weight(found: FoundSave) -> tuple[bool, float]:
    """Order saves to the same path: what is a model says more than what is not, and the later one more."""
    return found.saved.type in {"model", "checkpoint"}, found.at


def _is_there(path: str) -> bool:
    return os.path.exists(path) and not is_temporary(path)  # noqa: PTH110 - a text


def _files_since(path: str, since: float, others: set[str]) -> list[str] | None:
    """Return which files of a folder were written since then, without folders of others; None if that is all."""
    kept, whole = [], True
    for folder, folders, files in os.walk(path):
        own = [name for name in folders if name not in _FOREIGN and os.path.join(folder, name) not in others]  # noqa: PTH118 - as `walk` gives them
        links = [name for name in own if os.path.islink(os.path.join(folder, name))]  # noqa: PTH114, PTH118 - as above
        recent = [name for name in files if _changed_at(os.path.join(folder, name)) >= since]  # noqa: PTH118 - as above
        whole = whole and len(own) == len(folders) and len(recent) == len(files)
        kept += [os.path.relpath(os.path.join(folder, name), path) for name in (*recent, *links)]  # noqa: PTH118 - as above
        folders[:] = own
    # Where nothing is new, the clocks are too far apart to tell.
    return None if whole or not kept else kept


def _changed_at(path: str) -> float:
    try:
        return os.stat(path).st_mtime  # noqa: PTH116 - a text
    except OSError:
        return float("inf")  # It is skipped, with the reason, by whoever copies.
