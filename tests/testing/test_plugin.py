"""Marks of the store suite: a gap is asserted, never skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tracklib.testing.harness import StoreHarness

HEAD = """
import pytest

class TestIt:
    has, lacks = True, False

"""


def run(folder: Path, body: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder with nothing but the plugin."""
    (folder / "test_it.py").write_text(body)
    words = [sys.executable, "-m", "pytest", "-p", "tracklib.testing.plugin", "-p", "no:cacheprovider"]
    words += ["--rootdir", str(folder), "-c", str(folder / "pytest.ini"), "--strict-markers", *options, "test_it.py"]
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder, timeout=200)


@pytest.mark.parametrize(
    ("capability", "body", "outcome"),
    [
        ("has", "assert True", "1 passed"),
        ("has", "assert False", "1 failed"),
        ("has", "raise NotImplementedError", "1 failed"),
        ("lacks", "raise NotImplementedError", "1 xfailed"),
        ("lacks", "assert True", "1 failed"),
        ("lacks", "assert False", "1 failed"),
        ("lacks", "raise OSError", "1 failed"),
    ],
)
def test_a_gap_must_raise(tmp_path: Path, capability: str, body: str, outcome: str) -> None:
    """A test that needs what the store lacks must raise NotImplementedError; others are as they are."""
    done = run(tmp_path, f'{HEAD}    @pytest.mark.needs("{capability}")\n    def test_it(self):\n        {body}\n')

    assert done.stdout.splitlines()[-1].strip("= ").startswith(outcome), done.stdout


def test_every_capability_of_a_mark_counts(tmp_path: Path) -> None:
    """Several capabilities in one mark must all be there."""
    body = f'{HEAD}    @pytest.mark.needs("has", "lacks")\n    def test_it(self):\n        raise NotImplementedError\n'

    assert "1 xfailed" in run(tmp_path, body).stdout


@pytest.mark.parametrize("body", [HEAD + '    @pytest.mark.needs("unheard_of")\n    def test_it(self): ...\n', None])
def test_an_unknown_capability_fails_the_collection(tmp_path: Path, body: str | None) -> None:
    """A name that the class does not speak of, or a test without a class, is a mistake that is told."""
    done = run(tmp_path, body or 'import pytest\n@pytest.mark.needs("unheard_of")\ndef test_it(): ...\n')

    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "needs 'unheard_of', but" in done.stdout + done.stderr


def test_the_suite_says_what_is_missing(tmp_path: Path) -> None:
    """A subclass that forgets the fixture is told to give it."""
    body = "from tracklib.testing.stores import StoreContract\nclass TestShelf(StoreContract): ...\n"
    done = run(tmp_path, body, "-k", "the_same_batch_twice")

    assert "give TestShelf a fixture `store`" in done.stdout


def test_a_failure_of_the_suite_is_told_in_full(tmp_path: Path) -> None:
    """Assertions in the suite's own modules show their values, as those of a test file do."""
    body = (
        "import pytest\n"
        "from tracklib.testing.memory import MemoryStore\n"
        "from tracklib.testing.stores import StoreContract\n"
        "class Broken(MemoryStore):\n"
        "    def position(self, run, writer): return 77\n"
        "class TestBroken(StoreContract):\n"
        "    @pytest.fixture\n"
        "    def store(self): return Broken('reference://broken')\n"
    )

    assert "assert 77 == 0" in run(tmp_path, body, "-k", "nothing_is_known").stdout


def test_what_a_harness_does_not_give_is_told() -> None:
    """Each hook that was not given says so."""
    harness, store = StoreHarness(), None
    hooks = [harness.read_raw, harness.read_raw_blob, harness.write_raw_blob, harness.overwrite_raw_blob]

    for hook in hooks:
        arguments = (store, "run", "name")[: hook.__code__.co_argcount - 1]
        with pytest.raises(NotImplementedError, match="StoreHarness has no way"):
            hook(*arguments)  # type: ignore[operator]
