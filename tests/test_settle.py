"""A run that is said to stand without being ended, and that goes on after all."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

import tracklib
from tracklib.records import RecordKind, RunStatus

pytestmark = pytest.mark.usefixtures("bare")


def error() -> Exception:
    """Return an exception that was raised."""
    try:
        float("no number")
    except ValueError as raised:
        return raised
    raise AssertionError


def stored(run: tracklib.Run) -> tracklib.StoredRun:
    """Return what a reader sees of an open run now."""
    assert run.flush()
    return tracklib.get_run(run.id)


def test_a_settled_run_is_seen_as_ended() -> None:
    """By every reader, while the program goes on."""
    run = tracklib.start_run("settle")
    run.log({"loss": 1.0})
    run.settle()

    seen = stored(run)
    assert (seen.status, seen.reason, seen.error) == ("completed", "", None)
    assert seen.ended_at is not None
    assert (run.status, run.is_open) == (RunStatus.COMPLETED, True)
    assert run.settled is not None
    run.finish()


def test_a_run_may_be_settled_as_failed() -> None:
    """With the exception that ended the training."""
    run = tracklib.start_run("settle")
    run.settle(error())

    seen = stored(run)
    run.finish()
    assert (seen.status, seen.reason) == ("failed", "ValueError: could not convert string to float: 'no number'")
    assert seen.error is not None
    assert seen.error.traceback.startswith("Traceback")
    assert tracklib.get_run(run).error == seen.error


@pytest.mark.parametrize(
    ("raised", "status"),
    [(KeyboardInterrupt(), "killed"), (SystemExit(3), "failed"), (SystemExit(0), "completed")],
    ids=["interrupt", "exit", "good exit"],
)
def test_it_stands_as_the_exception_says(raised: BaseException, status: str) -> None:
    """As it would end by it."""
    run = tracklib.start_run("settle")
    run.settle(raised)
    run.finish()

    assert tracklib.get_run(run).status == status


def test_what_comes_later_belongs_to_the_run() -> None:
    """Metrics, params and files; and it stays as it was said."""
    run = tracklib.start_run("settle")
    run.settle()
    run.log({"test/accuracy": 0.9})
    run.log_params({"tested": True})
    run.log_text("report", "report")
    run.finish()

    seen = tracklib.get_run(run)
    assert (seen.metrics["test/accuracy"].last, seen.params) == (0.9, {"tested": True})
    assert seen.read_artifact("report") == {"report.txt": b"report"}
    assert seen.status == "completed"


def test_the_time_in_which_it_stands_does_not_count() -> None:
    """Its end is the moment at which it was settled, and its duration up to then."""
    run = tracklib.start_run("settle")
    run.settle()
    settled = stored(run)
    time.sleep(0.2)
    run.finish()

    seen = tracklib.get_run(run)
    assert settled.ended_at is not None
    assert seen.ended_at == pytest.approx(settled.ended_at, abs=0.1)
    assert seen.duration == pytest.approx(settled.duration)


def test_the_end_of_a_block_leaves_it_so() -> None:
    """A `with` that ends well changes nothing about it; an exception does."""
    with tracklib.start_run("settle") as good:
        good.settle(error())
    bad = tracklib.start_run("settle")
    with contextlib.suppress(KeyError), bad:
        bad.settle()
        raise KeyError("afterwards")

    assert (tracklib.get_run(good).status, tracklib.get_run(good).reason) == (
        "failed",
        "ValueError: could not convert string to float: 'no number'",
    )
    assert (tracklib.get_run(bad).status, tracklib.get_run(bad).reason) == ("failed", "KeyError: 'afterwards'")


@pytest.mark.parametrize("status", ["completed", "killed", "failed"])
def test_a_status_that_is_named_counts(status: str) -> None:
    """Whoever ends the run in so many words is right."""
    run = tracklib.start_run("settle")
    run.settle(error())
    run.finish(status, "as I say")

    seen = tracklib.get_run(run)
    assert (seen.status, seen.reason, seen.error) == (status, "as I say", None)


def test_end_run_ends_it_as_it_stands() -> None:
    """The module-level function does as the method does."""
    run = tracklib.start_run("settle")
    run.settle(error())
    tracklib.end_run()

    assert (run.is_open, tracklib.get_run(run).status) == (False, "failed")


def test_it_may_proceed() -> None:
    """Then it is running, whatever was said, and counts the time only in which it ran."""
    run = tracklib.start_run("settle")
    run.settle(error())
    before = stored(run)
    time.sleep(0.3)
    run.proceed()
    running = stored(run)
    run.log({"loss": 1.0})
    run.finish()

    ended = tracklib.get_run(run)
    assert (running.status, running.reason, running.error, running.ended_at) == ("running", "", None, None)
    assert (ended.status, ended.error, len(ended.info.writers)) == ("completed", None, 1)
    assert before.duration is not None
    assert ended.duration is not None
    assert ended.started_at == before.started_at
    assert before.duration <= ended.duration < (ended.ended_at or 0) - (ended.started_at or 0) - 0.2


def test_it_may_be_settled_again_and_again() -> None:
    """As several trainings in a row are: the last word counts, and durations add up."""
    run = tracklib.start_run("settle")
    for number in range(3):
        run.proceed()
        run.log({"loss": number})
        run.settle(error() if number < 2 else None)
    seen = stored(run)
    run.finish()

    assert (seen.status, seen.metrics["loss"].count) == ("completed", 3)
    assert tracklib.get_run(run).duration == pytest.approx(seen.duration)


def test_twice_is_harmless() -> None:
    """Settling twice counts the later, going on twice is nothing, and after the end neither does anything."""
    run = tracklib.start_run("settle")
    run.proceed()
    run.settle(error())
    run.settle()
    run.finish()
    run.settle(error())
    run.proceed()

    assert (run.status, run.is_open) == (RunStatus.COMPLETED, False)
    assert (tracklib.get_run(run).status, len(tracklib.get_run(run).info.writers)) == ("completed", 1)


def test_a_settled_run_stays_the_active_one() -> None:
    """Until it ends."""
    run = tracklib.start_run("settle")
    run.settle()
    tracklib.log({"test/loss": 1.0})

    assert tracklib.active_run() is run
    assert stored(run).metrics["test/loss"].count == 1
    run.finish()


def test_a_settled_run_may_be_resumed_once_it_has_ended() -> None:
    """Like any other; its step counter goes on."""
    run = tracklib.start_run("settle")
    run.log({"loss": 1.0})
    run.settle()
    run.finish()
    with tracklib.start_run(resume=run.id) as again:
        again.log({"loss": 2.0})

    assert tracklib.get_run(run).series("loss").steps.tolist() == [0, 1]
    assert tracklib.get_run(run).status == "completed"


def test_threads_may_settle_and_log_at_once() -> None:
    """The last one has the last word, and nothing is lost."""
    run = tracklib.start_run("settle")

    def turn() -> None:
        for step in range(50):
            run.settle()
            run.log({threading.current_thread().name: step})
            run.proceed()

    threads = [threading.Thread(target=turn, name=f"t{number}") for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.settle()
    run.finish()

    seen = tracklib.get_run(run)
    assert seen.status == "completed"
    assert {name: summary.count for name, summary in seen.metrics.items()} == dict.fromkeys(
        ["t0", "t1", "t2", "t3"], 50
    )


def test_a_run_that_records_nothing_can_be_settled_too() -> None:
    """Programs need not know."""
    run = tracklib.start_run("settle", mode="disabled")
    run.settle()
    run.proceed()

    assert (run.settled, run.provisional, run.finish()) == (None, False, True)


def test_an_offline_run_keeps_what_was_said() -> None:
    """And tells it when it is shipped."""
    run = tracklib.start_run("settle", mode="offline")
    run.settle(error())
    run.log({"test/loss": 1.0})
    run.finish()
    tracklib.sync()

    assert (tracklib.get_run(run).status, tracklib.get_run(run).metrics["test/loss"].count) == ("failed", 1)


def test_the_record_of_the_end_is_not_taken_from_elsewhere() -> None:
    """Whoever watches over a run cannot end its journal by accident."""
    run = tracklib.start_run("settle")
    run.settle()
    run.record_event(RecordKind.MESSAGE, {"level": "info", "text": "after it was settled"})
    run.finish()

    assert [event.data["text"] for event in tracklib.get_run(run).events("message")] == ["after it was settled"]
