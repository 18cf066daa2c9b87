"""Masks secrets in text, command lines and params before anything is written.

Two signs give a secret away: the name that it stands under, and the shape that a service gives its tokens.

Known trade-offs: whoever reads text cannot know what it means. A value under a secret name is masked even where it is
harmless code (`token=first`), and a secret under a name that tells nothing, in a shape that is nobody's, is not found.
Lines are looked at one by one, so that a long text does not hold the interpreter lock for long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracklib.capture.secret_names import is_secret_file, is_secret_name

__all__ = ["MASK", "is_secret_file", "is_secret_name", "mask_command", "mask_params", "mask_text"]

MASK = "***"
"""What stands in the place of a secret."""

_MAX_DEPTH = 100
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<kind>[A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,20})-----"
    r"(?:(?:[^-]|-(?!----(?:BEGIN|END) )){0,20000}+-----END [A-Z0-9 ]{1,80}-----|[A-Za-z0-9+/=\s\\]*)"
)
_USER_INFO = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*+)://(?P<user>[^\s/?#@:\"'<>]*)(?P<password>:[^\s/?#\"'<>]*)?@"
)
_QUERY = re.compile(r"(?<=[?&;#])(?P<name>[\w.~%-]{1,80})=(?P<value>[^&;\s\"'<>#`)\\]+)")
_SIGNATURES = frozenset({"sig", "signature", "x-amz-signature", "x-goog-signature", "x-amz-credential", "policy"})


# The shapes of the tokens of services, each under a part of it that is quick to look for. They are compiled when first
# met, since this module is loaded while a run starts.
_SHAPES = {
    "AKIA": r"\bAKIA[0-9A-Z]{16}\b",
    "ASIA": r"\bASIA[0-9A-Z]{16}\b",
    "gh": r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    "github_pat_": r"\bgithub_pat_\w{20,}",
    "glpat-": r"\bglpat-[\w-]{20,}",
    "hf_": r"\bhf_[A-Za-z0-9]{20,}",
    "api_org_": r"\bapi_org_[A-Za-z0-9]{20,}",
    "sk-": r"(?<![\w-])sk-(?=[\w-]*\d)[\w-]{20,}",
    "_": r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "gsk_": r"\bgsk_[A-Za-z0-9]{20,}",
    "nvapi-": r"\bnvapi-[\w-]{20,}",
    "r8_": r"\br8_[A-Za-z0-9]{30,}",
    "xox": r"\bxox[a-z]-[\w-]{10,}",
    "xapp-": r"\bxapp-[\w-]{10,}",
    "hooks.slack.com": r"(?<=hooks\.slack\.com/)[\w/]{20,}",
    "AIza": r"\bAIza[\w-]{35}",
    "ya29.": r"\bya29\.[\w-]{20,}",
    "GOCSPX-": r"\bGOCSPX-[\w-]{20,}",
    "npm_": r"\bnpm_[A-Za-z0-9]{30,}",
    "pypi-": r"\bpypi-[\w-]{50,}",
    "dapi": r"\bdapi[0-9a-f]{32}\b",
    "SG.": r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
    "wandb_v1_": r"\bwandb_v1_\w{20,}",
    "eyJ": r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",
    "earer": r"(?<=[Bb]earer )(?=[\w.~+/=-]*\d)[\w.~+/=-]{8,}",
    # The keys of Weights & Biases look like commits: they count as secrets where somebody logs in.
    "login": r"\b[0-9a-f]{40}\b",
}

# Lines without any of these have no secret name in them, and are left alone at little cost.
_STEM = re.compile(r"(?i)pass|pwd|secret|token|key|auth|credential|cookie|jwt|bearer|_pat\b|signature|sig=|policy=")
_NAME = r"(?P<name>[A-Za-z_][\w.-]{0,200}+)"
_QUOTED = r"[rbfuRBFU]{0,2}(?P<quote>\\?\"\"\"|'''|\\?[\"'])(?P<text>(?:\\[^\n]|[^\\\n])*?)(?:(?P=quote)|$)"
_BARE = r"(?P<bare>[^\s\"'`,;&<>)\]}\\]+)"
_PAIR = re.compile(
    rf"(?<![\w.]){_NAME}(?P<close>\\?[\"']?\]?)"
    rf"(?P<sign>[ \t]*+(?::[ \t]*+\w[\w\[\], |.]{{0,40}}?)?[ \t]*+(?:[:!=]?=>?|:)[ \t]*+)(?:{_QUOTED}|{_BARE})",
    re.MULTILINE,
)
_OPTION = re.compile(
    rf"(?<![\w-])(?P<sign>--?){_NAME}(?P<gap>[ \t]+)(?!--?[A-Za-z])(?:{_QUOTED}|{_BARE})", re.MULTILINE
)
_ASSIGNMENT = re.compile(
    r"^(?P<start>[+\- ]?[ \t]*(?:(?:export|set|ENV|ARG)[ \t]+)?)(?P<name>[A-Z][A-Z0-9_]*)="
    r"(?P<bare>[^\s\"'`$(][^\s\"'`(\[]*)$",
    re.MULTILINE,
)
_SPOKEN = re.compile(
    r"(?i)\b(?P<name>(?:api|access|secret|private|auth|account) (?:key|token))(?P<sign>\"?[ \t]*[:=][ \t]*)"
    rf"(?:{_QUOTED}|{_BARE})"
)
_HEADER = re.compile(
    r"(?i)\b(?P<name>(?:proxy-)?authorization|cookie)(?P<sign>[\"']?[ \t]*[:=][ \t]*[rbfu]?[\"']?)(?P<text>[^\"'\n\\]+)"
)
_REFERENCE = re.compile(r"\$\{.*|\$[A-Z_][A-Z0-9_]*|\$\(.*|%\(\w+\)s|\{+[\w.\[\]!:]*\}*|<[\w -]*>?|\[\w+\]")
_CALL = re.compile(r"[A-Za-z_][\w.]*[(\[]")
_NOTHING = frozenset({"none", "null", "nil", "true", "false", "yes", "no", "on", "off", "undefined", "0", "1"})
_TYPES = frozenset(
    {"any", "bool", "bytes", "dict", "float", "int", "list", "object", "optional", "str", "string", "tuple"}
)
_PROSE = re.compile(r"[A-Z]?[a-z]*[.,]?")
_NEXT_WORD = re.compile(r"[ \t]+[A-Za-z`(]")


def mask_text(text: str) -> str:
    """Mask what looks like a secret in text: console lines, diffs, source files, URLs.

    Found are credentials and signatures in URLs, tokens in the shapes that well-known services give them, private keys,
    and values beside secret names (`password=…`, `"api_key": "…"`, `--token …`).

    Example:
        >>> mask_text("git clone https://me:s3cr3t@example.com/x.git")
        'git clone https://***@example.com/x.git'
        >>> mask_text("login(api_key='abc', max_tokens=12)")
        "login(api_key='***', max_tokens=12)"
    """
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(_masked_private_key, text)
    return "\n".join(map(_mask_line, text.split("\n")))


def mask_command(words: Sequence[str]) -> tuple[str, ...]:
    """Mask the secrets in the words of a command: option values, `NAME=value` words, URLs and token shapes.

    Example:
        >>> mask_command(["train.py", "--api-key", "abc", "--lr=0.1", "db.password=x"])
        ('train.py', '--api-key', '***', '--lr=0.1', 'db.password=***')
    """
    masked: list[str] = []
    expected = False
    for word in words:
        if expected and not re.match(r"--|-[A-Za-z]$", word):
            masked.append(_mask_argument(word))
            expected = False
            continue
        name, equals, value = word.partition("=")
        expected = re.fullmatch(r"--?[\w.@-]+", word) is not None and is_secret_name(word)
        if equals and re.fullmatch(r"[-+~]*[\w.@/-]+", name) and is_secret_name(name):
            masked.append(f"{name}={_mask_argument(value)}")
        else:
            masked.append(mask_text(word))
    return tuple(masked)


def mask_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of params with its secrets masked; `params` itself is left as it is.

    Text under a secret name is masked, also where it stands deeper in a mapping or list under such a name. All other
    text goes through `mask_text`. Numbers, flags and None stay, whatever they are called.

    Example:
        >>> mask_params({"hub": {"token": "hf_x", "max_tokens": 5}, "url": "s3://a:b@c/d"})
        {'hub': {'token': '***', 'max_tokens': 5}, 'url': 's3://a:***@c/d'}
    """
    return {key: _mask_item(value, _names_secret(key), (id(params),)) for key, value in params.items()}


def _mask_item(value: Any, secret: bool, above: tuple[int, ...]) -> Any:
    """Mask a value of params; `above` are the ids of what it stands in, since a structure may contain itself."""
    if isinstance(value, (str, bytes)):
        return _mask_leaf(value, secret)
    if not isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return value
    if id(value) in above or len(above) > _MAX_DEPTH:
        return MASK
    above = (*above, id(value))
    if isinstance(value, Mapping):
        return {key: _mask_item(item, secret or _names_secret(key), above) for key, item in value.items()}
    kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
    return kind(_mask_item(item, secret, above) for item in value)


def _mask_leaf(value: str | bytes, secret: bool) -> str | bytes:
    if secret and value:
        return MASK
    masked = mask_text(value) if isinstance(value, str) else value
    return value if masked == value else masked


def _names_secret(key: Any) -> bool:
    return isinstance(key, str) and is_secret_name(key)


def _mask_line(line: str) -> str:
    if "://" in line:
        line = _USER_INFO.sub(_masked_user_info, line)
    for hint, shape in _SHAPES.items():
        if hint in line:
            line = re.sub(shape, MASK, line)
    if not _STEM.search(line):
        return line
    for pattern, replace in _NAMED:
        line = pattern.sub(replace, line)
    return line


def _masked_private_key(match: re.Match[str]) -> str:
    return f"-----BEGIN {match['kind']}-----{MASK}-----END {match['kind']}-----"


def _masked_user_info(match: re.Match[str]) -> str:
    scheme, user = match["scheme"], match["user"]
    # Over HTTP a token is often given as the user; elsewhere a user's name is worth keeping.
    if scheme.lower() in {"http", "https"}:
        return f"{scheme}://{MASK}@"
    return f"{scheme}://{user}:{MASK}@" if len(match["password"] or "") > 1 else match[0]


def _masked_query(match: re.Match[str]) -> str:
    name = match["name"]
    return f"{name}={MASK}" if name.lower() in _SIGNATURES or is_secret_name(name) else match[0]


def _masked_pair(match: re.Match[str]) -> str:
    if not is_secret_name(match["name"]):
        return match[0]
    sign, bare = (match.groupdict().get(group) or "" for group in ("sign", "bare"))
    rest = match.string[match.end() : match.end() + 3]
    is_comparison = bare and sign.strip() in {"==", "!="}
    is_sentence = sign.endswith(": ") and _PROSE.fullmatch(bare) and _NEXT_WORD.match(rest)
    return match[0] if is_comparison or is_sentence else _masked_value(match)


def _masked_header(match: re.Match[str]) -> str:
    return f"{match['name']}{match['sign']}{MASK}" if match["text"].strip() else match[0]


def _masked_value(match: re.Match[str]) -> str:
    """Return the match with its group `text` or `bare` masked, unless that cannot be a secret."""
    group = "text" if match["bare"] is None else "bare"
    called = group == "bare" and match.end() < len(match.string) and _CALL.match(match["bare"])
    if called or _is_reference(match[group], match["name"]):
        return match[0]
    start, end = (position - match.start() for position in match.span(group))
    return f"{match[0][:start]}{MASK}{match[0][end:]}"


def _is_reference(value: str, name: str) -> bool:
    """Tell whether `value`, under the secret name `name`, says where a secret is, of which type, or that it is none."""
    if not value.strip() or value.lower() in _NOTHING | _TYPES or _REFERENCE.fullmatch(value):
        return True
    return value.rpartition(".")[2] == name.rpartition(".")[2]


def _mask_argument(value: str) -> str:
    return value if not value or value.lower() in _NOTHING or re.fullmatch(r"\$\{\w+\}", value) else MASK


_NAMED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_QUERY, _masked_query),
    (_HEADER, _masked_header),
    (_ASSIGNMENT, _masked_pair),
    (_PAIR, _masked_pair),
    (_OPTION, _masked_pair),
    (_SPOKEN, _masked_value),
)
