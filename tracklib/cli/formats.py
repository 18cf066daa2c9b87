"""Values as people read them: numbers, sizes, times, statuses. None is a dash everywhere."""

from __future__ import annotations

import itertools
import json
import math
import re
import time
from typing import TYPE_CHECKING, Any, Final

from tracklib.capture.units import describe_metric
from tracklib.durations import duration_text
from tracklib.model import RunStatus, flatten_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "NOTHING",
    "clean",
    "flat_params",
    "list_of_tags",
    "number",
    "quantity",
    "short_ids",
    "size",
    "sparkline",
    "status_mark",
    "status_style",
    "value_text",
    "when",
]

NOTHING: Final = "-"

_BLOCKS = "▁▂▃▄▅▆▇█"
_STATUS = {
    RunStatus.PENDING: ("○", "bright_black"),
    RunStatus.RUNNING: ("▶", "bold cyan"),
    RunStatus.COMPLETED: ("✔", "green"),
    RunStatus.FAILED: ("✘", "bold red"),
    RunStatus.KILLED: ("■", "yellow"),
}
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def clean(text: str, *, line: bool = False) -> str:
    r"""Return text without what would move a terminal's cursor or change its colours: such characters are escaped.

    Args:
        line: Keep it on one line.

    Example:
        >>> clean("\x1b[31mred")
        '\\x1b[31mred'
        >>> clean("one\ntwo", line=True)
        'one⏎two'
    """
    text = text.replace("\r\n", "\n")
    if line:
        text = text.replace("\n", "⏎").replace("\t", " ")
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def number(value: float | None) -> str:
    """Return a number in five significant digits, and whole ones whole.

    Example:
        >>> number(0.123456), number(1e-7), number(128.0), number(25_000_000.0), number(float("nan")), number(None)
        ('0.12346', '1e-7', '128', '25,000,000', 'nan', '-')
    """
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(value)
    size_of = abs(value)
    if value == int(value) and size_of < 1e12:
        return f"{int(value):,}" if size_of >= 1e6 else str(int(value))
    if 1e5 <= size_of < 1e9:
        return f"{value:,.0f}" if size_of >= 1e6 else f"{value:.0f}"
    mantissa, e, exponent = f"{value:.5g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def size(count: float | None, unit: str = "B") -> str:
    """Return a number of bytes, in units of a thousand.

    Example:
        >>> size(999), size(1_250_000), size(80e9), size(2500, "B/s")
        ('999 B', '1.25 MB', '80 GB', '2.5 kB/s')
    """
    if count is None or not math.isfinite(count):
        return number(count)
    for prefix in ("", "k", "M", "G", "T", "P"):
        # What would be rounded to a thousand takes the next unit.
        if abs(count) < 999.5 or prefix == "P":
            break
        count /= 1000
    return f"{count:.3g} {prefix}{unit}" if prefix else f"{count:.0f} {unit}"


def when(at: float | None, *, full: bool = False, now: float | None = None) -> str:
    """Return a moment in local time; the year is left out where it is this one.

    Args:
        at: Seconds since the epoch.
        full: Year, seconds and zone too.
        now: What to take for now.
    """
    if at is None:
        return NOTHING
    local = time.localtime(at)
    if full:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", local)
    this_year = local.tm_year == time.localtime(now).tm_year
    return f"{local.tm_mday:2d} " + time.strftime("%b %H:%M" if this_year else "%b %Y", local)


def value_text(value: Any) -> str:
    """Return a param: text as it is, other values as JSON says them, foreign objects by their `repr`.

    Example:
        >>> value_text("adam"), value_text(True), value_text([1, 2.5]), value_text(None)
        ('adam', 'true', '[1, 2.5]', 'null')
    """
    if isinstance(value, str):
        return value or '""'
    if isinstance(value, float) and math.isfinite(value):
        mantissa, e, exponent = repr(value).partition("e")
        return f"{mantissa}e{int(exponent)}" if e else mantissa.removesuffix(".0")
    if isinstance(value, dict) and "$repr" in value:
        return str(value["$repr"])
    return json.dumps(value, ensure_ascii=False).replace("NaN", "nan").replace("Infinity", "inf")


def flat_params(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return params by dotted names, as text."""
    return [(name, value_text(value)) for name, value in flatten_params(params)]


def list_of_tags(tags: Mapping[str, str]) -> str:
    """Return tags as they are typed.

    Example:
        >>> list_of_tags({"team": "vision", "reviewed": ""})
        'team=vision reviewed='
    """
    return " ".join(f"{name}={value}" for name, value in tags.items())


def status_mark(status: RunStatus) -> str:
    """Return a status with its sign."""
    return f"{_STATUS[status][0]} {status}"


def status_style(status: RunStatus) -> str:
    """Return the colour of a status."""
    return _STATUS[status][1]


def short_ids(ids: Sequence[str], least: int = 10) -> dict[str, str]:
    """Return for each id the first characters that tell it from the others here.

    Ten characters hold the millisecond of a run's start.

    Example:
        >>> short_ids(["01ABCDEFGH1", "01ABCDEFGH2", "01ZBCDEFGH1"])
        {'01ABCDEFGH1': '01ABCDEFGH1', '01ABCDEFGH2': '01ABCDEFGH2', '01ZBCDEFGH1': '01ZBCDEFGH'}
    """
    ordered = sorted(set(ids))
    shared = [0, *(_common(a, b) for a, b in itertools.pairwise(ordered)), 0]
    return {name: name[: max(least, shared[i] + 1, shared[i + 1] + 1)] for i, name in enumerate(ordered)}


def _common(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def quantity(name: str, value: float | None) -> str:
    """Return a value of a system metric in the unit that its name has.

    Example:
        >>> quantity("system/memory/used_bytes", 2.5e9), quantity("system/gpu/0/power_w", 301.25)
        ('2.5 GB', '301 W')
    """
    unit = (describe_metric(name) or "").partition(":")[0]
    if value is None or not math.isfinite(value):
        return number(value)
    if unit in {"bytes", "bytes/s"}:
        return size(value, unit.replace("bytes", "B"))
    if unit == "s":
        return duration_text(value)
    if unit == "%":
        return f"{value:.1f}%"
    if unit in {"W", "°C", "MHz", "J"}:
        return f"{value:,.0f} {unit}"
    return number(value)


def sparkline(values: Iterable[float]) -> str:
    """Draw values as blocks from the lowest to the highest; gaps stand for what is no number.

    Example:
        >>> sparkline([3, 2, 1, 0]), sparkline([1, 1]), sparkline([0, float("nan"), 1])
        ('█▆▃▁', '──', '▁ █')
    """
    drawn = list(values)
    known = [value for value in drawn if math.isfinite(value)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    # What differs by rounding only is level.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return "".join("─" if math.isfinite(value) else " " for value in drawn)
    # Halved where the range itself is more than a float can be.
    part = 1.0 if math.isfinite(high - low) else 0.5
    floor, spread = low * part, high * part - low * part
    steps = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[round((value * part - floor) / spread * steps)] if math.isfinite(value) else " " for value in drawn
    )
