"""Which saves are one thing at several moments: files whose paths differ only by a counter, such as `epoch_3.pt`.

A counter is a number behind a separator, or behind a word that counts: `ckpt-500`, `step=100`, `val_loss=0.32`,
`epoch3`. A number that belongs to a word is none (`resnet50`), nor is one that tells things apart which exist side by
side (`fold_0`, `00001-of-00002`).

Known trade-offs:
    Two models whose names differ only by such a number (`resnet-50`, `resnet-101`) are taken for one.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["series_name", "series_of"]

_THINGS: Final = "client|expert|fold|gpu|layer|member|node|part|rank|seed|shard|split|stage|worker"
_COUNTS: Final = "checkpoint|ckpt|epoch|ep|global_?step|iter|iteration|round|step"
_NUMBER: Final = re.compile(
    rf"(?P<kept>[-_=. ]*\d+[-_]of[-_]\d+|(?<![a-z])(?:{_THINGS})s?[-_=. ]*\d+)"
    rf"|(?P<word>(?<![a-z])(?:{_COUNTS}))\d+(?![a-z0-9])"
    r"|[-_=. ]+\d+(?![a-z0-9])",
    re.IGNORECASE,
)
_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")


def series_of(path: str) -> str:
    """Return a path without the counters in it: those of one series have the same.

    Example:
        >>> series_of("/out/epoch_3.pt"), series_of("/out/checkpoint-500/model.pt"), series_of("/out/resnet50.pt")
        ('/out/epoch.pt', '/out/checkpoint/model.pt', '/out/resnet50.pt')
    """
    return "/".join(map(_without_counters, path.rstrip("/").split("/")))


def series_name(path: str, kind: str) -> str:
    """Return what the series of a path is called.

    Args:
        kind: What it is called where its name is nothing but a number.

    Example:
        >>> series_name("/out/model_epoch=3-step=300.ckpt", "checkpoint"), series_name("/out/500", "model")
        ('model_epoch-step.ckpt', 'model')
    """
    name = path.rstrip("/").rpartition("/")[2]
    suffix = _SUFFIX.search(name)
    bare = name.removesuffix(suffix[0]) if suffix else name
    return f"{kind}{suffix[0] if suffix else ''}" if bare.isdigit() else _without_counters(name) or name


def _without_counters(name: str) -> str:
    suffix = _SUFFIX.search(name)
    bare = name.removesuffix(suffix[0]) if suffix else name
    if bare.isdigit():
        return suffix[0] if suffix else ""
    kept = _NUMBER.sub(lambda found: found["kept"] or found["word"] or "", bare)
    return f"{kept or bare}{suffix[0] if suffix else ''}"
