"""Strict mode: what would be warned of and counted raises instead; what could be kept is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracklib
from tracklib.errors import DataLost, NotANumber, RunFinished

pytestmark = pytest.mark.usefixtures("bare")


def test_a_value_that_is_no_number_raises() -> None:
    """The error names metric and type; the rest of the call is kept, and the run goes on."""
    with tracklib.start_run(strict=True) as run:
        for step in range(2):
            with pytest.raises(NotANumber, match=r"'accuracy'.*type str"):
                run.log({"loss": step, "accuracy": "good", "lr": 0.1}, step=step)
        run.log({"loss": 2, "lr": 0.1}, step=2)

    stored = tracklib.get_run(run)
    assert stored.series("loss").values.tolist() == [0, 1, 2]
    assert sorted(stored.metrics) == ["loss", "lr"]
    assert stored.info.dropped == {"no number": 2}


def test_not_a_number_is_a_type_error() -> None:
    """Who expects the built-in error catches it."""
    with tracklib.start_run(strict=True) as run, pytest.raises(TypeError):
        run.log({"loss": None})


def test_logging_after_the_end_raises() -> None:
    """Points, and whatever else."""
    with tracklib.start_run(strict=True) as run:
        pass

    with pytest.raises(RunFinished, match=r"start_run\(resume="):
        run.log({"loss": 1})
    with pytest.raises(RunFinished):
        run.log_params({"lr": 1})
    with pytest.raises(RunFinished):
        run.set_tag("a", "b")
    with pytest.raises(RunFinished):
        run.log_text("hello", "notes.txt")


def test_a_file_that_cannot_be_kept_raises() -> None:
    """The message says which and why; the run goes on."""
    with tracklib.start_run(strict=True) as run:
        Path(f".tracklib/spool/{run.id}/0.blobs").write_text("in the way")
        with pytest.raises(DataLost, match=r"'notes\.txt'"):
            run.log_text("hello", "notes.txt")
        run.log({"loss": 1})

    stored = tracklib.get_run(run)
    assert stored.metrics["loss"].count == 1
    assert stored.info.dropped == {"artifact": 1}


def test_without_strict_mode_the_same_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """And counted on the run."""
    with tracklib.start_run() as run:
        Path(f".tracklib/spool/{run.id}/0.blobs").write_text("in the way")
        run.log_text("hello", "notes.txt")
        run.log_text("hello", "notes.txt")

    assert [("notes.txt" in record.getMessage()) for record in caplog.records] == [True]
    stored = tracklib.get_run(run)
    assert stored.artifacts == []
    assert stored.info.dropped == {"artifact": 2}


@pytest.mark.parametrize("how", ["argument", "environment", "init"])
def test_strict_mode_is_a_setting_like_others(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By argument, environment variable or init."""
    if how == "environment":
        monkeypatch.setenv("TRACKLIB_STRICT", "1")
    if how == "init":
        tracklib.init(strict=True)

    with tracklib.start_run(strict=True if how == "argument" else None) as run, pytest.raises(NotANumber):
        run.log({"loss": "x"})
