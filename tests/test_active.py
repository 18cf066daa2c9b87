"""Which run the module-level functions mean."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tracklib
from tracklib.errors import NoActiveRun

pytestmark = pytest.mark.usefixtures("bare")

OVER_THE_ACTIVE_RUN: list[Callable[[], Any]] = [
    tracklib.active_run,
    tracklib.end_run,
    lambda: tracklib.log({"loss": 1}),
    lambda: tracklib.log_artifact("x"),
    lambda: tracklib.log_figure(None, "x"),
    lambda: tracklib.log_metric("loss", 1),
    lambda: tracklib.log_metrics({"loss": 1}),
    lambda: tracklib.log_model(None),
    lambda: tracklib.log_param("lr", 1),
    lambda: tracklib.log_params({"lr": 1}),
    lambda: tracklib.log_table([], "x"),
    lambda: tracklib.log_text("", "x"),
    lambda: tracklib.set_notes("x"),
    lambda: tracklib.set_tag("a", "b"),
    lambda: tracklib.set_tags({"a": "b"}),
]


@pytest.mark.parametrize("call", OVER_THE_ACTIVE_RUN)
def test_without_an_active_run_the_fix_is_in_the_message(call: Callable[[], Any]) -> None:
    """Every function over the active run says the same."""
    with pytest.raises(NoActiveRun, match=r"start one with tracklib\.start_run\(\), or decorate .*@tracklib\.track"):
        call()


def test_the_last_run_begun_is_the_active_one() -> None:
    """When it ends the one before is active again."""
    outer = tracklib.start_run()
    with tracklib.start_run() as inner:
        assert tracklib.active_run() is inner
    assert tracklib.active_run() is outer
    assert tracklib.end_run("failed", "enough")
    assert outer.status == "failed"
    with pytest.raises(NoActiveRun):
        tracklib.active_run()


def test_runs_may_end_in_any_order() -> None:
    """The active one is the last begun of those that are open."""
    first, second, third = (tracklib.start_run() for _ in range(3))

    second.finish()
    assert tracklib.active_run() is third
    third.finish()
    assert tracklib.active_run() is first


def test_a_run_need_not_become_the_active_one() -> None:
    """Until it is entered."""
    with tracklib.start_run() as outer:
        aside = tracklib.start_run(activate=False)
        assert tracklib.active_run() is outer
        with aside:
            assert tracklib.active_run() is aside
        assert tracklib.active_run() is outer


def test_worker_threads_log_to_the_active_run() -> None:
    """Although they begin with an empty context."""
    with tracklib.start_run() as run:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: tracklib.log({"value": number}, step=number), range(100)))
        thread = threading.Thread(target=tracklib.set_tag, args=("from", "thread"))
        thread.start()
        thread.join()

    stored = tracklib.get_run(run)
    assert stored.series("value").values.tolist() == list(range(100))
    assert stored.tags == {"from": "thread"}


def test_a_thread_has_its_own_active_run() -> None:
    """A run that another thread begins is not this one's."""
    entered, leave = threading.Event(), threading.Event()

    def work() -> None:
        with tracklib.start_run(name="inner"):
            tracklib.log({"inner": 1})
            entered.set()
            leave.wait(60)

    with tracklib.start_run(name="outer") as outer:
        thread = threading.Thread(target=work)
        thread.start()
        assert entered.wait(60)
        assert tracklib.active_run() is outer
        tracklib.log({"outer": 1})
        leave.set()
        thread.join()

    assert list(tracklib.get_run("outer").metrics) == ["outer"]
    assert list(tracklib.get_run("inner").metrics) == ["inner"]


def test_tasks_have_active_runs_of_their_own() -> None:
    """They take turns without getting into each other's runs."""

    async def work(number: int) -> str:
        with tracklib.start_run(name=f"task-{number}") as run:
            for step in range(5):
                tracklib.log({"value": number}, step=step)
                await asyncio.sleep(0)
            return run.id

    async def main() -> list[str]:
        return await asyncio.gather(*(work(number) for number in range(4)))

    for number, run_id in enumerate(asyncio.run(main())):
        assert tracklib.get_run(run_id).series("value").values.tolist() == [number] * 5


def test_a_copied_context_keeps_the_active_run() -> None:
    """As executors and frameworks copy it."""
    with tracklib.start_run() as run:
        context = contextvars.copy_context()
        with tracklib.start_run():
            assert context.run(tracklib.active_run) is run


def test_an_ended_run_is_not_active_in_any_context() -> None:
    """Also where the context was copied while it was open."""
    with tracklib.start_run():
        context = contextvars.copy_context()

    with pytest.raises(NoActiveRun):
        context.run(tracklib.active_run)
