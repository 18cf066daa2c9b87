"""Checkpoints of a model of which only the head is trained: `python checkpoints.py FOLDER FORMAT COUNT WIDTH`.

The model has the tensors of ResNet-50, narrower where the width is below 64: a backbone that stays the same in all
checkpoints, and a head that is another one in each. The libraries themselves write the files, so this runs in an
environment that has them; only the shapes are asked for elsewhere.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = ["backbone_bytes", "head_bytes"]

_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 4
_CLASSES = 1000
_FLOAT_BYTES = 4
_COUNTER_BYTES = 8

Shapes = dict[str, tuple[int, ...]]
"""Of tensors by their names; `()` is that of a counter, which is a whole number."""


def backbone_bytes(width: int) -> int:
    """Return the size of the tensors that all checkpoints share.

    Example:
        >>> round(backbone_bytes(64) / 1e6), round(head_bytes(64) / 1e6, 1)
        (94, 8.2)
    """
    shapes = _backbone(width).values()
    return sum(math.prod(shape) * _FLOAT_BYTES if shape else _COUNTER_BYTES for shape in shapes)


def head_bytes(width: int) -> int:
    """Return the size of the tensors that each checkpoint has for itself."""
    return sum(math.prod(shape) * _FLOAT_BYTES for shape in _head(width).values())


def main(folder: str, kind: str, count: str, width: str) -> None:
    """Write the files: `epoch-1.pt` and so on."""
    import torch

    backbone = _filled(_backbone(int(width)), torch.Generator().manual_seed(0))
    for epoch in range(1, int(count) + 1):
        state = {**backbone, **_filled(_head(int(width)), torch.Generator().manual_seed(epoch))}
        path = Path(folder, f"epoch-{epoch}.{kind}")
        if kind == "safetensors":
            from safetensors.torch import save_file

            save_file(state, path, metadata={"format": "pt"})
        else:
            torch.save(state, path)


def _filled(shapes: Shapes, generator: torch.Generator) -> dict[str, torch.Tensor]:
    import torch

    return {
        name: torch.randn(shape, generator=generator) if shape else torch.tensor(1000) for name, shape in shapes.items()
    }


def _backbone(width: int) -> Shapes:
    return dict(_backbone_tensors(width))


def _backbone_tensors(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "conv1.weight", (width, 3, 7, 7)
    yield from _norm("bn1", width)
    channels = width
    for number, blocks in enumerate(_BLOCKS):
        inner = width << number
        for block in range(blocks):
            name = f"layer{number + 1}.{block}"
            yield f"{name}.conv1.weight", (inner, channels, 1, 1)
            yield from _norm(f"{name}.bn1", inner)
            yield f"{name}.conv2.weight", (inner, inner, 3, 3)
            yield from _norm(f"{name}.bn2", inner)
            yield f"{name}.conv3.weight", (inner * _EXPANSION, inner, 1, 1)
            yield from _norm(f"{name}.bn3", inner * _EXPANSION)
            if block == 0:
                yield f"{name}.downsample.0.weight", (inner * _EXPANSION, channels, 1, 1)
                yield from _norm(f"{name}.downsample.1", inner * _EXPANSION)
            channels = inner * _EXPANSION


def _norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for tensor in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{tensor}", (channels,)
    yield f"{name}.num_batches_tracked", ()


def _head(width: int) -> Shapes:
    channels = (width << (len(_BLOCKS) - 1)) * _EXPANSION
    return {"fc.weight": (_CLASSES, channels), "fc.bias": (_CLASSES,)}


if __name__ == "__main__":
    main(*sys.argv[1:])
