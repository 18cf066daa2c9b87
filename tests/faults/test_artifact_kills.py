"""SIGKILL of programs that keep files: what a call has taken is read back whole, from a folder and from a bucket."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import tracklib
from tests.servers.faulty_proxy import Fault, FaultyProxy
from tracklib.recording.completing import LANES

Start = Callable[..., Any]

SIZES = (10, 100_000, 3 << 20)
KEEPING = """
run = start(flush_interval=0.01)
for number in itertools.count():
    size = SIZES[number % len(SIZES)]
    content = random.Random(number).randbytes(size)
    with open("file", "wb") as file:
        file.write(content)
    run.log_artifact("file", f"file{number}", step=number)
    with open("file", "wb") as file:
        file.write(b"changed")
    run.log_text(str(number), "text", step=number)
    run.log({"x": number})
    told[0] = number + 1
"""


def check_all_kept(records: Any, count: int) -> None:
    """See to it that each artifact whose call had returned is there once, byte for byte, and none besides but one."""
    run = records.run()
    kept = {artifact.name: artifact for artifact in run.artifacts if artifact.type == "file"}
    assert len(kept) in {count, count + 1}
    assert len([artifact for artifact in run.artifacts if artifact.type == "file"]) == len(kept)
    for number in range(count):
        content = Random(number).randbytes(SIZES[number % len(SIZES)])  # noqa: S311 - no secret
        assert run.read_artifact(f"file{number}") == {"file": content}
        assert (kept[f"file{number}"].version, kept[f"file{number}"].step) == (0, number)
    texts = [artifact for artifact in run.artifacts if artifact.type == "text"]
    assert [artifact.version for artifact in texts] == list(range(len(texts)))
    assert len(texts) in {count, count + 1}
    assert [run.read_artifact("text", version=number) for number in range(count)] == [
        {"text.txt": str(number).encode()} for number in range(count)
    ]
    assert (run.status, records.left()) == ("killed", [])


def kill_at_random(start: Start, records: Any, moment_s: float, **environ: str) -> None:
    program = start(f"SIZES = {SIZES}\n{KEEPING}", **environ)
    program.await_told(1)
    time.sleep(moment_s)
    program.kill()
    check_all_kept(records, program.told())


@pytest.mark.parametrize("latest_s", [0.1, 0.3, 0.6, 1.0])
def test_kills_at_any_moment(start: Start, records: Any, chance: Random, latest_s: float) -> None:
    """Into a folder beside SQLite: whatever the call, the copy or the store was doing."""
    kill_at_random(start, records, chance.uniform(0.0, latest_s))


@pytest.mark.parametrize("latest_s", [0.2, 0.6, 1.2])
def test_kills_at_any_moment_of_an_upload(
    start: Start, bucket_records: Any, faulty_proxy: FaultyProxy, chance: Random, latest_s: float
) -> None:
    """Into a bucket that takes its time, so that most of it is done by whoever recovers the run."""
    faulty_proxy.throttle(latency_s=0.02)
    moment_s = chance.uniform(0.0, latest_s)
    kill_at_random(start, bucket_records, moment_s, AWS_ENDPOINT_URL=faulty_proxy.endpoint_url)


LARGE = """
run = start()
content = random.Random(0).randbytes(64 << 20)
open("large", "wb").write(content)
run.log_artifact("large")
del content
for step in itertools.count():
    run.log({"x": step})
    told[0] = step + 1
    time.sleep(0.01)
"""


def sent(proxy: FaultyProxy) -> list[str]:
    """Return which pieces a server was sent, or began to be sent."""
    return [request.path for request in proxy.requests if request.method == "PUT" and "/blobs/" in request.path]


@pytest.mark.slow
def test_an_upload_that_was_killed_is_gone_on_with(
    start: Start, bucket_records: Any, faulty_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that were there are not sent again, and metrics do not wait for the rest."""
    faulty_proxy.throttle(bytes_per_second=8 << 20)
    program = start(LARGE, AWS_ENDPOINT_URL=faulty_proxy.endpoint_url)
    program.await_told(1)
    deadline = time.monotonic() + 120
    while len(sent(faulty_proxy)) < 7:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    live = tracklib.get_run(bucket_records.ids()[0], store=bucket_records.uri)
    assert (live.status, live.metrics["x"].count > 0, live.artifacts) == ("running", True, [])
    program.kill()
    before = sent(faulty_proxy)
    faulty_proxy.heal()
    monkeypatch.setenv("AWS_ENDPOINT_URL", faulty_proxy.endpoint_url)
    run = bucket_records.run()

    after = sent(faulty_proxy)[len(before) :]
    # So many were on their way when it was killed.
    assert len(set(before) & set(after)) <= LANES
    assert len(after) < len(before) + len(after) - LANES
    (content,) = run.read_artifact("large").values()
    assert hashlib.sha256(content).hexdigest() == hashlib.sha256(Random(0).randbytes(64 << 20)).hexdigest()  # noqa: S311 - no secret


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET, Fault.LOST_ANSWER])
def test_a_server_that_fails_now_and_then(
    start: Start, bucket_records: Any, faulty_proxy: FaultyProxy, fault: Fault
) -> None:
    """Each piece is there in the end, and the file is whole."""
    program = start(
        """
run = start()
open("file", "wb").write(random.Random(0).randbytes(20 << 20))
told[0] = 1
wait_until(lambda: told[1])
run.log_artifact("file")
run.finish()
""",
        AWS_ENDPOINT_URL=faulty_proxy.endpoint_url,
    )
    program.await_told(1)
    faulty_proxy.fail(fault, method="PUT", path="/blobs/", times=4)
    program.tell(1, place=1)
    assert program.wait() == 0

    run = bucket_records.run()
    assert run.read_artifact("file") == {"file": Random(0).randbytes(20 << 20)}  # noqa: S311 - no secret
    assert run.status == "completed"


MEMORY = """
import resource
run = start()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
run.log_artifact("huge")
assert run.finish()
told[0] = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
told[1] = 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["records", "bucket_records"])
def test_a_large_file_takes_little_memory(start: Start, request: pytest.FixtureRequest, kind: str) -> None:
    """Two gigabytes of it, with a hundred megabytes at the most."""
    records = request.getfixturevalue(kind)
    chance = Random(0)  # noqa: S311 - no secret
    with (records.folder / "huge").open("wb") as file:
        for _ in range(16):  # Random bytes, so that no piece is like another, and zeros for speed.
            file.write(chance.randbytes(16 << 20))
            file.seek(112 << 20, os.SEEK_CUR)
        file.truncate(2 << 30)
    program = start(MEMORY)
    assert program.wait() == 0, program.errors

    assert program.told(1) == 1
    assert program.told(0) < 100
    assert records.run().artifacts[0].size == 2 << 30


@pytest.mark.usefixtures("bucket_records")
def test_progress_is_shown_at_a_terminal(
    faulty_proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the end of a run sees what for; in a pipe there is nothing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", faulty_proxy.endpoint_url)
    faulty_proxy.throttle(bytes_per_second=8 << 20)
    (tmp_path / "file").write_bytes(Random(0).randbytes(24 << 20))  # noqa: S311 - no secret
    code = (
        "import os, tracklib; run = tracklib.start_run('faults', store=os.environ['STORE'], auto_log_console=False); "
        "run.log_artifact('file'); run.finish()"
    )
    parent, child = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=child, env={**os.environ, "TERM": "xterm"}
    ):
        os.close(child)
        shown = b""
        while part := _read(parent):
            shown += part
    os.close(parent)

    assert b"artifacts go to the store" in shown
    assert b"25.2 MB" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # The other end is closed.
        return b""
