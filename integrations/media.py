"""Pictures and tables, as frameworks hand them to loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_picture", "as_rows"]


def as_picture(image: Any, *, channels_first: bool = False) -> Any:
    """Return an image of PIL, which is given as one, or as an array or tensor of pixels.

    Whole numbers are from 0 to 255, others from 0 to 1.

    Args:
        channels_first: Whether a tensor has its channels before height and width, as in torch.
    """
    if hasattr(image, "save"):
        return image
    import numpy as np
    from PIL import Image

    is_tensor = hasattr(image, "detach")
    pixels = np.asarray(image.detach().cpu() if is_tensor else image)
    if channels_first and is_tensor and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if not np.issubdtype(pixels.dtype, np.integer):
        pixels = (np.clip(pixels, 0.0, 1.0) * 255).round()
    pixels = pixels.astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)


def as_rows(columns: Sequence[str] | None, data: Sequence[Sequence[Any]] | None) -> list[dict[str, Any]]:
    """Return rows and the names of their columns as `Run.log_table` takes them; without names they are numbered.

    Raises:
        ValueError: A row has more or fewer values than there are columns.

    Example:
        >>> as_rows(["x", "y"], [[1, 2], [3, 4]]), as_rows(None, [[1, 2]])
        ([{'x': 1, 'y': 2}, {'x': 3, 'y': 4}], [{'0': 1, '1': 2}])
    """
    rows = [list(row) for row in data or ()]
    names = [str(name) for name in columns or range(max(map(len, rows), default=0))]
    return [dict(zip(names, row, strict=True)) for row in rows]
