"""What is public: exactly what `__all__` lists, and all of it is described."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest

import tracklib
from tracklib import errors

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tracklib.__path__, "tracklib.")
    if not module.name.startswith("tracklib.integrations.")
)
"""All of ours but the integrations, whose frameworks need not be installed."""


def is_described(thing: object) -> bool:
    """Tell whether there is a docstring of its own, not one that a dataclass or a base made up."""
    documentation = (vars(thing) if isinstance(thing, type) else {}).get("__doc__") or inspect.getdoc(thing) or ""
    return bool(documentation) and not documentation.startswith(f"{getattr(thing, '__name__', '')}(")


def test_all_is_what_shows() -> None:
    """Sorted, and no other public name beside it."""
    assert tracklib.__all__ == sorted(tracklib.__all__)
    assert [name for name in dir(tracklib) if not name.startswith("_")] == tracklib.__all__


def test_all_of_it_is_there() -> None:
    """Each name leads to something, and by star too."""
    found: dict[str, object] = {}
    exec("from tracklib import *", found)  # noqa: S102 - our own words

    assert {name for name in found if not name.startswith("__")} == set(tracklib.__all__)
    assert tracklib.__version__


@pytest.mark.parametrize("name", tracklib.__all__)
def test_each_public_name_is_described(name: str) -> None:
    """With a docstring; so is each public member of a class."""
    thing = getattr(tracklib, name)
    assert is_described(thing)
    if isinstance(thing, type):
        members = {key: member for key, member in inspect.getmembers(thing) if not key.startswith("_")}
        plain = {key for key, member in members.items() if inspect.ismemberdescriptor(member) or not callable(member)}
        own = {key: member for key, member in members.items() if key not in plain or isinstance(member, property)}
        assert [key for key, member in own.items() if not is_described(member)] == []


@pytest.mark.parametrize("name", MODULES)
def test_each_module_is_described(name: str) -> None:
    """In one line at least; its `__all__` is sorted as ruff does it, and true."""
    module = import_module(name)

    assert module.__doc__
    assert [missing for missing in getattr(module, "__all__", ()) if not hasattr(module, missing)] == []


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_is_also_a_built_in_one(name: str) -> None:
    """So that it is caught by whoever does not know us; and it is described."""
    error = getattr(errors, name)

    assert issubclass(error, errors.TracklibError)
    assert is_described(error)
    built_in = {base.__name__ for base in error.__mro__ if base.__module__ == "builtins"} - {
        "Exception",
        "BaseException",
        "object",
    }
    assert built_in or error is errors.TracklibError


def test_the_tree_of_errors_is_as_it_is_drawn() -> None:
    """The docstring of the module names each one."""
    assert [name for name in errors.__all__ if name not in (errors.__doc__ or "")] == []
