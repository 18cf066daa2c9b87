"""Tables, as frameworks hand them to loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_rows"]


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
