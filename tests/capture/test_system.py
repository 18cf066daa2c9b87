"""Samples of this machine and this process, and the thread that takes them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.capture.rates import Rate
from tracklib.capture.system import SystemMonitor, SystemSampler, next_due
from tracklib.errors import ConfigError, RunFinished
from tracklib.settings import Prices

LONG_S = 60.0


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="make")
def _make(clock: Clock) -> Iterator[Callable[..., SystemSampler]]:
    made: list[SystemSampler] = []

    def make(**arguments: object) -> SystemSampler:
        made.append(SystemSampler(**{"clock": clock, **arguments}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for sampler in made:
        sampler.close()


Make = Callable[..., SystemSampler]


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_S
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_first_sample(make: Make) -> None:
    """The first sample tells all but rates."""
    sample = make().sample()

    assert {
        "system/cpu/proc_time_s",
        "system/memory/used_bytes",
        "system/memory/used_pct",
        "system/memory/total_bytes",
        "system/memory/proc_rss_bytes",
        "system/disk/used_pct",
        "system/disk/free_bytes",
        "system/process/threads",
        "system/process/children",
    } <= set(sample)
    assert not [name for name in sample if name.endswith("_per_s")]
    assert 0 < sample["system/memory/used_pct"] < 100
    assert 0 < sample["system/memory/proc_rss_bytes"] < sample["system/memory/total_bytes"]


def test_second_sample(make: Make, clock: Clock) -> None:
    """Rates and shares follow with the second one."""
    sampler, enough_s = make(), time.process_time() + 0.3
    while time.process_time() < enough_s:
        pass
    clock.now += 1.0
    sample = sampler.sample()

    assert 0 < sample["system/cpu/util_pct"] <= 100
    assert sample["system/cpu/proc_util_pct"] > 0
    assert {name for name in sample if name.startswith("system/network")} == {
        "system/network/sent_bytes_per_s",
        "system/network/received_bytes_per_s",
    }
    assert all(math.isfinite(value) and value >= 0 for value in sample.values())


def test_share_of_the_process_tree(make: Make, clock: Clock) -> None:
    """CPU time of a child, per time that passed, in percent of one CPU."""
    sampler = make()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    clock.now += 10.0
    sample = sampler.sample()

    assert sample["system/cpu/proc_time_s"] >= 0.48
    assert sample["system/cpu/proc_util_pct"] == pytest.approx(10 * sample["system/cpu/proc_time_s"], rel=0.1)


def test_children_are_counted(make: Make) -> None:
    """A child adds to the number of processes and to the memory."""
    sampler = make()
    before = sampler.sample()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        sample = sampler.sample()
        child.communicate()

    assert sample["system/process/children"] == before["system/process/children"] + 1
    assert sampler.sample()["system/process/children"] == before["system/process/children"]


def test_process_that_is_gone(make: Make) -> None:
    """Without the process only the machine's values are left."""
    names = set(make(pid=2_000_000_000).sample())

    assert "system/memory/used_bytes" in names
    assert not names & {"system/memory/proc_rss_bytes", "system/process/threads", "system/cpu/proc_time_s"}


def test_limit_of_a_control_group(make: Make, tmp_path: Path) -> None:
    """A limit below the machine's memory is what use is held against."""
    for folder, limit, used in (("", "max", "current"), ("memory", "limit_in_bytes", "usage_in_bytes")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"memory.{limit}").write_text("4000000\n")
        (tmp_path / folder / f"memory.{used}").write_text("1000000\n")
    sample = make(cgroup_root=tmp_path).sample()

    assert sample["system/memory/total_bytes"] == 4_000_000
    assert sample["system/memory/used_bytes"] == 1_000_000
    assert sample["system/memory/used_pct"] == 25


def test_limit_above_the_machine(make: Make, tmp_path: Path) -> None:
    """A limit that the machine cannot give is none."""
    (tmp_path / "memory.max").write_text(f"{1 << 59}\n")
    (tmp_path / "memory.current").write_text("1000000\n")

    assert make(cgroup_root=tmp_path).sample()["system/memory/total_bytes"] == psutil.virtual_memory().total


def test_several_paths(make: Make, tmp_path: Path) -> None:
    """The first path gives the plain names, others are named; one that is gone is left out until it is back."""
    other = tmp_path / "data"
    sampler = make(paths=(tmp_path, Path("/"), other))
    gone = sampler.sample()
    other.mkdir()
    back = sampler.sample()

    name = f"system/disk/{'_'.join(other.parts[1:])}/free_bytes"
    assert {"system/disk/free_bytes", "system/disk/root/used_pct"} <= set(gone)
    assert name not in gone
    assert back[name] > 0


def test_counters_that_wrap(make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that fell gives no rate at that sample, and a right one at the next."""
    readings = iter([(1000, 500), (4000, 100), (5000, 300)])

    def counters(**_: object) -> SimpleNamespace:
        read_bytes, write_bytes = next(readings)
        return SimpleNamespace(read_bytes=read_bytes, write_bytes=write_bytes)

    monkeypatch.setattr(psutil, "disk_io_counters", counters)
    sampler, rates = make(), []
    for _ in range(2):
        clock.now += 10
        sample = sampler.sample()
        rates.append([sample.get(f"system/disk/{way}_bytes_per_s") for way in ("read", "write")])

    assert rates == [[300.0, None], [100.0, 20.0]]


def test_loopback_is_no_network(make: Make, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What processes of this machine say to each other is not counted; interfaces may come and go."""
    readings = iter([{"lo": 0, "eth0": 10}, {"lo": 10**9, "eth0": 20, "ib0": 0}, {"lo": 2 * 10**9}])

    def counters(**_: object) -> dict[str, SimpleNamespace]:
        return {name: SimpleNamespace(bytes_sent=n, bytes_recv=2 * n) for name, n in next(readings).items()}

    monkeypatch.setattr(psutil, "net_io_counters", counters)
    sampler, rates = make(), []
    for _ in range(2):
        clock.now += 10
        sample = sampler.sample()
        rates.append([sample.get(f"system/network/{way}_bytes_per_s") for way in ("sent", "received")])

    assert rates == [[1.0, 2.0], [None, None]]


@pytest.mark.parametrize("fault", [OSError("no /proc"), psutil.AccessDenied(1), NotImplementedError("no file")])
def test_source_that_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    """One source that cannot be read costs its values and one warning."""

    def fail() -> None:
        raise fault

    monkeypatch.setattr(psutil, "virtual_memory", fail)
    sampler = make()
    names = {name.split("/")[1] for name in sampler.sample()}

    assert {"cpu", "disk", "process"} <= names
    assert [record.getMessage() for record in caplog.records] == [
        f"Some memory metrics cannot be read and are left out: {fault}"
    ]


def test_no_working_directory(tmp_path: Path) -> None:
    """A working directory that was removed costs its values only."""
    script = """
import os, sys
from tracklib.capture.system import SystemSampler
os.rmdir(os.getcwd())
names = set(SystemSampler().sample())
assert "system/memory/used_bytes" in names and "system/disk/used_pct" not in names
"""

    folder = tmp_path / "gone"
    folder.mkdir()
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd=folder, env=environ, check=True)


@given(st.lists(st.tuples(st.floats(0, 1e18), st.floats(0, 1e9)), max_size=20))
def test_rates_are_never_negative(readings: list[tuple[float, float]]) -> None:
    """Whatever counters and clocks do, a rate is a number that is not negative."""
    rate = Rate()
    rates = [rate.update(value, at) for value, at in readings]

    assert all(per_s is None or 0 <= per_s < math.inf for per_s in rates)


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0.01, 1e5))
def test_next_sample_is_on_the_grid(due: float, late: float, interval_s: float) -> None:
    """The next sample lies ahead, by an interval at most, however much was missed."""
    now = due + late
    after = next_due(due, now, interval_s)
    steps = (after - due) / interval_s

    assert now <= after <= now + interval_s * (1 + 1e-6) + 1e-6
    assert steps == pytest.approx(round(steps), abs=1e-3, rel=1e-9)


class Sampler:
    """Gives values without looking at the machine."""

    def __init__(self) -> None:
        self.count = 0
        self.closed = False

    def sample(self) -> dict[str, float]:
        self.count += 1
        return {"system/cpu/proc_time_s": float(self.count), "system/gpu/0/util_pct": 0.0}

    def close(self) -> None:
        self.closed = True


class FailingSampler(Sampler):
    """Fails each other time."""

    def sample(self) -> dict[str, float]:
        values = super().sample()
        if self.count % 2:
            raise OSError("the disk is on fire")
        return values


class HangingSampler(Sampler):
    """Does not come back from its second sample until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = threading.Event()
        self.release = threading.Event()

    def sample(self) -> dict[str, float]:
        values = super().sample()
        if self.count == 2:
            self.hangs.set()
            self.release.wait(LONG_S)
        return values


def monitor_of(
    sampler: Sampler, seen: list[int], *, interval_s: float = 1000.0, prices: Prices | None = None
) -> SystemMonitor:
    return SystemMonitor(
        lambda _, n: seen.append(n),
        interval_s=interval_s,
        sampler=sampler,  # type: ignore[arg-type]
        prices=prices,
    )


def test_sample_at_start_and_at_stop() -> None:
    """Even a short run has two samples; a sampler that was given is not closed."""
    seen: list[int] = []
    sampler = Sampler()
    monitor = monitor_of(sampler, seen)
    monitor.start()
    used = monitor.stop(timeout_s=LONG_S)

    assert seen == [0, 1]
    assert used.cpu_hours == pytest.approx(1 / 3600)
    assert not sampler.closed


def test_samples_in_between() -> None:
    """Samples are taken at the interval and numbered."""
    seen: list[int] = []
    monitor = monitor_of(Sampler(), seen, interval_s=0.01)
    monitor.start()
    wait_for(lambda: len(seen) >= 5)
    monitor.stop(timeout_s=LONG_S)

    assert seen == list(range(len(seen)))


def test_own_sampler() -> None:
    """Without a sampler the monitor makes one, of this machine."""
    samples: list[dict[str, float]] = []
    monitor = SystemMonitor(lambda values, _: samples.append(values), interval_s=1000.0, prices=Prices(cpu_hour=1.0))
    monitor.start()
    used = monitor.stop(timeout_s=LONG_S, storage_bytes=3_000_000_000)

    assert len(samples) == 2
    assert samples[0]["system/memory/proc_rss_bytes"] > 0
    assert used.cpu_hours is not None
    assert used.cost == used.cpu_hours
    assert used.storage_gb == 3.0
    assert monitor.resources(3_000_000_000) == used


def test_stop_is_idempotent() -> None:
    """The second stop returns what the first did; a start after it does nothing."""
    seen: list[int] = []
    monitor = monitor_of(Sampler(), seen)
    monitor.start()
    monitor.start()
    used = monitor.stop(timeout_s=LONG_S)
    monitor.start()

    assert monitor.stop(timeout_s=LONG_S) == used
    assert seen == [0, 1]


def test_stop_without_start() -> None:
    """Nothing was sampled, so nothing is known."""
    seen: list[int] = []
    used = monitor_of(Sampler(), seen, prices=Prices(storage_gb=2.0)).stop(storage_bytes=1_000_000_000)

    assert seen == []
    assert (used.cpu_hours, used.gpu_hours, used.storage_gb, used.cost) == (None, None, 1.0, 2.0)


def test_sampler_that_hangs() -> None:
    """Stop leaves a thread behind that does not end in time; it logs nothing more."""
    seen: list[int] = []
    sampler = HangingSampler()
    monitor = monitor_of(sampler, seen, interval_s=0.001)
    monitor.start()
    assert sampler.hangs.wait(LONG_S)
    monitor.stop(timeout_s=0.05)
    monitor.stop(timeout_s=LONG_S)
    sampler.release.set()
    wait_for(lambda: sampler.count == 3)

    assert seen == [0]


def test_fault_in_a_sample(caplog: pytest.LogCaptureFixture) -> None:
    """A sample that fails is skipped with one warning for all, and the numbers go on without a gap."""
    seen: list[int] = []
    monitor = monitor_of(FailingSampler(), seen, interval_s=0.001)
    monitor.start()
    wait_for(lambda: len(seen) >= 3)
    monitor.stop(timeout_s=LONG_S)

    assert seen == list(range(len(seen)))
    assert [record.getMessage() for record in caplog.records] == [
        "A sample of system metrics failed: the disk is on fire"
    ]


def test_log_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """A run that takes no more values does not end the thread with an error."""

    def log(values: dict[str, float], n: int) -> None:
        raise RunFinished(f"refused {len(values)} values, number {n}")

    monitor = SystemMonitor(log, interval_s=1000.0, sampler=Sampler())  # type: ignore[arg-type]
    monitor.start()
    used = monitor.stop(timeout_s=LONG_S)

    assert used.cpu_hours is not None
    assert len(caplog.records) == 1


def test_stop_from_within() -> None:
    """A log function may stop the monitor that calls it."""
    seen: list[int] = []

    def log(_: dict[str, float], n: int) -> None:
        seen.append(n)
        monitor.stop()

    monitor = SystemMonitor(log, interval_s=1000.0, sampler=Sampler())  # type: ignore[arg-type]
    monitor.start()

    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name == "tracklib-system"])
    assert seen == [0, 1]


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process that may not start threads goes on without system metrics."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError(f"can't start {thread.name}")

    monkeypatch.setattr(threading.Thread, "start", start)
    monitor = monitor_of(Sampler(), [])
    monitor.start()

    assert monitor.stop(timeout_s=LONG_S).cpu_hours is None
    assert len(caplog.records) == 1


def test_forked_child() -> None:
    """In a child that was forked off nothing is sampled, and stop returns at once."""
    seen: list[int] = []
    monitor = monitor_of(Sampler(), seen, interval_s=0.001)
    monitor.start()
    wait_for(lambda: len(seen) >= 2)
    child = os.fork()
    if child == 0:
        before = len(seen)
        monitor.start()
        monitor.stop(timeout_s=LONG_S)
        os._exit(0 if len(seen) == before else 1)
    _, status = os.waitpid(child, 0)
    monitor.stop(timeout_s=LONG_S)

    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("interval_s", [0, -1.0, math.nan, math.inf])
def test_interval_that_cannot_be(interval_s: float) -> None:
    """An interval must be a positive number of seconds."""
    with pytest.raises(ConfigError, match="interval_s"):
        monitor_of(Sampler(), [], interval_s=interval_s)


def test_import_is_cheap() -> None:
    """Importing the module loads neither psutil nor pynvml nor numpy."""
    script = "import sys, tracklib.capture.system; sys.exit(len({'psutil', 'pynvml', 'numpy'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
