"""Child processes in a tool's environment, with a folder of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .adapters import adapter_class
from .child import SCRIPT
from .environments import ENVIRONMENTS

__all__ = ["WORK", "Child", "Site", "ToolFailedError"]

WORK = Path(__file__).resolve().parent / "work"

_TIMEOUT_S = 3600.0


class ToolFailedError(Exception):
    """There is no figure; the message is the reason that the report shows.

    Attributes:
        figures: Those that there are of the same case, before it failed.
    """

    def __init__(self, reason: str, figures: dict[str, float] | None = None) -> None:
        super().__init__(reason)
        self.figures = figures or {}


@dataclass(frozen=True, slots=True)
class Child:
    """A measurement under way."""

    process: subprocess.Popen[bytes]
    result: Path
    output: Path

    def gather(self, *, killed: bool = False) -> dict[str, float]:
        """Wait for the end and return the figures.

        Args:
            killed: Whether the child was to die of SIGKILL, which leaves no figures.

        Raises:
            ToolFailedError: It ended in another way.
        """
        try:
            code = self.process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.sweep()
            self.process.wait()
            raise ToolFailedError(f"no end after {_TIMEOUT_S:.0f} s") from None
        if killed and code == -signal.SIGKILL:
            return {}
        figures = self._figures()
        if "failure" in figures:
            raise ToolFailedError(str(figures["failure"]))
        if code or killed:
            raise ToolFailedError(f"ended with status {code}: {self._last_words()}")
        return figures

    def sweep(self) -> None:
        """End what the child may have left behind in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _figures(self) -> dict[str, Any]:
        if not self.result.exists():
            return {}
        figures: dict[str, Any] = json.loads(self.result.read_text(encoding="utf-8"))
        return figures

    def _last_words(self) -> str:
        lines = self.output.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no message")


class Site:
    """The folder in which a tool is measured: its store, the script, and a home without anybody's settings.

    Attributes:
        environment: The name of the environment that the next process runs in.
        further: Variables of the environment that the next process sees over the others.
    """

    def __init__(self, *, tool: str, name: str) -> None:
        self.tool = tool
        self.adapter = adapter_class(tool)
        self.environment = self.adapter.environment
        self.further: dict[str, str] = {}
        self.folder = WORK / f"{name}-{tool}"
        self.store = self.folder / "store"
        self.code = self.folder / "code"
        self._count = 0
        self.remove()
        for folder in (self.store, self.code, self.folder / "home"):
            folder.mkdir(parents=True)
        (self.code / "train.py").write_text(SCRIPT, encoding="utf-8")

    def launch(self, action: str, **options: Any) -> Child:
        """Begin a measurement in a process and session of its own."""
        self._count += 1
        result = self.folder / f"result-{self._count}.json"
        output = self.folder / f"output-{self._count}.txt"
        task = {
            "tool": self.tool,
            "action": action,
            "root": str(self.store),
            "result": str(result),
            "options": options,
        }
        with output.open("wb") as file:
            process = subprocess.Popen(
                [self.python, "train.py", json.dumps(task)],
                cwd=self.code,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Child(process, result, output)

    def run(self, action: str, **options: Any) -> dict[str, float]:
        """Do a measurement from beginning to end."""
        child = self.launch(action, **options)
        try:
            return child.gather()
        finally:
            child.sweep()

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(ENVIRONMENTS[self.environment].python)

    @property
    def variables(self) -> dict[str, str]:
        """What a child sees of the environment: nothing of ours but the path."""
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.folder / "home"), "LANG": "C.UTF-8"}
        return plain | self.adapter.variables(self.store) | self.further

    def stored_bytes(self) -> int:
        """Return the sizes of the store's files, summed."""
        return self.adapter.stored_bytes(self.store)

    def kept_bytes(self) -> int:
        """Return the sizes of all that the tool has left anywhere, caches and copies included, summed."""
        # One file may have several names.
        found = {status.st_ino: status.st_size for status in map(Path.lstat, _files(self.folder))}
        return sum(found.values()) + self.adapter.remote_bytes(self.store)

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _files(folder: Path) -> list[Path]:
    """Return all files in the folders below this one, but for those that lie in itself: they are the harness's own."""
    return [path for path in folder.glob("*/**/*") if not path.is_dir()]
