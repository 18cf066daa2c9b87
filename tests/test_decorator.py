"""`@track`: what becomes of calls, coroutines and generators."""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import numpy as np
import pytest

import tracklib
from tracklib.errors import ConfigError

pytestmark = pytest.mark.usefixtures("bare")


def the_run() -> tracklib.StoredRun:
    (run,) = tracklib.list_runs()
    return tracklib.get_run(run)


def ended() -> dict[str, str]:
    """Return how each run ended, by name."""
    return {run.name: str(run.status) for run in tracklib.list_runs()}


# ---- functions


def test_a_call_is_a_run() -> None:
    """Its name is the function's, its params the arguments with their defaults, a dict of numbers the last metrics."""

    @tracklib.track
    def train(lr: float, *layers: int, epochs: int = 3, **more: Any) -> dict[Any, Any]:  # noqa: ARG001 - for their names
        tracklib.log({"loss": 0.5}, step=0)
        return {"accuracy": np.float32(0.5), "best": True, "name": "x", "classes": [1, 2], 3: 4}

    result = train(0.1, 8, 16, seed=5)

    run = the_run()
    assert result["classes"] == [1, 2]
    assert (run.name, run.status) == ("train", "completed")
    assert run.params == {"lr": 0.1, "layers": [8, 16], "epochs": 3, "seed": 5}
    assert {name: summary.last for name, summary in run.metrics.items()} == {"loss": 0.5, "accuracy": 0.5, "best": 1}


@pytest.mark.parametrize("result", [None, 5, "x", {}, {"a": "b"}, [1]], ids=repr)
def test_another_result_is_the_programs_own_business(result: Any) -> None:
    """It is returned as it is, and nothing is logged."""
    run = tracklib.track(lambda: result)

    assert run() is result
    assert the_run().metrics == {}


def test_options_are_those_of_start_run() -> None:
    """What they say goes before what the function says."""

    @tracklib.track(project="digits", experiment="sweep", name="fit", params={"seed": 1, "lr": 5}, tags={"a": "b"})
    def train(lr: float = 1.0) -> None:
        pass

    for _ in range(2):
        train()
    runs = tracklib.list_runs(project="digits", experiment="sweep", name="fit", tags={"a": "b"})
    assert [run.params for run in runs] == [{"lr": 5, "seed": 1}] * 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["lr"]}, {"lr": 0.1}),
        ({"exclude": {"data"}}, {"lr": 0.1, "seed": 1}),
        ({"exclude": "data"}, {"lr": 0.1, "seed": 1}),
        ({"include": ("lr", "data"), "exclude": ["data"]}, {"lr": 0.1}),
        ({"include": []}, {}),
    ],
    ids=str,
)
def test_arguments_are_kept_or_left_out_by_name(options: dict[str, Any], expected: dict[str, Any]) -> None:
    """One name may stand alone."""

    @tracklib.track(**options)
    def train(lr: float, data: list[int], seed: int = 1) -> None:
        pass

    train(0.1, [1, 2, 3])
    assert the_run().params == expected


def test_an_argument_that_is_not_there_cannot_be_left_out() -> None:
    """A slip of the pen is found when the function is decorated."""

    def train(lr: float, data: list[int]) -> None:
        pass

    with pytest.raises(ConfigError, match=r"'dta' .*train has no such argument; it has: lr, data"):
        tracklib.track(exclude=["dta"])(train)
    with pytest.raises(ConfigError, match="include is"):
        tracklib.track(include=[5])  # type: ignore[list-item]


def test_an_exception_goes_on_its_way() -> None:
    """The very same, with its traceback; the run has failed."""
    error = ValueError("odd data")

    @tracklib.track
    def train() -> None:
        raise error

    with pytest.raises(ValueError, match="odd data") as caught:
        train()
    run = the_run()
    assert caught.value is error
    assert caught.traceback[-1].name == "train"
    assert (run.status, run.reason) == ("failed", "ValueError: odd data")
    with pytest.raises(tracklib.TracklibError, match="no active run"):
        tracklib.active_run()


@pytest.mark.parametrize(
    ("error", "status"), [(SystemExit(0), "completed"), (KeyboardInterrupt(), "killed"), (StopIteration(), "completed")]
)
def test_an_end_is_told_from_a_failure(error: BaseException, status: str) -> None:
    """As in a `with` block."""

    @tracklib.track
    def train() -> None:
        raise error

    with pytest.raises(type(error)):
        train()
    assert the_run().status == status


def test_a_wrong_call_is_the_functions_own_error() -> None:
    """Python's own message comes through."""

    @tracklib.track
    def train(lr: float) -> None:
        pass

    with pytest.raises(TypeError, match="missing 1 required positional argument: 'lr'"):
        train()  # type: ignore[call-arg]


def test_a_function_remains_what_it_was() -> None:
    """Name, documentation, signature and kind."""

    def plain(lr: float = 1.0) -> int:  # noqa: ARG001 - as above
        """Do it."""
        return 3

    async def coroutine() -> None: ...
    def generator() -> Generator[int]:
        yield 1

    async def stream() -> AsyncGenerator[int]:
        yield 1

    tracked = tracklib.track(plain)
    assert (tracked.__name__, tracked.__doc__, tracked()) == ("plain", "Do it.", 3)
    assert inspect.signature(tracked) == inspect.signature(plain)
    for function, fits in (
        (coroutine, inspect.iscoroutinefunction),
        (generator, inspect.isgeneratorfunction),
        (stream, inspect.isasyncgenfunction),
    ):
        assert fits(tracklib.track(function))
        assert fits(tracklib.track(project="p")(function))
        assert not fits(tracked)


@pytest.mark.parametrize(
    "thing", [5, "train", int, property(lambda _: 1), None], ids=lambda thing: type(thing).__name__
)
def test_only_functions_are_decorated(thing: Any) -> None:
    """The message shows how it is meant."""
    with pytest.raises(TypeError, match=r"track decorates functions and methods, not .*@track\(project="):
        tracklib.track(project="p")(thing)


def test_partial_functions_and_functions_in_c() -> None:
    """They have names of their own, or none."""
    tracklib.track(functools.partial(divmod, 7))(2)
    tracklib.track(np.add)(1, 2)

    assert sorted(ended()) == ["add", "divmod"]


# ---- methods


class Trainer:
    rate = 0.5

    @tracklib.track
    def fit(self, epochs: int = 1) -> float:
        tracklib.log({"rate": self.rate})
        return self.rate

    @tracklib.track
    @classmethod
    def build(cls, width: int) -> type:  # noqa: ARG003 - as above
        return cls

    @classmethod
    @tracklib.track(name="outside")
    def make(cls, width: int) -> type:  # noqa: ARG003 - as above
        return cls

    @tracklib.track
    @staticmethod
    def score(width: int) -> int:
        return width

    @staticmethod
    @tracklib.track
    def measure(width: int) -> int:
        return width

    @tracklib.track
    async def wait(self, width: int) -> int:
        return width

    @tracklib.track
    def stream(self, width: int) -> Generator[int]:
        yield width


def test_a_method_is_tracked() -> None:
    """Self is no param."""
    assert Trainer().fit(epochs=2) == 0.5
    run = the_run()
    assert (run.name, run.params, list(run.metrics)) == ("fit", {"epochs": 2}, ["rate"])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Trainer.build(3), "build"),
        (lambda: Trainer().build(3), "build"),
        (lambda: Trainer.make(3), "outside"),
        (lambda: Trainer.score(3), "score"),
        (lambda: Trainer().score(3), "score"),
        (lambda: Trainer.measure(3), "measure"),
        (lambda: asyncio.run(Trainer().wait(3)), "wait"),
        (lambda: list(Trainer().stream(3)), "stream"),
    ],
)
def test_methods_of_all_kinds_are_tracked(call: Callable[[], Any], name: str) -> None:
    """On either side of classmethod and staticmethod; neither self nor cls is a param."""
    assert call() in (3, [3], Trainer)
    run = the_run()
    assert (run.name, run.params) == (name, {"width": 3})


# ---- nesting


@tracklib.track
def inner(number: int) -> dict[str, int]:
    return {"number": number}


def test_a_call_within_a_run_is_nested() -> None:
    """In its project, experiment and store, whoever began the run."""

    @tracklib.track(project="digits", experiment="sweep", store="here.db")
    def outer() -> None:
        for number in range(2):
            inner(number)
        tracklib.log({"outer": 1})

    outer()
    (parent,) = tracklib.list_runs(name="outer", store="here.db")
    children = tracklib.list_runs(parent=parent.id, store="here.db")
    assert [(run.project, run.experiment, run.params["number"]) for run in children] == [
        ("digits", "sweep", 1),
        ("digits", "sweep", 0),
    ]
    assert list(parent.metrics) == ["outer"]


def test_a_call_within_a_plain_run_is_nested_too() -> None:
    """And after it the plain run is the active one again."""
    with tracklib.start_run() as run:
        inner(1)
        assert tracklib.active_run() is run

    assert [child.name for child in tracklib.list_runs(parent=run.id)] == ["inner"]


def test_a_parent_of_ones_own_goes_before_the_active_run() -> None:
    """None is one too."""
    with tracklib.start_run():
        tracklib.track(parent=None, name="alone")(len)([])

    assert tracklib.get_run("alone").info.parent is None


def test_a_function_that_calls_itself_does_not_nest() -> None:
    """One call from outside is one run, also through another tracked function."""

    @tracklib.track
    def down(depth: int) -> int:
        return other(depth - 1) + 1 if depth else 0

    @tracklib.track
    def other(depth: int) -> int:
        return down(depth)

    assert down(3) == 3
    assert sorted(ended()) == ["down", "other"]
    assert down(0) == 0
    assert len(tracklib.list_runs(name="down")) == 2


def test_threads_may_call_at_once() -> None:
    """Each call is a run of its own."""

    @tracklib.track
    def work(number: int) -> None:
        for step in range(20):
            tracklib.log({"value": number}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in tracklib.list_runs():
        assert run.series("value").values.tolist() == [run.params["number"]] * 20


def test_a_disabled_run_disables_what_is_within() -> None:
    """The whole of it records nothing."""
    with tracklib.start_run(mode="disabled"):
        assert inner(1) == {"number": 1}

    with pytest.raises(LookupError, match="no store"):
        tracklib.list_runs()


# ---- coroutines


def test_a_coroutine_is_a_run() -> None:
    """From its first step to its end; others that take turns with it have runs of their own."""

    @tracklib.track
    async def work(number: int) -> dict[str, int]:
        for step in range(3):
            tracklib.log({"value": number}, step=step)
            await asyncio.sleep(0)
        return {"result": number}

    async def main() -> list[dict[str, int]]:
        return list(await asyncio.gather(work(1), work(2)))

    assert asyncio.run(main()) == [{"result": 1}, {"result": 2}]
    for run in tracklib.list_runs():
        assert run.series("value").values.tolist() == [run.params["number"]] * 3
        assert run.metrics["result"].last == run.params["number"]


def test_a_cancelled_coroutine_was_killed() -> None:
    """Somebody else ended it."""

    @tracklib.track
    async def work() -> None:
        await asyncio.sleep(600)

    async def main() -> None:
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert (the_run().status, the_run().reason) == ("killed", "the task was cancelled")


# ---- blocks


def test_a_block_is_a_run() -> None:
    """`with track(…)` nests by itself, as the decorator does."""
    with tracklib.track(project="digits", name="outer", params={"lr": 1}) as outer:
        tracklib.log({"loss": 1})
        with pytest.raises(ValueError, match="odd"), tracklib.track(name="inner"):
            raise ValueError("odd")

    stored = tracklib.get_run("inner")
    assert (stored.info.parent, stored.project, stored.status) == (outer.id, "digits", "failed")
    assert tracklib.get_run(outer).params == {"lr": 1}


def test_one_tracker_serves_many_blocks() -> None:
    """Also within each other."""
    tracker = tracklib.track(project="digits", name="block")
    with tracker as first:
        with tracker as second:
            tracklib.log({"loss": 2})
        tracklib.log({"loss": 1})

    assert tracklib.get_run(second).info.parent == first.id
    assert tracklib.get_run(first).metrics["loss"].last == 1
    assert tracklib.get_run(second).metrics["loss"].last == 2
