"""The data are open: DuckDB, Polars and Spark find in an object store what tracklib finds, by the code of the page."""

from __future__ import annotations

import ast
import math
import pickle
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tracklib
from tests.run_page import Block, blocks_of
from tracklib.stores import object_log

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "query-a-bucket.md"
BARE: dict[str, Any] = {
    "auto_log_git": False,
    "auto_log_env": False,
    "auto_log_console": False,
    "system_interval": 0,
}
ODD = 'it\'s "odd"\n/é'
QUICK: dict[str, bool | float | int | str | None] = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto",
    "spark.driver.memory": "512m",
    "spark.log.level": "OFF",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""What lets Spark start soon and answer small questions quickly."""
Answer = dict[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """A store with runs, as tracklib and as others call it.

    Attributes:
        late: A run that is newer than the newest snapshot.
        environment: Variables by which others find it.
    """

    store: str
    root: str
    late: str
    environment: dict[str, str]


# ---- runs to ask about


def record(store: str, losses: Iterable[float], *, lr: Any = None, name: str = "eval/loss", steps: int = 0) -> str:
    """Record a run; every third value is shipped by itself."""
    params = {} if lr is None else {"training": {"lr": lr}, ODD: "kept"}
    with tracklib.start_run(project="sweep", store=store, params=params, **BARE) as run:
        for step, loss in enumerate(losses, steps):
            run.log({name: loss, "train/loss": -loss}, step=step)
            if step % 3 == 2:
                run.flush()
    return run.id


def go_on(store: str, run_id: str, losses: dict[int, float]) -> None:
    """Resume a run and log some steps, which it may have had before."""
    with tracklib.start_run(resume=run_id, store=store, **BARE) as run:
        for step, loss in losses.items():
            run.log({"eval/loss": loss}, step=step)


def fill(store: str) -> str:
    """Record a sweep and what else there may be, with two snapshots; return a run that is newer than they are."""
    runs = [
        record(store, [rate + 1 / (step + 1) for step in range(3 + index % 3)], lr=rate)
        for index in range(28)
        if (rate := 10 ** (-index / 7))
    ]
    opened = tracklib.open_store(store)
    opened.compact(settled_s=0)
    go_on(store, runs[0], {2: 0.25})
    go_on(store, runs[6], {1: 0.5, 7: 0.75, 3: 1.5})
    record(store, [1.0, math.nan], lr=0.5)
    record(store, [1.0, -math.inf], lr=True)
    record(store, [3.0], lr="auto")
    record(store, [4.0, 5.0], steps=-7)
    record(store, [6.0], lr=0.5, name=ODD)
    record(store, [], lr=0.5)
    opened.compact(settled_s=0)
    return record(store, [7.0], lr=0.5)


@pytest.fixture(scope="module", name="world")
def _world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder, which is home while runs are recorded and full segments have three rows or more."""
    home = tmp_path_factory.mktemp("open-data")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(home))
        patch.setattr(object_log, "SEGMENT_ROWS", 3)
        with chdir(home):
            yield home


@pytest.fixture(scope="module", name="folder")
def _folder(world: Path) -> Place:
    store = f"file://{world}/store"
    place = Place(store, "store", fill(store), {})
    # There are segments of both kinds.
    assert list(world.glob("store/runs/*/metrics/*_*.parquet"))
    assert list(world.glob("store/runs/*/metrics/*-0.parquet"))
    return place


@pytest.fixture(scope="module", name="bucket")
def _bucket(folder: Place, world: Path, s3_server: S3Server) -> Place:
    """Return the same store in a bucket: a store is nothing but its objects."""
    from s3fs import S3FileSystem

    root = f"s3://{s3_server.make_bucket('open-data')}/team"
    S3FileSystem(**s3_server.options()).put(f"{world}/store/", f"{root}/", recursive=True)
    return Place(root, root, folder.late, {**s3_server.environment(), "AWS_ALLOW_HTTP": "true"})


@pytest.fixture(name="place", params=["folder", "bucket"])
def _place(request: pytest.FixtureRequest, world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    from s3fs import S3FileSystem

    place: Place = request.getfixturevalue(request.param)
    monkeypatch.chdir(world)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    # fsspec keeps what was opened, under whatever variables that was.
    S3FileSystem.clear_instance_cache()
    yield place
    S3FileSystem.clear_instance_cache()


# ---- what the page shows


@pytest.fixture(scope="module", name="blocks")
def _blocks() -> list[Block]:
    return [block for block in blocks_of(PAGE.read_text(encoding="utf-8")) if block.language == "python"]


def block_with(blocks: list[Block], text: str) -> str:
    (source,) = [block.source for block in blocks if text in block.source]
    return source


def run_source(source: str, namespace: dict[str, Any]) -> None:
    exec(compile(source, str(PAGE), "exec"), namespace)  # noqa: S102 - it is what the page is for


@pytest.fixture(scope="module", name="ask")
def _ask(blocks: list[Block]) -> str:
    """Return the functions of the page, without what it does with them."""
    statements = [statement for block in blocks for statement in ast.parse(block.source).body]
    kept: list[ast.stmt] = [each for each in statements if isinstance(each, (ast.Import, ast.FunctionDef))]
    return ast.unparse(ast.Module(kept, []))


@pytest.fixture(scope="module", name="spark")
def _spark() -> Iterator[Any]:
    """Return the one session of all tests."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, and there is no `java` here")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PySpark has to say something about new versions of pandas.
        from pyspark import SparkContext
        from pyspark.sql import SparkSession

        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        interrupt = signal.getsignal(signal.SIGINT)
        session = SparkSession.builder.master("local[1]").config(map=QUICK).getOrCreate()
        yield session
        gateway: Any = SparkContext._gateway
        session.stop()
        # Else it would keep its memory, and our SIGINT, until the last of all tests.
        signal.signal(signal.SIGINT, interrupt)
        SparkContext._gateway = SparkContext._jvm = None
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()


PATIENCE_SECONDS = 60.0
TRIES = 4

CONNECTED = """
import duckdb, fsspec

con = duckdb.connect()
if root.startswith("s3://"):
    con.register_filesystem(fsspec.filesystem("s3"))
"""


def answer_of(source: str, **given: Any) -> Any:
    """Return what `answer` is at the end of a program, run by another process.

    Others ask in programs of their own too. DuckDB's threads read through fsspec's Python at the risk of a crash, and
    of waiting for the interpreter lock for ever: https://github.com/duckdb/duckdb-python/pull/316 and
    https://github.com/duckdb/duckdb/issues/16501. Such an end says nothing about our data: the program is run again.

    Args:
        given: Values of the program's own names.
    """
    names = "\n".join(f"{name} = {value!r}" for name, value in given.items())
    program = f"import pickle, sys\n{names}\n{source}\npickle.dump(answer, sys.stdout.buffer)"
    for _ in range(TRIES):
        try:
            done = subprocess.run(
                [sys.executable, "-c", program], check=False, capture_output=True, timeout=PATIENCE_SECONDS
            )
        except subprocess.TimeoutExpired:
            continue
        if done.returncode >= 0:
            assert done.returncode == 0, done.stderr.decode()
            return pickle.loads(done.stdout)  # noqa: S301 - of a program of ours
    pytest.fail(f"the program hung or crashed {TRIES} times:\n{program}")


# ---- the answers


def shown(rows: Iterable[tuple[str, float | None, float | None]]) -> Answer:
    """Return answers by run, so that NaN is like NaN and every digit counts."""
    found = [(run, f"{lr!r} {last!r}") for run, lr, last in rows]
    assert len(found) == len(dict(found))
    return dict(found)


def by_tracklib(place: Place) -> Answer:
    """Return the last eval/loss of each run with its learning rate: none where it is no number, or in no snapshot."""
    rows = []
    for run in tracklib.list_runs(store=place.store):
        lr = run.params.get("training", {}).get("lr")
        known = isinstance(lr, (int, float)) and run.id != place.late
        if "eval/loss" in run.metrics:
            rows.append((run.id, float(lr) if known else None, run.metrics["eval/loss"].last))
    return shown(rows)


def test_duckdb_answers_as_tracklib_does(place: Place, ask: str) -> None:
    """DuckDB finds the last loss and the learning rate of every run, to the last digit."""
    answer = shown(answer_of(f"{ask}{CONNECTED}answer = ask_duckdb(con, root)", root=place.root))

    assert len(answer) > 30
    assert answer == by_tracklib(place)


def test_polars_answers_as_tracklib_does(place: Place, ask: str) -> None:
    """Polars finds the same."""
    assert shown(answer_of(f"{ask}\nanswer = ask_polars(root)", root=place.root)) == by_tracklib(place)


@pytest.mark.slow
@pytest.mark.usefixtures("spark")
def test_spark_answers_as_tracklib_does(place: Place, blocks: list[Block], world: Path) -> None:
    """Spark finds the same; what is in a bucket is copied for it, since its own way there is not installed."""
    import fsspec

    root = place.root
    if root.startswith("s3://"):
        root = str(world / "copied")
        fsspec.filesystem("s3").get(f"{place.root}/", f"{root}/", recursive=True)
    else:
        root = str(world / root)  # The session may have been begun in another folder.
    source = block_with(blocks, "import SparkSession").replace('"store"', repr(root))
    rows: list[Any] = []
    # Its session is the one that is there.
    run_source(source.replace("print(lr, round(last, 3))", "rows.append((run_id, lr, last))"), {"rows": rows})

    assert shown(rows) == by_tracklib(place)


@pytest.mark.parametrize("place", ["bucket"], indirect=True)
def test_the_block_about_buckets_runs(place: Place, blocks: list[Block], ask: str) -> None:
    """What the page shows of buckets runs as it stands, but for the name of the bucket and its region."""
    source = block_with(blocks, "register_filesystem").replace("s3://bucket/team", place.root)
    source = source.replace("eu-central-1", "us-east-1").replace("print(", "answer.append(")
    printed = answer_of(f"answer = []\n{ask}\n{source}")
    count = len(by_tracklib(place))

    assert [len(rows) for rows in printed] == [count, count]


# ---- what others see


def by_duckdb(place: Place, query: str, **params: str) -> Any:
    """Return DuckDB's answer to a query."""
    source = f"{CONNECTED}answer = con.sql(query, params=params).fetchall()"
    return answer_of(source, root=place.root, query=query, params=params or None)


def test_duckdb_sees_the_types_of_the_format(place: Place) -> None:
    """Columns of points have the types that the format says, in every segment."""
    query = f"DESCRIBE SELECT * FROM '{place.root}/runs/*/metrics/*.parquet'"  # noqa: S608 - our own name
    described = by_duckdb(place, query)

    assert [row[:2] for row in described] == [
        ("run_id", "VARCHAR"),
        ("name", "VARCHAR"),
        ("step", "BIGINT"),
        ("time", "DOUBLE"),
        ("value", "DOUBLE"),
        ("batch", "BIGINT"),
    ]


def by_snapshot(place: Place) -> Answer:
    """Return what tracklib says of the runs that the newest snapshot has: learning rate and last eval/loss, or none."""
    rows = []
    for run in tracklib.list_runs(store=place.store):
        lr = run.params.get("training", {}).get("lr")
        last = run.metrics["eval/loss"].last if "eval/loss" in run.metrics else None
        if run.id != place.late:
            rows.append((run.id, float(lr) if isinstance(lr, (int, float)) else None, last))
    return shown(rows)


def newest_snapshot(place: Place) -> str:
    """Return the file, as DuckDB and Polars call it."""
    return str(by_duckdb(place, f"SELECT max(file) FROM glob('{place.root}/snapshots/*.parquet')")[0][0])  # noqa: S608 - our own name


def test_duckdb_reads_snapshots_alone(place: Place) -> None:
    """Params and summaries of all runs are in one file, whether a run has them or not."""
    rows = by_duckdb(
        place,
        "SELECT run_id, params['training.lr'].number, metrics['eval/loss'].last"  # noqa: S608 - our own name
        f" FROM '{newest_snapshot(place)}'",
    )

    assert shown(rows) == by_snapshot(place)


def test_polars_reads_snapshots_alone(place: Place) -> None:
    """So it is for Polars."""
    rows = answer_of(
        """
import polars as pl

lr = pl.col("params").map.get("training.lr").struct.field("number")
last = pl.col("metrics").map.get("eval/loss").struct.field("last")
answer = pl.read_parquet(path).select("run_id", lr.alias("lr"), last.alias("last")).rows()
""",
        path=newest_snapshot(place),
    )

    assert shown(rows) == by_snapshot(place)


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_odd_names_are_what_they_are(place: Place) -> None:
    """Names with quotes, newlines and slashes are found under just these names, by points and in snapshots."""
    points = f"'{place.root}/runs/*/metrics/*.parquet'"
    found = by_duckdb(place, f"SELECT run_id, value FROM {points} WHERE name = $name", name=ODD)  # noqa: S608 - our own name
    kept = by_duckdb(
        place,
        f"SELECT run_id, metrics[$name].last, params[$name].text FROM '{newest_snapshot(place)}'"  # noqa: S608 - our own name
        " WHERE map_contains(metrics, $name)",
        name=ODD,
    )

    assert [value for _, value in found] == [6.0]
    assert kept == [(found[0][0], 6.0, "kept")]
