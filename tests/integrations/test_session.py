"""The run that a framework reports to, and the guard around its hooks."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import pytest

import tracklib
from tracklib.integrations.session import Session, guarded, is_framework_speaking, open_run, speaking

pytestmark = pytest.mark.usefixtures("bare")


def test_nothing_begins_before_it_is_needed() -> None:
    """A trainer that is made and never used leaves no run."""
    session = Session(project="digits")

    assert session.begun is None
    assert not Path(".tracklib").exists()


def test_a_run_is_begun_where_none_is_active() -> None:
    """In the place that was asked for; it is the session's own."""
    session = Session(project="digits", name="mine")

    session.run.log({"loss": 0.5})
    session.close()

    run = tracklib.get_run("latest")
    assert (run.info.project, run.name, run.status, session.owned) == ("digits", "mine", "completed", True)


def test_the_active_run_is_adopted() -> None:
    """It is not the session's to settle or to end."""
    with tracklib.start_run("outer") as outer:
        session = Session(project="digits")
        session.run.log({"loss": 0.5})
        session.settle(ValueError("no data"))
        session.close()
        adopted, status = session.run is outer, outer.status

    assert (adopted, status, session.owned) == (True, "running", False)
    assert tracklib.get_run(outer).status == "completed"


def test_what_comes_after_the_training_belongs_to_the_run() -> None:
    """The run stands as completed, and takes what a test logs."""
    session = Session()
    session.proceed().log({"loss": 0.5})
    session.settle()

    session.run.log({"test/accuracy": 0.9})
    session.run.flush()

    run = tracklib.get_run("latest")
    assert (run.status, run.metrics["test/accuracy"].last) == ("completed", 0.9)
    assert len(tracklib.list_runs()) == 1


def test_a_failed_training_is_told_by_the_run() -> None:
    """With the exception; a training that succeeds afterwards takes that back."""
    session = Session()
    session.proceed()
    session.settle(ValueError("no data"))
    session.run.flush()
    failed = tracklib.get_run("latest")
    session.proceed()
    session.settle()
    session.close()

    assert failed.error is not None
    assert (failed.status, failed.error.message) == ("failed", "no data")
    assert tracklib.get_run("latest").status == "completed"


def test_the_next_training_is_another_run() -> None:
    """It ends the one that was settled."""
    first, second = Session(name="a"), Session(name="b")
    first.proceed()
    first.settle()

    second.proceed().flush()

    assert [run.name for run in tracklib.list_runs()] == ["b", "a"]
    assert first.begun is None
    assert second.begun is not None


def test_two_reporters_of_one_training_share_a_run() -> None:
    """A logger and a callback, say: the later one finds the run of the earlier."""
    logger, callback = Session(name="a"), Session(name="b")

    assert logger.proceed() is callback.proceed()


def test_a_run_that_was_ended_goes_on() -> None:
    """Somebody ended it in the middle; what is reported then is not lost."""
    session = Session()
    session.run.log({"loss": 1.0}, step=0)
    session.run.finish()

    session.run.log({"loss": 2.0}, step=1)
    session.close()

    assert tracklib.get_run("latest").series("loss").values.tolist() == [1.0, 2.0]
    assert len(tracklib.list_runs()) == 1


def test_a_run_begun_unasked_takes_the_place_that_is_named() -> None:
    """And stays open for the rest of the program."""
    run = tracklib.start_run("program")
    run.provisional = True

    session = Session(project="digits", name="mine")
    session.run.log({"loss": 0.5})
    session.settle()

    assert (run.project, run.name, run.provisional, run.status) == ("digits", "mine", False, "running")


def test_a_session_travels_to_another_process() -> None:
    """What comes out of a pickle reports to the same run."""
    session = Session()
    session.run.log({"loss": 0.5})

    copy = pickle.loads(pickle.dumps(session))  # noqa: S301 - our own

    assert copy.run is session.run


def test_what_cannot_begin_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Then the training goes on without a run, and nothing is tried again at each step."""
    session = Session(project="")

    for step in range(3):
        session.run.log({"loss": 0.5}, step=step)

    assert len([record for record in caplog.records if "project" in record.message]) == 1
    assert session.run.id == ""


def test_a_fault_does_not_reach_the_framework(caplog: pytest.LogCaptureFixture) -> None:
    """It is warned of once, and the default returned."""

    class Odd(Exception):
        pass

    @guarded(default="fine")
    def hook() -> str:
        raise Odd

    with caplog.at_level(logging.WARNING, "tracklib"):
        results = {hook(), hook()}

    assert results == {"fine"}
    assert len(caplog.records) == 1


def test_an_interrupt_reaches_the_program() -> None:
    """Ctrl-C is no fault."""

    @guarded()
    def hook() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hook()


def test_who_speaks_is_known() -> None:
    """For as long as it lasts, and within as well."""
    with speaking():
        with speaking():
            inner = is_framework_speaking()
        between = is_framework_speaking()

    assert (inner, between, is_framework_speaking(), open_run()) == (True, True, False, None)
