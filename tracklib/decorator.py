"""`@track`: a function's call is a run."""

from __future__ import annotations

import functools
import inspect
import logging
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from tracklib import active
from tracklib.lifecycle import Ending, ending_of
from tracklib.records import RunStatus
from tracklib.values import as_float

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from tracklib.run import Run

__all__ = ["track"]

P = ParamSpec("P")
R = TypeVar("R")
_log = logging.getLogger("tracklib")


@overload
def track(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def track(function: None = None, /, **options: Any) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def track(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make each call of a function a run: its arguments are the params, a returned dict of numbers the last metrics.

    It works on functions, methods, coroutine functions, generators and asynchronous generators. An exception ends the
    run as failed and goes on its way. Within another run the call is a nested run. The run of a generator lasts from
    its first value to its end, and is the active one only while the generator itself runs.

    Args:
        options: What `tracklib.start_run` takes. `name` is by default the function's.

    Example:
        >>> @tracklib.track(project="digits")
        ... def train(lr: float = 1e-3, epochs: int = 3) -> dict[str, float]:
        ...     return {"loss": 1 / epochs}
        >>> train(epochs=2)
        {'loss': 0.5}
        >>> tracklib.get_run("latest", project="digits").params
        {'epochs': 2, 'lr': 0.001}
    """
    if function is None:
        return lambda wrapped: _wrapped(wrapped, options)
    if not callable(function):
        raise TypeError(f"track decorates functions, not {function!r:.200}: write @track(project=…) with keywords")
    return _wrapped(function, options)


def _wrapped(function: Any, options: dict[str, Any]) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_wrapped(function.__func__, options))
    if inspect.isasyncgenfunction(function):
        return _wrap_async_generator(function, options)
    if inspect.isgeneratorfunction(function):
        return _wrap_generator(function, options)
    if inspect.iscoroutinefunction(function):
        return _wrap_coroutine(function, options)
    return _wrap_function(function, options)


def _wrap_function(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = _begin(function, args, kwargs, options)
        with active.activated(run), run:
            result = function(*args, **kwargs)
            _log_result(run, result)
        return result

    return call


def _wrap_coroutine(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        run = _begin(function, args, kwargs, options)
        with active.activated(run), run:
            result = await function(*args, **kwargs)
            _log_result(run, result)
        return result

    return call


def _wrap_generator(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        run = _begin(function, args, kwargs, options)
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = lambda: next(generator)  # noqa: E731 - it is replaced at each turn
        while True:
            try:
                with active.activated(run):
                    value = step()
            except StopIteration as end:
                _log_result(run, end.value)
                run.finish()
                return end.value
            except BaseException as error:
                run.finish_because(ending_of(error))
                raise
            try:
                sent = yield value
            except GeneratorExit:
                with active.activated(run):
                    generator.close()
                run.finish_because(Ending(RunStatus.COMPLETED, "the generator was closed"))
                raise
            except BaseException as thrown:  # noqa: BLE001 - it is thrown into the generator, which may handle it
                step = functools.partial(generator.throw, thrown)
            else:
                step = functools.partial(generator.send, sent)

    return call


def _wrap_async_generator(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        run = _begin(function, args, kwargs, options)
        generator = function(*args, **kwargs)
        step: Callable[[], Any] = generator.__anext__
        while True:
            try:
                with active.activated(run):
                    value = await step()
            except StopAsyncIteration:
                run.finish()
                return
            except BaseException as error:
                run.finish_because(ending_of(error))
                raise
            try:
                sent = yield value
            except GeneratorExit:
                with active.activated(run):
                    await generator.aclose()
                run.finish_because(Ending(RunStatus.COMPLETED, "the generator was closed"))
                raise
            except BaseException as thrown:  # noqa: BLE001 - as above
                step = functools.partial(generator.athrow, thrown)
            else:
                step = functools.partial(generator.asend, sent)

    return call


def _begin(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], options: dict[str, Any]) -> Run:
    from tracklib.api import start_run

    outer = active.current()
    chosen = {"name": getattr(function, "__name__", "run"), **options}
    if outer is not None and outer.id and "parent" not in chosen:
        chosen["parent"] = outer
        chosen.setdefault("project", outer.project)
        chosen.setdefault("experiment", outer.experiment)
        chosen.setdefault("store", outer.store)
    params = {**_arguments(function, args, kwargs), **dict(chosen.pop("params", None) or {})}
    return start_run(params=params, activate=False, **chosen)


def _arguments(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Mapping[str, Any]:
    """Return the bound arguments by name, defaults included, `self` and `cls` left out."""
    try:
        signature = inspect.signature(function)
        bound = signature.bind(*args, **kwargs)
    except (TypeError, ValueError):  # The call itself is about to say so.
        return {}
    bound.apply_defaults()
    params: dict[str, Any] = {}
    for index, (name, value) in enumerate(bound.arguments.items()):
        kind = signature.parameters[name].kind
        if index == 0 and name in {"self", "cls"}:
            continue
        if kind is inspect.Parameter.VAR_KEYWORD:
            params.update(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL or value:
            params[name] = value
    return params


def _log_result(run: Run, result: Any) -> None:
    """Log a returned dict of numbers; anything else is the program's own business."""
    if not isinstance(result, dict):
        return
    numbers = {name: value for name, value in result.items() if isinstance(name, str) and _is_number(value)}
    if numbers:
        run.log(numbers)


def _is_number(value: Any) -> bool:
    try:
        as_float(value)
    except TypeError:
        return False
    return True
