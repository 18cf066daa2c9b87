"""What is said of a filter that cannot be understood."""

from __future__ import annotations

import pytest

from tracklib.errors import FilterError
from tracklib.queries.complaints import complaint
from tracklib.queries.parser import parse

SAID = [
    ("run.statsu == 'failed'", "statsu", "did you mean run.status?"),
    ("run.hots == 'a'", "hots", "did you mean run.host?"),
    ("run.git == 'a'", "git", "run.git.commit"),
    ("run.zzzz == 'a'", "zzzz", "there are id, name, project"),
    ("run.tags.team == 'x'", "team", "write tags.team without run."),
    ("param.lr < 1", "param", "did you mean params?"),
    ("Params.lr < 1", "Params", "did you mean params?"),
    ("loss < 1", "loss", "write params.loss, metrics.loss or tags.loss, or 'loss' where it is text"),
    ("status == 'failed'", "status", "write run.status"),
    ("min < 1", "min", "metrics.loss.min"),
    ("metrics.loss < nan", "nan", "isnan(metrics.loss)"),
    ("metrics < 1", "metrics", "metrics['eval/loss']"),
    ("params[3] < 1", "3]", "a name in quotes"),
    ("params.lr = 1", "= 1", "write =="),
    ("params.a and params.b && params.c", "&&", "write and"),
    ("params.a || params.c", "||", "write or"),
    ("!params.a", "!", "write not"),
    ("params.a <> 1", "<>", "write !="),
    ("params.a < 1 AND params.b < 2", "AND", "write and in small letters"),
    ("tags.team LIKE 'v%'", "LIKE", "write like(tags.team, 'vis%')"),
    ("tags.team is NULL", "NULL", "None"),
    ("params.amp == true", "true", "write True"),
    ("metrics.eval/loss < 0.5", "loss", "metrics['eval/loss']"),
    ("1 < metrics.eval/loss.min", "loss.min", "metrics['eval/loss.min']"),
    ("params.batch-size > 3", "size", "params['batch-size']"),
    ("params.lambda < 1", "lambda", "['lambda'] without a dot"),
    ("(params.a < 1", "(", "is not closed"),
    ("params.a <", "", "the filter lacks something behind <"),
    ("params.a < 1 and ", "", "the filter lacks something behind and"),
    ("params.a < 1)", ")", "closes nothing"),
    ("params.a in [1)", ")", "closes a ["),
    ("tags.a == 'abc", "'abc", "this quote is not closed"),
    ("tags.a == \u2018abc\u2019", "\u2018", "typographic"),
    ("params.a < 1 # small", "#", "no comments"),
    ("params.a < 1; 2", ";", "one expression"),
    ("run.status == 'complete'", "'complete'", "did you mean completed?"),
    ("run.status in ['failed', 'dead']", "'dead'", "pending, running, completed, failed, killed"),
    ("run.started > 'yesterday'", "'yesterday'", "ago('7d')"),
    ("run.started > ago('a week')", "'a week'", "write '90s' or '2h30m'"),
    ("run.duration > '2 fortnights'", "'2 fort", "is no duration"),
    ("date('1.1.2026') < run.started", "'1.1", "is no date"),
    ("matches(run.name, '(')", "'('", "this regular expression cannot be used: missing )"),
    ("matches(run.name, '(a+)+$')", "'(a", "may take forever"),
    ("matches(run.name, '(ab|a)*$')", "'(ab", "may take forever"),
    ("likes(run.name, 'a')", "likes", "did you mean like?"),
    ("run.name.upper() == 'A'", "run.name.upper", "like, lower, matches"),
    ("like(tags.a)", "like(", "like is written like(tags.team, 'vis%')"),
    ("like(tags.a, tags.b)", "tags.b", "a text in quotes"),
    ("like('a', 'b')", "'a'", "here stands a field"),
    ("tags.a in 'abc'", "'abc'", "a list such as ['a', 'b']"),
    ("tags.a in [tags.b]", "tags.b", "texts and numbers only"),
    ("tags.a in tags.b", "tags.a", "'vis' in tags.team"),
    ("tags.a is 1", "1", "`is` goes with None alone"),
    ("tags.a + 1 > 2", "tags.a", "this is no number"),
    ("params.a % 2 == 0", "2 ==", "numbers have + - * / **"),
    ("params.a // 2 == 0", "//", "write /"),
    ("(params.a < 1) == True", "params.a", "a condition cannot be used as a value"),
    ("tags.a == 'x' or 'y'", "'y'", "this is a value, not a condition"),
    ("lambda: 1", "lambda", "no expression that a filter can have"),
    ("[a for a in params]", "[a", "no expression that a filter can have"),
    ("params.a if params.b else 1", "params.a", "no expression that a filter can have"),
    ("f'{params.a}' == 'a'", "f'", "no expression that a filter can have"),
    ("params.a == b'a'", "b'a'", "only texts, numbers"),
    ("params.a < 1j", "1j", "only texts, numbers"),
    ("params.a.b(1)", "params.a.b", "there is no function 'b'"),
    ("__import__('os').system('x')", "__import__", "only functions|there is no function"),
]


@pytest.mark.parametrize(("text", "place", "said"), SAID)
def test_a_message_points_at_the_place_and_says_what_to_do(text: str, place: str, said: str) -> None:
    """The caret is below what is wrong, and what was likely meant is named."""
    with pytest.raises(FilterError) as caught:
        parse(text)

    message, shown, caret = str(caught.value).rsplit("\n", 2)
    assert any(words in message for words in said.split("|"))
    assert shown.strip() == text.strip()
    if place:
        assert shown[caret.index("^") :].startswith(place)


def test_the_place_is_found_behind_letters_of_several_bytes() -> None:
    """Python counts bytes; people count letters."""
    text = "tags['文書 ü'] == 'é' and run.statsu == 'a'"
    with pytest.raises(FilterError) as caught:
        parse(f"  {text}")

    assert caught.value.position == 2 + text.index("statsu")


def test_of_a_long_filter_the_part_around_the_place_is_shown() -> None:
    """So that the caret stays near."""
    text = " and ".join(f"params.p{n} < {n}" for n in range(100)) + " and run.statsu == 'a'"
    with pytest.raises(FilterError) as caught:
        parse(text)

    lines = str(caught.value).splitlines()
    assert max(map(len, lines)) < 100
    assert lines[1][lines[2].index("^") :].startswith("statsu")


def test_what_cannot_be_printed_is_not() -> None:
    """A line end or an escape sequence in a filter moves no caret and colours no terminal."""
    error = complaint("tags.a ==\n\x1b[31m 1", 12, "this is wrong")

    assert "\x1b" not in str(error)
    assert len(str(error).splitlines()) == 3
