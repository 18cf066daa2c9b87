"""Runs as they were recorded: finding them, and what they say of themselves."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.model import Environment, Gpu, Resources, RunInfo, Source, SourceType, WriterInfo
from tracklib.reading import SILENT_SECONDS, with_live_status
from tracklib.records import RecordKind, RunStatus, id_of_number, new_id
from tracklib.values import jsonable

pytestmark = pytest.mark.usefixtures("bare")

PROGRAM = """
import time, tracklib
run = tracklib.start_run("digits", name="long", flush_interval=0.05)
for step in range(1000):
    run.log({"loss": step}, step=step)
run.flush()
print(run.id, flush=True)
run.log({"loss": -1}, step=1000)
time.sleep(600)
"""


@contextmanager
def another_process(program: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a program until it has said the id of its run."""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def record(project: str = "digits", experiment: str = "sweep", name: str = "first", **metrics: float) -> tracklib.Run:
    with tracklib.start_run(project, experiment, name=name) as run:
        if metrics:
            run.log(metrics)
    return run


# ---- finding a run


@pytest.mark.parametrize("way", ["id", "prefix", "lower case", "name", "place", "latest", "run", "stored"])
def test_a_run_is_found_in_many_ways(way: str) -> None:
    """By id, a unique prefix of it, its name, its place, as the latest, or by an object that has its id."""
    record("letters", "other", "zeroth")
    time.sleep(0.002)
    run = record()
    ways: dict[str, Any] = {
        "id": run.id,
        "prefix": run.id[:22],
        "lower case": run.id.lower(),
        "name": "first",
        "place": "digits/sweep/first",
        "latest": "latest",
        "run": run,
        "stored": tracklib.get_run(run.id),
    }

    assert tracklib.get_run(ways[way]).id == run.id


@pytest.mark.parametrize("place", [("a/b", "c", "d"), ("a", "b/c", "d"), ("a", "b", "c/d"), ("a b", "ü", "x/y/z")])
def test_names_may_have_slashes(place: tuple[str, str, str]) -> None:
    """The place is still understood."""
    run = record(*place)

    assert tracklib.get_run("/".join(place)).id == run.id
    assert tracklib.get_run(place[2]).id == run.id


def test_a_name_may_look_like_the_beginning_of_an_id() -> None:
    """All ids of our days begin with 01; so may a name."""
    run, _ = record(name="01"), record(name="other")

    assert tracklib.get_run("01").id == run.id


def test_the_latest_run_is_the_one_begun_last() -> None:
    """Of a project, if one is named."""
    first = record("digits")
    time.sleep(0.002)
    second = record("letters")

    assert tracklib.get_run("latest").id == second.id
    assert tracklib.get_run("latest", project="digits").id == first.id


def test_a_name_of_several_runs_lists_them() -> None:
    """A project may tell them apart; their ids do."""
    first, second = record("digits"), record("letters")

    with pytest.raises(AmbiguousName, match="give more of the id") as caught:
        tracklib.get_run("first")
    assert first.id in str(caught.value)
    assert second.id in str(caught.value)
    assert tracklib.get_run("first", project="letters").id == second.id
    with pytest.raises(AmbiguousName, match=first.id):
        tracklib.get_run(first.id[:2])


def test_a_long_list_of_runs_is_cut() -> None:
    """The message stays readable."""
    for _ in range(7):
        record()

    with pytest.raises(AmbiguousName, match="…") as caught:
        tracklib.get_run("first")
    assert str(caught.value).count("(first)") == 5


@pytest.mark.parametrize("text", ["second", "ZZZZ", id_of_number(1), "digits/sweep/second", "%", "first' OR '1'='1"])
def test_a_run_that_is_not_there_is_not_found(text: str) -> None:
    """The message says where it was looked for, and how to see what there is."""
    record()

    with pytest.raises(NotFound, match=r"there is no run .*tracklib\.db: `tracklib runs` lists"):
        tracklib.get_run(text)


def test_there_is_no_latest_run_in_an_empty_project() -> None:
    """And the message names the project."""
    record()

    with pytest.raises(NotFound, match=r"no run in .* yet in the project 'letters'"):
        tracklib.get_run("latest", project="letters")


def test_reading_without_a_store_makes_none() -> None:
    """The message says what would."""
    for read in (tracklib.list_runs, lambda: tracklib.get_run("latest"), tracklib.sync):
        if read is tracklib.sync:
            assert read() == []
        else:
            with pytest.raises(NotFound, match=r"there is no store at .* a first run makes it"):
                read()

    assert list(Path.cwd().iterdir()) == []


# ---- lists


def test_runs_are_listed_newest_first() -> None:
    """All, or those that fit the conditions."""
    runs = []
    for number in range(4):
        runs.append(record(f"p{number % 2}", f"e{number // 2}", f"n{number}", loss=number))
        time.sleep(0.002)

    def names(**conditions: Any) -> list[str]:
        return [run.name for run in tracklib.list_runs(**conditions)]

    assert names() == ["n3", "n2", "n1", "n0"]
    assert names(descending=False, limit=2, offset=1) == ["n1", "n2"]
    assert names(project="p1") == ["n3", "n1"]
    assert names(project="p1", experiment="e0") == ["n1"]
    assert names(ids=[runs[0].id, runs[3].id]) == ["n3", "n0"]
    assert names(ids=runs[2].id) == ["n2"]
    assert names(order_by="loss", descending=False) == ["n0", "n1", "n2", "n3"]
    assert names(status="failed") == []
    assert names(status=("completed", "failed"), name="n0") == ["n0"]


def test_a_query_and_conditions_go_together() -> None:
    """The conditions go over the query."""
    record(name="a")
    record(name="b")
    query = tracklib.RunQuery(project="digits", name="a")

    assert [run.name for run in tracklib.list_runs(query)] == ["a"]
    assert [run.name for run in tracklib.list_runs(query, name="b")] == ["b"]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [({"projekt": "x"}, "'projekt' is no condition for runs; those are"), ({"status": "done"}, "status is 'done'")],
)
def test_a_condition_that_cannot_be_meant_is_refused(conditions: dict[str, Any], message: str) -> None:
    """Before anything is read."""
    with pytest.raises(ConfigError, match=message):
        tracklib.list_runs(**conditions)


# ---- runs of other processes


def test_a_live_run_reads_as_running_with_its_latest_points() -> None:
    """Get it again for what has come since."""
    with another_process(PROGRAM) as (_, run_id):
        stored = tracklib.get_run(run_id)
        assert stored.status is RunStatus.RUNNING
        assert stored.ended_at is None
        assert stored.metrics["loss"].count >= 1000
        deadline = time.monotonic() + 60
        while tracklib.get_run(run_id).series("loss").steps[-1] != 1000:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_killed_run_reads_as_killed_at_once() -> None:
    """With everything that it had logged, and the reason."""
    with another_process(PROGRAM) as (process, run_id):
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGKILL)
        process.wait()
        stored = tracklib.get_run(run_id)

    assert stored.status is RunStatus.KILLED
    assert "SIGKILL" in stored.reason
    assert stored.metrics["loss"].count >= 1000
    assert stored.ended_at is not None
    assert [run.status for run in tracklib.list_runs(status="killed")] == [RunStatus.KILLED]
    assert tracklib.list_runs(status="running") == []


def running(host: str, silent_s: float, spool: Path) -> RunInfo:
    writer = WriterInfo(writer="0", host=host, spool=str(spool), heartbeat_at=time.time() - silent_s)
    heartbeat = writer.heartbeat_at
    return RunInfo(
        id=new_id(),
        project="p",
        experiment="e",
        name="n",
        status=RunStatus.RUNNING,
        writers=(writer,),
        heartbeat_at=heartbeat,
    )


@pytest.mark.parametrize(
    ("silent_s", "status"), [(0, "running"), (SILENT_SECONDS / 2, "running"), (SILENT_SECONDS * 2, "killed")]
)
def test_a_run_of_another_host_lives_by_its_heartbeat(silent_s: float, status: str, tmp_path: Path) -> None:
    """Its journal cannot be looked at from here."""
    info = running("elsewhere", silent_s, tmp_path)

    seen = with_live_status(info)
    assert seen.status == status
    assert seen.end_time == (info.heartbeat_at if status == "killed" else None)


def test_a_run_of_this_host_without_a_journal_lives_by_its_heartbeat_too(tmp_path: Path) -> None:
    """It may be in another container, with a spool of its own."""
    assert with_live_status(running(platform.node(), 0, tmp_path)).status is RunStatus.RUNNING
    assert with_live_status(running(platform.node(), SILENT_SECONDS * 2, tmp_path)).status is RunStatus.KILLED


def test_a_run_that_ended_is_what_it_said(tmp_path: Path) -> None:
    """However long ago."""
    info = replace(running("elsewhere", 1e6, tmp_path), status=RunStatus.FAILED)

    assert with_live_status(info) is info


# ---- what a run says


def test_a_run_says_what_is_known_of_it() -> None:
    """In short words, next to the whole of `info`."""
    with tracklib.start_run("p", "e", name="n", params={"a": 1}, tags={"b": "2"}, notes="x") as run:
        pass
    stored = tracklib.get_run(run)

    info = stored.info
    assert (stored.id, stored.name, stored.project, stored.experiment) == (run.id, "n", "p", "e")
    assert (stored.status, stored.reason, stored.error) == (info.status, info.reason, info.error)
    assert (stored.params, stored.tags, stored.notes) == ({"a": 1}, {"b": "2"}, "x")
    assert (stored.started_at, stored.ended_at, stored.duration) == (info.start_time, info.end_time, info.duration)
    assert (stored.source, stored.environment, stored.resources) == (info.source, info.environment, info.resources)
    assert stored.store == run.store
    assert (stored.metrics, stored.artifacts) == ({}, [])


SOURCE = Source(
    source_type=SourceType.GIT,
    repository_url="https://example.com/x.git",
    commit="a" * 40,
    branch="main",
    tag="v1",
    dirty=True,
    diff="diff --git a/ü b/ü\n+x\n" * 1000,
    untracked={"ü.py": "print('ü')\n"},
    skipped={"big.bin": "larger than the limit"},
    entry_point="train.py",
    snapshot="b" * 64,
    command_line=("train.py", "--lr", "0.1"),
    directory="/home/ü",
)
ENVIRONMENT = Environment(
    python_version="3.11.7",
    python_implementation="CPython",
    packages={"numpy": "2.4", "torch": "2.13"},
    frameworks={"torch": "2.13"},
    conda_environment="base",
    container={"docker": "image:tag"},
    variables={"RANK": "0"},
    os="Linux",
    platform="Linux-6.1",
    hostname="node-1",
    cpu_model="A CPU",
    cpu_count=8,
    cpu_count_physical=4,
    memory_bytes=2**35,
    gpus=(
        Gpu(uuid="GPU-1", name="A GPU", index=0, memory_bytes=2**34, mig=False),
        Gpu(uuid="MIG-2", name="B", index=1, mig=True),
    ),
    driver_version="555.1",
    cuda_version="12.4",
)
RESOURCES = Resources(gpu_hours=1.5, cpu_hours=2.5, memory_gb_hours=3.5, storage_gb=4.5, energy_kwh=0.5, cost=9.25)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (RecordKind.SOURCE, "source", SOURCE),
        (RecordKind.ENVIRONMENT, "environment", ENVIRONMENT),
        (RecordKind.RESOURCES, "resources", RESOURCES),
    ],
)
def test_every_field_of_what_surrounds_a_run_survives(kind: RecordKind, name: str, value: Any) -> None:
    """None is left at its default here, so that none is forgotten."""
    empty = type(value)()
    assert all(getattr(value, field.name) != getattr(empty, field.name) for field in fields(value))
    with tracklib.start_run() as run:
        run.record_event(kind, jsonable(asdict(value)))

    assert getattr(tracklib.get_run(run), name) == value


def test_lists_leave_out_what_is_bulky() -> None:
    """The whole is read with the run itself."""
    with tracklib.start_run() as run:
        run.record_event(RecordKind.SOURCE, jsonable(asdict(SOURCE)))
        run.record_event(RecordKind.ENVIRONMENT, jsonable(asdict(ENVIRONMENT)))

    (listed,) = tracklib.list_runs()
    assert listed.source == replace(SOURCE, diff="", untracked={})
    assert listed.environment == replace(ENVIRONMENT, packages={})
    assert tracklib.get_run(listed).source == SOURCE


def test_what_surrounds_a_run_is_recorded_unasked() -> None:
    """Code, environment, resources, samples of the machine and what was printed, by a program that asks for nothing."""
    Path("train.py").write_text(
        "import sys, tracklib\n"
        "with tracklib.start_run('digits') as run:\n"
        "    print('hello', file=sys.stderr)\n"
        "    print('world', flush=True)\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRACKLIB_")}
    subprocess.run([sys.executable, "train.py", "--lr", "1"], check=True, env=environment, capture_output=True)

    stored = tracklib.get_run("latest")
    assert sorted(stored.console().split()) == ["hello", "world"]
    assert stored.source.entry_point is not None
    assert stored.source.entry_point.endswith("train.py")
    assert stored.source.command_line[-2:] == ("--lr", "1")
    assert stored.environment.python_version == platform.python_version()
    assert "numpy" in stored.environment.packages
    assert stored.resources.cpu_hours is not None
    assert any(name.startswith("system/") for name in stored.metrics)


# ---- points


def test_a_series_is_its_points_by_step() -> None:
    """As arrays, and as a frame of pandas."""
    with tracklib.start_run() as run:
        for step in (2, 0, 1):
            run.log({"loss": step / 2}, step=step)

    series = tracklib.get_run(run).series("loss")
    assert (series.name, len(series)) == ("loss", 3)
    assert [str(column.dtype) for column in (series.steps, series.times, series.values)] == ["int64", *["float64"] * 2]
    frame = series.to_pandas()
    assert frame["step"].tolist() == [0, 1, 2]
    assert frame["value"].tolist() == [0, 0.5, 1]
    assert str(frame["time"].dt.tz) == "UTC"


def test_a_metric_that_is_not_there_suggests_others() -> None:
    """Those whose names are near."""
    run = record(loss=1, accuracy=2)

    with pytest.raises(NotFound, match="accuracy"):
        tracklib.get_run(run).series("acuracy")


def test_reading_does_not_disturb_writing() -> None:
    """A run may be read, by whoever, as often as they like while it goes on."""
    with tracklib.start_run(flush_interval=0.01) as run:
        for step in range(200):
            run.log({"loss": step}, step=step)
            if step % 20 == 0:
                run.flush()
                assert tracklib.get_run(run).series("loss").steps.tolist() == list(range(step + 1))

    assert tracklib.get_run(run).metrics["loss"].count == 200
