"""Lightning's CSVLogger: rows in memory, appended to a file every 100 steps."""

from __future__ import annotations

import csv
from array import array
from typing import TYPE_CHECKING, Any, cast

from .base import Adapter, Log

if TYPE_CHECKING:
    from collections.abc import Sequence


class CsvLoggerAdapter(Adapter):
    """It has no reader; Python's csv module is the plainest."""

    environment = "lightning"
    module = "pytorch_lightning"
    settings = "`pytorch_lightning.loggers.CSVLogger`; a folder per run; read with the csv module"

    def start(self, name: str, params: dict[str, Any]) -> Log:
        from pytorch_lightning.loggers import CSVLogger

        options = {"flush_logs_every_n_steps": 1} if self.each_second else {}
        self._logger = CSVLogger(str(self.root), name=name, version="", **options)
        self._logger.log_hyperparams(params)
        return cast("Log", self._logger.log_metrics)

    def finish(self) -> None:
        self._logger.finalize("success")

    def lightning_logger(self, name: str) -> Any:
        from pytorch_lightning.loggers import CSVLogger

        return CSVLogger(str(self.root), name=name, version="")

    def read(self, name: str, key: str) -> Sequence[float]:
        path = self.root / name / "metrics.csv"
        if not path.exists():
            return ()
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            column = next(rows).index(key)
            return array("d", (float(row[column]) for row in rows if row[column]))
