"""The keys that the page about the command line lists for what compares, watches, draws and exports."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

import tracklib
from tests.cli.test_reference import keys_of

Call = Callable[..., Result]


def told(call: Call, *words: str) -> Any:
    return json.loads(call(*words, "--json").stdout)


def test_keys_of_compare(call: Call, store: str) -> None:
    """The keys of comparisons are those on the page."""
    runs = told(call, "compare", "lr-0.1", "lr-0.01", "--store", store)
    experiments = told(call, "compare", "--experiments", "--project", "digits", "--store", store)
    code = told(call, "compare", "lr-0.1", "lr-0.01", "--code", "--store", store)

    assert set(runs) == keys_of("`tracklib compare`")
    assert set(runs["metrics"]["eval/accuracy"]) == keys_of("a compared metric")
    assert set(experiments) == keys_of("`tracklib compare --experiments`")
    assert set(code) == keys_of("`tracklib compare --code`")


@pytest.mark.usefixtures("bare")
def test_keys_of_groups(call: Call) -> None:
    """The keys of tested groups are those on the page."""
    for number in range(4):
        with tracklib.start_run("digits", params={"n": number}) as run:
            run.log({"loss": number})
    groups = ("--group", "params.n < 2", "--group", "params.n >= 2")

    data = told(call, "compare", *groups, "--metric", "loss")

    assert set(data) == keys_of("`tracklib compare --group`")


def test_keys_of_a_watched_run(call: Call, store: str) -> None:
    """The keys of a look are those on the page."""
    assert set(told(call, "watch", "lr-0.1", "--once", "--store", store)) == keys_of("`tracklib watch`")


def test_keys_of_charts_and_reports(call: Call, store: str) -> None:
    """The keys of charts and reports are those on the page."""
    chart = told(call, "chart", "bar", "eval/accuracy", "--store", store)
    report = told(call, "report", "digits", "--store", store)

    assert set(chart) == keys_of("`tracklib chart`")
    assert set(report) == keys_of("`tracklib report`")


def test_keys_of_exports_and_sql(call: Call, store: str) -> None:
    """The keys of what was exported, and of rows, are those on the page."""
    exported = told(call, "export", "runs", "-o", "runs.csv", "--store", store)
    rows = told(call, "sql", "SELECT 1", "--store", store)

    assert set(exported) == keys_of("`tracklib export`")
    assert set(rows) == keys_of("`tracklib sql`")
