"""The measurements, as they run in a tool's environment. Each takes an adapter and returns figures by name.

Every action that can be stopped by its cap returns `done` and `asked` too, so that totals can be extrapolated.
"""

from __future__ import annotations

import hashlib
import heapq
import importlib.util
import math
import os
import random
import shutil
import signal
import statistics
import sys
import time
from array import array
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .adapters.base import FinishedRun, KeptFile, UnsupportedError
from .plan import PACE_HZ
from .trainings import TRAININGS
from .usage import usage_now

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .adapters.base import Adapter, Log

_SETTLE_S = 1.0  # What a tool collects in the background after a start is not what a call costs.
_TOP = 20
_WARM_STEPS = 40
_KEEPER, _KEPT = "r0", "weights"

Figures = dict[str, float]


def calls(adapter: Adapter, *, scalars: int, steps: int, cap_s: float) -> Figures:
    """Log flat out and time every call."""
    names, values = _names(scalars), _values(4096)
    adapter.load()
    log = adapter.start("r0", {"lr": 0.1})
    time.sleep(_SETTLE_S)
    spent, clock = array("q"), time.perf_counter_ns
    deadline = clock() + int(cap_s * 1e9)
    for step in range(steps):
        metrics = {name: values[(step * 7 + i) & 4095] for i, name in enumerate(names)}
        before = clock()
        log(metrics, step=step)
        after = clock()
        spent.append(after - before)
        if after > deadline:
            break
    adapter.finish()
    return _latencies(spent)


def paced(adapter: Adapter, *, seconds: float) -> Figures:
    """Log 10 scalars 200 times a second, as a training loop would, and time every call."""
    adapter.load()
    log = adapter.start("r0", {"lr": 0.1})
    spent = _paced_calls(log, int(seconds * PACE_HZ), PACE_HZ)
    adapter.finish()
    return _latencies(spent)


def kill(adapter: Adapter, *, name: str, steps: int, hz: float) -> Figures:
    """Log so many times a second, then die of SIGKILL as soon as the last call has returned."""
    adapter.load()
    log = adapter.start(name, {"lr": 0.1})
    _paced_calls(log, steps, hz)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def count(adapter: Adapter, *, runs: Sequence[str], scalars: int) -> Figures:
    """Read back how many points there are."""
    adapter.load()
    return {"points": sum(adapter.count(run, _names(scalars)) for run in runs)}


def ingest(adapter: Adapter, *, steps: int, cap_s: float) -> Figures:
    """Log 10 scalars a step flat out until `finish` has returned; the memory counts from before the tool's import."""
    names, values = _names(10), _values(steps * 10)
    bare = usage_now()
    adapter.load()
    log = adapter.start("r0", {"lr": 0.1})
    time.sleep(_SETTLE_S)
    before, begin = usage_now(), time.perf_counter()
    done, deadline = 0, begin + cap_s
    for step in range(steps):
        log(dict(zip(names, values[step * 10 : step * 10 + 10], strict=True)), step=step)
        done = step + 1
        if done % 64 == 0 and time.perf_counter() > deadline:
            break
    adapter.finish()
    seconds, after = time.perf_counter() - begin, usage_now()
    return {
        "seconds": seconds,
        "cpu_s": after.cpu_s - before.cpu_s,
        "memory_mb": (after.peak_bytes - bare.peak_bytes) / 1e6,
        "done": done,
        "asked": steps,
    }


def written(adapter: Adapter, *, seconds: int) -> Figures:
    """Log 1,000 series once a second, with whatever the tool needs to have them on disk every second."""
    names, values = _names(1000), _values(1000 * seconds)
    adapter.load()
    adapter.each_second = True
    before = usage_now()
    log = adapter.start("r0", {"lr": 0.1})
    begin = time.perf_counter()
    for step in range(seconds):
        _sleep_until(begin + step)
        log(dict(zip(names, values[step * 1000 : step * 1000 + 1000], strict=True)), step=step)
    _sleep_until(begin + seconds)
    adapter.finish()
    return {"bytes": (usage_now().written_bytes - before.written_bytes) / (1000 * seconds)}


def network(adapter: Adapter, *, shipments: int, steps: int) -> Figures:
    """Log 1,000 series, and ship after so many steps: what a run at one step a second does, without its pauses."""
    names, values = _names(1000), _values(1000 * shipments * steps)
    adapter.load()
    traffic = adapter.traffic()
    if traffic is None:
        raise UnsupportedError("no network")
    log = adapter.start("r0", {"lr": 0.1})
    time.sleep(_SETTLE_S)
    adapter.flush()
    traffic.clear()
    for step in range(shipments * steps):
        log(dict(zip(names, values[step * 1000 : step * 1000 + 1000], strict=True)), step=step)
        if step % steps == steps - 1:
            adapter.flush()
    figures = {
        "bytes": traffic.sent_bytes / len(values),
        "requests": traffic.requests.total() * 3600 / (shipments * steps),
    }
    adapter.finish()
    return figures


def catalog(adapter: Adapter) -> Figures:
    """Look at many runs, as somebody who never did, and again."""
    adapter.load()
    return adapter.catalog()


def start(adapter: Adapter, *, name: str) -> Figures:
    """Time how long a run takes to begin."""
    adapter.load()
    before = time.perf_counter()
    adapter.start(name, {"lr": 0.1, "model": {"hidden": 128}})
    after = time.perf_counter()
    adapter.finish()
    return {"ms": (after - before) * 1e3}


def write_series(adapter: Adapter, *, points: int, cap_s: float) -> Figures:
    """Write a long series, and a short one in a run of its own."""
    adapter.load()
    adapter.write_series("short", _values(10), math.inf)
    done = adapter.write_series("long", _values(points), time.perf_counter() + cap_s)
    return {"done": done}


def read_series(adapter: Adapter, *, points: int, asked: int) -> Figures:
    """Read the long series; the short one goes first, for what is imported or opened just once."""
    expected = _values(asked)
    adapter.load()
    if importlib.util.find_spec("numpy"):
        importlib.import_module("numpy")
    adapter.read("short", "loss")
    before = time.perf_counter()
    values = adapter.read("long", "loss")
    seconds = time.perf_counter() - before
    if len(values) != points or not math.isclose(float(values[-1]), expected[points - 1], rel_tol=1e-6):
        raise RuntimeError(f"read {len(values)} points of {points}, the last {values[-1]}")
    return {"ms": seconds * 1e3, "done": points, "asked": asked}


def write_runs(adapter: Adapter, *, runs: int, cap_s: float) -> Figures:
    """Write many finished runs."""
    adapter.load()
    return {"done": adapter.write_runs(_runs(runs), time.perf_counter() + cap_s)}


def read_runs(adapter: Adapter, *, runs: int, asked: int) -> Figures:
    """Ask for the best runs twice; the second time counts, without what is imported or opened just once."""
    adapter.load()
    adapter.top(_TOP)
    before = time.perf_counter()
    answer = adapter.top(_TOP)
    seconds = time.perf_counter() - before
    right = _right_answer(runs)
    if [line.run for line in answer] != right:
        raise RuntimeError(f"a wrong answer: {[line.run for line in answer][:3]} lead, not {right[:3]}")
    return {"ms": seconds * 1e3, "done": runs, "asked": asked}


def many(adapter: Adapter, *, name: str, gate: str, steps: int, cap_s: float) -> Figures:
    """Be one of several processes that begin at once on a store that does not exist yet."""
    names, values = _names(10), _values(4096)
    adapter.load()
    ready, go = adapter.root.parent / f"{name}.ready", adapter.root.parent / gate
    ready.touch()
    while not go.exists():
        time.sleep(0.002)
    deadline = time.perf_counter() + cap_s
    log = adapter.start(name, {"lr": 0.1})
    done = 0
    for step in range(steps):
        log({key: values[(step + i) & 4095] for i, key in enumerate(names)}, step=step)
        done = step + 1
        if time.perf_counter() > deadline:
            break
    adapter.finish()
    # This clock is the machine's, the same for all processes.
    return {"end": time.monotonic(), "done": done}


def loop(adapter: Adapter, *, framework: str, packages: str, steps: int, pairs: int) -> Figures:
    """Train in short blocks, without and with the tool's integration in turn, and compare each with the one before.

    Those two see the same machine, so that its drift cancels out. Two blocks without it tell how far that goes.
    """
    if packages not in sys.path:
        sys.path.append(packages)
    adapter.load()
    train = partial(TRAININGS[framework], folder=adapter.root / "trainings", steps=steps)
    train(None, name="warm", steps=_WARM_STEPS)
    added, noise, bare = [], [], []
    for number in range(pairs):
        name = f"r{number}"
        first, second = train(None, name=f"{name}-first"), train(None, name=f"{name}-second")
        tracked = train(adapter.reporter(framework, name), name=name)
        adapter.end_loop()
        added.append(tracked - second)
        noise.append(abs(second - first))
        bare.append(second)
    figures = {"added_ms": added, "noise_ms": noise, "step_ms": bare}
    return {key: statistics.median(values) for key, values in figures.items()}


def count_losses(adapter: Adapter, *, framework: str, pairs: int) -> Figures:
    """Read back how many losses the trainings with the integration have recorded."""
    adapter.load()
    return {"points": sum(adapter.count(f"r{number}", [adapter.losses[framework]]) for number in range(pairs))}


def keep_files(adapter: Adapter, *, paths: Sequence[str]) -> Figures:
    """Keep files one right after the other, and end the run; the memory counts from before the tool's import."""
    bare = usage_now()
    adapter.load()
    adapter.start(_KEEPER, {"lr": 0.1})
    time.sleep(_SETTLE_S)
    _rehearse(paths, adapter.root.parent / "scratch")
    before, begin = usage_now(), time.perf_counter()
    spent = []
    for path in map(Path, paths):
        called = time.perf_counter()
        adapter.keep_file(path, _KEPT)
        spent.append(time.perf_counter() - called)
    adapter.finish()
    seconds, after = time.perf_counter() - begin, usage_now()
    return {
        "median_s": statistics.median(spent),
        "worst_s": max(spent),
        "stored_s": seconds,
        "cpu_s": after.cpu_s - before.cpu_s,
        "memory_mb": (after.peak_bytes - bare.peak_bytes) / 1e6,
    }


def fetch_files(adapter: Adapter, *, paths: Sequence[str], folder: str) -> Figures:
    """Get back the last file; the first goes before it, for what is imported or opened just once."""
    adapter.load()
    _fetch(adapter, paths, 0, Path(folder, "first"))
    return {"fetched_s": _fetch(adapter, paths, len(paths) - 1, Path(folder, "last"))}


def _rehearse(paths: Sequence[str], scratch: Path) -> None:
    """Copy the files twice and delete the copies.

    Then the files are in the system's cache, and memory for copies is at hand: what a virtual machine has not used for
    a while is ten times as slow, and it would be chance which tool gets it.
    """
    scratch.mkdir()
    for number, path in enumerate((*paths, *paths)):
        shutil.copyfile(path, scratch / f"{number}")
    shutil.rmtree(scratch)
    os.sync()  # What was written before is no business of the tool.


def _fetch(adapter: Adapter, paths: Sequence[str], version: int, folder: Path) -> float:
    original = Path(paths[version])
    before = time.perf_counter()
    adapter.fetch_file(KeptFile(_KEEPER, _KEPT, version, original.name), folder)
    seconds = time.perf_counter() - before
    if _sha256(folder / original.name) != _sha256(original):
        raise RuntimeError(f"{original.name} has come back as another file")
    return seconds


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _paced_calls(log: Log, steps: int, hz: float) -> array[int]:
    names, values = _names(10), _values(4096)
    spent, clock = array("q"), time.perf_counter_ns
    begin = time.perf_counter()
    for step in range(steps):
        metrics = {name: values[(step * 7 + i) & 4095] for i, name in enumerate(names)}
        _sleep_until(begin + step / hz)
        before = clock()
        log(metrics, step=step)
        spent.append(clock() - before)
    return spent


def _sleep_until(due: float) -> None:
    wait = due - time.perf_counter()
    if wait > 0:
        time.sleep(wait)


def _latencies(spent: Sequence[int]) -> Figures:
    cost = _clock_cost()
    ordered = sorted(max(0.0, (value - cost) / 1e3) for value in spent)
    return {
        "median_us": statistics.median(ordered),
        "mean_us": statistics.fmean(ordered),
        "p99_us": _quantile(ordered, 0.99),
        "p999_us": _quantile(ordered, 0.999),
        "worst_us": ordered[-1],
    }


def _clock_cost() -> float:
    clock, spent = time.perf_counter_ns, []
    for _ in range(2000):
        before = clock()
        spent.append(clock() - before)
    return statistics.median(spent)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _names(count: int) -> list[str]:
    return [f"train/m{i}" for i in range(count)]


def _values(count: int) -> array[float]:
    """Return random float32 numbers, as losses in single precision are; Python sees them widened."""
    generator = random.Random(0)  # noqa: S311 - just numbers, the same in every process
    return array("f", (generator.random() for _ in range(count)))


def _runs(count: int) -> Iterator[FinishedRun]:
    for number in range(count):
        generator = random.Random(number)  # noqa: S311 - as above
        params = {f"p{i}": generator.random() for i in range(8)}
        params["lr"] = 10 ** generator.uniform(-4, -1)
        names = [*_names(9), "val_loss"]
        steps = [{name: generator.random() for name in names} for _ in range(10)]
        yield FinishedRun(f"run-{number:06d}", params, steps)


def _right_answer(runs: int) -> list[str]:
    lines = ((run.steps[-1]["val_loss"], run.name) for run in _runs(runs) if run.params["lr"] < 0.01)
    return [name for _, name in heapq.nsmallest(_TOP, lines)]
