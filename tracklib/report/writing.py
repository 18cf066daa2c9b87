"""Writing the report about a project."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tracklib.errors import ConfigError, StoreError
from tracklib.report.findings import charts_section, importance_section, significance_section
from tracklib.report.gathering import gather
from tracklib.report.page import page_html
from tracklib.report.sections import best_section, experiments_section, moment, overview_section, runs_section
from tracklib.values import checked_text

if TYPE_CHECKING:
    from tracklib.report.gathering import Subject

__all__ = ["write_report"]


def write_report(
    project: str,
    path: str | os.PathLike[str],
    *,
    filter: str = "",  # noqa: A002 - as in search_runs
    limit: int = 1000,
    store: str | os.PathLike[str] | None = None,
) -> Path:
    """Write a report about a project: one page of HTML that opens without a network.

    It has the best runs, charts, what the params had to do with the metrics, whether experiments differ by more than
    chance, and a table of all runs. What cannot be told is said, with the reason; so it is where plotly, SciPy or
    scikit-learn is not installed. It looks first at the primary metrics
    of the project, and names best runs where `higher_is_better` of its settings says which way is better.

    Args:
        project: Its name.
        path: Where to; the page takes the place of one that is there.
        filter: Only runs that it finds; see `search_runs`.
        limit: How many runs at the most, the newest ones; 0: all.
        store: URI of the store; by default the one that runs go to.

    Returns:
        The path.

    Raises:
        NotFound: There is no such project, or it has no runs that fit.
        ConfigError: An argument cannot be meant.
        StoreError: The file cannot be written.

    Example:
        >>> tracklib.set_project("digits", settings={"higher_is_better": {"accuracy": True}}).name
        'digits'
        >>> for lr in (0.1, 0.01):
        ...     with tracklib.start_run("digits", params={"lr": lr}) as run:
        ...         run.log({"accuracy": 1 - lr})
        >>> tracklib.write_report("digits", "report.html").name
        'report.html'
    """
    checked_text("project", project)
    if filter != "":
        checked_text("filter", filter)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ConfigError(f"limit is {limit!r:.200}, but takes a whole number that is not negative; 0 for all runs")
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ConfigError(f"path is {path!r:.200}, but takes the path of a file")
    target = _checked(Path(path))
    subject = gather(project, filter=filter, limit=limit, store=store)
    return _put(target, _page(subject).encode())


def _page(subject: Subject) -> str:
    project = subject.project
    people = ", ".join(filter(None, (project.owner, project.team)))
    lead = [project.description, f"By {people}." if people else "", f"Made {moment(subject.made_at)}."]
    return page_html(
        title=project.name,
        lead=lead,
        sections=[
            overview_section(subject),
            best_section(subject),
            charts_section(subject),
            importance_section(subject),
            experiments_section(subject),
            significance_section(subject),
            runs_section(subject),
        ],
    )


def _checked(path: Path) -> Path:
    """Return a path that can be written to as far as can be told: better now than when all is reckoned."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{str(path)!r} {'is a folder' if path.is_dir() else 'lies in a folder that is not there'}")
    return path


def _put(path: Path, content: bytes) -> Path:
    """Write a file such that it is there as a whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.absolute().parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        new.chmod(0o644)
        new.replace(path)
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    finally:
        new.unlink(missing_ok=True)
    return path
