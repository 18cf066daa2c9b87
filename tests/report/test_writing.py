"""The report about a project, in files and in a real browser without a network."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tests.browser import PATIENCE_MS, Browser
from tracklib.errors import ConfigError, FilterError, NotFound

pytestmark = pytest.mark.usefixtures("bare")

EVIL = "<script>window.hit=1</script>\"'><img src=x onerror=window.hit=2>${1}%{y}</script>"
QUIET: dict[str, Any] = {
    "system_interval": 0,
    "auto_log_env": False,
    "auto_log_git": False,
    "auto_log_console": False,
}
SETTINGS = {"primary_metrics": ["accuracy"], "higher_is_better": {"accuracy": True}}
DRAWN = """() => {
    const charts = [...document.querySelectorAll('.chart')];
    return charts.length > 0 && charts.every((each) => each._fullLayout?._size !== undefined);
}"""


class Visitor(Browser):
    """A browser whose pages are made use of."""

    def visit(self, path: Path, use: Callable[[Any], Any], **options: Any) -> Any:
        """Open a page without a network, do something with it, and return what came of that."""

        def visited() -> Any:
            context = self._chromium.new_context(offline=True, viewport={"width": 1200, "height": 800}, **options)
            try:
                page = context.new_page()
                page.set_default_timeout(PATIENCE_MS)
                page.goto(path.absolute().as_uri())
                return use(page)
            finally:
                context.close()

        return self._run(visited)


@pytest.fixture(scope="module", name="browser")
def _browser() -> Iterator[Visitor]:
    """Return a browser, which is started when a test first asks for it."""
    opened = Visitor()
    yield opened
    opened.close()


@pytest.fixture(name="project")
def _project() -> str:
    """Return a project with two experiments of six runs each: too few for a model of what mattered."""
    return recorded(12)


def recorded(count: int) -> str:
    """Record a project with two experiments of as many runs."""
    tracklib.set_project("digits", description="Which <b>model</b> is best?", owner="ann", settings=SETTINGS)
    for number in range(count):
        model = "lenet" if number % 2 else "resnet"
        params = {"model": model, "lr": 10.0 ** -(1 + number % 3), "seed": number}
        with tracklib.start_run("digits", model, name=f"run {number}", params=params, **QUIET) as run:
            for step in range(5):
                run.log({"accuracy": 0.8 + 0.1 * (number % 2) + 0.001 * number + 0.001 * step}, step=step)
    return "digits"


def text_of(path: Path) -> str:
    """Return what a page says before its scripts, without marks."""
    return re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8").partition("</main>")[0].partition("<body>")[2])


def test_report_opens_offline(project: str, browser: Visitor) -> None:
    """With no request, nothing complained of, and charts that are not blank."""
    page = browser.open(tracklib.write_report(project, "report.html").absolute())

    assert page.errors == ()
    assert all(address.startswith(("file:", "data:", "blob:")) for address in page.requests)
    assert page.colours >= 10
    assert "Which <b>model</b> is best?" in page.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_charts_are_drawn(scheme: str, project: str, browser: Visitor) -> None:
    """By day and by night, in the colours of the page."""
    path = tracklib.write_report(project, "report.html")

    def look(page: Any) -> Any:
        page.wait_for_function(DRAWN)
        return page.evaluate(
            "() => [document.querySelectorAll('.chart').length, getComputedStyle(document.body).backgroundColor,"
            " document.querySelector('.chart')._fullLayout.font.color]"
        )

    count, ground, ink = browser.visit(path, look, color_scheme=scheme)
    assert count >= 4
    assert (ground, ink) == {
        "light": ("rgb(255, 255, 255)", "#1b1f24"),
        "dark": ("rgb(20, 23, 27)", "#e3e7eb"),
    }[scheme]


def test_tables_can_be_read_without_scripts(project: str, browser: Visitor) -> None:
    """What is in the tables stands there, and where charts would be it is said what they show."""
    path = tracklib.write_report(project, "report.html")

    text = browser.visit(path, lambda page: page.inner_text("body"), java_script_enabled=False)

    assert "run 11" in text
    assert "0.915" in text
    assert "A chart is here where scripts may run: accuracy of 12 runs" in text


def test_runs_can_be_sorted(project: str, browser: Visitor) -> None:
    """A click on a head sorts by numbers as numbers; another one turns it round."""
    path = tracklib.write_report(project, "report.html")

    def sort(page: Any) -> list[list[str]]:
        seen = []
        for _ in range(2):
            page.click("#runs th button:text-is('seed')")
            seen.append(page.locator("#runs tbody tr td:first-child").all_inner_texts())
        return seen

    rising, falling = browser.visit(path, sort)
    assert rising == [f"run {number}" for number in range(12)]
    assert falling == rising[::-1]


def test_text_is_text(browser: Visitor) -> None:
    """Whatever names, params, tags and metrics say, nothing of it runs, and it reads as it was written."""
    tracklib.set_project("p", description=EVIL, owner=EVIL, settings={"higher_is_better": {EVIL: True}})
    for number in range(4):
        about: dict[str, Any] = {"params": {EVIL: f"{EVIL}{number}", "lr": number}, "tags": {"note": EVIL}}
        with tracklib.start_run("p", f"{EVIL}{number % 2}", name=EVIL, **about, **QUIET) as run:
            run.log({EVIL: number}, step=0)
            run.log({EVIL: number + 1}, step=1)
    path = tracklib.write_report("p", "report.html")

    def look(page: Any) -> tuple[Any, str]:
        page.wait_for_function(DRAWN)
        return page.evaluate("window.hit"), page.inner_text("body")

    hit, text = browser.visit(path, look)
    assert hit is None
    assert EVIL in text


def test_what_it_says() -> None:
    """How many runs there are, which is best, what mattered, and whether experiments differ."""
    text = text_of(tracklib.write_report(recorded(24), "report.html"))

    assert "24 runs in 2 experiments" in text
    assert "24 completed." in text
    assert "The best accuracy is 0.927, of run run 23 (lenet)." in text
    assert "lenet is better than resnet" in text
    assert "model explains" in text.partition("Params and accuracy")[0]
    assert "model" in text.partition("Params and accuracy, in 24 runs.")[2]


@pytest.mark.parametrize(
    ("filter", "limit", "count"), [("", 1000, 12), ("params.model == 'lenet'", 1000, 6), ("", 5, 5), ("", 0, 12)]
)
def test_which_runs(filter: str, limit: int, count: int, project: str) -> None:  # noqa: A002 - as in the function
    """A filter and a limit narrow it down, and the page says so."""
    text = text_of(tracklib.write_report(project, "report.html", filter=filter, limit=limit))

    assert f"{count} runs in" in text
    assert ("these are the newest 5" in text) is (limit == 5)
    assert ("Only runs that fit" in text) is bool(filter)


def test_what_cannot_be_told() -> None:
    """One run without a metric is a report as well, with the reasons in the places of what is missing."""
    with tracklib.start_run("bare", **QUIET):
        pass

    text = text_of(tracklib.write_report("bare", "report.html"))

    assert "1 run in 1 experiment" in text
    assert "No run has logged a metric." in text
    assert "two or more runs" in text


def test_unknown_direction() -> None:
    """Where nobody said which way is better, no run is called the best, and it is said how to say it."""
    for value in (1.0, 2.0):
        with tracklib.start_run("plain", **QUIET) as run:
            run.log({"score": value})

    text = text_of(tracklib.write_report("plain", "report.html"))

    assert "Which runs are best by score cannot be said" in text
    assert "tracklib projects set plain --setting higher_is_better=" in text


def test_values_that_are_no_numbers() -> None:
    """NaN and infinities are never best, and stand in the table."""
    tracklib.set_project("odd", settings={"higher_is_better": {"score": True}})
    for value in (float("nan"), float("inf"), 1.0):
        with tracklib.start_run("odd", name=f"run {value}", params={"x": value, "y": 10**400}, **QUIET) as run:
            run.log({"score": value})

    text = text_of(tracklib.write_report("odd", "report.html"))

    assert "The best score is 1, of run run 1.0" in text
    assert "nan" in text


def test_size_is_bounded(project: str) -> None:
    """Plotly is in the page once; long series are reduced."""
    with tracklib.start_run(project, "lenet", **QUIET) as run:
        for step in range(20_000):
            run.log({"accuracy": step}, step=step)

    page = tracklib.write_report(project, "report.html")

    assert page.stat().st_size < 6_000_000
    assert page.read_text(encoding="utf-8").count("plotly.js v") <= 2


def test_without_packages(project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where plotly or SciPy is not installed, tables are there, and words say what is missing and how to get it."""
    for name in ("plotly.graph_objects", "scipy", "scipy.stats"):
        monkeypatch.setitem(sys.modules, name, None)

    path = tracklib.write_report(project, "report.html")

    text = text_of(path)
    assert "run 11" in text
    assert "There is no chart of accuracy: tracklib.charts needs plotly: pip install" in text
    assert "There is no importance of params for accuracy: " in text
    assert path.stat().st_size < 100_000


def test_older_page_stays_where_none_can_be_made(project: str) -> None:
    """What fails leaves the older page, and nothing beside it."""
    Path("report.html").write_text("old")

    with pytest.raises(NotFound):
        tracklib.write_report(project, "report.html", filter="params.lr > 5")

    assert Path("report.html").read_text() == "old"
    assert [path.name for path in Path.cwd().glob("*report*")] == ["report.html"]


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        ({"project": "digit"}, NotFound, "did you mean 'digits'"),
        ({"filter": "params.lr > 5"}, NotFound, "has no runs that fit 'params.lr > 5'"),
        ({"filter": "params.lr >"}, FilterError, "params.lr >"),
        ({"path": "no/report.html"}, ConfigError, "lies in a folder that is not there"),
        ({"path": "."}, ConfigError, "is a folder"),
    ],
)
def test_mistakes(about: dict[str, Any], error: type[Exception], message: str, project: str) -> None:
    """What cannot be meant or is not there is said."""
    with pytest.raises(error, match=message):
        tracklib.write_report(**{"project": project, "path": "report.html", **about})


def test_project_without_runs() -> None:
    """It is said that there are none yet."""
    tracklib.set_project("empty")

    with pytest.raises(NotFound, match="'empty' has no runs yet"):
        tracklib.write_report("empty", "report.html")
