"""The page about the store's format as its reader would use it, and processes in trouble."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "store-format.md"
NOBODY = 65534

InChild = Callable[..., str]


@pytest.fixture(scope="session", name="page")
def _page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="session", name="page_code")
def _page_code(page: str) -> str:
    """Return the functions that the page shows, without what it shows of tracklib."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return "\n\n".join(block for block in blocks if "import tracklib" not in block)


@pytest.fixture(scope="session", name="page_functions")
def _page_functions(page_code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(page_code, str(PAGE), "exec"), namespace)  # noqa: S102 - it is what the page is for
    return namespace


@pytest.fixture(name="in_child")
def _in_child() -> InChild:
    """Return a function that calls another in a forked process and returns its text, or the exception's.

    The process may be one without the rights of root, and one that may not write large files.
    """

    def in_child(action: Callable[[], object], *, unprivileged: bool = False, largest_file: int | None = None) -> str:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                _limit(largest_file, unprivileged=unprivileged)
                text = str(action())
            except Exception as error:  # noqa: BLE001 - whatever it is, the parent hears of it
                text = f"{type(error).__name__}: {error}"
            os.write(writing, text.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        return text

    return in_child


def _limit(largest_file: int | None, *, unprivileged: bool) -> None:
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    if unprivileged and os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


@pytest.fixture(name="public_folder")
def _public_folder() -> Iterator[Path]:
    """Return a folder that others may look into, which pytest's own may not be."""
    folder = Path(tempfile.mkdtemp(prefix="tracklib-test-"))
    folder.chmod(0o755)
    yield folder
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture(name="mounted")
def _mounted() -> Iterator[Callable[..., None]]:
    """Return a function that mounts something on a folder until the test ends, or skips the test."""
    folders: list[Path] = []

    def mount(folder: Path, *options: str) -> None:
        words = ["mount", *options, str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False) if shutil.which("mount") else None
        if done is None or done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip() if done else 'no mount'}")
        folders.append(folder)

    yield mount
    for folder in reversed(folders):
        subprocess.run(["umount", str(folder)], check=True)
