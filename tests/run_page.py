"""Runs what a page of the documentation shows, from top to bottom: `python tests/run_page.py docs/tutorial.md`.

Python blocks share a namespace; shell blocks run in between, all in one working directory. A comment in the line
before a block says what else is to be done with it:

    <!-- not run: reason -->    nothing
    <!-- file: train.py -->     it becomes a file
    <!-- output -->             it is what the block before printed; `...` stands for anything
    <!-- raises: NotFound -->   it ends with this exception
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|file|output|raises)(?:: (?P<value>[^\n]*?))? -->\n\n?)?"
    r"^```(?P<language>\w*)\n(?P<source>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SHELL_PATIENCE_SECONDS = 200


class PageError(Exception):
    """A block does not do what the page says."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        line: The line of the page that its first line of code is.
        mark: What the comment before it says is to be done with it, or "".
        value: What follows the mark.
    """

    language: str
    source: str
    line: int
    mark: str
    value: str


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a page.

    Raises:
        PageError: A fence is indented, unclosed or made of tildes, so that a block could be passed over.
    """
    blocks = []
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start("source")) + 1
        blocks.append(Block(match["language"], match["source"], line, match["mark"] or "", match["value"] or ""))
    fences = len(FENCE.findall(text))
    if fences != 2 * len(blocks):
        raise PageError(f"{fences} fences make {len(blocks)} blocks: write plain fences that are not indented")
    return blocks


def run_blocks(blocks: list[Block], name: str) -> None:
    """Run the blocks of a page in the working directory.

    Raises:
        PageError: One of them fails, prints something else than the page shows, or is not accounted for.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed: str | None = None
    for block in blocks:
        if block.mark == "output":
            _compare(block, printed)
        elif block.mark in {"file", "not run"}:
            _set_aside(block)
        elif block.language == "python":
            printed = _run_python(block, namespace, name)
        elif block.language == "sh":
            printed = _run_shell(block)
        elif block.language != "text":
            raise PageError(f"line {block.line}: a block of {block.language!r} needs a comment that says what it is")


def _set_aside(block: Block) -> None:
    if not block.value:
        raise PageError(f"line {block.line}: give the name of the file, or the reason why the block is not run")
    if block.mark == "file":
        Path(block.value).write_text(block.source, encoding="utf-8")


def _run_python(block: Block, namespace: dict[str, Any], name: str) -> str:
    code = compile("\n" * (block.line - 1) + block.source, name, "exec")
    raised = ""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            exec(code, namespace)  # noqa: S102 - that is what this program is for
        except Exception as error:
            if type(error).__name__ != block.value:
                raise PageError(f"line {block.line}: {traceback.format_exc()}") from error
            raised = f"{type(error).__name__}: {error}\n"
    if block.mark == "raises" and not raised:
        raise PageError(f"line {block.line}: nothing was raised, though the page says {block.value}")
    return output.getvalue() + raised


def _run_shell(block: Block) -> str:
    command = ["bash", "-euo", "pipefail", "-c", block.source]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=SHELL_PATIENCE_SECONDS, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        raise PageError(f"line {block.line}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _compare(block: Block, printed: str | None) -> None:
    if printed is None:
        raise PageError(f"line {block.line}: there is an output, but no block before it that ran")
    if not doctest.OutputChecker().check_output(block.source, printed, LENIENT):
        raise PageError(f"line {block.line}: the page shows\n{block.source}\nbut the block printed\n{printed}")


@contextlib.contextmanager
def empty_directory() -> Iterator[None]:
    """Work in an empty folder for as long as this lasts."""
    with tempfile.TemporaryDirectory(prefix="tracklib-page-", ignore_cleanup_errors=True) as folder:
        project = Path(folder) / "digits"
        project.mkdir()
        with contextlib.chdir(project):
            yield


def main() -> int:
    """Run the page that the command line names; return the exit status."""
    page = Path(sys.argv[1]).absolute()
    # The commands of the environment that this program runs in, wherever that is.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        blocks = blocks_of(page.read_text(encoding="utf-8"))
        with empty_directory():
            run_blocks(blocks, str(page))
    except PageError as error:
        print(f"{page}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
