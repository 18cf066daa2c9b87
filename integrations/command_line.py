"""What is known of the program's command line, and who may say what it means."""

from __future__ import annotations

import sys
import sysconfig
from functools import cache
from typing import TYPE_CHECKING, Any

from tracklib.integrations.argv import argv_params
from tracklib.integrations.session import guarded, open_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib import Run

__all__ = ["CommandLine", "command_line", "packages_of"]


class CommandLine:
    """The command line of this process, and what the program's parser has made of it so far.

    Attributes:
        words: Its words, without the program's name, as they were when we began to listen.
        parsed: Whether a parser of the program has spoken.
        rest: What it left over, if it said so.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what was heard, and look at the command line as it is now."""
        self.words = list(sys.argv[1:])
        self.parsed = False
        self.rest: list[str] | None = None
        self._waiting: list[dict[str, Any]] = []

    def hear(self, params: dict[str, Any], rest: Sequence[str] | None = None) -> None:
        """Record what a parser has made of it: in the active run, or in the one that `fall_back` gets."""
        self.parsed = True
        self.rest = None if rest is None else list(rest)
        run = open_run()
        if run is None:
            self._waiting.append(params)
        elif params:
            run.log_params(params)

    @guarded()
    def fall_back(self, run: Run) -> None:
        """Record in a run what no other has got: what parsers said, or else the words themselves."""
        waiting, self._waiting = self._waiting, []
        if not self.parsed and "ipykernel" not in sys.modules:  # A notebook's command line is that of its kernel.
            self.parsed = True
            waiting = [argv_params(self.words)]
        for params in filter(None, waiting):
            run.log_params(params)

    def gave(self, words: Sequence[str] | None) -> bool:
        """Tell whether the words that a parser was called with stem from here, and have not been parsed before.

        None stands for all of them. Some may have been taken out; of a second parser they must be the first one's rest.
        """
        if words is None:
            return not self.parsed
        if self.parsed:
            return self.rest is not None and list(words) == self.rest
        here = iter(sys.argv[1:])
        return all(word in here for word in words) if words else not sys.argv[1:]

    def is_asked_for(self, parsers: set[str]) -> bool:
        """Tell whether the program itself is asking, not a library for its own ends.

        Args:
            parsers: The packages of the parser: the first caller outside of them is who asks.
        """
        frame: Any = sys._getframe(1)  # noqa: SLF001 - `inspect.stack` would read the source of every caller
        while frame is not None:
            name = str(frame.f_globals.get("__name__", ""))
            if name == "__main__":
                return True
            package = name.partition(".")[0]
            if package not in parsers and not name.startswith("tracklib.integrations."):
                return package == _main_package() or not _is_library(frame.f_code.co_filename)
            frame = frame.f_back
        return True


command_line = CommandLine()


def packages_of(kind: type) -> set[str]:
    """Return the packages that a class and its bases are from.

    Example:
        >>> import argparse
        >>> sorted(packages_of(argparse.ArgumentParser))
        ['argparse', 'builtins']
    """
    return {ancestor.__module__.partition(".")[0] for ancestor in kind.__mro__}


def _main_package() -> str:
    """Return the package that `python -m` runs, which may be an installed one; "" for scripts."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return spec.name.partition(".")[0] if spec is not None else ""


@cache
def _is_library(file: str) -> bool:
    paths = sysconfig.get_paths()
    folders = tuple(paths[kind] for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    return file.startswith((*folders, "<frozen")) or "site-packages" in file or "dist-packages" in file
