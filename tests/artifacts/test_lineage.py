"""Lineage: which runs made and used what, both ways."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.artifacts.records import tell, use, writer
from tracklib.artifacts.lineage import Lineage, LineageNode
from tracklib.artifacts.stored import find_artifact
from tracklib.artifacts.tracing import lineage_of
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import ArtifactQuery, Store
from tracklib.testing.batches import WriterScript, ship
from tracklib.testing.memory import MemoryStore


def read(store: Store, script: WriterScript, reference: str) -> None:
    use(store, script, find_artifact(store, reference, "digits").info)


def lineage(store: Store, reference: str, depth: int | None = None) -> Lineage:
    return lineage_of(store, find_artifact(store, reference, "digits").info, depth=depth)


def names(nodes: list[LineageNode]) -> list[str]:
    return [node.id if node.kind == "artifact" else node.name for node in nodes]


@pytest.fixture(name="trained")
def _trained(store: Store) -> Store:
    """Return a store in which data were prepared, split, trained on and the model was evaluated."""
    steps = {name: writer(name=name) for name in ("fetch", "split", "train", "evaluate")}
    tell(store, steps["fetch"], "raw", {"raw.csv": b"raw"})
    read(store, steps["split"], "raw")
    tell(store, steps["split"], "train", {"train.csv": b"train"})
    tell(store, steps["split"], "test", {"test.csv": b"test"})
    read(store, steps["train"], "train")
    tell(store, steps["train"], "model", {"model.pt": b"model"}, type="model")
    tell(store, steps["train"], "loss", {"loss.png": b"png"}, project="", version=0)
    read(store, steps["evaluate"], "model")
    read(store, steps["evaluate"], "test")
    tell(store, steps["evaluate"], "report", {"report.md": b"fine"})
    return store


def test_both_ways(trained: Store) -> None:
    """From a model back to the raw data, and on to the report."""
    found = lineage(trained, "model")

    assert (names(found.makers), names(found.users)) == (["train"], ["evaluate"])
    assert names(found.upstream()) == ["train", "digits/train:v0", "split", "digits/raw:v0", "fetch"]
    assert names(found.downstream()) == ["evaluate", "digits/report:v0"]
    assert repr(found) == "<Lineage of digits/model:v0: 8 nodes, 7 edges>"


def test_the_other_ends(trained: Store) -> None:
    """Of raw data all comes; of a report nothing."""
    raw, report = lineage(trained, "raw"), lineage(trained, "report")

    assert names(raw.downstream()) == [
        *("split", "digits/train:v0", "digits/test:v0", "train", "evaluate"),
        *("digits/model:v0", "digits/report:v0"),
    ]
    assert names(raw.upstream()) == ["fetch"]
    assert report.downstream() == []
    assert names(report.upstream())[:3] == ["evaluate", "digits/model:v0", "digits/test:v0"]


def test_so_many_steps(trained: Store) -> None:
    """The graph that is read, and the part of it that is asked for, end there."""
    found = lineage(trained, "report", depth=2)

    assert names(found.upstream()) == ["evaluate", "digits/model:v0", "digits/test:v0"]
    assert names(lineage(trained, "report").upstream(1)) == ["evaluate"]
    assert lineage(trained, "report", depth=0).nodes.keys() == {"digits/report:v0"}


def test_nodes_and_edges_say_what_they_are(trained: Store) -> None:
    """With times, types and how the runs stand."""
    found = lineage(trained, "train")

    assert found.root == LineageNode(
        id="digits/train:v0",
        kind="artifact",
        project="digits",
        name="train",
        version=0,
        type="dataset",
        time=find_artifact(trained, "train", "digits").created_at,
    )
    (run,) = found.makers
    assert (run.kind, run.project, run.experiment, run.name, run.status) == (
        *("run", "digits", "sweep", "split"),
        "running",
    )
    made, used = found.edges[2], found.edges[3]
    assert (made.relation, made.run, made.artifact) == ("made", run.id, "digits/train:v0")
    assert (used.relation, used.artifact) == ("used", "digits/train:v0")
    assert made.time < used.time


def test_a_figure_is_there_if_somebody_used_it(trained: Store) -> None:
    """It is told by the id of its run."""
    (train,) = lineage(trained, "model").makers
    reader = writer(name="paper")
    read(trained, reader, f"{train.id}/loss")

    assert f"{train.id}/loss:v0" in names(lineage(trained, "train").downstream())
    assert names(lineage(trained, f"{train.id}/loss").users) == ["paper"]
    assert names(lineage(trained, f"{train.id}/loss").makers) == ["train"]


def test_several_runs_made_the_same(store: Store) -> None:
    """All of them are makers, each once; so are users, however often they asked."""
    first, second, reader = writer(name="first"), writer(name="second"), writer(name="reader")
    for script in (first, second, first):
        tell(store, script, "data", {"x": b"x"})
    for _ in range(3):
        read(store, reader, "data")

    found = lineage(store, "data")
    assert (names(found.makers), names(found.users)) == (["first", "second"], ["reader"])
    assert len(found.edges) == 3


def test_a_run_may_use_what_it_makes(store: Store) -> None:
    """A circle has no end, but the walk has one."""
    script, other = writer(name="loop"), writer(name="other")
    tell(store, script, "data", {"x": b"x"})
    read(store, script, "data")
    read(store, other, "data")
    tell(store, other, "data", {"x": b"x"})

    found = lineage(store, "data")
    assert names(found.upstream()) == names(found.downstream()) == ["loop", "other"]
    assert names(found.makers) == names(found.users) == ["loop", "other"]


def test_what_was_deleted_is_still_named(trained: Store) -> None:
    """By those who used it."""
    (split,) = lineage(trained, "train").makers
    trained.delete_run(split.id)

    found = lineage(trained, "model")
    assert names(found.upstream()) == ["train", "digits/train:v0"]
    assert found.nodes["digits/train:v0"] == LineageNode(
        id="digits/train:v0", kind="artifact", project="digits", name="train", version=0
    )


def test_projects_are_crossed(store: Store) -> None:
    """A run may use what others have made elsewhere."""
    elsewhere, here = writer(project="shared", name="elsewhere"), writer(name="here")
    tell(store, elsewhere, "data", {"x": b"x"})
    read(store, here, "shared/data")
    tell(store, here, "model", {"m": b"m"})

    assert names(lineage(store, "model").upstream()) == ["here", "shared/data:v0", "elsewhere"]
    assert names(lineage(store, "shared/data").downstream()) == ["here", "digits/model:v0"]


def test_a_run_may_have_been_moved(store: Store) -> None:
    """Its artifacts stay where they were logged."""
    script = writer(name="moved")
    tell(store, script, "data", {"x": b"x"})
    script.ship(store, script.record(RecordKind.PLACE, project="other", experiment="default"))
    script.project = "other"
    tell(store, script, "more", {"y": b"y"})

    (maker,) = lineage(store, "data").makers
    assert (maker.project, maker.name) == ("other", "moved")
    assert names(lineage(store, "other/more").makers) == ["moved"]


STEPS = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 4)), max_size=14)


def slow_walk(store: Store, start: str, *, up: bool) -> set[str]:
    """Return all that can be reached, looking at everything again and again."""
    pairs: set[tuple[str, str]] = set()
    for record in store.find_artifacts(ArtifactQuery(project="digits")):
        pairs.add((record.run, f"digits/{record.name}:v{record.version}"))
    for used in store.uses():
        pairs.add((f"digits/{used.name}:v{used.version}", used.run))
    reached = {start}
    while True:
        more = {(one if up else other) for one, other in pairs if (other if up else one) in reached}
        if more <= reached:
            return reached - {start}
        reached |= more


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(STEPS)
def test_any_history_can_be_walked(steps: list[tuple[int, bool, int]]) -> None:
    """Whatever runs made and used, also in circles, all that can be reached is found, and nothing else."""
    store = MemoryStore(f"reference://{new_id()}")
    runs = [writer(name=f"run-{number}") for number in range(4)]
    tell(store, runs[0], "0", {"x": b"0"})
    for run, made, name in steps:
        found = store.find_artifacts(ArtifactQuery(project="digits", name=str(name)))
        if made or not found:
            tell(store, runs[run], str(name), {"x": b"%d" % name})
        else:
            use(store, runs[run], found[-1])

    found_lineage = lineage(store, "0")
    # What comes back to where it began is no news.
    assert {node.id for node in found_lineage.upstream()} == slow_walk(store, "digits/0:v0", up=True)
    assert {node.id for node in found_lineage.downstream()} == slow_walk(store, "digits/0:v0", up=False)


def test_thousands_of_runs(store: Store) -> None:
    """A data set that two thousand runs used, each of which made a model."""
    tell(store, writer(name="fetch"), "raw", {"raw.csv": b"raw"})
    raw = find_artifact(store, "raw", "digits").info
    for number in range(2000):
        script = writer(name=f"train-{number}")
        used = {key: getattr(raw, key) for key in ("project", "name", "version", "checksum")}
        model = {
            "id": new_id(),
            "project": "digits",
            "name": f"model-{number}",
            "type": "model",
            "checksum": f"{number}",
        }
        batch = script.start(
            script.record(RecordKind.USE, artifact=raw.id, **used), script.record(RecordKind.ARTIFACT, **model)
        )
        ship(store, [batch])

    found = lineage(store, "raw")
    assert len(found.nodes) == 4002
    assert len(found.users) == 2000
