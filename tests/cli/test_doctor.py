"""`tracklib doctor`."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import tracklib
from tracklib.cli import machine_checks
from tracklib.cli.checks import check_places

Call = Callable[..., Result]


def checks(call: Call, *words: str, status: int = 0) -> dict[str, dict[str, Any]]:
    """Return the checks by section and name."""
    told = json.loads(call("doctor", "--json", *words, status=status).stdout)
    assert told["ok"] is (status == 0)
    return {f"{check['section']}/{check['name']}": check for check in told["checks"]}


def test_fresh_folder(call: Call) -> None:
    """Where nothing was recorded, all is well, and looking leaves nothing behind."""
    found = checks(call)

    assert found["Installed/tracklib"]["value"] == tracklib.__version__
    assert "the default" in found["Store/store"]["text"]
    assert "a first run makes it" in found["Store/writable"]["text"]
    assert found["Spool/live journals"]["value"] == 0
    assert found["Machine/git"]["state"] == "ok"
    assert not list(Path.cwd().iterdir())


def test_page(call: Call, store: str) -> None:
    """For people the checks come in sections, with what to do and a verdict."""
    page = call("doctor", "--store", store).stdout

    assert [line for line in page.splitlines() if line and not line.startswith((" ", "✔"))] == [
        "Installed",
        "Optional",
        "Store",
        "Spool",
        "Machine",
    ]
    assert page.endswith("✔ Runs can be recorded here.\n")
    assert "7" in next(line for line in page.splitlines() if line.startswith("  runs"))


def test_where_the_store_comes_from(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told whether the store was an argument, a variable, in the project file, or the default."""
    (tmp_path / "tracklib.toml").write_text('store = "sqlite:///file.db"')
    by_file = checks(call)["Store/store"]["text"]
    monkeypatch.setenv("TRACKLIB_STORE", "sqlite:///variable.db")
    by_variable = checks(call)["Store/store"]["text"]
    by_argument = checks(call, "--store", "sqlite:///argument.db")["Store/store"]["text"]

    assert by_file.endswith("/file.db (from the project file)")
    assert by_variable.endswith("/variable.db (from TRACKLIB_STORE)")
    assert by_argument.endswith("/argument.db (given by --store)")


def test_setting_that_cannot_be_meant(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong setting is found to be broken instead of breaking the doctor."""
    monkeypatch.setenv("TRACKLIB_FLUSH_INTERVAL", "soon")

    found = checks(call, status=1)

    assert found["Store/store"]["state"] == "broken"
    assert "TRACKLIB_FLUSH_INTERVAL" in found["Store/store"]["text"]


def test_damaged_store(call: Call, tmp_path: Path) -> None:
    """A file that is no store is broken, with the reason, on the page too."""
    (tmp_path / "runs.db").write_bytes(b"no database" * 100)

    assert checks(call, "--store", "runs.db", status=1)["Store/usable"]["state"] == "broken"
    assert "✘ One thing is broken: usable" in call("doctor", "--store", "runs.db", status=1).stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_rights(call: Call, tmp_path: Path) -> None:
    """A folder in which nothing can be written is broken."""
    tmp_path.chmod(0o500)

    assert checks(call, status=1)["Store/writable"]["state"] == "broken"


@pytest.mark.usefixtures("bare")
def test_live_journal(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of a run that goes on is live until it ends."""
    monkeypatch.setenv("TRACKLIB_SPOOL", str(tmp_path / "spool"))
    with tracklib.start_run("p"):
        during = checks(call)

    assert during["Spool/live journals"]["value"] == 1
    assert checks(call)["Spool/live journals"]["value"] == 0


def test_orphaned_journal(call: Call, orphan: str) -> None:
    """The journal of a dead process is counted with what ships it, and looking ships nothing."""
    found = checks(call, "--store", orphan)

    assert (found["Spool/live journals"]["value"], found["Spool/orphaned journals"]["value"]) == (0, 1)
    assert found["Spool/orphaned journals"]["fix"] == "tracklib sync"
    assert checks(call, "--store", orphan)["Spool/orphaned journals"]["value"] == 1


def test_damaged_files(call: Call, tmp_path: Path) -> None:
    """Files that were set aside are counted."""
    (tmp_path / "spool" / "run").mkdir(parents=True)
    (tmp_path / "spool" / "run" / "0-1.damaged").touch()

    assert checks(call, "--store", "runs.db")["Spool/damaged files"]["value"] == 1


def test_moved_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool that was moved off a network file system says so."""
    monkeypatch.setenv("TRACKLIB_SPOOL", str(tmp_path / "wanted"))
    monkeypatch.setattr(
        "tracklib.stores.mounts.network_filesystem", lambda path: "nfs4" if "wanted" in str(path) else None
    )

    folder = next(check for check in check_places(None) if (check.section, check.name) == ("Spool", "folder"))

    assert folder.state == "note"
    assert "wanted is on a network file system (nfs4)" in folder.text


def test_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that are missing are named with the line that brings them; only needed ones are broken."""
    needs = {"": ["click", "no-such-thing"], "s3": ["no-such-store"], "charts": ["click"]}
    monkeypatch.setattr(machine_checks, "_requirements", lambda: needs)

    found = {check.name: check for check in machine_checks.check_installation()}

    assert found["packages"].state == "broken"
    assert found["s3"].state == "note"
    assert found["s3"].fix == "pip install 'tracklib-ml[s3]'"
    assert found["charts"].state == "ok"


def test_extras_are_those_of_the_distribution(call: Call) -> None:
    """Each extra that the distribution has is looked at, but for the ones that gather others or are for developers."""
    found = {name.partition("/")[2] for name in checks(call) if name.startswith("Optional/")}

    assert {"lightning", "transformers", "s3", "analysis", "charts", "ui", "tables"} <= found
    assert not found & {"all", "dev"}


def test_no_git(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git there is a note, and runs can be recorded all the same."""
    monkeypatch.setenv("PATH", "/nowhere")

    assert checks(call)["Machine/git"]["state"] == "note"


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tight limits of the system are noted with the line that lifts them."""
    limits = {resource.RLIMIT_NOFILE: (64, 1024), resource.RLIMIT_FSIZE: (5_000_000, -1)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)

    found = {check.name: check for check in machine_checks._check_limits()}

    assert found["open files"].fix == "ulimit -n 1024"
    assert "5 MB" in found["file size"].text
