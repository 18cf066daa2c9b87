"""What the measurements ask of a tool."""

from __future__ import annotations

import importlib
import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Adapter",
    "Bucketed",
    "FinishedRun",
    "KeptFile",
    "Log",
    "Question",
    "Ranked",
    "Traffic",
    "UnsupportedError",
]


_REPORTERS = {"transformers": "trainer_callback", "lightning": "lightning_logger"}
"""Framework to the method that makes what reports from its trainings."""


class UnsupportedError(Exception):
    """The tool has no way to do this; the message says what is missing."""


class Log(Protocol):
    """The tool's own call, bare where it has this shape, so that no wrapper is measured with it."""

    def __call__(self, metrics: dict[str, float], /, *, step: int) -> object: ...


class FinishedRun(NamedTuple):
    """A run to be written for the question over many runs.

    Attributes:
        steps: The metrics of each step.
    """

    name: str
    params: dict[str, Any]
    steps: list[dict[str, float]]


@dataclass(slots=True)
class Traffic:
    """What a tool has asked a server for.

    Attributes:
        requests: How many there were, by their kind.
        sent_bytes: The sizes of what was sent, summed.
    """

    requests: Counter[str]
    sent_bytes: int = 0

    def clear(self) -> None:
        """Begin to count again."""
        self.requests.clear()
        self.sent_bytes = 0


class Ranked(NamedTuple):
    """A line of the answer to that question."""

    run: str
    value: float


class Question(NamedTuple):
    """A search for those runs, among the ones that it is about, whose val_loss is lowest.

    Attributes:
        name: Which one it is, of `searched.QUESTIONS`; each adapter has it in the tool's own words.
        runs: How many there are in all.
    """

    name: str
    runs: int

    @property
    def rare(self) -> float:
        """What the param of the question `rare` must lie below, so that some fifty runs are found."""
        return 50 / self.runs


class Bucketed(NamedTuple):
    """A series as it is drawn: each an array of numpy, with a number for each bucket."""

    low: Any
    high: Any
    mean: Any


class KeptFile(NamedTuple):
    """A file that was kept.

    Attributes:
        run: The name of the run that it was kept in.
        name: What it is called in the tool, as other files of that run are, so that it is a version.
        version: Which one of them it is, from 0.
        file: The name that the file had.
    """

    run: str
    name: str
    version: int
    file: str


class Adapter(ABC):
    """A tool, with its defaults unless a subclass says otherwise.

    Attributes:
        environment: The name of its environment.
        module: What a program imports to use it; None where nothing is.
        keeps: Whether anything is stored, so that it can be counted and read.
        settings: What differs from the tool's defaults, for the report.
        loop_environment: The name of the environment that frameworks train in, where it is another one.
        analysis_environment: The name of the one with what statistics and charts need, where it is another one.
        everywhere: Whether it is measured in cases that name no tools.
        most_runs: More are not tried where they are searched, since it takes too long to write them.
        losses: What a training's loss is called in the tool, by framework.
        each_second: Set before `start` where data must reach the disk every second.
    """

    environment: ClassVar[str]
    module: ClassVar[str | None] = None
    keeps: ClassVar[bool] = True
    settings: ClassVar[str]
    loop_environment: ClassVar[str | None] = None
    analysis_environment: ClassVar[str | None] = None
    everywhere: ClassVar[bool] = True
    most_runs: ClassVar[float] = math.inf
    losses: ClassVar[Mapping[str, str]] = {"transformers": "train/loss", "lightning": "loss"}

    def __init__(self, root: Path) -> None:
        self.root = root
        self.each_second = False

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:  # noqa: ARG003 - subclasses use it
        """Return the environment variables that its programs are started with."""
        return {}

    @classmethod  # noqa: B027 - most need nothing
    def prepare(cls) -> None:
        """Start what the tool talks to, in the harness's own process."""

    @classmethod
    def stored_bytes(cls, root: Path) -> int:
        """Return the sizes of what is stored, summed; in the harness's own process."""
        return sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir())

    @classmethod
    def remote_bytes(cls, root: Path) -> int:  # noqa: ARG003 - subclasses use it
        """Return the sizes of what is stored elsewhere than in files, summed; in the harness's own process."""
        return 0

    @classmethod
    def look(cls, root: Path) -> list[str]:  # noqa: ARG003 - subclasses use it
        """Return the command that shows the newest runs; in the harness's own process."""
        raise UnsupportedError("no such command")

    def load(self) -> None:
        """Import the tool."""
        if self.module:
            importlib.import_module(self.module)

    @abstractmethod
    def start(self, name: str, params: dict[str, Any]) -> Log:
        """Begin a run and return what logs to it."""

    @abstractmethod
    def finish(self) -> None:
        """End the run; when this returns everything is where the tool keeps it."""

    def flush(self) -> None:
        """Wait until everything is where the tool keeps it."""
        raise UnsupportedError("nothing to wait for")

    def traffic(self) -> Traffic | None:
        """Return what is counted of the traffic with a server; None where there is none."""
        return None

    @classmethod
    def integrates(cls, framework: str) -> bool:
        """Tell whether there is an integration of the tool with a framework."""
        method = _REPORTERS[framework]
        return getattr(cls, method) is not getattr(Adapter, method)

    def reporter(self, framework: str, name: str) -> Any:
        """Return what a training is given to report to a new run."""
        return getattr(self, _REPORTERS[framework])(name)

    def trainer_callback(self, name: str) -> Any:
        """Return the callback for the Trainer of transformers that `report_to` would choose, or the tool's own."""
        raise UnsupportedError("no integration")

    def lightning_logger(self, name: str) -> Any:
        """Return the logger for Lightning."""
        raise UnsupportedError("no integration")

    def end_loop(self) -> None:  # noqa: B027 - most leave nothing open
        """End the run that the integration may have left open, so that nothing of it runs beside the next training."""

    def write_series(self, name: str, values: Sequence[float], deadline: float) -> int:
        """Write one series in a run, the fastest public way, until `deadline`; return how many points."""
        log = self.start(name, {})
        done = 0
        for step, value in enumerate(values):
            log({"loss": value}, step=step)
            done = step + 1
            if done % 256 == 0 and time.perf_counter() > deadline:
                break
        self.finish()
        return done

    def write_runs(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        """Write finished runs until `deadline` and return how many."""
        done = 0
        for run in runs:
            log = self.start(run.name, run.params)
            for step, metrics in enumerate(run.steps):
                log(metrics, step=step)
            self.finish()
            done += 1
            if time.perf_counter() > deadline:
                break
        return done

    def keep_file(self, path: Path, name: str) -> None:
        """Keep a file in the run; others of this name are its earlier versions, where the tool has such."""
        raise UnsupportedError("it keeps no files")

    def fetch_file(self, kept: KeptFile, folder: Path) -> None:
        """Bring a file that was kept to a folder, under the name that it had."""
        raise UnsupportedError("no file can be got back")

    def count(self, name: str, keys: Sequence[str]) -> int:
        """Return how many points of these series can be read back."""
        return sum(len(self.read(name, key)) for key in keys)

    def read(self, name: str, key: str) -> Sequence[float]:
        """Return the values of a series, as a numpy array where the tool's environment has numpy."""
        raise UnsupportedError("nothing is stored")

    def catalog(self) -> dict[str, float]:
        """Time the first look at many runs, and looks later on; count the requests by situation and kind."""
        raise UnsupportedError("there is no catalog to bring up to date")

    def top(self, limit: int) -> list[Ranked]:
        """Return the runs with lr < 0.01 whose last val_loss is lowest."""
        raise UnsupportedError("no question over many runs")

    def write_searched(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        """Write finished runs that are then searched; return how many. May go past the calls of the tool."""
        return self.write_runs(runs, deadline)

    def search(self, question: Question, limit: int) -> list[Ranked]:
        """Return the answer to a question, the lowest val_loss first."""
        raise UnsupportedError("no question over many runs")

    def bucketed(self, names: Sequence[str], key: str, buckets: int) -> list[Bucketed]:
        """Return a series of each of the runs, in buckets: where the tool has none, all points are read for them."""
        return [_bucketed(self.read(name, key), buckets) for name in names]

    def draw(self, names: Sequence[str], key: str, path: Path) -> None:
        """Write a page with the chart of a series of the runs."""
        raise UnsupportedError("it draws no such chart into a file")

    def importance(self, metric: str) -> list[str]:
        """Return the params of all runs, the one first that has most to do with a metric."""
        raise UnsupportedError("no such thing in Python")

    def compare(self, metric: str) -> str:
        """Compare all runs, all their params and metrics, and return the name of the best, whose metric is lowest."""
        raise UnsupportedError("no such thing in Python")


def _bucketed(values: Any, buckets: int) -> Bucketed:
    import numpy as np

    starts = np.arange(buckets) * len(values) // buckets
    counts = np.diff(starts, append=len(values))
    low, high, total = (reduce.reduceat(values, starts) for reduce in (np.minimum, np.maximum, np.add))
    return Bucketed(low, high, total / counts)
