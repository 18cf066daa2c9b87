"""References in text and what an alias means: pure functions, compared to slow ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.artifacts.aliases import Reading, holders, readings, reference_to
from tracklib.model import Alias, Artifact
from tracklib.records import id_of_number

RUN = id_of_number(7)


def reading(project: str, name: str, **more: Any) -> Reading:
    return Reading(project=project, name=name, **more)


def told(*events: tuple[str, int | None, float | None]) -> list[Alias]:
    """Return events by time: alias, version and score."""
    return [
        Alias(project="p", name="m", alias=alias, version=version, score=score, time=float(at), run=f"run-{at}")
        for at, (alias, version, score) in enumerate(events)
    ]


def versions(events: list[Alias]) -> dict[str, int]:
    return {alias: holder.version for alias, holder in holders(events).items()}


# ---- references


@pytest.mark.parametrize(
    ("reference", "likeliest"),
    [
        ("data", [reading("mine", "data")]),
        ("data:v3", [reading("mine", "data:v3"), reading("mine", "data", version=3)]),
        ("data:best", [reading("mine", "data:best"), reading("mine", "data", alias="best")]),
        ("data:3", [reading("mine", "data:3"), reading("mine", "data", alias="3")]),
        ("digits/data", [reading("mine", "digits/data"), reading("digits", "data")]),
        (
            "digits/data:v0",
            [
                reading("mine", "digits/data:v0"),
                reading("mine", "digits/data", version=0),
                reading("digits", "data:v0"),
                reading("digits", "data", version=0),
            ],
        ),
        (
            "data@sha256:ABCDEF01",
            [
                reading("mine", "data@sha256:ABCDEF01"),
                reading("mine", "data@sha256", alias="ABCDEF01"),
                reading("mine", "data", checksum="abcdef01"),
            ],
        ),
        (
            f"{RUN.lower()}/loss:v2",
            [
                reading("mine", f"{RUN.lower()}/loss:v2"),
                reading("mine", f"{RUN.lower()}/loss", version=2),
                reading(RUN.lower(), "loss:v2"),
                Reading(run=RUN, name="loss:v2"),
                reading(RUN.lower(), "loss", version=2),
                Reading(run=RUN, name="loss", version=2),
            ],
        ),
        ("a:b/c", [reading("mine", "a:b/c"), reading("a:b", "c")]),
        ("data:", [reading("mine", "data:")]),
        (":best", [reading("mine", ":best")]),
        ("data@sha256:abc", [reading("mine", "data@sha256:abc"), reading("mine", "data@sha256", alias="abc")]),
    ],
)
def test_a_reference_is_read_in_all_ways(reference: str, likeliest: list[Reading]) -> None:
    """The longest name comes first, of equally long ones that of the current project."""
    assert readings(reference, "mine") == likeliest


def test_without_a_current_project_a_reference_must_name_one() -> None:
    """A bare name is nobody's."""
    assert readings("data", "") == []
    assert readings("digits/data", "") == [reading("digits", "data")]


NAMES = st.text(st.sampled_from("ab/:@v1"), min_size=1, max_size=8)


@given(name=NAMES, project=NAMES, version=st.none() | st.integers(0, 10**9))
def test_what_is_written_is_read_again(name: str, project: str, version: int | None) -> None:
    """Whatever is in the name and the project, one of the readings is what was written."""
    artifact = Artifact(id="", run=RUN, name=name, type="file", project=project, version=version)

    found = readings(reference_to(artifact), "mine")
    if version is None:
        assert Reading(run=RUN, name=name) in found
    elif project.count("/") < 7:
        assert reading(project, name, version=version) in found


@given(reference=st.text(max_size=30), project=st.text(max_size=5))
def test_any_text_can_be_read(reference: str, project: str) -> None:
    """Whatever is asked for, the readings are names, the longest first."""
    lengths = [len(each.name) for each in readings(reference, project)]

    assert lengths == sorted(lengths, reverse=True)


# ---- aliases


def test_the_last_word_counts() -> None:
    """An alias that is given again is taken from the version that had it."""
    assert versions(told(("a", 0, None), ("b", 0, None), ("a", 1, None))) == {"a": 1, "b": 0}


def test_an_alias_can_be_taken_away() -> None:
    """And given again."""
    assert versions(told(("a", 0, None), ("a", None, None))) == {}
    assert versions(told(("a", 0, 0.9), ("a", None, None), ("a", 1, 0.1))) == {"a": 1}


def test_a_score_counts_only_if_it_is_no_worse() -> None:
    """The best one has the alias, of equal ones the last."""
    assert versions(told(("best", 0, 0.5), ("best", 1, 0.9), ("best", 2, 0.7))) == {"best": 1}
    assert versions(told(("best", 0, 0.5), ("best", 1, 0.5))) == {"best": 1}


def test_a_score_says_nothing_of_other_aliases() -> None:
    """They are taken from the version that had them, however good that was."""
    assert versions(told(("last", 0, 0.9), ("best", 0, 0.9), ("last", 1, 0.5), ("best", 1, 0.5))) == {
        "last": 1,
        "best": 0,
    }


def test_a_word_of_somebody_is_above_scores_that_were() -> None:
    """What was given by hand stays only until the next score."""
    assert versions(told(("best", 0, 0.9), ("best", 1, None))) == {"best": 1}
    assert versions(told(("best", 0, 0.9), ("best", 1, None), ("best", 2, 0.1))) == {"best": 2}


def test_it_is_known_who_gave_an_alias() -> None:
    """The run in whose records it stands."""
    assert holders(told(("a", 0, None), ("a", 1, None)))["a"].run == "run-1"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["best", "own"]), st.none() | st.integers(0, 3), st.none() | st.sampled_from([0.1, 0.5, 0.9])
    ),
    max_size=12,
)


def slow_holder(events: list[Alias], alias: str) -> int | None:
    """Return the version that has an alias: what was said last by hand, or the last of the best scores since then."""
    mine = [event for event in events if event.alias == alias]
    by_hand = [
        index for index, event in enumerate(mine) if alias != "best" or event.version is None or event.score is None
    ]
    start = by_hand[-1] if by_hand else -1
    scored = [event for event in mine[start + 1 :] if event.score is not None]
    if not scored:
        return mine[start].version if by_hand else None
    best = max(event.score or 0.0 for event in scored)
    return [event.version for event in scored if event.score == best][-1]


@given(EVENTS)
def test_aliases_are_those_of_a_slow_reference(events: list[tuple[str, int | None, float | None]]) -> None:
    """Whatever was said in whatever order."""
    said = told(*events)

    expected = {alias: slow_holder(said, alias) for alias in ("best", "own")}
    assert versions(said) == {alias: version for alias, version in expected.items() if version is not None}
