"""The files that tools are given to keep, written once and outside of what is measured."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .environments import ENVIRONMENTS, EnvironmentFailedError
from .processes import WORK, ToolFailedError

if TYPE_CHECKING:
    from .plan import Plan

__all__ = ["Originals"]

_PROGRAM = Path(__file__).with_name("checkpoints.py")
_BLOCK = 1_000_000


class Originals:
    """Files in a folder of their own, made when they are first asked for."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = WORK / "originals"
        self.remove()

    def checkpoints(self, kind: str) -> list[Path]:
        """Return checkpoints in the order in which a training writes them.

        Args:
            kind: `pt` for those of `torch.save`, or `safetensors`.

        Raises:
            ToolFailedError: There is no environment in which they could be written.
        """
        folder, count = self._folder / kind, self._plan.checkpoints
        if not folder.exists():
            folder.mkdir(parents=True)
            environment = ENVIRONMENTS["loops"]
            # The option: the modules beside the program must not hide those that libraries import.
            program = [str(environment.python), "-P", str(_PROGRAM)]
            try:
                environment.ensure()
                subprocess.run([*program, str(folder), kind, str(count), str(self._plan.width)], check=True)
            except (EnvironmentFailedError, subprocess.CalledProcessError) as error:
                raise ToolFailedError(f"there are no checkpoints: {error}") from error
        return [folder / f"epoch-{epoch}.{kind}" for epoch in range(1, count + 1)]

    def random(self, name: str, size: int) -> Path:
        """Return a file of so many random bytes."""
        path = self._folder / f"{name}.bin"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                for start in range(0, size, _BLOCK):
                    file.write(os.urandom(min(_BLOCK, size - start)))
        return path

    def remove(self) -> None:
        """Delete what was made."""
        shutil.rmtree(self._folder, ignore_errors=True)
