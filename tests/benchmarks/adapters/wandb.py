"""Weights & Biases without its server: what a run logs goes to a file that `wandb sync` would upload."""

from __future__ import annotations

import json
import subprocess
import sys
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .base import Adapter, KeptFile, Log, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class WandbAdapter(Adapter):
    """Offline. Its Python API reads from the server only, so its command line reads here."""

    environment = "wandb"
    module = "wandb"
    settings = (
        "`WANDB_MODE=offline`; read through `wandb leet inspect --json`; files by `wandb.Artifact(…).add_file(path)` "
        "and `run.log_artifact(…)`, which stages them on this machine: nothing is uploaded"
    )

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:
        folders = {f"WANDB_{kind}_DIR": f"{root}-home/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        return {
            "WANDB_MODE": "offline",
            "WANDB_SILENT": "true",
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_DIR": str(root),
            **folders,
        }

    def start(self, name: str, params: dict[str, Any]) -> Log:
        import wandb

        self._run = wandb.init(project="benchmark", id=name, config=params, dir=str(self.root))
        return cast("Log", self._run.log)

    def finish(self) -> None:
        self._run.finish()

    def trainer_callback(self, name: str) -> Any:
        from transformers.integrations import WandbCallback

        self.start(name, {})  # It takes the run that is there; of its own it could not choose the id.
        return WandbCallback()

    def lightning_logger(self, name: str) -> Any:
        from pytorch_lightning.loggers import WandbLogger

        return WandbLogger(project="benchmark", id=name, save_dir=str(self.root), offline=True)

    def end_loop(self) -> None:
        import wandb

        wandb.finish()

    def keep_file(self, path: Path, name: str) -> None:
        import wandb

        artifact = wandb.Artifact(name, type="model")
        artifact.add_file(str(path))
        self._run.log_artifact(artifact)

    def fetch_file(self, kept: KeptFile, folder: Path) -> None:
        raise UnsupportedError("offline there is nothing to ask for a file")

    def count(self, name: str, keys: Sequence[str]) -> int:
        return sum(key in item for item in self._history(name) for key in keys)

    def read(self, name: str, key: str) -> Sequence[float]:
        return array("d", (item[key] for item in self._history(name) if key in item))

    def _history(self, name: str) -> Iterator[dict[str, float]]:
        files = [str(path) for path in self.root.glob(f"wandb/*-{name}/*.wandb")]
        command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", *files]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout or ():
                if '"type":"history"' in line:
                    yield json.loads(line)["history"].get("item", {})
