"""How a program is started so that it is recorded: its command, and the environment that makes Python come to us."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tracklib

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["command_of", "environment_of"]

_STARTUP = Path(__file__).resolve().parent / "startup"


def command_of(words: Sequence[str]) -> list[str]:
    """Return the command for what a user has named: a Python script, `-m` and a module, or a command.

    Raises:
        FileNotFoundError: There is no such script or command.

    Example:
        >>> command_of(["-m", "package.train", "--lr", "1"])[1:]
        ['-m', 'package.train', '--lr', '1']
    """
    first = words[0]
    if first == "-m":
        if len(words) < 2:
            raise FileNotFoundError("-m takes the name of a module: tracklib run -m package.train")
        return [sys.executable, *words]
    path = Path(first)
    if first.endswith((".py", ".pyz")) or path.is_dir() or (path.is_file() and not os.access(path, os.X_OK)):
        if not path.exists():
            raise FileNotFoundError(f"there is no script {first!r} (the working directory is {Path.cwd()})")
        return [sys.executable, *words]
    if shutil.which(first) is None:
        raise FileNotFoundError(f"there is no script or command {first!r}")
    return list(words)


def environment_of(environ: Mapping[str, str], **settings: Any) -> dict[str, str]:
    """Return an environment in which Python programs, and the ones that they start, are recorded.

    Args:
        environ: What it is otherwise.
        settings: Settings by name; those that are None or empty are left as they are.

    Raises:
        ConfigError: A setting cannot be meant.
    """
    given = {name: value for name, value in settings.items() if value}
    tracklib.current_settings(**given)
    path = [str(_STARTUP), *filter(None, [environ.get("PYTHONPATH")])]
    chosen = {
        f"TRACKLIB_{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in given.items()
    }
    return {**environ, **chosen, "PYTHONPATH": os.pathsep.join(path), "TRACKLIB_AUTOLOG": "1"}
