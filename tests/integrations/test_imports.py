"""What is to be done to a module is done when it has been imported, whenever that is."""

from __future__ import annotations

import importlib
import importlib.resources
import importlib.util
import inspect
import logging
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tracklib.integrations import imports
from tracklib.integrations.imports import forget, when_imported

NAMES = ("watched", "watched.part", "watched.other", "zipped", "lone")


@pytest.fixture(autouse=True, name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a package that can be imported, and forget it and the actions afterwards."""
    package = tmp_path / "library" / "watched"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("value = 1\n")
    (package / "part.py").write_text("def answer():\n    return 42\n")
    (package / "other.py").write_text("from watched.part import answer\n")
    (package / "data.txt").write_text("data")
    monkeypatch.syspath_prepend(package.parent)
    yield package
    forget()
    for name in NAMES:
        sys.modules.pop(name, None)


@pytest.fixture(name="seen")
def _seen() -> list[Any]:
    """Return a list for what actions are called with."""
    return []


def test_it_is_done_after_a_later_import(seen: list[Any]) -> None:
    """Once, when the module is complete, and nothing is imported for it."""
    when_imported("watched", lambda module: seen.append(module.value))
    assert "watched" not in sys.modules
    importlib.import_module("watched")
    importlib.import_module("watched")

    assert seen == [1]


def test_it_is_done_at_once_after_an_earlier_import(seen: list[Any]) -> None:
    """The order of imports does not matter."""
    module = importlib.import_module("watched")
    when_imported("watched", seen.append)

    assert seen == [module]


@pytest.mark.parametrize(
    "importing",
    [
        lambda: importlib.import_module("watched.part"),
        lambda: importlib.import_module(".part", "watched"),
        lambda: __import__("watched.part"),
        lambda: exec("from watched import part", {}),  # noqa: S102 - a statement like any other
        lambda: importlib.import_module("watched.other"),
    ],
    ids=["import_module", "relative", "__import__", "statement", "by another module"],
)
def test_every_way_to_import_counts(importing: Callable[[], object], seen: list[Any]) -> None:
    """Statements, functions, and what other modules import."""
    when_imported("watched.part", seen.append)
    importing()

    assert seen == [sys.modules["watched.part"]]


def test_what_is_taken_from_a_module_afterwards_is_what_the_action_left() -> None:
    """`from watched.part import answer` gets the replacement."""
    when_imported("watched.part", lambda module: setattr(module, "answer", lambda: 43))

    assert importlib.import_module("watched.other").answer() == 43


def test_a_reloaded_module_gets_its_turn_again(seen: list[Any]) -> None:
    """Its functions are new ones."""
    when_imported("watched", seen.append)
    module = importlib.import_module("watched")
    importlib.reload(module)

    assert seen == [module, module]


def test_several_actions_are_done_in_order() -> None:
    """One that fails keeps nobody from anything."""
    order: list[int] = []
    when_imported("watched", lambda _: order.append(1))
    when_imported("watched", lambda _: order.append(1 // 0))
    when_imported("watched", lambda _: order.append(2))
    importlib.import_module("watched")

    assert order == [1, 2]


def test_a_fault_of_an_action_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """And the import goes on."""

    def broken(module: ModuleType) -> None:
        raise OSError(f"no {module.__name__}")

    with caplog.at_level(logging.WARNING):
        when_imported("watched", broken)
        module = importlib.import_module("watched")

    assert module.value == 1
    assert "no watched" in caplog.text


def test_a_module_that_fails_is_not_touched(folder: Path, seen: list[Any]) -> None:
    """Its exception passes, and a later import may succeed."""
    (folder / "part.py").write_text("raise ImportError('broken')")
    when_imported("watched.part", seen.append)

    with pytest.raises(ImportError, match="broken"):
        importlib.import_module("watched.part")
    assert seen == []


def test_a_missing_module_is_missing_as_ever(seen: list[Any]) -> None:
    """With the usual error."""
    when_imported("watched.missing", seen.append)

    with pytest.raises(ModuleNotFoundError, match=r"No module named 'watched\.missing'"):
        importlib.import_module("watched.missing")


def test_asking_whether_a_module_is_there_does_nothing(seen: list[Any]) -> None:
    """Programs do that before they import it."""
    when_imported("lone", seen.append)
    when_imported("watched", seen.append)

    assert importlib.util.find_spec("lone") is None
    assert importlib.util.find_spec("watched") is not None
    assert seen == []
    importlib.import_module("watched")
    assert seen == [sys.modules["watched"]]


# ---- modules that are not simply there


def test_a_module_that_replaces_itself_is_given_as_what_it_became(folder: Path, seen: list[Any]) -> None:
    """As libraries do that import their parts on demand."""
    (folder / "part.py").write_text(
        "import sys, types\nown = types.ModuleType(__name__)\nown.__spec__ = __spec__\nsys.modules[__name__] = own\n"
    )
    when_imported("watched.part", seen.append)
    importlib.import_module("watched.part")

    assert seen == [sys.modules["watched.part"]]
    assert not hasattr(seen[0], "own")


def test_an_action_given_while_a_followed_module_is_executed_comes_after_it(folder: Path, seen: list[Any]) -> None:
    """It sees the module complete."""
    (folder / "__init__.py").write_text(
        "from tracklib.integrations.imports import when_imported\n"
        "import watched_log\n"
        "when_imported('watched', watched_log.late)\n"
        "value = 1\n"
    )
    log = ModuleType("watched_log")
    log.__dict__["late"] = lambda module: seen.append(module.value)
    sys.modules["watched_log"] = log
    when_imported("watched", lambda _: None)
    importlib.import_module("watched")
    del sys.modules["watched_log"]

    assert seen == [1]


def test_a_module_whose_import_began_before_gets_its_turn_at_the_next_import(folder: Path, seen: list[Any]) -> None:
    """It is half imported by another thread, say: then nothing is done to it yet."""
    started, go_on = threading.Event(), threading.Event()
    events = ModuleType("watched_log")
    events.__dict__.update(started=started, go_on=go_on)
    sys.modules["watched_log"] = events
    (folder / "__init__.py").write_text(
        "import watched_log\nwatched_log.started.set()\nwatched_log.go_on.wait(60)\nvalue = 1\n"
    )
    thread = threading.Thread(target=importlib.import_module, args=("watched",))
    thread.start()
    assert started.wait(60)

    when_imported("watched", lambda module: seen.append(module.value))
    assert seen == []
    go_on.set()
    thread.join()
    importlib.import_module("watched.part")
    importlib.import_module("watched.other")
    del sys.modules["watched_log"]

    assert seen == [1]


def test_modules_in_an_archive_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[Any]) -> None:
    """Their loader is one for all of them."""
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("zipped.py", "value = 2\n")
        archive.writestr("lone.py", "value = 3\n")
    monkeypatch.syspath_prepend(tmp_path / "archive.zip")
    when_imported("zipped", seen.append)
    importlib.import_module("lone")
    importlib.import_module("zipped")

    assert seen == [sys.modules["zipped"]]


def test_built_in_modules_are_left_alone(seen: list[Any]) -> None:
    """One class loads them all."""
    before = vars(importlib.machinery.BuiltinImporter).copy()
    when_imported("_watched_builtin", seen.append)
    imports._act_after(importlib.machinery.ModuleSpec("_watched_builtin", importlib.machinery.BuiltinImporter))  # type: ignore[arg-type]  # its loader is a class

    assert vars(importlib.machinery.BuiltinImporter) == before


# ---- nothing is changed about a module


def test_source_and_resources_are_found_as_ever() -> None:
    """Whoever asks a module's loader gets the loader."""
    when_imported("watched", lambda _: None)
    when_imported("watched.part", lambda _: None)
    part = importlib.import_module("watched.part")

    assert inspect.getsource(part.answer) == "def answer():\n    return 42\n"
    assert importlib.resources.files("watched").joinpath("data.txt").read_text() == "data"
    assert isinstance(part.__loader__, importlib.machinery.SourceFileLoader)
    assert part.__spec__ is not None
    assert part.__spec__.loader is part.__loader__


def test_forgetting_leaves_no_trace(seen: list[Any]) -> None:
    """Later imports are as if nobody had asked."""
    before = [finder for finder in sys.meta_path if finder is not imports._finder]
    when_imported("watched", seen.append)
    forget()
    importlib.import_module("watched")

    assert seen == []
    assert sys.meta_path == before


def test_after_forgetting_it_can_be_asked_for_again(seen: list[Any]) -> None:
    """As `undo` and a second `autolog` do."""
    when_imported("watched", seen.append)
    forget()
    when_imported("watched", seen.append)
    importlib.import_module("watched")

    assert seen == [sys.modules["watched"]]
