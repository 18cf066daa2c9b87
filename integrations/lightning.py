"""Lightning's trainer and Fabric, for programs that import `lightning` and for those that import `pytorch_lightning`.

    from tracklib.integrations.lightning import TrackLogger

    trainer = Trainer(logger=TrackLogger(project="digits"))

The two packages have base classes of their own: what is given here belongs to the one that the program has imported,
else to one that is installed.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

__all__ = ["TrackCallback", "TrackLogger"]


def _package() -> str:
    """Return the package that the program uses."""
    if "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
        return "pytorch_lightning"
    for name in ("lightning", "pytorch_lightning"):
        if name in sys.modules or find_spec(name) is not None:
            return name
    raise ImportError("neither lightning nor pytorch_lightning is installed: pip install 'tracklib-ml[lightning]'")


if TYPE_CHECKING or _package() == "lightning":
    from tracklib.integrations.lightning_pytorch import TrackCallback, TrackLogger
else:
    from tracklib.integrations.pytorch_lightning import TrackCallback, TrackLogger
