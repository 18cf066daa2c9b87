"""The runs that are searched and the series that are drawn: the same in each process, from fixed seeds."""

from __future__ import annotations

import heapq
import random
from array import array
from typing import TYPE_CHECKING, Any

from .adapters.base import FinishedRun, Question, Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CHARTED", "METRIC", "QUESTIONS", "TOP", "charted_runs", "questions", "right_answer", "searched_runs"]

TOP = 20
METRIC = "val_loss"
"""What answers are sorted by, and what importance is about."""
CHARTED = "loss"
"""The series of a chart."""

_MATCHES = 50
_SPREAD = 17
_MODELS = ("cnn", "mlp", "vit")
_BATCH_SIZES = (16, 32, 64, 128, 256)

QUESTIONS: dict[str, Callable[[dict[str, Any], dict[str, float], float], bool]] = {
    "filtered": lambda params, _, __: params["lr"] < 0.01,
    "sweep": lambda params, _, __: params["sweep"] == 2,
    "rare": lambda params, _, rare: params["warmup"] < rare,
    "mixed": lambda params, metrics, _: (
        (params["lr"] < 0.01 and metrics["val_loss"] < 0.3) or (params["model"] == "cnn" and metrics["accuracy"] > 0.9)
    ),
}
"""What must hold of a run, by the name of the question."""


def questions(runs: int) -> list[Question]:
    """Return all questions about so many runs."""
    return [Question(name, runs) for name in QUESTIONS]


def searched_runs(count: int, *, of: int) -> Iterator[FinishedRun]:
    """Return runs of 20 params, and 20 metrics of one point each.

    Args:
        of: How many there are in all. Of fewer runs the same share is found, so that the time can be extrapolated.
    """
    sweeps = max(of // _MATCHES, 1)
    for number in range(count):
        generator = random.Random(number)  # noqa: S311 - just numbers, the same in every process
        exponent, model = generator.uniform(-4, -1), generator.choice(_MODELS)
        params: dict[str, Any] = {
            "lr": 10**exponent,
            "sweep": number % sweeps,
            "model": model,
            "batch_size": generator.choice(_BATCH_SIZES),
            "warmup": generator.random(),
        }
        params |= {f"p{i}": generator.random() for i in range(5, 20)}
        loss = 0.3 * generator.random() + 0.3 * abs(exponent + 2.5) + 0.1 * (model == "mlp")
        metrics = {METRIC: loss, "accuracy": generator.random()}
        metrics |= {f"m{i}": generator.random() for i in range(2, 20)}
        yield FinishedRun(f"run-{number:06d}", params, [metrics])


def right_answer(question: Question, runs: int, *, of: int) -> list[Ranked]:
    """Return what a tool must answer that holds the first so many of the runs."""
    holds = QUESTIONS[question.name]
    found = (
        Ranked(run.name, run.steps[0][METRIC])
        for run in searched_runs(runs, of=of)
        if holds(run.params, run.steps[0], question.rare)
    )
    return heapq.nsmallest(TOP, found, key=lambda ranked: ranked.value)


def charted_runs(count: int, points: int) -> Iterator[tuple[str, array[float]]]:
    """Return names of runs and their series: noise around a level, with a peak that no reader may lose."""
    generator = random.Random(0)  # noqa: S311 - as above
    noise = array("d", (generator.random() for _ in range(points + count * _SPREAD)))
    for number in range(count):
        values = noise[number * _SPREAD : number * _SPREAD + points]
        values[points // 2 + number] += 10.0
        yield f"run-{number:03d}", values
