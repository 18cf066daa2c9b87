"""`tracklib show`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import tracklib

Call = Callable[..., Result]

FORKS = """
import os, sys, tracklib

with tracklib.start_run("p", name="many", store=sys.argv[1]) as run:
    run.log({"loss": 1.0})
    child = os.fork()
    run.log({"loss": 0.5})
    if child == 0:
        run.finish()
        os._exit(0)
    os.waitpid(child, 0)
"""

RANKS = """
import os, signal, subprocess, sys, tracklib

rank = int(os.environ.setdefault("RANK", "0"))
os.environ["WORLD_SIZE"] = "2"
run = tracklib.start_run("p", name="job", store=sys.argv[1])
if rank == 1:
    assert run.flush(60)
    os.kill(os.getpid(), signal.SIGKILL)
subprocess.run([sys.executable, "-c", os.environ["PROGRAM"], sys.argv[1]], env={**os.environ, "RANK": "1"})
run.finish()
"""


def section(page: str, title: str) -> list[str]:
    """Return the lines of a section of the page."""
    return page.partition(f"\n\n{title}\n")[2].partition("\n\n")[0].splitlines()


def test_page(call: Call, store: str) -> None:
    """The page of a full run has all of its sections, in a good order."""
    page = call("show", "full", "--store", store).stdout

    titles = [line for line in page.splitlines()[3:] if line and not line.startswith(" ")]
    assert page.startswith("full  ✔ completed\ndigits/full  01")
    assert titles == [
        "Params",
        "Metrics",
        "System",
        "Code",
        "Environment",
        "Resources",
        "Media",
        "Messages",
        "Not recorded",
    ]
    assert section(page, "Params") == ["  note  a [bold]b[/bold]"]
    assert section(page, "Not recorded") == ["  no room in the journal  1,234"]
    assert section(page, "Messages") == ["  warning  the disk is slow"]


def test_code_and_environment(call: Call, store: str, recorded: Path) -> None:
    """What ran, where and on what is told in a few lines."""
    page = call("show", "full", "--store", store).stdout
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=recorded, capture_output=True, text=True, check=True)

    code, environment = ("\n".join(section(page, title)) for title in ("Code", "Environment"))
    assert f"{commit.stdout.strip()} on main" in code
    assert "2 files not committed: --diff shows them" in code
    assert "train.py" in code
    assert f"Python      {platform.python_version()} (CPython), " in environment


def test_system_metrics_have_units(call: Call, store: str) -> None:
    """What was sampled of the machine stands apart, in readable units."""
    lines = {line.split()[0]: line for line in section(call("show", "full", "--store", store).stdout, "System")}

    assert lines["memory/total_bytes"].count("B") >= 4
    assert "%" in lines["memory/used_pct"]


def test_odd_values(call: Call, store: str) -> None:
    """NaN, infinities, very small and very large numbers and names in any script are shown well."""
    lines = section(call("show", "broken", "--store", store).stdout, "Metrics")

    cells = {line.split("  ")[1]: line.split() for line in lines}
    assert cells["a nan"][2] == "nan"
    assert cells["plus"][1] == "inf"
    assert cells["minus"][1] == "-inf"
    assert cells["tiny"][1] == "1e-300"
    assert cells["tokens"][1] == "25,000,000"
    assert "文/損失 ☃" in cells


def test_failed_run(call: Call, store: str) -> None:
    """The reason stands at the top, the traceback at the end; notes keep their lines."""
    page = call("show", "broken", "--store", store).stdout

    assert "  reason    RuntimeError: out of memory\n" in page
    assert "  notes     first line\n            second line\n" in page
    assert page.endswith("\n  RuntimeError: out of memory\n")


def test_trend(call: Call, store: str) -> None:
    """A falling metric is drawn falling."""
    lines = section(call("show", "lr-0.1", "--store", store).stdout, "Metrics")

    trend = next(line.split()[2] for line in lines if "train/loss" in line)
    assert len(trend) == 16
    assert list(trend) == sorted(trend, reverse=True)


@pytest.mark.parametrize("form", ["id", "prefix", "path", "name", "latest"])
def test_ways_to_name_a_run(form: str, call: Call, store: str) -> None:
    """A run is found by its id, a beginning of it, its path, its name, or as the latest."""
    identity = json.loads(call("show", "full", "--store", store, "--json").stdout)["id"]
    words = {
        "id": identity,
        "prefix": identity[:-3].lower(),
        "path": "digits/full/full",
        "name": "full",
        "latest": "latest",
    }

    assert json.loads(call("show", words[form], "--store", store, "--json").stdout)["id"] == identity


def test_latest_of_a_project(call: Call, store: str) -> None:
    """Without a run the latest is meant, of the project if one is named."""
    assert call("show", "--project", "nlp", "--store", store).stdout.startswith("child ")
    assert call("show", "--store", store).stdout.startswith("full ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing"], "there is no run 'nothing'"),
        (["01"], "means several runs"),
        (["latest", "--project", "digitz"], "did you mean 'digits'"),
        (["lr-0.1", "--metrics", "loss"], "it has: eval/accuracy, train/loss"),
    ],
)
def test_not_found(words: list[str], said: str, call: Call, store: str) -> None:
    """What is not there, or not one, is said in a line."""
    assert said in call("show", *words, "--store", store, status=1).stderr


def test_metrics_that_fit(call: Call, store: str) -> None:
    """With a pattern the page has its head and the metrics that fit, nothing else."""
    page = call("show", "full", "--metrics", "*used*", "--metrics", "train/*", "--store", store).stdout

    titles = [line for line in page.splitlines()[3:] if line and not line.startswith(" ")]
    assert titles == ["Metrics", "System"]
    assert all("used" in line for line in section(page, "System")[1:])


def test_console(call: Call, store: str) -> None:
    """What the program printed is printed again; of a run that recorded none, that is said."""
    assert call("show", "full", "--console", "--store", store).stdout == "hello from the run\n"
    silent = call("show", "broken", "--console", "--store", store)
    assert silent.stdout == ""
    assert "Nothing is recorded" in silent.stderr


def test_diff_can_be_applied(call: Call, store: str, recorded: Path, tmp_path: Path) -> None:
    """The diff makes from a fresh checkout what the run ran."""
    patch = call("show", "full", "--diff", "--store", store).stdout
    subprocess.run(["git", "clone", "-q", recorded, "copy"], cwd=tmp_path, check=True)

    subprocess.run(["git", "apply"], input=patch.encode(), cwd=tmp_path / "copy", check=True)

    for name in ("train.py", "new file.txt"):
        assert (tmp_path / "copy" / name).read_bytes() == (recorded / name).read_bytes()


def test_no_diff(call: Call, store: str) -> None:
    """Where no changes are recorded, nothing is printed but a word about it."""
    done = call("show", "broken", "--diff", "--store", store)

    assert done.stdout == ""
    assert "No code changes are recorded" in done.stderr


def test_json(call: Call, store: str) -> None:
    """JSON has everything; metrics are narrowed as on the page, and the console comes when asked for."""
    told = json.loads(call("show", "full", "--store", store, "--json").stdout)
    narrow = json.loads(call("show", "full", "--store", store, "--json", "--console", "--metrics", "train/*").stdout)

    assert told["metrics"]["train/loss"]["last_step"] == 3
    assert any(name.startswith("system/") for name in told["metrics"])
    assert told["source"]["untracked"] == {"new file.txt": "not\ncommitted"}
    assert told["artifacts"][0]["files"][0]["size"] == 9
    assert told["messages"][0]["text"] == "the disk is slow"
    assert "console" not in told
    assert list(narrow["metrics"]) == ["train/loss"]
    assert [line["text"] for line in narrow["console"]] == ["hello from the run"]


def test_nested_runs(call: Call, store: str) -> None:
    """A parent lists its children, and a child names its parent."""
    parent = json.loads(call("show", "ünïcödé [red]文[/red]", "--store", store, "--json").stdout)
    page = call("show", parent["id"], "--store", store).stdout
    child = call("show", "child", "--store", store).stdout

    assert [run["name"] for run in parent["children"]] == ["child"]
    assert "child" in section(page, "Nested runs")[1]
    assert f"nested in  {parent['id']}" in child


@pytest.mark.usefixtures("bare")
def test_gpus(call: Call, tmp_path: Path) -> None:
    """GPUs of one kind are counted, others listed, and the driver is told."""
    store = f"sqlite:///{tmp_path}/runs.db"
    names = ["NVIDIA A100"] * 8 + ["NVIDIA T4"]
    gpus = [{"uuid": f"GPU-{i}", "name": name, "index": i, "memory_bytes": 80e9} for i, name in enumerate(names)]
    with tracklib.start_run("p", name="fast", store=store) as run:
        run.record_event("environment", {"gpus": gpus, "driver_version": "550.54", "cuda_version": "12.4"})

    lines = section(call("show", "fast", "--store", store).stdout, "Environment")

    assert lines == ["  GPU  8 x NVIDIA A100, 80 GB", "       NVIDIA T4, 80 GB", "       driver 550.54, CUDA 12.4"]


@pytest.mark.usefixtures("bare")
def test_several_writers(call: Call, tmp_path: Path) -> None:
    """A run that several processes wrote to lists them."""
    store = f"sqlite:///{tmp_path}/runs.db"
    subprocess.run([sys.executable, "-c", FORKS, store], check=True)

    page = call("show", "many", "--store", store).stdout

    assert "Writers  2 processes wrote to this run" in page
    assert "rank" not in section(page, "Writers  2 processes wrote to this run")[0]
    assert page.count("✔ completed") == 3


@pytest.mark.usefixtures("bare")
def test_run_with_nothing(call: Call, tmp_path: Path) -> None:
    """A run that recorded nothing is its head and no more."""
    store = f"sqlite:///{tmp_path}/runs.db"
    tracklib.start_run("p", name="bare", store=store).finish()

    page = call("show", "bare", "--store", store).stdout

    assert [line for line in page.splitlines()[3:] if line and not line.startswith(" ")] == []


@pytest.mark.usefixtures("bare")
def test_processes_of_a_job(call: Call, tmp_path: Path) -> None:
    """Each is shown with its rank and how it ended, the first one first."""
    store = f"sqlite:///{tmp_path}/runs.db"
    environ = {**os.environ, "PROGRAM": RANKS}
    subprocess.run([sys.executable, "-c", RANKS, store], check=True, env=environ)

    page = call("show", "job", "--store", store).stdout
    titles, *rows = section(page, "Writers  2 processes wrote to this run")

    assert page.startswith("job  ✔ completed\n")
    assert titles.split()[:3] == ["rank", "writer", "status"]
    assert [(row.split()[0], row.split()[3]) for row in rows] == [("0", "completed"), ("1", "killed")]


@pytest.mark.usefixtures("bare")
def test_references(call: Call, tmp_path: Path) -> None:
    """Artifacts of which no copy was made say where their files are, and what is wrong with them."""
    store, file = f"sqlite:///{tmp_path}/runs.db", tmp_path / "last.ckpt"
    file.write_bytes(b"weights")
    with tracklib.start_run("p", name="noted", store=store) as run:
        run.log_artifact(file, copy=False)
        run.log_artifact(tmp_path / "never.ckpt", copy=False)
        run.log_artifact(file, "kept")

    titles, *rows = section(call("show", "noted", "--store", store).stdout, "Artifacts")
    told = json.loads(call("show", "noted", "--store", store, "--json").stdout)
    place, problem = titles.index("not copied from"), titles.index("problem")
    wheres = {row.split()[0]: (row[place:problem].strip(), row[problem:].strip()) for row in rows}

    assert wheres["kept"] == ("", "")
    assert wheres["last.ckpt"] == (str(file), "")
    assert wheres["never.ckpt"] == (
        f"{tmp_path}/never.ckpt",
        "FileNotFoundError: it was not there, or was removed meanwhile",
    )
    assert [artifact["name"] for artifact in told["artifacts"] if "reference" not in artifact["metadata"]] == ["kept"]


def test_artifacts_that_were_all_copied_need_no_place(call: Call, store: str) -> None:
    """The column is there only where it says something."""
    assert "not copied from" not in call("show", "full", "--store", store).stdout
