"""A first look at the text of a filter: what would be no Python, or not what it seems, is told in plain words."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.queries.complaints import complaint

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEEPEST", "LONGEST", "check_text", "split_list"]

LONGEST: Final = 10_000
"""Characters that a filter may have."""
DEEPEST: Final = 60
"""How deep brackets, and what is made of values, may be nested."""

_TOKEN: Final = re.compile(
    r"(?P<string>[A-Za-z]{0,2}(?:'''[\s\S]*?'''|\"\"\"[\s\S]*?\"\"\"|'(?!'')(?:\\[\s\S]|[^'\\\n])*'|\"(?!\"\")(?:\\[\s\S]|[^\"\\\n])*\"))"
    r"|(?P<name>[^\W\d]\w*)|(?P<number>\d[\w.]*|\.\d\w*)|(?P<space>\s+)"
    r"|(?P<symbol>&&|\|\||[=!<>]=|<>|\*\*|//|:=|[\s\S])"
)
_SYMBOLS: Final = {
    "=": "= is no comparison: write ==",
    "&&": "&& is no operator here: write and",
    "||": "|| is no operator here: write or",
    "&": "& is no operator here: write and",
    "|": "| is no operator here: write or",
    "!": "! is no operator here: write not",
    "<>": "<> is no operator here: write !=",
    ":=": ":= is no operator here: write ==",
    "//": "// is no operator here: write /",
    "#": "a filter has no comments",
    ";": "a filter is one expression, without ;",
    "'": "this quote is not closed",
    '"': "this quote is not closed",
    **dict.fromkeys("\u2018\u2019\u201c\u201d", "this is a typographic quote: write ' or \""),
    **dict.fromkeys("\u2264\u2265\u2260", "write <=, >= or != instead"),
    **dict.fromkeys("?$`\\", "this character means nothing here"),
    "\0": "this character means nothing here",
}
_WORDS: Final = {
    **{word.upper(): f"write {word} in small letters" for word in ("and", "or", "not", "in", "is")},
    "LIKE": "write like(tags.team, 'vis%')",
    "ILIKE": "write ilike(tags.team, 'VIS%')",
    "BETWEEN": "write 1 <= metrics.loss <= 2",
    "between": "write 1 <= metrics.loss <= 2",
    "NULL": "write None, as in `tags.team is None`",
    "null": "write None, as in `tags.team is None`",
    "true": "write True",
    "false": "write False",
    "xor": "write !=, or and, or, not",
}
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_WANTING: Final = frozenset(
    {"<", "<=", ">", ">=", "==", "!=", "+", "-", "*", "/", "**", ".", "and", "or", "not", "in", "is"}
)
"""What needs something behind it."""


class Token(NamedTuple):
    """A piece of a filter: what kind of piece it is, its text and its place."""

    kind: str
    text: str
    start: int


def tokens(text: str) -> Iterator[Token]:
    """Yield the pieces of a text, spaces left out."""
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "space":
            yield Token(str(match.lastgroup), match[0], match.start())


def check_text(text: str) -> None:
    """See whether a text may be a filter at all.

    Raises:
        FilterError: It is too long or too deep, its quotes or brackets do not fit, or it has words of other languages.
    """
    if len(text) > LONGEST:
        raise complaint(text, LONGEST, f"the filter has {len(text):,} characters, but takes {LONGEST:,} at the most")
    brackets: list[Token] = []
    before = Token("symbol", "(", 0)
    for token in tokens(text):
        if token.kind == "symbol":
            _check_symbol(text, token)
            _count_bracket(text, token, brackets)
        elif token.kind == "name":
            _check_word(text, token, before)
        before = token
    if brackets:
        raise complaint(text, brackets[-1].start, f"this {brackets[-1].text} is not closed")
    if before.text in _WANTING:
        raise complaint(text, before.start + len(before.text), f"the filter lacks something behind {before.text}")


def _check_symbol(text: str, token: Token) -> None:
    problem = _SYMBOLS.get(token.text)
    if problem:
        raise complaint(text, token.start, problem)


def _count_bracket(text: str, token: Token, brackets: list[Token]) -> None:
    if token.text in _CLOSERS:
        brackets.append(token)
        if len(brackets) > DEEPEST:
            raise complaint(text, token.start, f"the brackets are nested deeper than {DEEPEST}")
    elif token.text in _CLOSERS.values():
        if not brackets:
            raise complaint(text, token.start, f"this {token.text} closes nothing")
        opened = brackets.pop()
        if _CLOSERS[opened.text] != token.text:
            raise complaint(text, token.start, f"this {token.text} closes a {opened.text}")


def _check_word(text: str, token: Token, before: Token) -> None:
    if before.text == ".":
        if keyword.iskeyword(token.text):
            problem = f"{token.text} is a word of Python: write ['{token.text}'] without a dot"
            raise complaint(text, token.start, problem)
    elif token.text in _WORDS:
        raise complaint(text, token.start, f"{token.text} means nothing here: {_WORDS[token.text]}")


def split_list(text: str) -> list[tuple[str, int]]:
    """Return the parts of a text between its outer commas, and where they begin; commas in brackets do not count.

    Example:
        >>> split_list("params.lr, metrics['a,b']")
        [('params.lr', 0), (" metrics['a,b']", 10)]
    """
    parts, begin, depth = [], 0, 0
    for token in tokens(text):
        if token.kind == "symbol" and token.text in "([{":
            depth += 1
        elif token.kind == "symbol" and token.text in ")]}":
            depth -= 1
        elif token.text == "," and depth == 0:
            parts.append((text[begin : token.start], begin))
            begin = token.start + 1
    return [*parts, (text[begin:], begin)]
