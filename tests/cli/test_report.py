"""`tracklib report`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Call = Callable[..., Result]


def test_report(call: Call, store: str) -> None:
    """A page is written, and where it is and how large is told."""
    said = call("report", "digits", "--store", store).stdout
    told = json.loads(call("report", "digits", "-o", "digits.html", "--store", store, "--json").stdout)

    assert said.startswith("report.html: ")
    assert (told["file"], told["project"]) == ("digits.html", "digits")
    assert told["size"] == Path("digits.html").stat().st_size
    assert "lr-0.1" in Path("report.html").read_text()


def test_filter(call: Call, store: str) -> None:
    """A filter narrows it down."""
    call("report", "digits", "run.experiment == 'lr-sweep' and params.training.lr < 0.05", "--store", store)

    assert "lr-0.01" in Path("report.html").read_text()
    assert "broken" not in Path("report.html").read_text()


def test_mistakes(call: Call, store: str) -> None:
    """One line says what is wrong, and the exit status whether it could be meant."""
    assert "did you mean 'digits'" in call("report", "digit", "--store", store, status=1).stderr
    assert "that fit" in call("report", "digits", "run.name == 'nono'", "--store", store, status=1).stderr
    assert "params.lr <" in call("report", "digits", "params.lr <", "--store", store, status=2).stderr
    assert "not there" in call("report", "digits", "-o", "no/x.html", "--store", store, status=2).stderr
    assert "there is no store" in call("report", "digits", status=1).stderr
