"""How much of everything a run of the benchmarks does."""

from __future__ import annotations

from dataclasses import dataclass

from .checkpoints import backbone_bytes, head_bytes

__all__ = ["LONG", "NORMAL", "PACE_HZ", "QUICK", "Plan"]

PACE_HZ = 200
"""Calls a second where they are paced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is done.

    Attributes:
        reps: How often each figure is taken; the report shows medians.
        cap_s: Seconds after which a slow tool is stopped, in each case with a total.
        write_cap_s: The same for the peers where data are written that are then read.
        call_cap_s: The same for the cases of single calls.
        calls: How many calls are timed, by the scalars in each.
        paced_s: Seconds of paced calls.
        kill_steps: Steps of 10 scalars before a kill; no multiple of what a tool may happen to flush at.
        ingest_steps: Steps of 10 scalars.
        written_s: Seconds of 1,000 scalars each.
        imports: How often an import is timed in each repeat.
        points: Length of the series that is read.
        runs: How many runs are searched.
        catalogs: Of how many runs catalogs are made, three sizes.
        shipments: How often a run with many series is shipped where its traffic is counted.
        shipped_steps: Steps of 1,000 scalars in each shipment: the seconds that pass between two by default.
        many_steps: Steps of 10 scalars in each of the processes.
        processes: How many share a store.
        loops: Steps of a block, and pairs of blocks, by the framework that trains.
        checkpoints: How many of a training are kept.
        width: Channels in the first layer of its model; with 64 that is ResNet-50.
        large_mb: Size of the large file, in MB.
        searched: How many runs of 20 params and 20 metrics are searched, two sizes.
        asks: How often a question is asked for its median.
        ask_cap_s: Seconds after which a question is not asked again.
        search_cap_s: Seconds after which a peer that writes those runs call by call is stopped.
        charted: How many runs a chart has.
        charted_points: The length of the series of each.
        buckets: What a series is drawn as.
        analysed: How many runs importance and a comparison are about.
    """

    reps: int = 3
    cap_s: float = 30.0
    write_cap_s: float = 40.0
    call_cap_s: float = 4.0
    calls: tuple[tuple[int, int], ...] = ((1, 20_000), (10, 10_000), (1_000, 200))
    paced_s: float = 20.0
    kill_steps: int = 1037
    ingest_steps: int = 100_000
    written_s: int = 600
    imports: int = 5
    points: int = 1_000_000
    runs: int = 10_000
    catalogs: tuple[int, int, int] = (100, 1_000, 10_000)
    shipments: int = 60
    shipped_steps: int = 10
    many_steps: int = 2_000
    processes: int = 8
    loops: tuple[tuple[str, tuple[int, int]], ...] = (("transformers", (200, 5)), ("lightning", (400, 3)))
    checkpoints: int = 10
    width: int = 64
    large_mb: int = 2_000
    searched: tuple[int, int] = (10_000, 100_000)
    asks: int = 15
    ask_cap_s: float = 10.0
    search_cap_s: float = 300.0
    charted: int = 100
    charted_points: int = 100_000
    buckets: int = 1_000
    analysed: int = 1_000

    @property
    def ingest_scalars(self) -> int:
        """How many scalars make the case of bulk logging."""
        return self.ingest_steps * 10

    @property
    def kill_scalars(self) -> int:
        """How many scalars are logged before a kill."""
        return self.kill_steps * 10

    @property
    def checkpoint_mb(self) -> float:
        """The size of the tensors of a checkpoint."""
        return (backbone_bytes(self.width) + head_bytes(self.width)) / 1e6

    @property
    def logged_mb(self) -> float:
        """The size of the tensors of all checkpoints."""
        return self.checkpoints * self.checkpoint_mb

    @property
    def distinct_mb(self) -> float:
        """The size of the tensors that differ: one backbone and all heads."""
        return (backbone_bytes(self.width) + self.checkpoints * head_bytes(self.width)) / 1e6


NORMAL = Plan()
LONG = Plan(runs=100_000, write_cap_s=120.0)
QUICK = Plan(
    reps=1,
    cap_s=1.0,
    write_cap_s=1.0,
    call_cap_s=0.5,
    calls=((1, 2_000), (10, 1_000), (1_000, 20)),
    paced_s=1.0,
    kill_steps=137,
    ingest_steps=5_000,
    written_s=2,
    imports=1,
    points=50_000,
    runs=200,
    catalogs=(20, 50, 200),
    shipments=3,
    many_steps=100,
    processes=2,
    loops=(("transformers", (30, 1)), ("lightning", (50, 1))),
    width=8,
    large_mb=20,
    searched=(200, 400),
    asks=3,
    ask_cap_s=1.0,
    search_cap_s=15.0,
    charted=4,
    charted_points=5_000,
    analysed=150,
)
