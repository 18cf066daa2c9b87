"""Colours: told apart by everybody, and the run's own."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tracklib.charts.colours import CATEGORICAL, DASHES, STATUS_LOOKS, SYMBOLS, looks

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is left of linear red, green and blue for whom one kind of cone is missing: Machado, Oliveira and Fernandes,
# "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009, at severity 1.
SIGHTS = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])

names = st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=1, max_size=60)


def linear(colour: str) -> NDArray[np.float64]:
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return linear light as CIE L*a*b*, in which 2.3 is a difference that is just seen."""
    part = TO_XYZ @ np.clip(light, 0, 1) / WHITE
    root = np.where(part > 0.008856, np.cbrt(part), 7.787 * part + 16 / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def contrast(one: str, other: str) -> float:
    dark, light = sorted(float(TO_XYZ[1] @ linear(each)) for each in (one, other))
    return (light + 0.05) / (dark + 0.05)


def test_everybody_can_tell_the_colours_apart() -> None:
    """Whichever cone is missing, two of them differ by seven times what is just seen."""
    for sight in SIGHTS.values():
        seen = {colour: lab(sight @ linear(colour)) for colour in CATEGORICAL}
        assert min(np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(CATEGORICAL, 2)) > 16


def test_colours_stand_out_on_a_light_and_on_a_dark_ground() -> None:
    """None vanishes on white or on plotly's dark grey."""
    for colour in [*CATEGORICAL, *(colour for colour, _ in STATUS_LOOKS.values())]:
        assert contrast(colour, "#ffffff") > 2.2
        assert contrast(colour, "#111111") > 2.9


def test_states_differ_by_their_patterns_too() -> None:
    """No two of them look alike in black and white."""
    patterns = [pattern for _, pattern in STATUS_LOOKS.values()]

    assert len(set(patterns)) == len(patterns)


@given(names)
def test_no_two_runs_look_alike_while_there_are_looks(ids: list[str]) -> None:
    """Each colour is used as often as the others, each time with another dash and marker."""
    found = looks(ids)
    most = len(CATEGORICAL) * len(DASHES)

    assert len(set(found.values())) == len(ids)
    if len(ids) <= most:
        assert len({(look.colour, look.dash()) for look in found.values()}) == len(ids)
        assert len({(look.colour, look.symbol) for look in found.values()}) == len(ids)


@given(names)
def test_the_order_of_runs_does_not_matter(ids: list[str]) -> None:
    """Charts of the same runs agree, however these were found."""
    assert looks(sorted(ids, reverse=True)) == looks(ids)


@given(names, names)
def test_a_run_keeps_its_look_when_newer_ones_join(ids: list[str], others: list[str]) -> None:
    """Newer ids sort after older ones."""
    old, new = [f"a{id_}" for id_ in ids], [f"b{id_}" for id_ in others]
    together = looks([*old, *new])

    assert {id_: together[id_] for id_ in old} == looks(old)


def test_dashes_of_one_run_differ() -> None:
    """And from those of a run with the same colour."""
    look = next(iter(looks(["a"]).values()))
    later = look._replace(turn=1)

    assert len({look.dash(0, 2), look.dash(1, 2), later.dash(0, 2), later.dash(1, 2)}) == 4
    assert len(SYMBOLS) == len(DASHES)
