"""Artifacts read back by everybody's functions, from every kind of store, as runs have logged them."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.editing import append_changes
from tracklib.errors import ConfigError, CorruptData, NotFound
from tracklib.records import RecordKind

pytestmark = pytest.mark.usefixtures("bare")

KINDS = ["sqlite", "file", pytest.param("s3", marks=pytest.mark.slow)]


@pytest.fixture(name="uri", params=KINDS)
def _uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URI of a store that is not there yet."""
    if request.param == "s3":
        for variable, value in request.getfixturevalue("s3_server").environment().items():
            monkeypatch.setenv(variable, value)
        return f"s3://{request.getfixturevalue('s3_prefix')}/store"
    return f"sqlite:///{tmp_path}/store/runs.db" if request.param == "sqlite" else f"file://{tmp_path}/store"


def log(content: bytes = b"x", name: str = "data", **options: Any) -> tracklib.Run:
    """Log a file in a run of its own."""
    file = Path("logged.bin")
    file.write_bytes(content)
    with tracklib.start_run("digits", store=options.pop("store", None)) as run:
        run.log_artifact(file, name, **options)
    return run


def test_from_the_first_run_to_the_last(uri: str, tmp_path: Path) -> None:
    """Data are logged, used, verified and found again, and the model that came of them is loaded back."""
    import torch

    tracklib.init(store=uri)
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    files = {"x.csv": b"x,y\n", "deep/large.bin": bytes(range(256)) * 60_000, "empty": b""}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with tracklib.start_run("digits", name="prepare") as prepare:
        prepare.log_artifact(folder, "data", type="dataset", aliases="reviewed", metadata={"rows": 1})
    models = [torch.nn.Linear(4, 2) for _ in range(3)]
    trainings = []
    for model, score in zip(models, (0.7, 0.9, 0.8), strict=True):
        with tracklib.start_run("digits") as run:
            used = run.use_artifact("data:reviewed").download(tmp_path / f"used-{score}")
            assert {name: (used / name).read_bytes() for name in files} == files
            run.log_model(model, "classifier", score=score)
        trainings.append(run)

    data, best = tracklib.get_artifact("digits/data"), tracklib.get_artifact("classifier:best", project="digits")
    assert (data.version, data.aliases, data.metadata["rows"]) == (0, ("latest", "reviewed"), 1)
    assert (data.used_by, best.version) == (tuple(run.id for run in trainings), 1)
    assert data.verify() == best.verify() == []
    state = tracklib.load_model("digits/classifier:best", torch.nn.Linear(4, 2)).state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in models[1].state_dict().items())
    lineage = tracklib.artifact_lineage("digits/classifier:v2")
    assert [node.id for node in lineage.upstream()] == [trainings[2].id, "digits/data:v0", prepare.id]
    assert tracklib.get_run(trainings[0]).used_artifacts[0].artifact == data.info.id
    moved = tracklib.set_alias("digits/classifier:v0", "production")
    assert (moved.version, moved.aliases) == (0, ("production",))
    assert [each.reference for each in tracklib.list_artifacts("digits", type="model")] == [
        f"digits/classifier:v{number}" for number in (2, 1, 0)
    ]


def test_a_damaged_file_is_found_in_every_store(uri: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """By the download and by verification, with the name of its blob."""
    tracklib.init(store=uri)
    log(b"weights" * 10)
    checksum = hashlib.sha256(b"weights" * 10).hexdigest()
    if uri.startswith("s3"):
        import s3fs

        options = request.getfixturevalue("s3_server").options()
        fs = s3fs.S3FileSystem(**options, skip_instance_cache=True)
        fs.pipe_file(f"{uri.removeprefix('s3://')}/blobs/{checksum[:2]}/{checksum}", b"damaged")
    else:
        (tmp_path / f"store/blobs/{checksum[:2]}/{checksum}").write_bytes(b"damaged")

    artifact = tracklib.get_artifact("digits/data")
    with pytest.raises(CorruptData, match=rf"'logged.bin' of digits/data:v0: .*{checksum}"):
        artifact.download("here")
    assert list(Path("here").iterdir()) == []
    (problem,) = artifact.verify()
    assert (problem.path, problem.blob) == ("logged.bin", f"blobs/{checksum[:2]}/{checksum}")


# ---- aliases


def test_aliases_move_and_go(uri: str) -> None:
    """Whoever has a name loses it to the next; taken away, nobody has it."""
    tracklib.init(store=uri)
    for content in (b"a", b"b"):
        log(content)

    assert tracklib.set_alias("digits/data:v0", "own").aliases == ("own",)
    assert tracklib.set_alias("digits/data", "own").aliases == ("latest", "own")
    assert tracklib.get_artifact("digits/data:own").version == 1
    assert tracklib.remove_alias("digits/data", "own").version == 1
    with pytest.raises(NotFound, match="no alias 'own'"):
        tracklib.get_artifact("digits/data:own")


def test_an_alias_is_taken_from_the_version_that_has_it() -> None:
    """A reference without a version means that one; another one does not have it."""
    for content in (b"a", b"b"):
        log(content, aliases="own" if content == b"a" else ())

    with pytest.raises(NotFound, match=r"digits/data:v1 does not have the alias 'own'; it has: latest"):
        tracklib.remove_alias("digits/data:v1", "own")
    assert tracklib.remove_alias("digits/data", "own").version == 0
    with pytest.raises(NotFound, match=r"digits/data:v1 does not have the alias 'own'"):
        tracklib.remove_alias("digits/data", "own")


def test_the_last_word_counts_whatever_the_clocks_say() -> None:
    """What was said by a machine whose clock is ahead does not stay above all."""
    run = log(b"a")
    log(b"b")
    ahead = {"project": "digits", "name": "data", "alias": "own", "version": 0}
    store = tracklib.open_store(run.store)
    append_changes(store, store.run(run.id), [(RecordKind.ALIAS, ahead)], after=4e9)

    assert tracklib.set_alias("digits/data:v1", "own").aliases == ("latest", "own")
    last = store.aliases("digits", "data")[-1]
    assert (last.version, last.time > 4e9) == (1, True)


def test_an_alias_stands_in_the_records_of_a_run_that_made_the_version() -> None:
    """The last one of several; an edit, and no sign of life."""
    first, second = log(b"a"), log(b"a")
    before = tracklib.get_run(second)

    tracklib.set_alias("digits/data", "own")
    (event,) = tracklib.open_store(first.store).aliases("digits", "data")
    after = tracklib.get_run(second)
    assert (event.run, event.checksum) == (second.id, tracklib.get_artifact("digits/data").checksum)
    assert (after.status, after.ended_at, after.info.heartbeat_at) == (
        *(before.status, before.ended_at),
        before.info.heartbeat_at,
    )
    assert tracklib.get_artifact(f"{second.id}/data:own").version == 0


def test_what_a_project_does_not_count_has_no_alias() -> None:
    """A figure, or what could not be read."""
    with tracklib.start_run("digits") as run:
        run.log_text("text", "notes")
        run.log_artifact(Path("never").absolute(), "gone", copy=False)

    for reference in (f"{run.id}/notes", "digits/gone"):
        with pytest.raises(ConfigError, match="cannot have an alias"):
            tracklib.set_alias(reference, "own")


# ---- which project is meant


def test_the_project_of_runs_started_here_is_meant() -> None:
    """As the settings say, or as the argument does; else the only one that there is."""
    log(b"a")
    tracklib.init(project="letters")

    assert tracklib.get_artifact("data").project == "digits"
    assert tracklib.get_artifact("data", project="digits").version == 0
    with pytest.raises(NotFound, match="did you mean 'digits/data'"):
        tracklib.get_artifact("data", project="letters")
    with tracklib.start_run() as run:
        run.log_artifact("logged.bin", "data")
        with pytest.raises(NotFound, match="there is no artifact 'more'"):
            run.use_artifact("more")
    assert tracklib.get_artifact("data").project == "letters"


def test_what_a_run_logged_can_be_listed() -> None:
    """Versions and media, by the run or its name."""
    with tracklib.start_run("digits", name="first") as run:
        run.log_text("text", "notes", step=3)
        Path("x.csv").write_text("x")
        run.log_artifact("x.csv")

    assert [(each.name, each.project) for each in tracklib.list_artifacts(run=run)] == [
        ("notes", ""),
        ("x.csv", "digits"),
    ]
    assert [each.step for each in tracklib.list_artifacts(run="first", name="notes")] == [3]
    assert [each.name for each in tracklib.list_artifacts()] == ["x.csv"]


def test_a_run_reads_what_it_has_logged_itself() -> None:
    """By version and by step, from 0."""
    with tracklib.start_run() as run:
        for step in (10, 20):
            run.log_text(f"step {step}", "notes", step=step)

    stored = tracklib.get_run(run)
    assert stored.read_artifact("notes") == stored.read_artifact("notes", version=1) == {"notes.txt": b"step 20"}
    assert stored.read_artifact("notes", step=10) == {"notes.txt": b"step 10"}
    with pytest.raises(NotFound, match=r"has no version 2; it has the versions: 0 \(step 10\), 1 \(step 20\)"):
        stored.read_artifact("notes", version=2)
    with pytest.raises(NotFound, match="has no version 1 and step 10; it has the versions"):
        stored.read_artifact("notes", version=1, step=10)


def test_a_model_outlives_the_files_that_it_was_loaded_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are removed when the model is there."""
    import torch

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    model = torch.nn.Linear(300, 300)
    with tracklib.start_run("digits") as run:
        run.log_model(model, "classifier")

    state = tracklib.load_model("digits/classifier")
    assert list(temporary.iterdir()) == []
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
