"""How the page of a report looks, and what its script does."""

from __future__ import annotations

from typing import Final

__all__ = ["POLICY", "SCRIPT", "STYLE"]

# Plotly compiles its WebGL programs while it runs, for which it needs 'unsafe-eval'.
POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)
"""What the page may load: nothing that is not in it."""

STYLE: Final = """
:root { --ground: #fff; --text: #1b1f24; --quiet: #57606a; --line: #d0d7de; --soft: #f6f8fa; --link: #0072b2;
  --good: #00714f; --bad: #b33f00; --odd: #8a6100; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --text: #e3e7eb; --quiet: #9aa4af; --line: #343b44;
  --soft: #1d2228; --link: #56b4e9; --good: #3fcf9e; --bad: #ff8a4c; --odd: #e6b450; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 1.5rem; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.9rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; font-size: 1.3rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
header p { margin: .15rem 0; color: var(--quiet); overflow-wrap: anywhere; white-space: pre-line; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; }
a { color: var(--link); }
p { max-width: 80ch; overflow-wrap: anywhere; }
.gap { color: var(--quiet); font-style: italic; }
.wide { overflow-x: auto; margin: .75rem 0 1.25rem; max-height: 80vh; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; color: var(--quiet); padding: 0 0 .35rem; }
th, td { padding: .25rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
thead th { position: sticky; top: 0; background: var(--soft); z-index: 1; }
tbody tr:hover { background: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.best { font-weight: 700; color: var(--good); }
.failed { color: var(--bad); }
.killed { color: var(--odd); }
.running { color: var(--link); }
th button { all: unset; cursor: pointer; font: inherit; font-weight: 600; }
th button:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
th[aria-sort="ascending"] button::after { content: " \\2191"; }
th[aria-sort="descending"] button::after { content: " \\2193"; }
figure { margin: 1rem 0; }
.chart { width: 100%; }
@media print {
  :root { --ground: #fff; --text: #000; --quiet: #444; --line: #bbb; --soft: #f3f3f3; --good: #00553b; }
  body { max-width: none; padding: 0; font-size: 11px; }
  nav { display: none; }
  .wide { overflow: visible; max-height: none; }
  thead { display: table-header-group; }
  thead th { position: static; }
  tr, figure, h2 { break-inside: avoid; }
  h2 { break-after: avoid; }
  th, td { white-space: normal; padding: .1rem .35rem; }
}
"""

SCRIPT: Final = """
(() => {
  "use strict";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = {displaylogo: false, responsive: true, typesetMath: false};
  const holders = [...document.querySelectorAll("script[data-chart]")];

  function dressed(layout, isDark) {
    const text = isDark ? "#e3e7eb" : "#1b1f24", line = isDark ? "#343b44" : "#e3e8ee";
    const own = structuredClone(layout);
    own.paper_bgcolor = own.plot_bgcolor = "rgba(0,0,0,0)";
    own.font = {...own.font, color: text};
    for (const key of Object.keys(own).concat(["xaxis", "yaxis"])) {
      if (/^[xy]axis\\d*$/.test(key)) {
        own[key] = {...own[key], gridcolor: line, zerolinecolor: line, linecolor: line};
      }
    }
    return own;
  }

  function draw(isDark) {
    for (const holder of holders) {
      const figure = JSON.parse(holder.textContent);
      Plotly.react(holder.dataset.chart, figure.data, dressed(figure.layout, isDark), config);
    }
  }

  if (holders.length) {
    draw(dark.matches);
    dark.addEventListener("change", () => draw(dark.matches));
    addEventListener("beforeprint", () => draw(false));
    addEventListener("afterprint", () => draw(dark.matches));
  }

  function sorted(table, column, descending) {
    const number = table.tHead.rows[0].cells[column].classList.contains("number");
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row, place) => {
      const cell = row.cells[column];
      const text = cell.dataset.order ?? cell.textContent;
      const value = number || /^-?[\\d.]+(e[+-]?\\d+)?$/i.test(text) ? parseFloat(text) : text;
      return {row, place, text, value: text === "" || Number.isNaN(value) ? null : value};
    });
    const sign = descending ? -1 : 1;
    rows.sort((a, b) => {
      if (a.value === null || b.value === null) {
        return (a.value === null) - (b.value === null) || a.place - b.place;
      }
      const order = typeof a.value === "number" && typeof b.value === "number"
        ? a.value - b.value
        : a.text.localeCompare(b.text, undefined, {numeric: true});
      return sign * order || a.place - b.place;
    });
    body.append(...rows.map((each) => each.row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const descending = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sorted(table, column, descending);
      });
    });
  }
})();
"""
