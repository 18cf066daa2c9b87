"""Tells which program this process runs: its script, module or notebook, and its command line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tracklib.capture.redact import mask_command
from tracklib.capture.source_files import readable

__all__ = ["command_line", "entry_point", "in_notebook"]


def command_line() -> tuple[str, ...]:
    """Return the words that this process was started with, interpreter and options included, secrets masked."""
    return mask_command([readable(word) for word in sys.orig_argv])


def in_notebook() -> bool:
    """Tell whether the code runs in an IPython kernel: a notebook, not a terminal."""
    return _kernel() is not None


def entry_point() -> str | None:
    """Return the script, module or notebook that was started.

    A script or notebook is a path, relative to the working directory where it lies below that; for `python -m` it is
    the module's name. An interactive session and `python -c` have none.
    """
    shell = _kernel()
    if shell is not None:
        return _notebook(shell)
    module = _module()
    script = sys.argv[0] if getattr(sys, "argv", None) else ""
    return module or (None if script in {"", "-", "-c", "-m"} else _below_here(script))


def _kernel() -> Any:
    """Return the shell of an IPython kernel, or None. IPython is never imported for it."""
    get_shell = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_shell() if callable(get_shell) else None
    # A shell in a terminal has no kernel.
    return shell if getattr(shell, "kernel", None) is not None else None


def _notebook(shell: Any) -> str | None:
    path = getattr(shell, "user_ns", {}).get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return _below_here(str(path)) if path else None


def _module() -> str | None:
    """Return what stood after `python -m`: such a program knows the name that it was found by."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = getattr(spec, "name", None)
    return name.removesuffix(".__main__") if isinstance(name, str) and name != "__main__" else None


def _below_here(path: str) -> str:
    try:
        full = Path(path).absolute()
        return readable(str(full.relative_to(Path.cwd()) if full.is_relative_to(Path.cwd()) else full))
    except OSError:  # The working directory was deleted.
        return readable(path)
