"""What an interpreter does before the program when autolog was asked for by the environment.

It comes here from `sitecustomize` in this folder, which `tracklib run` puts on the path, or from the `.pth` file that
is installed beside the package. `sys.argv` is there by then, the program is not.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Program", "begin", "program_of"]

_FALSE: Final = frozenset({"", "0", "false", "no", "off"})
_HELPERS: Final = ("from multiprocessing", "import sys; from multiprocessing", "from joblib", "from loky")
"""How the code begins that pools and their helpers start interpreters with."""
_TOOLS: Final = frozenset(
    {
        "accelerate.commands.launch",
        "deepspeed.launcher.runner",
        "ensurepip",
        "pip",
        "torch.distributed.launch",
        "torch.distributed.run",
        "tracklib",
        "venv",
    }
)
"""Modules that train nothing themselves: launchers, whose children do, and tools."""
_HOSTS: Final = frozenset({"IPython", "ipykernel_launcher", "jupyter", "pytest", "unittest"})
"""Modules within which programs run: what those train is a run, the host itself is none."""
_TOOL_COMMANDS: Final = frozenset({"accelerate", "deepspeed", "pip", "pip3", "torchrun", "tracklib"})
_OPTIONS_WITH_VALUE: Final = frozenset({"-W", "-X", "--check-hash-based-pycs"})


class Program(NamedTuple):
    """What an interpreter was started for.

    Attributes:
        kind: script, module, command (a script that a package has installed, or a host such as a notebook), code
            (`-c`), helper (of a pool), tool, or none (a console).
        name: The path of the script, or the name of the module.
    """

    kind: str
    name: str = ""

    @property
    def trains(self) -> bool:
        """Whether it is a program of the user's, which is recorded from its beginning."""
        return self.kind in {"script", "module"}


def begin() -> None:
    """Switch autolog on in this process, once, if the environment says so and the process is not somebody's helper."""
    if os.environ.get("TRACKLIB_AUTOLOG", "").strip().lower() in _FALSE:
        return
    program = program_of(sys.orig_argv)
    if program.kind in {"helper", "tool"}:
        return
    try:
        from tracklib.integrations.autolog import begin_program

        begin_program(program)
    except Exception as error:  # noqa: BLE001 - a program that only wanted to be watched runs all the same
        print(f"tracklib: this program is not recorded: {error}", file=sys.stderr)


def program_of(words: list[str]) -> Program:
    """Tell from an interpreter's command line what it was started for.

    Example:
        >>> program_of(["python", "-X", "dev", "-m", "package.train", "--lr", "1"])
        Program(kind='module', name='package.train')
        >>> program_of(["python", "-c", "print(1)"]).kind, program_of(["python"]).kind
        ('code', 'none')
    """
    place = 1
    while place < len(words) and words[place].startswith("-"):
        word, rest = words[place], words[place + 1 :]
        letters = "" if word.startswith("--") else word
        if letters.endswith("m") and rest:
            kind = "tool" if rest[0] in _TOOLS else "command" if rest[0] in _HOSTS else "module"
            return Program(kind, rest[0])
        if letters.endswith("c") and rest:
            return Program("helper" if rest[0].startswith(_HELPERS) else "code")
        place += 2 if word in _OPTIONS_WITH_VALUE else 1
    if place >= len(words):
        return Program("none")
    return Program(_kind_of(Path(words[place])), words[place])


def _kind_of(script: Path) -> str:
    """Tell a script of the user's from one that a package has installed beside the interpreter, or in itself."""
    folder = Path(os.path.abspath(script)).parent  # noqa: PTH100 - a link into the environment is a script of the user's
    if folder not in {Path(sys.executable).parent, Path(sys.prefix, "bin")} and "site-packages" not in folder.parts:
        return "script"
    return "tool" if script.name in _TOOL_COMMANDS else "command"
