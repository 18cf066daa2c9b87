"""`@track`: a function's call is a run."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload
from weakref import WeakSet

from tracklib import active
from tracklib.errors import ConfigError
from tracklib.lifecycle import Ending, ending_of
from tracklib.records import RunStatus
from tracklib.values import as_float

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Generator, Iterator

    from tracklib.run import Run

__all__ = ["Tracker", "track"]

P = ParamSpec("P")
R = TypeVar("R")


@overload
def track(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def track(
    function: None = None,
    /,
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] = (),
    **options: Any,
) -> Tracker: ...


def track(
    function: Callable[..., Any] | None = None,
    /,
    *,
    include: Collection[str] | None = None,
    exclude: Collection[str] = (),
    **options: Any,
) -> Any:
    """Make each call of a function a run: its arguments are the params, a returned dict of numbers the last metrics.

    It works on functions, methods, coroutine functions, generators and asynchronous generators. An exception ends the
    run as failed and goes on its way. Within another run the call is a nested run; a function that calls itself does
    not nest. The run of a generator lasts from its first value to its end, and is the active one only while the
    generator itself runs. With `with track(…) as run` a block of code is such a run.

    Args:
        function: What `@track` without parentheses decorates.
        include: Names of the arguments to keep; all by default.
        exclude: Names of the arguments to leave out.
        options: What `tracklib.start_run` takes. `name` is by default the function's; `params` are added to the
            arguments.

    Raises:
        TypeError: That is no function.
        ConfigError: `include` or `exclude` names what the function does not take.

    Example:
        >>> @tracklib.track(project="digits")
        ... def train(lr: float = 1e-3, epochs: int = 3) -> dict[str, float]:
        ...     return {"loss": 1 / epochs}
        >>> train(epochs=2)
        {'loss': 0.5}
        >>> tracklib.get_run("latest", project="digits").params
        {'lr': 0.001, 'epochs': 2}
        >>> with tracklib.track(project="digits", name="evaluation") as run:
        ...     run.log({"accuracy": 0.9})
    """
    tracker = Tracker(_names("include", include), _names("exclude", exclude) or frozenset(), options)
    return tracker if function is None else tracker(function)


class Tracker:
    """What `track(…)` gives: a decorator, and a context manager that opens a run."""

    def __init__(self, include: frozenset[str] | None, exclude: frozenset[str], options: dict[str, Any]) -> None:
        self._include = include
        self._exclude = exclude
        self._options = options
        self._open: list[Run] = []

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function.

        Raises:
            TypeError: It is none.
            ConfigError: It does not take an argument that is to be kept or left out.
        """
        wrapped: Callable[P, R] = self._wrap(function)
        return wrapped

    def _wrap(self, function: Any) -> Any:
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self._wrap(function.__func__))
        if not callable(function) or inspect.isclass(function):
            raise TypeError(
                f"track decorates functions and methods, not {function!r:.200}: write @track, or @track(project=…) "
                "with keywords"
            )
        call = _Call(function, self._include, self._exclude, self._options)
        for fits, wrap in _WRAPPERS:
            if fits(function):
                return wrap(call)
        return _wrap_function(call)

    def __enter__(self) -> Run:
        run = _start(self._options)
        self._open.append(run)
        return run.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._open.pop().__exit__(kind, error, traceback)


class _Call:
    """A decorated function and what is to become of its calls."""

    def __init__(
        self,
        function: Callable[..., Any],
        include: frozenset[str] | None,
        exclude: frozenset[str],
        options: dict[str, Any],
    ) -> None:
        self.function = function
        self._include = include
        self._exclude = exclude
        named = getattr(function, "func", function)  # What a partial is of.
        self._options = {"name": getattr(named, "__name__", None), **options}
        self._runs: WeakSet[Run] = WeakSet()
        try:
            self._signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):  # Some functions in C do not tell.
            self._signature = None
        self._check_names()

    def _check_names(self) -> None:
        if self._signature is None:
            return
        parameters = self._signature.parameters.values()
        if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
            return
        unknown = sorted({*(self._include or ()), *self._exclude} - {parameter.name for parameter in parameters})
        if unknown:
            raise ConfigError(
                f"{unknown[0]!r} is to be kept or left out, but {self._options['name']} has no such argument; "
                f"it has: {', '.join(parameter.name for parameter in parameters) or 'none'}"
            )

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run | None:
        """Begin the run of a call; None where it is a call from within itself."""
        if any(run in self._runs for run in active.here()):
            return None
        options = dict(self._options)
        params = {**self._arguments(args, kwargs), **dict(options.pop("params", None) or {})}
        run = _start({**options, "params": params})
        self._runs.add(run)
        return run

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the bound arguments by name, defaults included, `self` and `cls` left out."""
        if self._signature is None:
            return {}
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError:  # The call itself is about to say so.
            return {}
        bound.apply_defaults()
        params: dict[str, Any] = {}
        for index, (name, value) in enumerate(bound.arguments.items()):
            kind = self._signature.parameters[name].kind
            if index == 0 and name in {"self", "cls"}:
                continue
            if kind is inspect.Parameter.VAR_KEYWORD:
                params.update(value)
            elif kind is not inspect.Parameter.VAR_POSITIONAL or value:
                params[name] = value
        return {name: value for name, value in params.items() if self._is_kept(name)}

    def _is_kept(self, name: str) -> bool:
        return name not in self._exclude and (self._include is None or name in self._include)


def _wrap_function(call: _Call) -> Callable[..., Any]:
    @functools.wraps(call.function)
    def tracked(*args: Any, **kwargs: Any) -> Any:
        run = call.begin(args, kwargs)
        if run is None:
            return call.function(*args, **kwargs)
        with run:
            result = call.function(*args, **kwargs)
            _log_result(run, result)
        return result

    return tracked


def _wrap_coroutine(call: _Call) -> Callable[..., Any]:
    @functools.wraps(call.function)
    async def tracked(*args: Any, **kwargs: Any) -> Any:
        run = call.begin(args, kwargs)
        if run is None:
            return await call.function(*args, **kwargs)
        with run:
            result = await call.function(*args, **kwargs)
            _log_result(run, result)
        return result

    return tracked


def _wrap_generator(call: _Call) -> Callable[..., Any]:
    @functools.wraps(call.function)
    def tracked(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator = call.function(*args, **kwargs)
        run = call.begin(args, kwargs)
        activation = active.Activation(run) if run else contextlib.nullcontext()
        step: Callable[[], Any] = functools.partial(next, generator)
        while True:
            try:
                with activation:
                    value = step()
            except StopIteration as end:
                _end(run, None, end.value)
                return end.value
            except BaseException as error:
                _end(run, error)
                raise
            try:
                sent = yield value
            except GeneratorExit:
                with _closing(run), activation:
                    generator.close()
                raise
            except BaseException as thrown:  # noqa: BLE001 - it is thrown into the generator, which may handle it
                step = functools.partial(generator.throw, thrown)
            else:
                step = functools.partial(generator.send, sent)

    return tracked


def _wrap_async_generator(call: _Call) -> Callable[..., Any]:
    @functools.wraps(call.function)
    async def tracked(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        generator = call.function(*args, **kwargs)
        run = call.begin(args, kwargs)
        activation = active.Activation(run) if run else contextlib.nullcontext()
        step: Callable[[], Any] = generator.__anext__
        while True:
            try:
                with activation:
                    value = await step()
            except StopAsyncIteration:
                _end(run, None)
                return
            except BaseException as error:
                _end(run, error)
                raise
            try:
                sent = yield value
            except GeneratorExit:
                with _closing(run), activation:
                    await generator.aclose()
                raise
            except BaseException as thrown:  # noqa: BLE001 - as above
                step = functools.partial(generator.athrow, thrown)
            else:
                step = functools.partial(generator.asend, sent)

    return tracked


_WRAPPERS = (
    (inspect.isasyncgenfunction, _wrap_async_generator),
    (inspect.isgeneratorfunction, _wrap_generator),
    (inspect.iscoroutinefunction, _wrap_coroutine),
)


def _start(options: dict[str, Any]) -> Run:
    """Start a run, nested in the active one if there is one and no other parent is named."""
    from tracklib.api import start_run

    return start_run(**{"parent": active.current(), "activate": False, **options})


def _end(run: Run | None, error: BaseException | None, result: Any = None) -> None:
    if run is not None:
        _log_result(run, result)
        run.finish_because(ending_of(error))


@contextlib.contextmanager
def _closing(run: Run | None) -> Iterator[None]:
    """End the run of a generator that is closed, as failed where it raises then."""
    ending = Ending(RunStatus.COMPLETED, "the generator was closed")
    try:
        yield
    except BaseException as error:
        ending = ending_of(error)
        raise
    finally:
        if run is not None and run.is_open:
            _finish_closed(run, ending)


def _finish_closed(run: Run, ending: Ending) -> None:
    thread = threading.Thread(target=run.finish_because, args=(ending,), name=f"tracklib-closing-{run.id}")
    thread.start()
    # A forgotten generator is collected in any thread, also in one of the run's own, which cannot wait for itself.
    if not threading.current_thread().name.startswith("tracklib-"):
        thread.join()


def _names(argument: str, names: Collection[str] | None) -> frozenset[str] | None:
    if names is None or isinstance(names, str):
        return None if names is None else frozenset({names})
    found = frozenset(names)
    if not all(isinstance(name, str) for name in found):
        raise ConfigError(f"{argument} is {names!r:.200}, but takes names of arguments")
    return found


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
