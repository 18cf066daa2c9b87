"""The rules of the house: arrows point down, files fit in a head and functions in the eye."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import tracklib

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tracklib"
LONGEST_FILE = 500
LONGEST_FUNCTION = 40
LONGEST_CLASS = 300

EXEMPT: dict[str, str] = {
    "tracklib.recording.hot_path.bind_hot_path": "one scope for the functions that share the state of a log call",
    "tracklib.recording.journal.Journal.__init__": "its arguments and its state, one line for each",
    "tracklib.stores.schema._point_tables": "the columns of tables, side by side",
    "tracklib.stores.schema._run_tables": "the columns of tables, side by side",
}
"""Functions and classes that are longer, each with its reason. The list only shrinks."""

GROUND = {"durations", "errors", "model", "records", "settings", "values"}
MAY_IMPORT: dict[str, set[str]] = {
    "durations": set(),
    "errors": set(),
    "forking": set(),
    "records": {"errors"},
    "values": {"errors", "records"},
    "settings": {"errors"},
    "model": {"errors", "records"},
    "queries": {"errors", "model", "records"},
    "active": set(),
    "ranks": set(),
    "jobs": {"ranks", "records"},
    "capture": GROUND,
    "stores": GROUND | {"forking", "queries"},
    "recording": GROUND | {"artifacts", "forking", "stores"},
    "describing": GROUND | {"capture"},
    "lifecycle": GROUND | {"forking", "recording"},
    "finding": GROUND | {"queries", "stores"},
    "frames": GROUND,
    "bucketing": GROUND | {"frames"},
    "series": GROUND | {"bucketing", "frames", "stores"},
    "artifacts": GROUND | {"capture", "stores"},
    "disabled": GROUND | {"active", "artifact_reading", "lifecycle"},
    "run": GROUND | {"active", "artifacts", "describing", "forking", "jobs", "lifecycle", "recording"} | {"stores"},
    "rank_run": GROUND | {"run"},
    "capturing": GROUND | {"capture", "run", "stores"},
    "starting": GROUND | {"capturing", "finding", "jobs", "rank_run", "ranks", "recording", "run", "stores"},
    "reading": GROUND | {"artifacts", "finding", "queries", "recording", "series", "starting", "stores"},
    "organizing": GROUND | {"describing", "reading", "starting", "stores"},
    "editing": GROUND | {"describing", "finding", "reading", "recording", "run", "starting", "stores"},
    "artifact_reading": GROUND | {"artifacts", "editing", "reading", "run", "starting", "stores"},
    "syncing": GROUND | {"recording", "starting", "stores"},
    "collecting": GROUND | {"reading", "stores"},
    "copied_descriptions": GROUND | {"stores"},
    "copied_files": GROUND | {"stores"},
    "copying": GROUND
    | {"copied_descriptions", "copied_files", "finding", "reading", "recording", "run", "starting", "stores"},
    "api": GROUND | {"active", "describing", "disabled", "ranks", "run", "starting"},
    "decorator": GROUND | {"active", "api", "lifecycle"},
    "tracklib": {"api"},
    "testing": GROUND | {"queries", "stores"},
    "analysis": GROUND | {"tracklib", "finding", "frames", "queries", "reading", "series", "stores"},
    "charts": GROUND | {"tracklib", "analysis", "capture", "reading", "series", "stores"},
    "report": GROUND | {"tracklib", "analysis", "charts", "reading", "stores"},
    "server": GROUND | {"tracklib", "analysis", "charts", "finding", "organizing", "reading", "starting", "stores"},
    "cli": GROUND
    | {"tracklib", "analysis", "capture", "charts", "finding", "organizing", "reading", "server", "starting", "stores"}
    | {"artifact_reading", "artifacts", "collecting", "copying", "editing", "integrations", "queries", "series"}
    | {"report", "syncing"},
    "integrations": {"tracklib"},
}
"""What each module or folder of the package may import of the others. A new one is given its place here."""

READERS = ("analysis", "charts", "cli", "report", "server")
LOOK_INSIDE: dict[str, str] = {
    "tracklib.cli.checks": "`doctor` looks at the machinery itself",
}
"""Readers that may reach behind the Store, each with its reason."""


class Import(NamedTuple):
    """That a module imports another, or a name from it; `late` where it does so within a function."""

    source: str
    target: str
    name: str
    late: bool


def module_name(path: Path) -> str:
    parts = ("tracklib", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    """Return our modules by name; the integrations are found through the link."""
    paths = [*PACKAGE.rglob("*.py"), *(PACKAGE / "integrations").rglob("*.py")]
    return {module_name(path): path for path in sorted(set(paths))}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def statements(node: ast.AST, *, late: bool = False) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the imports of a module that happen when it runs: not those for type checkers alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", None) == "TYPE_CHECKING":
            continue
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, late
        else:
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from statements(child, late=late or is_function)


@cache
def imports() -> list[Import]:
    """Return what our modules import of each other."""
    found = []
    for source, path in modules().items():
        for statement, late in statements(tree_of(path)):
            if isinstance(statement, ast.Import):
                found += [Import(source, alias.name, "", late) for alias in statement.names]
            else:
                assert statement.level == 0, f"{source} imports relatively"
                for alias in statement.names:
                    inner = f"{statement.module}.{alias.name}"
                    found.append(
                        Import(source, inner if inner in modules() else statement.module or "", alias.name, late)
                    )
    return [each for each in found if each.target.partition(".")[0] == "tracklib"]


def place(module: str) -> str:
    """Return the module or folder right below the package that a module belongs to."""
    return module.split(".")[1] if "." in module else module


# ---- arrows


def test_every_part_has_its_place() -> None:
    """A new module or folder is put into the table above."""
    assert {place(name) for name in modules()} - MAY_IMPORT.keys() == set()


def test_arrows_point_down() -> None:
    """Late imports are imports too."""
    wrong = [
        f"{each.source} -> {each.target}"
        for each in imports()
        if place(each.source) != place(each.target)
        and place(each.target) not in MAY_IMPORT[place(each.source)]
        and each.source not in LOOK_INSIDE
    ]
    assert wrong == []


def test_the_table_has_no_cycle() -> None:
    """What may be imported is a tree of layers, not of wishes."""
    seen: dict[str, int] = {}

    def depth(part: str, above: tuple[str, ...] = ()) -> int:
        assert part not in above, " -> ".join([*above, part])
        if part not in seen:
            seen[part] = 1 + max((depth(below, (*above, part)) for below in MAY_IMPORT[part]), default=0)
        return seen[part]

    assert all(depth(part) for part in MAY_IMPORT)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Within a folder, too."""
    graph: dict[str, set[str]] = {name: set() for name in modules()}
    for each in imports():
        if each.target in graph and each.target != each.source:
            graph[each.source].add(each.target)

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above[above.index(name) :], name])
        if name not in done:
            for below in graph[name]:
                visit(below, (*above, name))
            done.add(name)

    done: set[str] = set()
    for name in graph:
        visit(name, ())


def test_readers_read_through_the_store() -> None:
    """Analysis, charts, commands and server know the Store, not how one keeps things."""
    wrong = [
        f"{each.source} -> {each.target}"
        for each in imports()
        if place(each.source) in READERS
        and each.target.startswith("tracklib.stores.")
        and each.source not in LOOK_INSIDE
    ]
    assert [each for each in wrong if not each.endswith("-> tracklib.stores.base")] == []


def test_integrations_use_what_everybody_may_use() -> None:
    """Only names that the package exports, and each other."""
    wrong = [
        f"{each.source} -> {each.target}.{each.name}"
        for each in imports()
        if place(each.source) == "integrations"
        and place(each.target) != "integrations"
        and not (each.target == "tracklib" and each.name in {"", *tracklib.__all__})
    ]
    assert wrong == []


def test_nobody_imports_a_private_name() -> None:
    """A name with an underscore belongs to its module."""
    wrong = [f"{each.source} -> {each.target}.{each.name}" for each in imports() if each.name.startswith("_")]
    assert [each for each in wrong if not each.endswith(".__version__")] == []


# ---- sizes


def sources() -> list[Path]:
    tests = [path for path in (ROOT / "tests").rglob("*.py") if "benchmarks" not in path.parts]
    return [*modules().values(), *tests]


def test_a_file_fits_in_a_head() -> None:
    """The longest are named."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}

    assert {name: length for name, length in worst(lengths) if length > LONGEST_FILE} == {}


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def length(node: Definition) -> int:
    """Return the lines of a definition without the docstrings in it."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    for each in ast.walk(node):
        if isinstance(each, Definition) and ast.get_docstring(each, clean=False) is not None:
            first = each.body[0]
            lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def definitions(kinds: tuple[type[ast.AST], ...]) -> dict[str, int]:
    """Return the lengths of definitions by their full names."""
    found: dict[str, int] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = f"{prefix}.{child.name}" if isinstance(child, Definition) else prefix
            if isinstance(child, Definition) and isinstance(child, kinds):
                found[name] = max(length(child), found.get(name, 0))
            visit(child, name)

    for module, path in modules().items():
        visit(tree_of(path), module)
    return found


def worst(lengths: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(lengths.items(), key=lambda pair: -pair[1])[:5]


@pytest.mark.parametrize(
    ("kinds", "longest"),
    [((ast.FunctionDef, ast.AsyncFunctionDef), LONGEST_FUNCTION), ((ast.ClassDef,), LONGEST_CLASS)],
    ids=["functions", "classes"],
)
def test_a_definition_fits_in_the_eye(kinds: tuple[type[ast.AST], ...], longest: int) -> None:
    """Without its docstring; the longest five are named."""
    lengths = {name: lines for name, lines in definitions(kinds).items() if name not in EXEMPT}

    assert {name: lines for name, lines in worst(lengths) if lines > longest} == {}


def test_exemptions_are_needed() -> None:
    """One that is no longer is taken off the list."""
    lengths = definitions((ast.AST,))

    assert [name for name in EXEMPT if lengths.get(name, 0) <= LONGEST_FUNCTION] == []
    assert [name for name in LOOK_INSIDE if name not in modules()] == []


# ---- packaging


def test_every_folder_is_shipped() -> None:
    """The list in pyproject.toml is that of the folders; a new one would be missing from the wheel."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    folders = {name for name, path in modules().items() if path.name == "__init__.py"}

    assert sorted(listed) == sorted(folders)


def test_every_folder_is_a_package() -> None:
    """With an `__init__.py` of its own."""
    folders = {path.parent for path in modules().values()}

    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_the_integrations_are_linked() -> None:
    """So that tools that read files see them as part of the package."""
    assert (PACKAGE / "integrations").resolve() == (ROOT / "integrations").resolve()


def test_tests_and_fixtures_are_not_shipped() -> None:
    """No conftest lies in the package."""
    assert [str(path) for path in modules().values() if path.name.startswith(("conftest", "test_"))] == []
