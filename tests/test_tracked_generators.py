"""`@track` on generators: a run lasts from the first value to the end, and is active only inside."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator

import pytest

import tracklib
from tracklib import active

pytestmark = pytest.mark.usefixtures("bare")


def the_run() -> tracklib.StoredRun:
    (run,) = tracklib.list_runs()
    return tracklib.get_run(run)


def ended() -> dict[str, str]:
    """Return how each run ended, by name."""
    return {run.name: str(run.status) for run in tracklib.list_runs()}


@tracklib.track
def numbers(count: int, log: Callable[[str], None] = lambda _: None) -> Generator[int, str | None, dict[str, int]]:
    """Yield numbers; tell what happens inside."""
    try:
        for number in range(count):
            tracklib.log({"number": number}, step=number)
            try:
                sent = yield number
            except KeyError as error:
                log(f"caught {error}")
            else:
                log(f"sent {sent}")
    finally:
        log("closed")
    return {"total": count}


def test_a_generator_is_a_run_until_it_is_exhausted() -> None:
    """It begins with the first value; what is returned is returned, and logged where it is numbers."""
    generator = numbers(3)
    assert active.current() is None
    values = []

    def delegate() -> Generator[int, str | None]:
        result = yield from generator
        values.append(result)

    assert list(delegate()) == [0, 1, 2]
    run = the_run()
    assert values == [{"total": 3}]
    assert run.series("number").values.tolist() == [0, 1, 2]
    assert (run.metrics["total"].last, run.status) == (3, "completed")


def test_a_generators_run_is_active_only_inside_of_it() -> None:
    """Between two values the caller's run is."""
    with tracklib.start_run(name="caller") as caller:
        for number in numbers(2):
            assert tracklib.active_run() is caller
            tracklib.log({"outside": number})

    assert list(tracklib.get_run("caller").metrics) == ["outside"]
    assert "number" in tracklib.get_run("numbers").metrics


def test_two_generators_take_turns() -> None:
    """Each logs to its own run."""
    for _ in zip(numbers(3), numbers(3), strict=True):
        pass

    assert [run.series("number").values.tolist() for run in tracklib.list_runs()] == [[0, 1, 2]] * 2


def test_a_run_that_a_generator_begins_stays_its_own() -> None:
    """It is active inside, across values, and never outside."""

    @tracklib.track
    def folds() -> Generator[int]:
        for fold in range(2):
            with tracklib.start_run(name=f"fold-{fold}", nested=True):
                yield fold
                tracklib.log({"fold": fold})

    for _ in folds():
        assert active.current() is None
    assert [tracklib.get_run(f"fold-{fold}").metrics["fold"].last for fold in range(2)] == [0, 1]
    assert tracklib.get_run("fold-0").info.parent == tracklib.get_run("folds").id


def test_values_are_sent_and_errors_thrown_into_a_generator() -> None:
    """As if there were no decorator."""
    said: list[str] = []
    generator = numbers(5, said.append)

    assert next(generator) == 0
    assert generator.send("hello") == 1
    assert generator.throw(KeyError("k")) == 2
    with pytest.raises(ValueError, match="not caught"):
        generator.throw(ValueError("not caught"))
    assert said == ["sent hello", "caught 'k'", "closed"]
    assert (the_run().status, the_run().reason) == ("failed", "ValueError: not caught")
    with pytest.raises(StopIteration):
        next(generator)


def test_a_generator_that_is_closed_has_completed() -> None:
    """Its own clean-up is part of the run; the reason says what happened."""
    said: list[str] = []
    generator = numbers(5, said.append)
    next(generator)
    generator.close()

    assert said == ["closed"]
    assert (the_run().status, the_run().reason) == ("completed", "the generator was closed")


def test_a_loop_may_be_left_early() -> None:
    """The generator that nobody holds any more ends its run."""
    for number in numbers(5):
        if number == 2:
            break
    gc.collect()

    assert (the_run().status, the_run().reason) == ("completed", "the generator was closed")
    assert the_run().metrics["number"].last == 2


def test_a_forgotten_generator_is_collected_in_any_thread() -> None:
    """Also in one of tracklib's own, which may be the run's and cannot wait for itself."""
    list(numbers(1))
    generator = numbers(5)
    next(generator)
    cycle: list[object] = [generator]
    cycle.append(cycle)
    del generator, cycle
    thread = threading.Thread(target=gc.collect, name="tracklib-shipper")
    thread.start()
    thread.join()

    deadline = time.monotonic() + 60
    while len(tracklib.list_runs(status="completed")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_generator_that_fails_while_it_is_closed_has_failed() -> None:
    """The error goes on its way."""

    @tracklib.track
    def stubborn() -> Generator[int]:
        try:
            yield 1
        finally:
            raise OSError("disk")

    generator = stubborn()
    next(generator)
    with pytest.raises(OSError, match="disk"):
        generator.close()
    assert the_run().status == "failed"


def test_a_generator_that_is_never_begun_is_no_run() -> None:
    """Nor is one that is called wrongly."""
    numbers(3).close()
    with pytest.raises(TypeError, match="unexpected keyword"):
        next(numbers(count=1, size=2))  # type: ignore[call-arg]

    with pytest.raises(LookupError):
        tracklib.list_runs()


def test_a_generator_may_go_from_thread_to_thread() -> None:
    """A data loader's worker goes on with what another began."""
    generator = numbers(4)
    values = [next(generator)]

    thread = threading.Thread(target=lambda: values.append(next(generator)))
    thread.start()
    thread.join()
    values += list(generator)
    assert values == [0, 1, 2, 3]
    assert the_run().series("number").values.tolist() == [0, 1, 2, 3]


def test_a_generator_that_calls_itself_does_not_nest() -> None:
    """Through `yield from`, as when walking a tree."""

    @tracklib.track
    def walk(depth: int) -> Generator[int]:
        yield depth
        if depth:
            yield from walk(depth - 1)

    assert list(walk(2)) == [2, 1, 0]
    assert ended() == {"walk": "completed"}


# ---- asynchronous generators


@tracklib.track
async def stream(count: int, log: Callable[[str], None] = lambda _: None) -> AsyncGenerator[int, str | None]:
    """Yield numbers; tell what happens inside."""
    try:
        for number in range(count):
            tracklib.log({"number": number}, step=number)
            await asyncio.sleep(0)
            try:
                sent = yield number
            except KeyError as error:
                log(f"caught {error}")
            else:
                log(f"sent {sent}")
    finally:
        log("closed")


def test_an_asynchronous_generator_is_a_run_until_it_is_exhausted() -> None:
    """It is active inside only; two of them take turns."""

    async def main() -> list[int]:
        with tracklib.start_run(name="caller"):
            async for number in stream(3):
                tracklib.log({"outside": number})
        other = stream(2)
        return [number async for number in stream(2) if await anext(other) == number]

    assert asyncio.run(main()) == [0, 1]
    assert list(tracklib.get_run("caller").metrics) == ["outside"]
    runs = tracklib.list_runs(name="stream")
    assert [run.metrics["number"].count for run in runs] == [2, 2, 3]
    assert set(ended().values()) == {"completed"}


def test_values_are_sent_and_errors_thrown_into_an_asynchronous_generator() -> None:
    """As if there were no decorator."""
    said: list[str] = []

    async def main() -> None:
        generator = stream(5, said.append)
        assert await anext(generator) == 0
        assert await generator.asend("hello") == 1
        assert await generator.athrow(KeyError("k")) == 2
        with pytest.raises(ValueError, match="not caught"):
            await generator.athrow(ValueError("not caught"))

    asyncio.run(main())
    assert said == ["sent hello", "caught 'k'", "closed"]
    assert the_run().status == "failed"


def test_an_asynchronous_generator_that_is_closed_has_completed() -> None:
    """By hand, and by the event loop after a loop was left early."""
    said: list[str] = []

    async def main() -> None:
        generator = stream(5, said.append)
        await anext(generator)
        await generator.aclose()
        async with contextlib.aclosing(stream(5, said.append)) as closing:
            async for _ in closing:
                break
        closed = asyncio.Event()

        def note(word: str) -> None:
            said.append(word)
            closed.set()

        async for _ in stream(5, note):
            break
        gc.collect()
        await closed.wait()

    asyncio.run(main())
    assert said == ["closed"] * 3
    assert {(run.status, run.reason) for run in tracklib.list_runs()} == {("completed", "the generator was closed")}
