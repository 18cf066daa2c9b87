"""Each case from the outside: which processes it takes, and what is done with what they return."""

from __future__ import annotations

import math
import statistics
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import s3
from .adapters.base import Adapter, UnsupportedError
from .environments import ENVIRONMENTS, EnvironmentFailedError
from .originals import Originals
from .plan import PACE_HZ
from .processes import Site, ToolFailedError

if TYPE_CHECKING:
    from .cases import Case
    from .plan import Plan


OWN = ("tracklib", "tracklib-file", "tracklib-s3")
"""Our own tools: what they write is not capped."""


class Bench:
    """The state of one run of the benchmarks: its plan, and data that repeats read again.

    Attributes:
        originals: The files that tools are given to keep.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.originals = Originals(plan)
        self._prepared: dict[str, tuple[Site, int]] = {}

    def take(self, case: Case, tool: str) -> dict[str, float]:
        """Measure a tool once, in a fresh folder.

        Raises:
            ToolFailedError: The tool cannot do it, or broke.
        """
        site = Site(tool=tool, name=case.name)
        try:
            if case.stores and not site.adapter.keeps:
                raise ToolFailedError("nothing is stored")
            return case.measure(self, site)
        finally:
            site.remove()

    def prepared(self, site: Site, action: str, *, cap_s: float | None = None, **options: int) -> tuple[Site, int]:
        """Return a place where `action` has written what is to be read, and how much was written.

        Args:
            cap_s: Seconds after which a peer is stopped; by default those of the plan.
        """
        key = "-".join(map(str, (site.tool, action, *options.values())))
        if key not in self._prepared:
            place = Site(tool=site.tool, name=f"prepared-{key}")
            self._prepared[key] = place, 0  # Whatever happens, it is tried once.
            peer_s = self.plan.write_cap_s if cap_s is None else cap_s
            figures = place.run(action, **options, cap_s=math.inf if site.tool in OWN else peer_s)
            self._prepared[key] = place, int(figures["done"])
        place, done = self._prepared[key]
        if not done:
            raise ToolFailedError("its data could not be written")
        return place, done

    def clean(self) -> None:
        """Delete what was kept for repeats."""
        for place, _ in self._prepared.values():
            place.remove()
        self.originals.remove()


def measure_calls(bench: Bench, site: Site, *, scalars: int) -> dict[str, float]:
    steps = dict(bench.plan.calls)[scalars]
    return site.run("calls", scalars=scalars, steps=steps, cap_s=bench.plan.call_cap_s)


def measure_paced(bench: Bench, site: Site) -> dict[str, float]:
    return site.run("paced", seconds=bench.plan.paced_s)


def measure_kill(bench: Bench, site: Site) -> dict[str, float]:
    return {"lost": _lost(bench, site, "r0", PACE_HZ), "burst_lost": _lost(bench, site, "r1", math.inf)}


def _lost(bench: Bench, site: Site, name: str, hz: float) -> float:
    child = site.launch("kill", name=name, steps=bench.plan.kill_steps, hz=hz)
    try:
        child.gather(killed=True)
        time.sleep(2)  # A helper that outlived it may still be writing.
        found = site.run("count", runs=[name], scalars=10)["points"]
    finally:
        child.sweep()
    return bench.plan.kill_scalars - found


def measure_ingest(bench: Bench, site: Site) -> dict[str, float]:
    figures = site.run("ingest", steps=bench.plan.ingest_steps, cap_s=bench.plan.cap_s)
    if site.adapter.keeps:
        figures["bytes"] = site.stored_bytes() / (figures["done"] * 10)
    return figures


def measure_written(bench: Bench, site: Site) -> dict[str, float]:
    return site.run("written", seconds=bench.plan.written_s)


def measure_slow(bench: Bench, site: Site) -> dict[str, float]:
    if site.tool != "tracklib-s3":
        raise ToolFailedError("no network")
    site.further = {"AWS_ENDPOINT_URL": s3.slow_line().endpoint_url}
    return measure_paced(bench, site)


def measure_network(bench: Bench, site: Site) -> dict[str, float]:
    return site.run("network", shipments=bench.plan.shipments, steps=bench.plan.shipped_steps)


def measure_catalog(bench: Bench, site: Site, *, size: int) -> dict[str, float]:
    place, _ = bench.prepared(site, "write_runs", runs=bench.plan.catalogs[size])
    return place.run("catalog")


def measure_look(bench: Bench, site: Site) -> dict[str, float]:
    place, _ = bench.prepared(site, "write_runs", runs=bench.plan.catalogs[-1])
    place.further = {"TRACKLIB_CACHE": str(site.folder / "cache")}
    try:
        command = site.adapter.look(place.store)
    except UnsupportedError as error:
        raise ToolFailedError(str(error)) from error
    return {"first_s": _command_s(place, command), "again_s": _command_s(place, command)}


def _command_s(site: Site, command: list[str]) -> float:
    before = time.perf_counter()
    program = Path(site.python).with_name(command[0])
    done = subprocess.run(
        [program, *command[1:]], cwd=site.code, env=site.variables, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise ToolFailedError(done.stderr.strip().splitlines()[-1])
    return time.perf_counter() - before


def measure_import_time(bench: Bench, site: Site) -> dict[str, float]:
    if not site.adapter.module:
        raise ToolFailedError("nothing to import")
    _python_s(site, f"import {site.adapter.module}")
    differences = [
        _python_s(site, f"import {site.adapter.module}") - _python_s(site, "pass") for _ in range(bench.plan.imports)
    ]
    return {"ms": statistics.median(differences) * 1e3}


def _python_s(site: Site, code: str) -> float:
    before = time.perf_counter()
    done = subprocess.run(
        [site.python, "-c", code], cwd=site.code, env=site.variables, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise ToolFailedError(done.stderr.strip().splitlines()[-1])
    return time.perf_counter() - before


def measure_start(_: Bench, site: Site) -> dict[str, float]:
    _make_repository(site)
    return {"new_ms": site.run("start", name="r0")["ms"], "ms": site.run("start", name="r1")["ms"]}


def _make_repository(site: Site) -> None:
    """Put the script into a git repository of some size, with a change that is not committed."""
    for number in range(50):
        (site.code / f"module{number}.py").write_text(f"VALUE = {number}\n" * 100, encoding="utf-8")
    git = ["git", "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *arguments], cwd=site.code, env=site.variables, check=True)
    (site.code / "module0.py").write_text("VALUE = -1\n", encoding="utf-8")


def measure_series(bench: Bench, site: Site) -> dict[str, float]:
    place, points = bench.prepared(site, "write_series", points=bench.plan.points)
    figures = place.run("read_series", points=points, asked=bench.plan.points)
    return figures | {"bytes": place.stored_bytes() / points}


def measure_top(bench: Bench, site: Site) -> dict[str, float]:
    if site.adapter.top is Adapter.top:
        raise ToolFailedError("no question over many runs")
    place, runs = bench.prepared(site, "write_runs", runs=bench.plan.runs)
    return place.run("read_runs", runs=runs, asked=bench.plan.runs)


def measure_many(bench: Bench, site: Site) -> dict[str, float]:
    names = [f"r{number}" for number in range(bench.plan.processes)]
    options = {"gate": "go", "steps": bench.plan.many_steps, "cap_s": bench.plan.cap_s}
    children = [site.launch("many", name=name, **options) for name in names]
    try:
        _wait_until_ready(site, names)
        begin = time.monotonic()
        (site.folder / "go").touch()
        ends, failures = [], []
        for child in children:
            try:
                ends.append(child.gather())
            except ToolFailedError as error:
                failures.append(str(error))
    finally:
        for child in children:
            child.sweep()
    if failures:
        raise ToolFailedError(f"{len(failures)} of {len(names)} processes failed: {failures[0]}")
    done = sum(end["done"] for end in ends)
    return {
        "seconds": max(end["end"] for end in ends) - begin,
        "lost": done * 10 - site.run("count", runs=names, scalars=10)["points"],
        "done": done,
        "asked": len(names) * bench.plan.many_steps,
    }


def _wait_until_ready(site: Site, names: list[str]) -> None:
    deadline = time.monotonic() + 300
    while not all((site.folder / f"{name}.ready").exists() for name in names):
        if time.monotonic() > deadline:
            raise ToolFailedError("its processes did not come up")
        time.sleep(0.05)


def measure_loop(bench: Bench, site: Site, *, framework: str) -> dict[str, float]:
    if not site.adapter.integrates(framework):
        raise ToolFailedError("no integration")
    steps, pairs = dict(bench.plan.loops)[framework]
    figures = _train(site, framework=framework, steps=steps, pairs=pairs)
    found = site.run("count_losses", framework=framework, pairs=pairs)["points"]
    if found != steps * pairs:
        raise ToolFailedError(f"{found:.0f} losses were recorded of {steps * pairs}")
    return figures


def _train(site: Site, **options: str | int) -> dict[str, float]:
    frameworks, own = ENVIRONMENTS["loops"], site.environment
    try:
        frameworks.ensure()
        if site.adapter.loop_environment:
            site.environment = site.adapter.loop_environment
            ENVIRONMENTS[site.environment].ensure()
        return site.run("loop", packages=str(frameworks.site_packages), **options)
    except EnvironmentFailedError as error:
        raise ToolFailedError(str(error)) from error
    finally:
        site.environment = own
