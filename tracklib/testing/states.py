"""The suite's random histories: whatever writers do, a store says what the store in memory says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test

from tracklib.model import EDIT_PREFIX, Experiment, Project
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import ArtifactQuery, RunQuery, Store
from tracklib.testing.batches import EPOCH, WriterScript, logged
from tracklib.testing.export import assert_exported
from tracklib.testing.harness import StoreHarness
from tracklib.testing.memory import MemoryStore
from tracklib.testing.summaries import same_summary
from tracklib.testing.versions import artifact_record
from tracklib.values import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.model import RunInfo
    from tracklib.records import Batch, Record

__all__ = ["StateContract", "calls"]

_NAMES = ("loss", "train/loss", "é", "a'b")
_WIDE = tuple(f"layer/{n}" for n in range(70))

# Whole numbers, so that sums are the same in whatever order they are made.
_values = st.one_of(
    st.integers(-1000, 1000).map(float), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 2.0**40])
)
_steps = st.one_of(st.integers(-3, 12), st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 54]))
_texts = st.text(alphabet="ab$.'\" é\n", max_size=5)
_leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), _texts)
_param = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_texts, inner, max_size=3), max_leaves=6
)
_params = st.dictionaries(_texts, _param, max_size=3).map(jsonable)


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[dict[str, float], int]]:
    """Draw calls of `log`: values by name, few names or many, and a step."""
    found = []
    for _ in range(draw(st.integers(0, 6))):
        wide = draw(st.integers(0, 9)) == 0
        names = _WIDE if wide else draw(st.lists(st.sampled_from(_NAMES), min_size=1, unique=True))
        value = draw(_values)
        found.append(({name: value + n for n, name in enumerate(names)}, draw(_steps)))
    return found


@st.composite
def _records(draw: st.DrawFn) -> list[tuple[str, dict[str, Any]]]:
    """Draw kinds and data of records."""
    kinds: dict[str, st.SearchStrategy[dict[str, Any]]] = {
        RecordKind.PARAMS: st.fixed_dictionaries({"params": _params}),
        RecordKind.TAGS: st.fixed_dictionaries({"tags": st.dictionaries(_texts, st.none() | _texts, max_size=3)}),
        RecordKind.NOTES: st.fixed_dictionaries({"text": _texts}),
        RecordKind.NAME: st.fixed_dictionaries({"name": st.text("ab", min_size=1, max_size=3)}),
        RecordKind.ARCHIVE: st.fixed_dictionaries({"archived_at": st.none() | st.just(EPOCH)}),
        RecordKind.MESSAGE: st.fixed_dictionaries({"level": st.just("info"), "text": _texts}),
        RecordKind.DROPPED: st.fixed_dictionaries({"counts": st.dictionaries(_texts, st.integers(0, 9), max_size=2)}),
        RecordKind.HEARTBEAT: st.just({}),
        "unheard-of": _params,
    }
    return [(kind, draw(kinds[kind])) for kind in draw(st.lists(st.sampled_from(sorted(kinds)), max_size=3))]


_told = st.sampled_from(["new", "new", "again", "alias", "use", "delete"])
_contents = st.sampled_from(["", "k", "l", "m"])
_described: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"name": "m", "version": None, "aliases": ["best"], "score": 1, "created_at": 0.0},
        {"name": "m", "version": None, "aliases": [], "created_at": EPOCH + 25.0},
        {"name": "m", "version": 3, "aliases": ["prod", "best"], "score": {"$float": "nan"}},
        {"name": "n", "version": 0, "aliases": ["best"], "score": -0.5},
        {"name": "n", "version": 1, "project": ""},
    ]
)
"""What is told of artifacts: of few contents and names, so that they come again."""


class _Histories(RuleBasedStateMachine):
    """Does the same to a store and to one in memory. Each history has projects and runs of its own."""

    scripts: Bundle[WriterScript] = Bundle("scripts")
    first: ClassVar[Store]
    reopen: ClassVar[Callable[[Store], Store]]

    def __init__(self) -> None:
        super().__init__()
        self.store = self.first
        self.reference = MemoryStore(f"reference://{new_id()}")
        self.prefix = new_id()
        self.clock = EPOCH
        self.mains: dict[str, list[tuple[str, float]]] = {}
        self.ended: set[tuple[str, str]] = set()
        self.joined: set[str] = set()
        self.shipped: list[Batch] = []
        self.named: set[str] = set()
        self.gallery = f"{self.prefix}a"
        self.made = 0

    def both(self, batch: Batch) -> None:
        """Append to both stores, which must return the same."""
        assert self.store.append(batch) == self.reference.append(batch)
        self.shipped.append(batch)

    def now(self, script: WriterScript) -> WriterScript:
        """Let the script's clock show a moment that is later than all before."""
        self.clock += 10.0
        script.clock = self.clock
        return script

    def late(self, script: WriterScript) -> WriterScript:
        """Let the clock show the last moment before the run was resumed by another process, if it was."""
        mains = self.mains[script.run]
        after = [start for (_, start), (writer, _) in zip(mains[1:], mains, strict=False) if writer == script.writer]
        script.clock = after[0] - 1.0 if after else self.now(script).clock
        return script

    def told(self, script: WriterScript, records: list[tuple[str, dict[str, Any]]]) -> list[Record]:
        return [script.record(kind, **data) for kind, data in records]

    @rule(target=scripts, project=st.sampled_from("ab"), experiment=st.sampled_from("xy"), lost=st.booleans())
    def begin(self, project: str, experiment: str, *, lost: bool) -> WriterScript:
        """A run begins; or what is left of one does."""
        script = self.now(WriterScript(project=self.prefix + project, experiment=experiment))
        self.mains[script.run] = [(script.writer, script.clock)]
        if not lost:
            self.both(script.start(created_by="ada"))
        else:
            script.lose()
            self.both(script.batch(script.record(RecordKind.HEARTBEAT), after_gap=True))
        return script

    @rule(target=scripts, script=scripts, primary=st.booleans(), host=st.sampled_from("mn"))
    def join(self, script: WriterScript, host: str, *, primary: bool) -> WriterScript:
        """Another process joins a run, as a helper or to go on with it."""
        other = self.now(script.joined_by(new_id()))
        self.joined.add(script.run)
        if primary:
            self.mains[script.run].append((other.writer, other.clock))
        self.both(other.start(primary=primary, host=host, rank=1))
        return other

    @rule(script=scripts, drawn=calls(), records=_records(), final=st.booleans(), late=st.booleans())
    def append(self, script: WriterScript, drawn: Any, records: Any, *, final: bool, late: bool) -> None:
        """A writer tells something, perhaps what it wrote before the run was resumed, and perhaps ends with it."""
        (self.late if late else self.now)(script)
        parts = [*self.told(script, records), *logged(drawn, at=self.clock)]
        self.both(script.batch(*parts, final=final))

    @rule(script=scripts, name=st.sampled_from(_NAMES), value=_values)
    def append_much(self, script: WriterScript, name: str, value: float) -> None:
        """A writer tells so much at once that it is kept in another form."""
        self.now(script)
        drawn = [({name: value, "other": 1.0}, step // 2) for step in range(4200)]
        self.both(script.batch(*logged(drawn, at=self.clock)))

    @rule(script=scripts, status=st.sampled_from(["completed", "failed", "killed"]), seconds=st.none() | st.just(4.0))
    def end(self, script: WriterScript, status: str, seconds: float | None) -> None:
        """A process ends."""
        if (script.run, script.writer) not in self.ended:
            self.ended.add((script.run, script.writer))
            self.both(self.now(script).end(status, reason=status, duration=seconds))

    @rule(script=scripts, status=st.sampled_from(["completed", "failed"]), seconds=st.none() | st.just(2.0))
    def settle(self, script: WriterScript, status: str, seconds: float | None) -> None:
        """A process says how its run stands, and goes on."""
        if (script.run, script.writer) not in self.ended:
            script = self.now(script)
            self.both(script.batch(script.record(RecordKind.END, status=status, reason=status, duration=seconds)))

    @rule(script=scripts)
    def proceed(self, script: WriterScript) -> None:
        """The only process of a run takes back how it stands; which of several began later would be unclear."""
        if (script.run, script.writer) not in self.ended and script.run not in self.joined:
            script = self.now(script)
            again = {"project": script.project, "experiment": script.experiment, "name": script.name}
            self.both(script.batch(script.record(RecordKind.START, **again)))
            self.mains[script.run][-1] = (script.writer, script.clock)

    @rule(script=scripts, data=st.data(), kinds=st.lists(_told, min_size=1, max_size=6))
    def tell_of_artifacts(self, script: WriterScript, data: st.DataObject, kinds: list[str]) -> None:
        """A run makes artifacts, tells anew of one, reads one, or says what one is called or that it is no more."""
        for kind in kinds:
            self.both(self.now(script).batch(self.artifact_record(script, data, kind)))

    def artifact_record(self, script: WriterScript, data: st.DataObject, kind: str) -> Record:
        """Return a record of a kind, about an artifact that there is if it needs one; else of a new one."""
        mine = kind in {"again", "delete"}
        query = ArtifactQuery(run=script.run) if mine else ArtifactQuery(project=self.gallery)
        found = [] if kind == "new" else self.reference.find_artifacts(query)
        artifact = data.draw(st.sampled_from(found)) if found else None
        if artifact is None or kind == "again":
            self.made += 1
            identity = artifact.id if artifact else f"{self.prefix}{self.made:04}"
            content = data.draw(_contents)
            about = {"id": identity, "project": self.gallery, **data.draw(_described)}
            record = artifact_record(script, content and self.prefix + content, **about)
            self.named |= {file["checksum"] for file in record.data["files"]}
            return record
        if kind == "delete":
            return script.record(RecordKind.ARTIFACT, id=artifact.id, deleted=True)
        about = {"project": artifact.project, "name": artifact.name, "checksum": artifact.checksum}
        about |= {"artifact": artifact.id} if kind == "use" else {"alias": "prod"}
        version = artifact.version if kind == "use" or data.draw(st.booleans()) else None
        return script.record(kind, **about, version=version)

    @rule(script=scripts, project=st.sampled_from("ab"), experiment=st.sampled_from("xy"), late=st.booleans())
    def move(self, script: WriterScript, project: str, experiment: str, *, late: bool) -> None:
        """A run moves, perhaps as was said before it was resumed."""
        (self.late if late else self.now)(script)
        place = {"project": self.prefix + project, "experiment": experiment}
        self.both(script.batch(script.record(RecordKind.PLACE, **place)))

    @rule(script=scripts, records=_records(), late=st.booleans())
    def edit(self, script: WriterScript, records: Any, *, late: bool) -> None:
        """Somebody changes what a run says of itself; a late change is older than what was told last."""
        other = self.now(script.joined_by(f"{EDIT_PREFIX}{new_id()}"))
        other.clock -= 15.0 if late else 0.0
        self.joined.add(script.run)
        end = other.record(RecordKind.END, status="completed")
        self.both(other.start(*self.told(other, records), end, primary=False, final=True))

    @rule(data=st.data())
    def append_again(self, data: st.DataObject) -> None:
        """A batch arrives that was shipped before, or overlaps with one, or comes too early."""
        if self.shipped:
            batch = data.draw(st.sampled_from(self.shipped[-5:]))
            start, end = (data.draw(st.sampled_from([-500, 0, 500, 100_000])) for _ in range(2))
            self.both(replace(batch, start=batch.start + start, end=batch.end + start + min(end, 500)))
            self.shipped.pop()

    @rule(name=st.sampled_from("abc"), text=_texts, archived=st.booleans())
    def put_project(self, name: str, text: str, *, archived: bool) -> None:
        """Somebody describes a project."""
        self.clock += 10.0
        at = self.clock if archived else None
        project = Project(id=new_id(), name=self.prefix + name, description=text, archived_at=at)
        for store in (self.store, self.reference):
            store.put_project(project)

    @rule(project=st.sampled_from("abc"), name=st.sampled_from("xyz"), text=_texts)
    def put_experiment(self, project: str, name: str, text: str) -> None:
        """Somebody describes an experiment."""
        experiment = Experiment(id=new_id(), project=self.prefix + project, name=name, hypothesis=text)
        for store in (self.store, self.reference):
            store.put_experiment(experiment)

    @rule()
    def close(self) -> None:
        """The store is closed, and opened again by somebody else."""
        self.store.close()
        self.store = type(self).reopen(self.store)

    @rule(script=scripts)
    def look(self, script: WriterScript) -> None:
        """Somebody looks at a run: both stores must say the same of it."""
        run = script.run
        assert _comparable(self.store.run(run)) == _comparable(self.reference.run(run))
        assert self.store.events(run) == self.reference.events(run)
        assert self.store.artifacts(run) == self.reference.artifacts(run)
        found, wanted = (store.summaries([run])[run] for store in (self.store, self.reference))
        assert found.keys() == wanted.keys()
        for name in [*found][:6]:
            assert same_summary(found[name], wanted[name]), (found[name], wanted[name])
            for every in (False, True):
                pair = (store.series(run, name, every=every) for store in (self.store, self.reference))
                for mine, theirs in zip(*pair, strict=True):
                    assert mine.tobytes() == theirs.tobytes()
        assert_exported(self.store, run)

    @rule(
        order=st.sampled_from(["created", "loss", "layer/3"]),
        descending=st.booleans(),
        limit=st.none() | st.just(2),
        archived=st.sampled_from([False, None, True]),
    )
    def list(self, order: str, limit: int | None, *, descending: bool, archived: bool | None) -> None:
        """Somebody lists runs and what they are gathered under."""
        for project in "ab":
            query = RunQuery(
                project=self.prefix + project, archived=archived, order_by=order, descending=descending, limit=limit
            )
            found, wanted = (store.runs(query) for store in (self.store, self.reference))
            assert [info.id for info in found] == [info.id for info in wanted]
        for name in "abc":
            project = self.prefix + name
            one, other = (store.experiments(project, archived=None) for store in (self.store, self.reference))
            assert [replace(e, id="") for e in one] == [replace(e, id="") for e in other]
        told, meant = (
            (
                store.find_artifacts(ArtifactQuery(project=self.gallery)),
                store.aliases(self.gallery),
                store.uses(project=self.gallery),
            )
            for store in (self.store, self.reference)
        )
        assert told == meant

    def teardown(self) -> None:
        """Look at everything in the end."""
        for run in sorted({batch.run for batch in self.shipped}):
            self.look(WriterScript(run=run))
        assert self.store.named_blobs() & self.named == self.reference.named_blobs()


def _comparable(info: RunInfo) -> RunInfo:
    return replace(info, writers=tuple(sorted(info.writers, key=lambda writer: writer.writer)))


class StateContract(StoreHarness):
    """What holds for any history.

    Attributes:
        histories: How many histories are tried, of how many events each. More find more, and take longer.
    """

    histories: ClassVar[settings] = settings(
        deadline=None, max_examples=40, stateful_step_count=30, suppress_health_check=list(HealthCheck)
    )

    def test_random_histories_are_told_like_the_store_in_memory_tells_them(self, store: Store) -> None:
        """Runs, writers, batches, refusals and reopenings in any order leave what they say."""
        WriterScript(project="before").ship(store)
        histories = type("Histories", (_Histories,), {"first": store, "reopen": staticmethod(self.reopen)})
        run_state_machine_as_test(histories, settings=self.histories)
