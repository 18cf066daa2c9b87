"""The text of an order: `metrics['eval/loss']`, `-metrics.acc`, `params.lr desc`, several with commas between them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import FilterError
from tracklib.queries.attributes import STATISTICS
from tracklib.queries.calls import VALUE_CALLS
from tracklib.queries.complaints import complaint
from tracklib.queries.parser import read_tree
from tracklib.queries.scanning import LONGEST, split_list
from tracklib.queries.tree import Attribute, Computed, Constant, Metric, Order, Value, fields_in
from tracklib.queries.words import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["is_expression", "parse_order", "parse_orders"]

MOST: Final = 16
_WORD: Final = re.compile(r"\s+(asc|desc|ascending|descending)\s*$", re.IGNORECASE)
_EXPRESSION: Final = re.compile(rf"[\s(+-]*(({'|'.join(NAMESPACES)})\s*[.\[]|({'|'.join(VALUE_CALLS)})\s*\()")
_LOOSE: Final = re.compile(r"(params|metrics|tags)\.([\w./:@-]+)")


def is_expression(text: str) -> bool:
    """Tell whether a text is meant as an order by fields, and not as the bare name of a metric.

    Example:
        >>> [is_expression(text) for text in ("-metrics.acc", "params['lr'] desc", "eval/loss", "run")]
        [True, True, False, False]
    """
    return _EXPRESSION.match(text) is not None


def parse_orders(
    texts: str | Order | Iterable[str | Order], *, descending: bool = False, now: float | None = None
) -> tuple[Order, ...]:
    """Return what an order says, or several.

    Args:
        texts: `created`, the bare name of a metric, or expressions with commas between them; or a list of such.
        descending: Whether the highest comes first where nothing is said.
        now: What `now()` means; the time of the call by default.

    Raises:
        FilterError: One cannot be understood; the message points at the place.

    Example:
        >>> [order.descending for order in parse_orders("-metrics.acc, run.name")]
        [True, False]
        >>> parse_orders("eval/loss")
        (Order(value=Metric(name='eval/loss', statistic='last'), descending=False),)
    """
    several: Iterable[Any] = (texts,) if isinstance(texts, (str, Order)) else texts
    if not isinstance(several, (list, tuple)):
        raise _no_order(texts)
    at = time.time() if now is None else now
    found: list[Order] = []
    for each in several:
        if isinstance(each, Order):
            found.append(each)
        elif isinstance(each, str) and each.strip():
            found += parse_order(each, descending=descending, now=at)
        else:
            raise _no_order(each)
    if len(found) > MOST:
        raise FilterError(f"the order has {len(found)} parts, but takes {MOST} at the most")
    return tuple(found)


def _no_order(value: Any) -> FilterError:
    return FilterError(
        f"order_by is {value!r:.200}, but takes text such as \"metrics['eval/loss']\" or '-metrics.acc', or a list"
    )


def parse_order(text: str, *, descending: bool, now: float) -> list[Order]:
    """Return what one text says, which may have several parts; see `parse_orders`."""
    if len(text) > LONGEST:
        raise complaint(text, LONGEST, f"the order has {len(text):,} characters, but takes {LONGEST:,} at the most")
    parts = split_list(text)
    if not any(is_expression(part) for part, _ in parts):
        return [_bare(text, descending=descending)]
    return [_order(text, part, begin, (descending, now)) for part, begin in parts]


def _bare(text: str, *, descending: bool) -> Order:
    """Return the order by the name of a metric, or by `created`."""
    plain = _WORD.sub("", text).strip()
    is_negative = plain.startswith("-")
    way = _way(text, descending=descending, is_negative=is_negative)
    plain = plain[is_negative:].strip()
    if plain == "created":
        return Order(Attribute("created"), way)
    return Order(Metric(plain.encode("utf-8", "backslashreplace").decode()), way)


def _way(text: str, *, descending: bool, is_negative: bool) -> bool:
    """Return whether the highest comes first: a minus says so, and turns round what a word says."""
    word = _WORD.search(text)
    if word is None:
        return descending or is_negative
    return word[1].lower().startswith("desc") != is_negative


def _order(text: str, part: str, begin: int, settings: tuple[bool, float]) -> Order:
    descending, now = settings
    if not is_expression(part):
        if part.strip() in {"created", "created desc", "created asc"}:
            return _bare(part, descending=descending)
        begin += len(part) - len(part.lstrip())
        raise complaint(text, begin, "a part of an order is a field, as in metrics.loss or run.name")
    source = _WORD.sub("", part)
    try:
        value = _value(source, now)
    except FilterError as error:
        if error.text != source:
            raise
        raise complaint(text, begin + error.position, str(error).partition(":\n    ")[0]) from None
    is_negative = isinstance(value, Computed) and value.operation == "negative"
    if isinstance(value, Computed) and is_negative:
        value = value.operands[0]
    if not any(True for _ in fields_in(value)):
        raise complaint(text, begin, "an order is by a field, as in metrics.loss or run.name")
    return Order(value, _way(part, descending=descending, is_negative=is_negative))


def _value(source: str, now: float) -> Value:
    plain = source.strip()
    falls = plain.startswith("-")
    loose = _in_brackets(plain.lstrip("- "))
    if loose is not None:
        source = f"-{loose}" if falls else loose
    reader, node = read_tree(source, now)
    # A minus turns the order of texts, too, which have no negative.
    if falls and getattr(node, "op", None) is not None and hasattr(node, "operand"):
        inner = reader.value(node.operand, 0).value
        return inner if isinstance(inner, Constant) else Computed("negative", (inner,))
    return reader.value(node, 0).value


def _in_brackets(text: str) -> str | None:
    """Return a field whose name has slashes and the like as a filter would have it; None for what is no such field.

    In an order that is all there is, nobody means to divide.
    """
    found = _LOOSE.fullmatch(text)
    if found is None or all(word.isidentifier() for word in found[2].split(".")):
        return None
    space, name = found[1], found[2]
    if any(f"{other}." in name for other in NAMESPACES):
        return None
    head, _, last = name.rpartition(".")
    if space == "metrics" and head and last in STATISTICS:
        return f"metrics['{head}'].{last}"
    return f"{space}['{name}']"
