#!/usr/bin/env python3
"""Writes the parts of the documentation that are made from the code.

Such a part stands in a page between two comments that name it:

    <!-- begin generated help tracklib runs -->
    <!-- end generated help tracklib runs -->

The first word of the name is a key of `GENERATORS`; what follows it is handed to that function.

    python docs/generate.py                 write all pages
    python docs/generate.py --check         write nothing, and fail if a page is out of date
    python docs/generate.py docs/a.md       the same for some pages
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, fields
from enum import Enum
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).resolve().parent.parent
HELP_WIDTH: Final = 80

_PART = re.compile(r"(<!-- begin generated (?P<name>[^\n]+?) -->\n).*?(<!-- end generated (?P=name) -->)", re.DOTALL)
_BEGIN = re.compile(r"<!-- begin generated ")
_BAR = r"\|"
_ALIASES: Final = {"StoreName": "str | os.PathLike[str] | None"}


def help_text(command_line: str) -> str:
    """Return what `--help` prints for a command, as a code block.

    Args:
        command_line: Its words, as in "tracklib projects set".
    """
    from tracklib.cli.main import cli

    program, *words = command_line.split()
    command: click.Command = cli
    context = cli.make_context(program, [], resilient_parsing=True, terminal_width=HELP_WIDTH)
    for word in words:
        found = command.get_command(context, word) if isinstance(command, click.Group) else None
        if found is None:
            raise LookupError(f"there is no command {command_line!r}")
        command = found
        context = command.make_context(word, [], parent=context, resilient_parsing=True, terminal_width=HELP_WIDTH)
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


def settings_table(_: str) -> str:
    """Return the table of all settings, from the class that has them."""
    from tracklib.settings import Settings

    texts = sections(Settings)["Attributes"]
    rows = [
        (f"`{f.name}`", f"`TRACKLIB_{f.name.upper()}`", kind_of(f), default_of(f), texts.get(f.name, ""))
        for f in fields(Settings)
    ]
    return table(("setting", "variable", "type", "default", "meaning"), rows)


def fields_table(path: str) -> str:
    """Return the table of a dataclass's fields.

    Args:
        path: `module:Class`, below `tracklib`.
    """
    kind = find(path)
    texts = sections(kind).get("Attributes", {})
    rows = [(f"`{f.name}`", kind_of(f), texts.get(f.name, "")) for f in fields(kind)]
    return table(("field", "type", "meaning"), rows)


def metrics_table(prefix: str) -> str:
    """Return the table of the metrics of the machine whose names begin so."""
    from tracklib.capture.units import METRIC_UNITS

    rows = [(f"`{name}`", *text.split(": ", 1)) for name, text in METRIC_UNITS.items() if name.startswith(prefix)]
    if not rows:
        raise LookupError(f"no metric begins with {prefix!r}")
    return table(("metric", "unit", "meaning"), rows)


def filters_table(what: str) -> str:
    """Return a table about the language of filters.

    Args:
        what: attributes, statistics or functions.
    """
    from tracklib.queries.attributes import ATTRIBUTES, STATISTICS
    from tracklib.queries.calls import CALLS

    if what == "attributes":
        rows = [(f"`run.{name}`", str(each.type), each.description) for name, each in ATTRIBUTES.items()]
        return table(("attribute", "type", "what it says"), rows)
    if what == "statistics":
        return table(("name", "meaning"), [(f"`.{name}`", text) for name, text in STATISTICS.items()])
    return table(("function", "meaning"), [(f"`{each.example}`", each.description) for each in CALLS.values()])


def api_entries(names: str) -> str:
    """Return an entry for each function, class or method: its signature and what its docstring says of it.

    Args:
        names: Attributes of `tracklib`, as in "start_run Run.log".
    """
    return "\n".join(_entry(name) for name in names.split())


def members_table(words: str) -> str:
    """Return a table of attributes.

    Args:
        words: A class and the names of some of its properties, as in "StoredRun status params".
    """
    path, *names = words.split()
    kind = find(path)
    texts: dict[str, str] = {}
    types: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        texts |= sections(base).get("Attributes", {}) if base.__doc__ else {}
        types |= inspect.get_annotations(base)
    rows = []
    for name in names:
        member = inspect.getattr_static(kind, name, None)
        getter = getattr(member, "fget", None) or getattr(member, "func", None)
        annotation = inspect.signature(getter).return_annotation if getter else types.get(name, "")
        text = texts.get(name) or " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
        rows.append((f"`{name}`", f"`{annotation}`" if annotation not in {"", inspect.Signature.empty} else "", text))
    return table(("attribute", "type", "meaning"), rows)


def errors_tree(_: str) -> str:
    """Return the tree of errors, as their module draws it."""
    from tracklib import errors

    tree = (errors.__doc__ or "").split("\n\n")[1]
    return f"```text\n{inspect.cleandoc(tree)}\n```\n"


def schema_sql(_: str) -> str:
    """Return the SQL that makes the tables of a store, as its migrations do."""
    from tracklib.stores.schema import render_schema

    statements = [text for text in render_schema().split("\n\n") if text.startswith("CREATE")]
    return "<!-- not run: a store is made with it -->\n```sql\n{}\n```\n".format("\n\n".join(statements))


# ---- docstrings


def find(path: str) -> Any:
    """Return what a path below `tracklib` names: `Run.log`, or `model:Run`."""
    module, colon, names = path.rpartition(":")
    found: Any = importlib.import_module(f"tracklib.{module}" if colon else "tracklib")
    for name in names.split("."):
        if not hasattr(found, name):
            raise LookupError(f"there is no {path!r} in tracklib")
        found = getattr(found, name)
    return found


def sections(thing: Any) -> dict[str, dict[str, str]]:
    """Return the lists of a docstring, such as Args and Raises: texts by name, by the list's heading."""
    found: dict[str, dict[str, str]] = {}
    for heading, body in re.findall(r"^(\w+):\n((?:(?: {4}.*)?\n)+)", f"{inspect.getdoc(thing)}\n", re.MULTILINE):
        items = re.findall(r"^ {4}([\w.]+): (.*(?:\n {5,}.*)*)", body, re.MULTILINE)
        found[heading] = {name: " ".join(text.split()) for name, text in items}
    return found


def _entry(name: str) -> str:
    thing = find(name)
    text = inspect.getdoc(thing) or ""
    lead = re.split(r"\n\n(?=\w+:\n)", text)[0]
    lines = [f"### `{name}`", "", f"```text\n{_signature(name, thing)}\n```", "", *_sentences(lead), ""]
    for heading, items in sections(thing).items():
        if heading in {"Args", "Attributes", "Raises"}:
            lines += [f"{heading}:", "", *(f"- `{key}`: {said}" for key, said in items.items()), ""]
    returns = re.search(r"^Returns:\n((?: {4}.*\n?)+)", text, re.MULTILINE)
    if returns:
        lines += [f"Returns: {' '.join(returns[1].split())}", ""]
    return "\n".join(lines)


def _sentences(text: str) -> Iterator[str]:
    """Yield text with one sentence in a line."""
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from re.split(r"(?<=[.!?]) (?=[A-Z`])", " ".join(paragraph.split()))


def _signature(name: str, thing: Any) -> str:
    signature = inspect.signature(thing)
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts and not any(p.startswith("*") for p in parts):
            parts.append("*")
        parts.append(_parameter(parameter))
    result = "" if signature.return_annotation in {inspect.Signature.empty, "None"} else signature.return_annotation
    returned = f" -> {result}" if result and not inspect.isclass(thing) else ""
    line = f"{name}({', '.join(parts)}){returned}"
    return line if len(line) <= 100 else f"{name}(\n    " + ",\n    ".join(parts) + f",\n){returned}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
    said = parameter.annotation
    kind = "" if said is parameter.empty else f": {_ALIASES.get(said, said)}"
    if parameter.default is parameter.empty:
        return f"{stars}{parameter.name}{kind}"
    default = str(parameter.default) if isinstance(parameter.default, Enum) else parameter.default
    return f"{parameter.name}{kind} = {default!r}"


def kind_of(f: Field[Any]) -> str:
    """Return the type of a field, as code."""
    return f"`{f.type}`"


def default_of(f: Field[Any]) -> str:
    """Return the default of a field, as code; nothing where it is None or empty."""
    value = f.default
    return f"`{value}`" if isinstance(value, (str, int, float, bool)) else ""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |\n" for cells in lines)


GENERATORS: Final[dict[str, Callable[[str], str]]] = {
    "api": api_entries,
    "errors": errors_tree,
    "fields": fields_table,
    "filters": filters_table,
    "help": help_text,
    "members": members_table,
    "metrics": metrics_table,
    "schema": schema_sql,
    "settings": settings_table,
}
"""What writes a part, by the first word of its name. It is given the rest and returns whole lines."""


def generated(page: str) -> str:
    """Return a page with its generated parts written anew.

    Raises:
        LookupError: A part has no generator, or no end.
    """
    if len(_BEGIN.findall(page)) != len(_PART.findall(page)):
        raise LookupError("a generated part has no end, or one of another name")
    return _PART.sub(lambda part: f"{part[1]}{_made(part['name'])}{part[3]}", page)


def _made(name: str) -> str:
    kind, _, rest = name.partition(" ")
    if kind not in GENERATORS:
        raise LookupError(f"nothing generates {name!r}: the first word is one of {', '.join(GENERATORS)}")
    return GENERATORS[kind](rest)


@click.command()
@click.option("--check", is_flag=True, help="Write nothing, and fail if a page is out of date.")
@click.argument("pages", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(*, check: bool, pages: tuple[Path, ...]) -> None:
    """Write the generated parts of PAGES, by default of all pages of the documentation."""
    stale = []
    for page in pages or (*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))):
        old = page.read_text(encoding="utf-8")
        try:
            new = generated(old)
        except LookupError as error:
            raise click.ClickException(f"{page}: {error}") from error
        if new != old:
            stale.append(page)
            if not check:
                page.write_text(new, encoding="utf-8")
    for page in stale:
        click.echo(f"{'out of date' if check else 'written'}: {page}")
    if stale and check:
        click.echo("run: python docs/generate.py", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
