"""Aim: RocksDB, a database for each run, and an index over all of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from .base import Adapter, FinishedRun, Log, Question, Ranked, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EXPERIMENT = "benchmark"
_OFF = {"system_tracking_interval": None, "log_system_params": False, "capture_terminal_logs": False}
_FILTERS = {
    "filtered": "run.hparams.lr < 0.01",
    "sweep": "run.hparams.sweep == 2",
    "rare": "run.hparams.warmup < {rare}",
    "mixed": (
        "(run.hparams.lr < 0.01 and run.metrics['val_loss'].last < 0.3)"
        " or (run.hparams.model == 'cnn' and run.metrics['accuracy'].last > 0.9)"
    ),
}


class AimAdapter(Adapter):
    """Without the recording of the machine and the console, which its runs would have by default.

    What was written is not seen before it is indexed: `aim up` does that all the time, here it is done once.
    """

    environment = "aim"
    module = "aim"
    everywhere: ClassVar[bool] = False
    most_runs: ClassVar[float] = 20_000
    settings = (
        "`aim.Run(…)` without what it records of machine and console; indexed by `aim storage reindex`, which is not "
        "timed; `Repo.query_runs(…)`, then the last value of each run that it finds, sorted"
    )

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:  # noqa: ARG003 - nothing of it depends on the folder
        """Let it tell nobody."""
        return {"AIM_UI_TELEMETRY_ENABLED": "0", "__AIM_TELEMETRY__": "0"}

    def start(self, name: str, params: dict[str, Any]) -> Log:
        import aim

        self._run = aim.Run(repo=str(self.root), experiment=_EXPERIMENT, **_OFF)
        self._run.name = name
        self._run["hparams"] = params
        return cast("Log", self._run.track)

    def finish(self) -> None:
        self._run.close()

    def write_searched(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        done = self.write_runs(runs, deadline)
        self._index()
        return done

    def write_series(self, name: str, values: Sequence[float], deadline: float) -> int:
        done = super().write_series(name, values, deadline)
        self._index()
        return done

    def read(self, name: str, key: str) -> Sequence[float]:
        found = self._found(f"run.name == '{name}'")
        if len(found) != 1:
            raise RuntimeError(f"{len(found)} runs are called {name}")
        # The way over `values` is quicker, but does not keep the order of the steps.
        return cast("Sequence[float]", self._metric(found[0], key).data.numpy()[1][0])

    def search(self, question: Question, limit: int) -> list[Ranked]:
        found = self._found(_FILTERS[question.name].format(rare=question.rare))
        # What comes last is a pair: a hash of the step, and the value.
        lines = [Ranked(run.name, self._metric(run, "val_loss").values.last()[1]) for run in found]
        return sorted(lines, key=lambda line: line.value)[:limit]

    def _found(self, query: str) -> list[Any]:
        import aim

        if not hasattr(self, "_repo"):
            self._repo = aim.Repo(str(self.root))
        return [each.run for each in self._repo.query_runs(query, report_mode=0).iter_runs()]

    def _metric(self, run: Any, key: str) -> Any:
        from aim.storage.context import Context

        metric = run.get_metric(key, Context({}))
        if metric is None:
            raise UnsupportedError("what was written is not found")
        return metric

    def _index(self) -> None:
        time.sleep(1)  # Its own thread writes what the last call has left.
        program = Path(sys.executable).with_name("aim")
        command = [program, "storage", "--repo", self.root, "reindex", "-y"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
