"""`tracklib sql`: questions in SQL to the tables of any store, which nothing can change."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from tracklib.cli.options import Command, json_option, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.model import SqlRows
    from tracklib.stores.base import Store

__all__ = ["sql"]

SHOWN_ROWS: Final = 1000
"""So many rows are shown to people who did not say how many."""

_SCHEMA: Final = """
SELECT tables.name AS "table", columns.name AS "column", columns.type AS type
FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
WHERE tables.type IN ('table', 'view') AND tables.name NOT LIKE 'sqlite_%' AND tables.name NOT LIKE '\\_%' ESCAPE '\\'
ORDER BY tables.name, columns.cid
"""


@click.command(
    cls=Command,
    examples=[
        "tracklib sql --tables",
        'tracklib sql "SELECT name, status, duration FROM run ORDER BY duration DESC LIMIT 5"',
        "tracklib sql \"SELECT text, count(*) FROM param WHERE name = 'optimizer' GROUP BY text\"",
        "tracklib sql --csv - < question.sql > answer.csv",
    ],
)
@click.argument("statement", metavar="SELECT", required=False)
@click.option("--tables", is_flag=True, help="List tables and columns instead.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=0),
    help=f"How many rows; 0: all. By default {SHOWN_ROWS:,}, with --json and --csv all.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, with the names of the columns first.")
@store_option
@json_option
def sql(
    *, statement: str | None, tables: bool, limit: int | None, as_csv: bool, store: str | None, as_json: bool
) -> None:
    """Ask the tables of a store in SQL.

    SELECT is one statement that reads, as SQLite takes it; "-" means standard input. Nothing else is let through:
    no writing, no attaching of files. An object store is asked by its catalog on this machine, which is brought up to
    date first. Points of metrics are packed: `tracklib export metrics` gets them.
    """
    from tracklib.cli.output import console, styled, working

    text = _SCHEMA if tables else _statement(statement)
    most = _most(limit, everything=as_json or as_csv or tables)
    opened = _reached(store)
    with working("asking"):
        found = opened.query(text, limit=most)
    if as_json:
        _print_json(opened, found)
    elif as_csv:
        _print_csv(found)
    else:
        _print_table(found)
    if found.more:
        remark = f"There are more rows: --limit {max(1, most or 0) * 10}, or --limit 0 for all."
        console(error=True).print(styled(remark, "dim"))


def _statement(given: str | None) -> str:
    """Return what was given, or what stands on standard input.

    Raises:
        UsageError: Nothing was.
    """
    text = sys.stdin.read() if given == "-" else given
    if not text or not text.strip():
        raise click.UsageError("Give a SELECT, - for standard input, or --tables to see what there is to ask.")
    return text


def _most(limit: int | None, *, everything: bool) -> int | None:
    if limit is None:
        return None if everything else SHOWN_ROWS
    return limit or None


def _reached(store: str | None) -> Store:
    from tracklib.cli.reaching import reach_existing

    return reach_existing(store)


def _print_json(store: Store, found: SqlRows) -> None:
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import safe_uri

    rows = [[_readable(value) for value in row] for row in found.rows]
    print_json({"store": safe_uri(store.uri), "columns": found.columns, "rows": rows, "more": found.more})


def _print_csv(found: SqlRows) -> None:
    import csv

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(found.columns)
    writer.writerows([_readable(value) for value in row] for row in found.rows)


def _print_table(found: SqlRows) -> None:
    from tracklib.cli.output import Column, table

    if not found.rows:
        click.echo("No rows.", err=True)
        return
    columns = [
        Column(title=name, right=_is_numeric(found.rows, index), rank=9 - min(index, 8), least=8)
        for index, name in enumerate(found.columns)
    ]
    table(columns, [[_shown(value) for value in row] for row in found.rows])


def _is_numeric(rows: Sequence[Sequence[Any]], column: int) -> bool:
    return all(row[column] is None or isinstance(row[column], (int, float)) for row in rows)


def _readable(value: Any) -> Any:
    """Return a value that text can say: of bytes, how many."""
    return f"<{len(value)} bytes>" if isinstance(value, bytes) else value


def _shown(value: Any) -> str:
    from tracklib.cli.formats import NOTHING

    return NOTHING if value is None else str(_readable(value))
