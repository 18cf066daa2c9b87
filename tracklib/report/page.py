"""A report as one page of HTML, with all that it needs in it."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from tracklib.report.parts import Chart, Table, Words
from tracklib.report.style import POLICY, SCRIPT, STYLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklib.report.parts import Cell, Part, Section

__all__ = ["page_html"]


def page_html(*, title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """Return a page.

    Args:
        title: Its heading.
        lead: Lines below the heading.
    """
    charts: list[Any] = []
    body = "".join(_section(section, charts) for section in sections)
    links = "".join(f'<a href="#{section.anchor}">{_text(section.title)}</a>' for section in sections)
    lines = "".join(f"<p>{_text(line)}</p>" for line in lead if line)
    return "".join(
        (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta name="color-scheme" content="light dark">\n',
            f'<title>{_text(title)}</title>\n<link rel="icon" href="data:,">\n',
            f"<style>{STYLE}</style>\n</head>\n<body>\n",
            f'<header><h1>{_text(title)}</h1>{lines}</header>\n<nav aria-label="Sections">{links}</nav>\n',
            f"<main>{body}</main>\n{''.join(_scripts(charts))}</body>\n</html>\n",
        )
    )


def _section(section: Section, charts: list[Any]) -> str:
    parts = "\n".join(_part(part, charts) for part in section.parts)
    return f'<section id="{section.anchor}">\n<h2>{_text(section.title)}</h2>\n{parts}\n</section>\n'


def _part(part: Part, charts: list[Any]) -> str:
    if isinstance(part, Words):
        return f'<p class="gap">{_text(part.text)}</p>' if part.is_gap else f"<p>{_text(part.text)}</p>"
    if isinstance(part, Table):
        return _table(part)
    return _chart(part, charts)


def _table(table: Table) -> str:
    heads = []
    for column in table.columns:
        kind = ' class="number"' if column.is_number else ""
        title = _text(column.title)
        heads.append(f'<th scope="col"{kind}>{title}</th>')
    rows = "\n".join(
        "<tr>"
        + "".join(_cell(cell, column.is_number) for cell, column in zip(row, table.columns, strict=True))
        + "</tr>"
        for row in table.rows
    )
    caption = f"<caption>{_text(table.caption)}</caption>" if table.caption else ""
    kind = ' class="sortable"' if table.sortable else ""
    return (
        f'<div class="wide"><table{kind}>{caption}<thead><tr>{"".join(heads)}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(cell: Cell, is_number: bool) -> str:
    kinds = " ".join(kind for kind in ("number" if is_number else "", cell.mark) if kind)
    attributes = f' class="{_text(kinds)}"' if kinds else ""
    # Where the text itself sorts as it should, it is not said twice.
    if cell.order is not None and cell.order != cell.text:
        attributes += f' data-order="{_text(str(cell.order))}"'
    if cell.hint:
        attributes += f' title="{_text(cell.hint)}"'
    return f"<td{attributes}>{_text(cell.text)}</td>"


def _chart(chart: Chart, charts: list[Any]) -> str:
    charts.append(chart.figure)
    height = chart.figure.layout.height or 480
    return (
        f'<figure><div class="chart" id="chart-{len(charts)}" style="height:{int(height)}px" role="img" '
        f'aria-label="{_text(chart.says)}"></div>'
        f'<noscript><p class="gap">A chart is here where scripts may run: {_text(chart.says)}</p></noscript></figure>'
    )


def _scripts(charts: list[Any]) -> Iterator[str]:
    """Yield plotly, once, and the data of the charts: behind all that can be read without them."""
    if charts:
        from plotly.offline import get_plotlyjs

        yield f"<script>{get_plotlyjs()}</script>\n"
    for number, figure in enumerate(charts, 1):
        data = json.loads(figure.to_json())
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        # No text within may end the element or begin a comment.
        safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        yield f'<script type="application/json" data-chart="chart-{number}">{safe}</script>\n'
    yield f"<script>{SCRIPT}</script>\n"


def _text(text: str) -> str:
    return html.escape("".join(each if each.isprintable() or each in "\n\u200d" else " " for each in text))
