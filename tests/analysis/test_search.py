"""`search_runs`: what is found, in which order, and what is said where a name is misspelt."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import ConfigError, FilterError, NotFound
from tracklib.model import Batch, Record
from tracklib.records import new_id
from tracklib.stores.base import RunQuery, open_store

QUIET: dict[str, Any] = {"auto_log_console": False, "auto_log_git": False, "auto_log_env": False, "system_interval": 0}


@pytest.fixture(name="recorded", autouse=True)
def _recorded() -> None:
    """Record a sweep of four runs, one of which has failed, and a run of another project."""
    for number, lr in enumerate((0.1, 0.01, 0.001)):
        about: dict[str, Any] = {
            "name": f"lr-{lr:g}",
            "params": {"training": {"lr": lr}, "amp": number == 1},
            "tags": {"team": "vision"},
        }
        with tracklib.start_run("digits", "sweep", **about, **QUIET) as run:
            run.log({"eval/loss": [0.5, 0.3, 0.9][number], "acc": 1 - lr})
    broken = tracklib.start_run("digits", "odd", name="broken", **QUIET)
    broken.log({"eval/loss": math.nan})
    broken.__exit__(RuntimeError, RuntimeError("bad"), None)
    with tracklib.start_run("words", name="other", tags={"team": "nlp"}, **QUIET) as run:
        run.log({"ppl": 20.5})


def names(*arguments: str, **conditions: object) -> list[str]:
    return [run.name for run in tracklib.search_runs(*arguments, **conditions)]  # type: ignore[arg-type]


def test_the_newest_come_first() -> None:
    """Without a filter and an order, all runs that are not archived."""
    assert names() == ["other", "broken", "lr-0.001", "lr-0.01", "lr-0.1"]


def test_a_filter_and_an_order() -> None:
    """The lowest comes first, and what has no number last."""
    found = tracklib.search_runs(
        "params.training.lr < 0.05 and metrics['eval/loss'] < 1 and tags.team == 'vision'",
        project="digits",
        order_by="metrics['eval/loss']",
        limit=20,
    )

    assert isinstance(found, tracklib.RunTable)
    assert [run.name for run in found] == ["lr-0.01", "lr-0.001"]
    assert [run.metrics["eval/loss"].last for run in found] == [0.3, 0.9]
    assert names(order_by="metrics.eval/loss") == ["lr-0.01", "lr-0.1", "lr-0.001", "other", "broken"]
    assert names(order_by="-metrics['eval/loss']")[:3] == ["lr-0.001", "lr-0.1", "lr-0.01"]
    assert names(order_by=["-params.amp", "eval/loss"], project="digits") == ["lr-0.01", "lr-0.1", "lr-0.001", "broken"]


def test_conditions_beside_the_filter_narrow_it_down() -> None:
    """Project, experiment, status, tags, and a part of what is found."""
    assert names("not params.amp", project="digits", experiment="sweep") == ["lr-0.001", "lr-0.1"]
    assert names(status="failed") == names("run.error.type == 'RuntimeError'") == ["broken"]
    assert names(status=["failed", "completed"], tags={"team": "nlp"}) == ["other"]
    assert names(project="digits", limit=2, offset=1) == ["lr-0.001", "lr-0.01"]
    assert names(limit=0) == []


def test_archived_runs_are_found_on_request() -> None:
    """Alone, or with the others."""
    tracklib.archive_run("words/default/other")

    assert names() == ["broken", "lr-0.001", "lr-0.01", "lr-0.1"]
    assert names(archived=True) == names("run.archived", archived=None) == ["other"]


def test_nothing_is_found() -> None:
    """That is an answer as well."""
    assert list(tracklib.search_runs("params.training.lr > 5")) == []
    assert list(tracklib.search_runs(project="nobody's")) == []


def test_a_metric_to_sort_by_must_exist() -> None:
    """Where no run has it, a near name is suggested."""
    with pytest.raises(NotFound, match="no run has a metric 'eval/los' to sort by; did you mean 'eval/loss'"):
        tracklib.search_runs(order_by="metrics['eval/los']")
    with pytest.raises(NotFound, match="no run of the project 'words' has a metric 'acc' to sort by; there are: ppl"):
        tracklib.search_runs(project="words", order_by="-metrics.acc")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("params.training.rl < 1", "no run has a param 'training.rl'; did you mean 'training.lr'?"),
        ("params.lr < 1", "no run has a param 'lr'; did you mean 'training.lr'?"),
        ("metrics.loss < 1", "no run has a metric 'loss'; did you mean 'eval/loss'?"),
        ("metrics.amp < 1", "no run has a metric 'amp', but a param of this name"),
        ("tags.amp == 'a'", "no run has a tag 'amp', but a param of this name"),
        ("not tags.taem == 'vision'", "no run has a tag 'taem'; did you mean 'team'?"),
    ],
)
def test_a_name_that_no_run_has_is_told(text: str, said: str, caplog: pytest.LogCaptureFixture) -> None:
    """An empty answer may be the truth; a name that occurs nowhere is likely misspelt."""
    with caplog.at_level(logging.WARNING, "tracklib"):
        tracklib.search_runs(text)

    assert said in caplog.text


def test_a_text_that_is_compared_with_a_number_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It never holds, which is hardly what was meant."""
    tracklib.search_runs("tags.team == 5 and params.amp == 1")

    assert [record.message for record in caplog.records] == [
        "tags are texts: write '5' to compare the tag 'team' with it"
    ]


def test_names_that_some_run_has_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Also where the run that has it was not found."""
    tracklib.search_runs("params.training.lr > 5 or metrics.ppl > 100 or tags.team == 'x' or run.name == 'lr-0.1'")

    assert not caplog.records


def test_what_cannot_be_meant() -> None:
    """Each argument is checked before the store is looked at."""
    with pytest.raises(FilterError, match=r"did you mean run\.status"):
        tracklib.search_runs("run.statsu == 'failed'")
    with pytest.raises(ConfigError, match="limit is -1"):
        tracklib.search_runs(limit=-1)
    with pytest.raises(ConfigError, match="status is 'done'"):
        tracklib.search_runs(status="done")
    with pytest.raises(FilterError, match="order_by is 5"):
        tracklib.search_runs(order_by=5)  # type: ignore[arg-type]


def test_list_runs_understands_it_too() -> None:
    """A filter and an order as further conditions; bare names and their direction are as they were."""
    found = [run.name for run in tracklib.list_runs(where="params.training.lr < 0.05", order="metrics.eval/loss")]
    by_loss = [run.name for run in tracklib.list_runs(project="digits", order_by="eval/loss")]

    assert found == ["lr-0.01", "lr-0.001"]
    assert by_loss == [run.name for run in tracklib.list_runs(project="digits", order_by="metrics.eval/loss")]
    assert by_loss[:2] == ["lr-0.001", "lr-0.1"]


# ---- runs whose processes are gone


def silent(store: str, name: str, at: float = 1.0) -> str:
    """Leave a run in a store that is said to run on another machine and went silent long ago."""
    start = {"project": "far", "experiment": "e", "name": name, "rank": 0, "host": "far away", "pid": 1, "spool": "/x"}
    records = (Record("start", at, {**start, "primary": True}), Record("tags", at, {"tags": {"kind": "silent"}}))
    batch = Batch(run=new_id(at), writer="0", start=0, end=1, time=at + 60.0, records=records)
    with open_store(store) as opened:
        opened.append(batch)
    return batch.run


def test_dead_runs_are_killed_in_every_answer(tmp_path: Path) -> None:
    """Filters, orders, parts and counts see the status, reason and end that the run itself shows."""
    store = f"sqlite:///{tmp_path}/far.db"
    dead = [silent(store, f"dead-{number}", 10.0 + number) for number in range(4)]
    alive = tracklib.start_run("far", name="alive", store=store, **QUIET)
    assert alive.flush()
    with tracklib.start_run("far", name="done", store=store, **QUIET):
        pass

    def found(text: str, **conditions: object) -> list[str]:
        return [run.name for run in tracklib.search_runs(text, store=store, **conditions)]  # type: ignore[arg-type]

    killed = tracklib.get_run(dead[0], store=store)
    assert (str(killed.status), killed.ended_at, killed.duration) == ("killed", 70.0, 60.0)
    assert found("run.status == 'killed'") == ["dead-3", "dead-2", "dead-1", "dead-0"]
    assert found("", status="killed", limit=2, offset=1) == ["dead-2", "dead-1"]
    assert found("run.status == 'running'") == found("", status="running") == ["alive"]
    assert (
        found("run.reason.like('the process ended%') and run.ended < '1970-01-02'", order_by="run.ended")[0] == "dead-0"
    )
    assert found("run.ended is None") == ["alive"]
    assert found("run.duration == '1m'", order_by="-run.created", limit=1) == ["dead-3"]
    assert {run.name: str(run.status) for run in tracklib.search_runs("tags.kind == 'silent'", store=store)} == {
        f"dead-{number}": "killed" for number in range(4)
    }
    assert tracklib.count_runs(store=store, per="month").by_status.keys() == {"running", "completed", "killed"}
    assert [run.name for run in tracklib.list_runs(status="killed", limit=2, store=store)] == ["dead-3", "dead-2"]
    alive.finish()


def test_a_search_needs_no_data_frames() -> None:
    """What they take is loaded by those who ask for them."""
    code = "import sys, tracklib; list(tracklib.search_runs('params.training.lr < 1')); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_a_store_is_asked_as_well() -> None:
    """`Store.runs` takes the same filter, as a tree."""
    from tracklib.queries.parser import parse

    store = tracklib.get_run("lr-0.1").store
    with open_store(store) as opened:
        found = opened.runs(RunQuery(where=parse("metrics.acc > 0.95"), limit=1))

    assert [info.name for info in found] == ["lr-0.001"]
