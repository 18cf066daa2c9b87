"""Units and meanings of system metrics."""

from __future__ import annotations

from tracklib.capture.system import SystemSampler
from tracklib.capture.units import METRIC_UNITS, describe_metric


def test_every_sampled_name_is_described() -> None:
    """What this machine gives is described; GPUs' values are held against the table in their own tests."""
    sampler = SystemSampler()
    sample = sampler.sample()
    sampler.close()

    assert [name for name in sample if describe_metric(name) is None] == []


def test_each_text_tells_unit_and_meaning() -> None:
    """A text is a unit, a colon and a meaning, and the unit is the one that the name ends in."""
    units = {"pct": "%", "bytes": "bytes", "s": "s", "c": "°C", "w": "W", "j": "J", "mhz": "MHz", "per": "bytes/s"}

    for name, text in METRIC_UNITS.items():
        unit, _, meaning = text.partition(": ")
        suffix = "per" if name.endswith("_per_s") else name.rsplit("_", 1)[-1]
        assert meaning, name
        assert unit == units.get(suffix, unit), name


def test_shared_values_of_an_instance() -> None:
    """What an instance shares with others is described as that of a whole GPU."""
    assert describe_metric("system/gpu/11/parent/temp_c") == describe_metric("system/gpu/0/temp_c") is not None


def test_other_names() -> None:
    """A name that is none of ours has no description."""
    assert describe_metric("system/gpu/x/temp_c") is None
    assert describe_metric("loss") is None
