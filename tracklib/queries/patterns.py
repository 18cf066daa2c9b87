"""Patterns of texts: those of LIKE as regular expressions, and which regular expressions are taken."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import Any, Final

__all__ = ["SEARCHED", "compiled", "like", "like_expression", "matches"]

SEARCHED: Final = 10_000
"""A regular expression looks at so many characters of a text."""

_LONGEST: Final = 1_000
_REPEATS: Final = frozenset({"MAX_REPEAT", "MIN_REPEAT"})
_GROUPS: Final = frozenset({"SUBPATTERN", "ATOMIC_GROUP", "ASSERT", "ASSERT_NOT"})


def like_expression(pattern: str) -> str:
    r"""Return the regular expression, for a whole text, of a pattern in which `%` is any text and `_` any character.

    What stands between two `%` is taken where it is found first: nothing is gained by trying further, and there are
    patterns with which that would take forever.

    Example:
        >>> like_expression("res%_50")
        '(?s:res.*.50)\\Z'
    """
    first, *others = (_literal(part) for part in pattern.split("%"))
    inner = "".join(f"(?>.*?{part})" for part in others[:-1] if part)
    last = f".*{others[-1]}" if others else ""
    return rf"(?s:{first}{inner}{last})\Z"


def _literal(part: str) -> str:
    return ".".join(re.escape(piece) for piece in part.split("_"))


@lru_cache(maxsize=256)
def compiled(expression: str) -> re.Pattern[str]:
    """Return a regular expression that is ready for use.

    Raises:
        ValueError: It is none, too long, or one that may take forever; the message says which.
    """
    if len(expression) > _LONGEST:
        raise ValueError(f"it has {len(expression):,} characters, but takes {_LONGEST:,} at the most")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = re.compile(expression)
            _refuse_endless(re._parser.parse(expression), repeated=False)  # type: ignore[attr-defined] # noqa: SLF001 - there is no public way to look at one
        except (re.error, OverflowError) as error:
            raise ValueError(str(error)) from error
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
    return found


def _refuse_endless(parsed: Any, *, repeated: bool) -> None:
    """Refuse repeats within repeats, and choices within them: those can take forever on some texts."""
    for operation, arguments in parsed:
        name = str(operation)
        if name in _REPEATS:
            least, most, inner = arguments
            varies = least != most and most > 1
            if varies and repeated:
                raise ValueError("it repeats what repeats, as in (a+)+, which may take forever")
            _refuse_endless(inner, repeated=repeated or varies)
        elif name == "BRANCH":
            if repeated:
                raise ValueError("it repeats a choice, as in (ab|a)*, which may take forever")
            for branch in arguments[1]:
                _refuse_endless(branch, repeated=repeated)
        elif name in _GROUPS:
            _refuse_endless(arguments[-1], repeated=repeated)


@lru_cache(maxsize=256)
def _like(pattern: str, flags: int) -> re.Pattern[str]:
    return re.compile(like_expression(pattern), flags)


def like(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Tell whether a text is as a pattern with `%` and `_` says.

    Example:
        >>> like("res%", "resnet"), like("RES%", "resnet"), like("RES%", "resnet", ignore_case=True)
        (True, False, True)
    """
    return _like(pattern, re.IGNORECASE if ignore_case else 0).match(text) is not None


def matches(expression: str, text: str) -> bool:
    """Tell whether a regular expression is found in the beginning of a text.

    Example:
        >>> matches("^lr-[0-9]+", "lr-10"), matches("LR", "lr-10")
        (True, False)
    """
    return compiled(expression).search(text[:SEARCHED]) is not None
