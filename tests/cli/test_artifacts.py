"""`tracklib artifacts`."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import tracklib

Call = Callable[..., Result]

TRAINED = [b"\0" * 1000, b"\1" * 1000, b"\2" * 1000]

pytestmark = pytest.mark.usefixtures("bare", "history")


@pytest.fixture(name="history")
def _history(tmp_path: Path) -> dict[str, str]:
    """Record runs that prepare data, train three models and evaluate the best one; return their ids by name."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "train.csv").write_text("x,y\n1,2\n")
    ids = {}
    with tracklib.start_run("digits", name="prepare") as run:
        run.log_artifact(files / "train.csv", "train-data", type="dataset", aliases="reviewed", metadata={"rows": 1})
    ids["prepare"] = run.id
    for number, (content, score) in enumerate(zip(TRAINED, (0.7, 0.9, 0.8), strict=True)):
        with tracklib.start_run("digits", name=f"train-{number}") as run:
            run.use_artifact("train-data")
            (files / "model.bin").write_bytes(content)
            run.log_artifact(files / "model.bin", "classifier", type="model", score=score)
            run.log_text(f"epoch {number}", "notes", step=number)
        ids[f"train-{number}"] = run.id
    with tracklib.start_run("digits", name="evaluate") as run:
        run.use_artifact("classifier:best")
    ids["evaluate"] = run.id
    return ids


def told(call: Call, *words: str, status: int = 0) -> Any:
    return json.loads(call("artifacts", *words, "--json", status=status).stdout)


def rows(page: str) -> list[list[str]]:
    return [line.split() for line in page.splitlines()]


def blob_path(content: bytes) -> Path:
    checksum = hashlib.sha256(content).hexdigest()
    return Path(f".tracklib/blobs/{checksum[:2]}/{checksum}")


def references(listing: Any) -> list[str]:
    return [artifact["reference"] for artifact in listing["artifacts"]]


# ---- list and show


def test_list(call: Call) -> None:
    """The newest version of each artifact and those with aliases; all of them if asked for."""
    short, whole = call("artifacts"), call("artifacts", "list", "digits", "--all")

    titles, *lines = rows(short.stdout)
    assert titles == ["name", "version", "aliases", "type", "size", "made"]
    assert [line[:3] for line in lines] == [
        ["classifier", "v2", "latest"],
        ["classifier", "v1", "best"],
        ["train-data", "v0", "latest,"],
    ]
    assert short.stderr == "Versions that are older: 1; --all lists them.\n"
    assert [line[1] for line in rows(whole.stdout)[1:]] == ["v2", "v1", "v0", "v0"]
    assert whole.stderr == ""


def test_lists_can_be_narrowed(call: Call, history: dict[str, str]) -> None:
    """By project, name, type and run; with a run comes what belongs to it alone."""
    assert references(told(call, "list", "--type", "model")) == ["digits/classifier:v2", "digits/classifier:v1"]
    assert references(told(call, "list", "--name", "train-data")) == ["digits/train-data:v0"]
    assert references(told(call, "list", "--run", "train-0")) == [
        f"{history['train-0']}/notes:v0",
        "digits/classifier:v0",
    ]
    assert references(told(call, "list", "--type", "figure")) == []
    assert "There are no such artifacts in sqlite:///" in call("artifacts", "list", "--type", "figure").stdout
    assert "no project 'letters'" in call("artifacts", "list", "letters", status=1).stderr


def test_list_where_there_is_nothing(call: Call, tmp_path: Path) -> None:
    """A store that nobody named is empty before its first run; one that was named is missing."""
    import contextlib

    (tmp_path / "other/.tracklib").mkdir(parents=True)
    with contextlib.chdir(tmp_path / "other"):
        assert "There are no such artifacts" in call("artifacts").stdout
        assert told(call, "verify", "--all")["verified"] == []
    assert "there is no store" in call("artifacts", "--store", "gone.db", status=1).stderr


def test_show(call: Call, history: dict[str, str]) -> None:
    """What is in it, who made and who used it, and which other versions there are."""
    page = call("artifacts", "show", "classifier:best").stdout
    data = call("artifacts", "show", "digits/train-data").stdout

    assert page.startswith("digits/classifier:v1  best\n\n  type         model\n  size         1 kB in 1 file\n")
    assert f"made by      {history['train-1']}  train-1 (digits/default)" in page
    assert f"used by      {history['evaluate']}  evaluate (digits/default)" in page
    assert "score        0.9" in page
    assert f"  model.bin  1 kB  {hashlib.sha256(TRAINED[1]).hexdigest()}" in page
    assert [line[1] for line in rows(page.partition("Versions\n")[2])[1:]] == ["v2", "v1", "v0"]
    assert "Metadata\n  rows  1\n" in data
    assert "Versions" not in data


def test_show_as_json(call: Call, history: dict[str, str]) -> None:
    """All that was recorded, the aliases as they are now, and the runs around it."""
    shown = told(call, "show", "train-data:v0", "--project", "digits")

    assert (shown["reference"], shown["aliases"]) == ("digits/train-data:v0", ["latest", "reviewed"])
    assert (shown["metadata"], shown["files"][0]["path"]) == ({"rows": 1}, "train.csv")
    assert shown["logged_by"] == [history["prepare"]]
    assert shown["used_by"] == [history[f"train-{number}"] for number in range(3)]


@pytest.mark.parametrize("command", ["show", "get", "verify", "lineage"])
def test_what_is_not_there_is_not_found(call: Call, command: str) -> None:
    """In one line, with what is near."""
    done = call("artifacts", command, "digits/clasifier", status=1)

    assert done.stderr.endswith("; did you mean 'digits/classifier'?\n") or "did you mean 'classifier'" in done.stderr
    assert "no project 'letters'" in call("artifacts", command, "data", "--project", "letters", status=1).stderr


# ---- get


def test_get(call: Call, tmp_path: Path) -> None:
    """The files are where one wants them, and the command says where."""
    assert call("artifacts", "get", "classifier:best", "-o", "here").stdout == (
        "digits/classifier:v1 is in here: 1 file, 1 kB.\n"
    )
    assert (tmp_path / "here/model.bin").read_bytes() == TRAINED[1]
    assert told(call, "get", "train-data") == {
        "reference": "digits/train-data:v0",
        "folder": "artifacts/train-data-v0",
        "files": 1,
        "size": 8,
    }
    assert (tmp_path / "artifacts/train-data-v0/train.csv").read_text() == "x,y\n1,2\n"


def test_get_leaves_other_files_alone(call: Call, tmp_path: Path) -> None:
    """Unless one says --force."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here/model.bin").write_bytes(b"mine")

    assert (
        "another file 'here/model.bin' already" in call("artifacts", "get", "classifier", "-o", "here", status=2).stderr
    )
    assert (tmp_path / "here/model.bin").read_bytes() == b"mine"
    call("artifacts", "get", "classifier", "-o", "here", "--force")
    assert (tmp_path / "here/model.bin").read_bytes() == TRAINED[2]


def test_get_of_what_is_damaged(call: Call, tmp_path: Path) -> None:
    """One line names the blob, the file and the artifact; nothing is left."""
    blob_path(TRAINED[1]).write_bytes(b"damaged")

    error = call("artifacts", "get", "classifier:best", "-o", "here", status=1).stderr
    assert "the file 'model.bin' of digits/classifier:v1: the blob blobs/" in error
    assert error.count("\n") == 1
    assert list((tmp_path / "here").iterdir()) == []


def test_bars_are_for_terminals(terminal: Callable[..., str], program: Any) -> None:
    """In a pipe nothing is said of progress."""
    done: subprocess.CompletedProcess[bytes] = program("artifacts", "get", "classifier", "-o", "one")
    text = terminal("artifacts", "get", "classifier", "-o", "two", columns=80)

    assert done.stderr == b""
    assert done.stdout == b"digits/classifier:v2 is in one: 1 file, 1 kB.\n"
    assert "getting" in text
    assert "digits/classifier:v2 is in two: 1 file, 1 kB." in text


# ---- verify


def test_verify(call: Call) -> None:
    """All is well, and how much that is."""
    assert call("artifacts", "verify", "classifier:v0", "train-data").stdout == (
        "2 artifacts (1.01 kB): all is as it was recorded.\n"
    )
    everything = told(call, "verify", "--all")
    assert len(everything["verified"]) == 7
    assert everything["problems"] == []
    assert len(told(call, "verify", "--all", "--project", "digits")["verified"]) == 4


def test_verify_names_what_is_damaged(call: Call) -> None:
    """The artifact, the file and the blob, and the exit status says so."""
    blob_path(TRAINED[0]).write_bytes(b"damaged")
    blob_path(TRAINED[2]).unlink()

    page = call("artifacts", "verify", "--all", status=1).stdout
    found = told(call, "verify", "--all", status=1)["problems"]
    assert [(each["artifact"], each["path"]) for each in found] == [
        ("digits/classifier:v0", "model.bin"),
        ("digits/classifier:v2", "model.bin"),
    ]
    assert [each["blob"] for each in found] == [
        str(blob_path(content)).removeprefix(".tracklib/") for content in (TRAINED[0], TRAINED[2])
    ]
    assert found[0]["text"] in page
    assert "Of 7 artifacts (3.03 kB), 2 are not as recorded." in page


def test_verify_looks_at_references(call: Call, tmp_path: Path) -> None:
    """What was noted elsewhere may have changed there."""
    noted = tmp_path / "noted.bin"
    noted.write_bytes(b"as it was")
    with tracklib.start_run("digits") as run:
        run.log_artifact(noted, copy=False)

    assert told(call, "verify", "noted.bin")["problems"] == []
    noted.write_bytes(b"as it is")
    (problem,) = told(call, "verify", "noted.bin", status=1)["problems"]
    assert problem["text"].startswith(f"{noted} has changed since it was noted")


def test_verify_takes_artifacts_or_all(call: Call) -> None:
    """Neither and both cannot be meant."""
    assert "Name artifacts, or give --all." in call("artifacts", "verify", status=2).stderr
    assert "Name artifacts, or give --all." in call("artifacts", "verify", "data", "--all", status=2).stderr


# ---- lineage


def test_lineage(call: Call, history: dict[str, str]) -> None:
    """Trees in both directions, runs with how they ended."""
    page = call("artifacts", "lineage", "classifier:best").stdout

    assert page == (
        "digits/classifier:v1  model\n"
        "\n"
        "Came from\n"
        f"run train-1  {history['train-1']}  ✔ completed  digits/default\n"
        "└── digits/train-data:v0  dataset\n"
        f"    └── run prepare  {history['prepare']}  ✔ completed  digits/default\n"
        "\n"
        "Went into\n"
        f"run evaluate  {history['evaluate']}  ✔ completed  digits/default\n"
    )


def test_lineage_can_be_narrowed(call: Call) -> None:
    """To a direction, and to so many steps."""
    up = call("artifacts", "lineage", "train-data", "--up").stdout
    down = call("artifacts", "lineage", "train-data", "--down", "--depth", "1").stdout

    assert ("Came from" in up, "Went into" in up) == (True, False)
    assert ("Came from" in down, "Went into" in down) == (False, True)
    assert [line[:2] for line in rows(down)[3:]] == [["run", f"train-{number}"] for number in range(3)]


def test_lineage_draws_each_node_once(call: Call) -> None:
    """What comes again is said to be above, and a circle has an end."""
    with tracklib.start_run("digits", name="again") as run:
        run.use_artifact("classifier:best").download("again")
        run.use_artifact("train-data")
        run.log_artifact("again", "classifier", type="model")

    page = call("artifacts", "lineage", "classifier:best", "--up").stdout
    assert page.count("(see above)") == 2
    assert "nothing that is known" in call("artifacts", "lineage", "classifier:v0", "--down").stdout


def test_lineage_as_json(call: Call, history: dict[str, str]) -> None:
    """Nodes and edges."""
    found = told(call, "lineage", "train-data")

    assert found["root"] == "digits/train-data:v0"
    assert {node["id"] for node in found["nodes"]} == {
        "digits/train-data:v0",
        *(f"digits/classifier:v{number}" for number in range(3)),
        *history.values(),
    }
    first = found["edges"][0]
    assert (first["relation"], first["run"], first["artifact"]) == ("made", history["prepare"], "digits/train-data:v0")
    assert len(found["edges"]) == 8


def test_on_a_terminal_few_branches_are_drawn(terminal: Callable[..., str]) -> None:
    """Of very many; elsewhere all."""
    for number in range(25):
        with tracklib.start_run("digits", name=f"more-{number}") as run:
            run.use_artifact("train-data")

    text = terminal("artifacts", "lineage", "train-data", columns=100)
    assert "… and 8 more" in text
    assert "more-24" not in text


# ---- alias


def test_alias(call: Call) -> None:
    """An alias is given, moved and taken away."""
    assert call("artifacts", "alias", "classifier:v0", "production").stdout == (
        "digits/classifier:v0 is now known as: production.\n"
    )
    assert told(call, "alias", "classifier", "production")["aliases"] == ["latest", "production"]
    assert tracklib.get_artifact("digits/classifier:v0").aliases == ()
    removed = call("artifacts", "alias", "classifier", "production", "--remove").stdout
    assert removed == "digits/classifier:v2 is now known as: latest.\n"
    assert (
        "does not have the alias" in call("artifacts", "alias", "classifier", "production", "--remove", status=1).stderr
    )
    assert "alias is 'v3'" in call("artifacts", "alias", "classifier", "v3", status=2).stderr
