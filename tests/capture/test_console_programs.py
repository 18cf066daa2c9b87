"""The capture of what whole programs print: on terminals, in pipes, with progress bars, forks and all kinds of ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

posix_only = pytest.mark.skipif(os.name != "posix", reason="forks, signals or a pseudo-terminal")


class Ended(NamedTuple):
    """A program that ended: what its user saw on both streams, and what the capture reported."""

    seen: bytes
    lines: list[list[str]]
    status: int


PROGRAM = """
import json, os, sys
from tracklib.capture import terminal
from tracklib.capture.console import ConsoleCapture

terminal.HOLD_S = 60.0  # No machine is too slow for these tests.

def on_line(stream, time, text):
    with open({path!r}, "a") as file:
        file.write(json.dumps([stream, text]) + "\\n")

capture = ConsoleCapture(on_line)
if {captured}:
    capture.start()
"""


def run(tmp_path: Path, body: str, *, tty: bool = False, captured: bool = True) -> Ended:
    """Run `body` in a new interpreter, in which the capture started before it; the body may stop it."""
    path = tmp_path / "lines.jsonl"
    path.write_text("")
    code = PROGRAM.format(path=str(path), captured=captured) + textwrap.dedent(body)
    ours, theirs = terminal() if tty else os.pipe()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = read_all(ours)
    return Ended(seen, [json.loads(line) for line in path.read_text().splitlines()], process.wait(60))


def terminal() -> tuple[int, int]:
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    return ours, theirs


def read_all(descriptor: int) -> bytes:
    parts = []
    with contextlib.suppress(OSError):  # A terminal whose other end is closed says so with EIO.
        while part := os.read(descriptor, 65536):
            parts.append(part)
    os.close(descriptor)
    return b"".join(parts)


MIXED = """
print("plain", flush=True)
print("\\x1b[31mred\\x1b[0m", end="\\r\\n", flush=True)
sys.stderr.write("bar 1\\rbar 2")
sys.stderr.writelines(["\\n", "caf\\xe9 \\u2588\\n"])
print("tail", end="")
sys.stdout.flush()
sys.stdout.buffer.write(b"bytes\\n")
"""


@posix_only
@pytest.mark.parametrize("tty", [True, False])
def test_the_user_sees_every_byte(tmp_path: Path, *, tty: bool) -> None:
    """On a terminal and in a pipe, output is the same with and without a capture."""
    with_capture, without = (run(tmp_path, MIXED, tty=tty, captured=captured) for captured in (True, False))

    assert with_capture.seen == without.seen
    assert with_capture.lines == [
        ["stdout", "plain"],
        ["stdout", "red"],
        ["stderr", "bar 2"],
        ["stderr", "café █"],
        ["stdout", "tail"],
    ]


@posix_only
def test_a_broken_pipe_is_raised(tmp_path: Path) -> None:
    """The error of the real stream reaches print."""
    body = """
    read, write = os.pipe()
    capture.stop()
    sys.stdout = os.fdopen(write, "w", buffering=1)
    capture.start()
    os.close(read)
    try:
        sys.stdout.write("nobody reads this\\n")
    except BrokenPipeError:
        print("broken", file=sys.stderr)
    sys.stdout = None
    """
    ended = run(tmp_path, body)

    assert ended.lines == [["stderr", "broken"]]


TQDM = """
import time
from tqdm import tqdm
for epoch in tqdm(range(2), desc="outer"):
    for batch in tqdm(range(3), desc="inner", leave={leave}):
        time.sleep(0.12)
    tqdm.write(f"epoch {{epoch}}")
print("done")
"""


@posix_only
@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("leave", [True, False])
def test_nested_tqdm_bars(tmp_path: Path, *, tty: bool, leave: bool) -> None:
    """Each bar that stays on the screen is one line, in its last state; others are none."""
    pytest.importorskip("tqdm")

    ended = run(tmp_path, TQDM.format(leave=leave), tty=tty)

    inner = ["inner: 100%"] * leave
    assert [text.split("|")[0] for _, text in ended.lines] == [
        *inner, "epoch 0", *inner, "epoch 1", "outer: 100%", "done"
    ]  # fmt: skip
    assert b" 67%" in ended.seen


@posix_only
@pytest.mark.parametrize("tty", [True, False])
def test_an_open_tqdm_bar_is_reported_at_stop(tmp_path: Path, *, tty: bool) -> None:
    """A bar that was never closed leaves its last state."""
    pytest.importorskip("tqdm")
    body = "from tqdm import tqdm\nbar = tqdm(total=10)\nbar.update(3)\nbar.refresh()\ncapture.stop()"

    ended = run(tmp_path, body, tty=tty)

    assert [text.split("|")[0] for _, text in ended.lines] == [" 30%"]


RICH = """
import time
from rich.console import Console
from rich.progress import Progress
with Progress(console=Console(force_terminal={forced})) as progress:
    tasks = [progress.add_task(name, total=3) for name in ("first", "second")]
    for step in range(3):
        for task in tasks:
            progress.advance(task)
        print("step", step)
        time.sleep(0.12)
print("done")
"""


@posix_only
@pytest.mark.parametrize(("tty", "forced"), [(True, None), (False, None), (False, True)])
def test_rich_progress(tmp_path: Path, *, tty: bool, forced: bool | None) -> None:
    """Rows that rich draws again and again are reported once; what is printed meanwhile is kept, in order."""
    ended = run(tmp_path, RICH.format(forced=forced), tty=tty)

    assert [text.split("━")[0].strip() for _, text in ended.lines] == [
        "step 0",
        "step 1",
        "step 2",
        "first",
        "second",
        "done",
    ]
    assert all("100%" in text for _, text in ended.lines[3:5])


@posix_only
def test_a_forked_child_is_not_captured(tmp_path: Path) -> None:
    """The child's output reaches the user only, whether multiprocessing or os.fork made it."""
    body = """
    import multiprocessing
    print("parent", end=" ", flush=True)
    process = multiprocessing.get_context("fork").Process(target=print, args=("child",))
    process.start()
    process.join()
    if not os.fork():
        print("second child", flush=True)
        capture.stop()
        os._exit(0)
    os.wait()
    print("line")
    """
    ended = run(tmp_path, body)

    assert ended.seen == b"parent child\nsecond child\nline\n"
    assert ended.lines == [["stdout", "parent line"]]


@posix_only
def test_a_forked_child_may_capture(tmp_path: Path) -> None:
    """A child that starts the capture anew is seen from then on."""
    body = """
    if not os.fork():
        print("unseen", flush=True)
        capture.start()
        print("seen", flush=True)
        capture.stop()
        os._exit(0)
    os.wait()
    """
    assert run(tmp_path, body).lines == [["stdout", "seen"]]


def test_the_end_of_the_interpreter(tmp_path: Path) -> None:
    """A capture that nobody stopped reports what is left, and a late print makes no noise."""
    body = """
    class Late:
        def __del__(self):
            self.print("late")
    late = Late()
    late.print = print
    print("unfinished", end="")
    """
    ended = run(tmp_path, body)

    assert (ended.seen, ended.status) == (b"unfinishedlate\n", 0)
    assert ended.lines == [["stdout", "unfinished"]]


def test_an_abrupt_exit_makes_no_noise(tmp_path: Path) -> None:
    """os._exit ends the program at once; finished lines were reported before."""
    ended = run(tmp_path, "print('done', flush=True)\nos._exit(3)")

    assert ended == Ended(b"done" + os.linesep.encode(), [["stdout", "done"]], 3)


def test_a_traceback_is_seen(tmp_path: Path) -> None:
    """What the interpreter says about an exception that ends the program is part of its output."""
    ended = run(tmp_path, "raise RuntimeError('lost')")

    assert ended.status == 1
    assert ended.lines[-1] == ["stderr", "RuntimeError: lost"]


NOTEBOOK = """
capture.stop()
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.user_ns.update(capture=capture)
cells = ["print('unseen')", "capture.start(); print('one')", "print('two')", "print('three'); capture.stop()"]
for cell in [*cells, "print(4)"]:
    shell.run_cell(cell)
assert "_tapped" not in repr(sys.stdout.write)
"""


def test_cells_of_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython puts back the write method after each cell; all cells up to the stop are seen nevertheless."""
    pytest.importorskip("IPython")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))

    ended = run(tmp_path, NOTEBOOK)

    assert ended.lines == [["stdout", "one"], ["stdout", "two"], ["stdout", "three"]]
    assert (ended.seen.split(), ended.status) == ([b"unseen", b"one", b"two", b"three", b"4"], 0)
