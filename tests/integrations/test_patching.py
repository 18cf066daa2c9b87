"""Functions of frameworks are replaced so that nobody notices, and put back."""

from __future__ import annotations

import functools
import inspect
import multiprocessing
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from tracklib.integrations.patching import Patches, is_data_worker, nested

Around = Callable[..., Any]


class Base:
    def greet(self, name: str) -> str:
        """Greet somebody."""
        return f"hello {name}"

    @staticmethod
    def add(one: int, other: int = 1) -> int:
        return one + other

    @classmethod
    def make(cls) -> Base:
        return cls()


class Derived(Base):
    """Inherits all methods."""


def greet(name: str) -> str:
    """Greet somebody."""
    return f"hello {name}"


def loud(original: Any, *arguments: Any, **keywords: Any) -> Any:
    result = original(*arguments, **keywords)
    return result.upper() if isinstance(result, str) else result


def polite(original: Any, *arguments: Any, **keywords: Any) -> Any:
    return f"{original(*arguments, **keywords)}, please"


@pytest.fixture(name="module")
def _module() -> ModuleType:
    """Return a module with a function of its own."""
    module = ModuleType("polite")
    module.__dict__.update(greet=greet, alias=greet, other=len)
    return module


@pytest.fixture(name="patches")
def _patches() -> Iterator[Patches]:
    patches = Patches()
    yield patches
    patches.undo()


def test_a_replacement_looks_like_the_original(module: ModuleType, patches: Patches) -> None:
    """Name, documentation, signature and source are those of the original."""
    patches.wrap(module, "greet", loud)

    assert module.greet("you") == "HELLO YOU"
    assert (module.greet.__name__, module.greet.__doc__) == ("greet", "Greet somebody.")
    assert inspect.signature(module.greet) == inspect.signature(greet)
    assert inspect.getsource(module.greet) == inspect.getsource(greet)


def test_aliases_stay_the_same_object(module: ModuleType, patches: Patches) -> None:
    """Where something else stands, it stays."""
    patches.wrap(module, "greet", loud, (module, "alias"), (module, "other"), (module, "missing"))

    assert module.alias is module.greet
    assert module.other is len
    assert not hasattr(module, "missing")


def test_a_replacement_can_be_pickled(patches: Patches) -> None:
    """By reference, as the original can."""
    patches.wrap(pickle, "encode_long", loud)

    assert pickle.loads(pickle.dumps(pickle.encode_long)) is pickle.encode_long  # noqa: S301 - our own


def test_everything_is_put_back(module: ModuleType, patches: Patches) -> None:
    """The very objects, under each name; a second time nothing happens."""
    patches.wrap(module, "greet", loud, (module, "alias"))
    patches.undo()
    patches.undo()

    assert module.greet is greet
    assert module.alias is greet


def test_an_inherited_method_is_replaced_for_the_class_alone(patches: Patches) -> None:
    """And is inherited again afterwards."""
    patches.wrap(Derived, "greet", loud)

    assert (Derived().greet("you"), Base().greet("you")) == ("HELLO YOU", "hello you")
    patches.undo()
    assert "greet" not in vars(Derived)


def test_methods_of_classes_remain_what_they_are(patches: Patches) -> None:
    """Static ones static, class methods class methods."""
    calls: list[tuple[Any, ...]] = []

    def note(original: Any, *arguments: Any, **keywords: Any) -> Any:
        calls.append(arguments)
        return original(*arguments, **keywords)

    before = (vars(Base)["add"], vars(Base)["make"])
    patches.wrap(Base, "add", note)
    patches.wrap(Base, "make", note)

    assert (Base.add(1), Base().add(1, other=2), type(Derived.make())) == (2, 3, Derived)
    assert calls == [(1,), (1,), (Derived,)]
    patches.undo()
    assert (vars(Base)["add"], vars(Base)["make"]) == before


def test_what_is_missing_or_no_function_is_left_alone(module: ModuleType, patches: Patches) -> None:
    """Another version of a framework may not have it."""
    module.__dict__["number"] = 3
    patches.wrap(module, "number", loud)
    patches.wrap(module, "missing", loud)

    assert module.__dict__["number"] == 3
    assert not hasattr(module, "missing")


def test_the_same_is_not_put_around_twice(module: ModuleType, patches: Patches) -> None:
    """Not by somebody else either, and not when another library has wrapped it in between."""
    patches.wrap(module, "greet", polite)
    patches.wrap(module, "greet", polite)
    Patches().wrap(module, "greet", polite)
    ours = module.greet
    module.__dict__["greet"] = functools.wraps(ours)(functools.partial(ours))
    Patches().wrap(module, "greet", polite)

    assert module.greet("you") == "hello you, please"


def test_a_function_made_anew_at_each_call_counts_as_the_same(module: ModuleType, patches: Patches) -> None:
    """Unless it closes over something else."""

    def around(word: Any) -> Around:
        return lambda original, *arguments: f"{original(*arguments)}, {word}"

    for word in (len, len, greet):
        patches.wrap(module, "greet", around(word))

    assert module.greet("you") == f"hello you, {len}, {greet}"


def test_two_integrations_may_watch_one_function(module: ModuleType) -> None:
    """And may be undone in any order."""
    first, second = Patches(), Patches()
    first.wrap(module, "greet", loud)
    second.wrap(module, "greet", polite)

    assert module.greet("you") == "HELLO YOU, please"
    first.undo()
    assert module.greet("you") == "hello you, please"
    second.undo()
    assert module.greet is greet


def test_what_somebody_else_has_put_over_ours_stays(module: ModuleType, patches: Patches) -> None:
    """Ours within it only passes on, and can be put around the whole again."""
    patches.wrap(module, "greet", loud)
    ours = module.greet
    theirs = functools.wraps(ours)(lambda name: ours(name) + "!")
    module.__dict__["greet"] = theirs
    patches.undo()

    assert module.greet is theirs
    assert module.greet("you") == "hello you!"
    again = Patches()
    again.wrap(module, "greet", loud)
    assert module.greet("you") == "HELLO YOU!"
    again.undo()
    assert module.greet is theirs


def test_exceptions_pass_through(module: ModuleType, patches: Patches) -> None:
    """The very object."""
    error = KeyboardInterrupt()

    def fail() -> None:
        raise error

    module.__dict__["fail"] = fail
    patches.wrap(module, "fail", loud)

    with pytest.raises(KeyboardInterrupt) as raised:
        module.__dict__["fail"]()
    assert raised.value is error


def in_child(action: Callable[[], str]) -> str:
    """Return what a function returns in a forked child."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, action().encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def test_a_forked_child_is_left_alone(module: ModuleType, patches: Patches) -> None:
    """There replacements only pass on."""
    patches.wrap(module, "greet", loud)

    assert in_child(lambda: str(module.greet("you"))) == "hello you"


def test_a_forked_child_may_watch_for_itself(module: ModuleType, patches: Patches) -> None:
    """What it inherited is not in the way."""
    patches.wrap(module, "greet", loud)

    def watch() -> str:
        Patches().wrap(module, "greet", loud)
        return str(module.greet("you"))

    assert in_child(watch) == "HELLO YOU"


def test_a_worker_of_a_data_loader_is_left_alone() -> None:
    """It is told by torch, which is not imported for that."""
    pytest.importorskip("torch")
    import torch.utils.data

    class Asking(torch.utils.data.Dataset[bool]):
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> bool:
            return is_data_worker()

    spawn = multiprocessing.get_context("fork")
    loader = torch.utils.data.DataLoader(Asking(), num_workers=1, multiprocessing_context=spawn, batch_size=None)

    assert list(loader) == [True]
    assert not is_data_worker()


def test_calls_within_calls_are_told_by_thread_and_kind() -> None:
    """Also after an exception."""
    seen: list[bool] = []

    def look() -> None:
        with nested("patching") as within:
            seen.append(within)

    def fail() -> None:
        with nested("patching") as first, nested("patching") as second, nested("other") as other:
            seen.extend([first, second, other])
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    look()

    assert seen == [False, True, False, False, False]
