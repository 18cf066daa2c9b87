"""Arrow, where it is needed: importing it takes time and memory, and it may not be installed.

Arrow's own ways from and to numpy import pandas, where that is installed: half a second and 60 MB in every training. So
columns are made of buffers here.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from tracklib.errors import CorruptData, MissingDependency

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["number_column", "numbers_of", "parquet", "require_arrow", "text_column"]

_MISSING = "an object store needs pyarrow: pip install 'tracklib-ml[s3]'"


def parquet() -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`.

    Raises:
        MissingDependency: They are not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingDependency(_MISSING) from error
    return pa, pq


def require_arrow() -> None:
    """See to it that Arrow is there, without importing it yet: that takes longer than a run may take to start.

    Raises:
        MissingDependency: It is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingDependency(_MISSING)


def number_column(values: NDArray[Any]) -> Any:
    """Return numbers as an Arrow array, which shares their memory."""
    import numpy as np

    pa, _ = parquet()
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def text_column(texts: Sequence[str]) -> Any:
    """Return texts as an Arrow array.

    Example:
        >>> text_column(["loss", "größe"]).to_pylist()
        ['loss', 'größe']
    """
    import numpy as np

    pa, _ = parquet()
    encoded = [text.encode() for text in texts]
    offsets = np.fromiter(accumulate(map(len, encoded), initial=0), dtype=np.int32, count=len(encoded) + 1)
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def numbers_of(column: Any, kind: type[np.generic]) -> NDArray[Any]:
    """Undo `number_column`, of a column of a table or of an array.

    Args:
        kind: What the numbers are; those of another kind are changed into it.

    Raises:
        CorruptData: Some are missing.

    Example:
        >>> import numpy as np
        >>> numbers_of(number_column(np.array([1, 2, 3]))[1:], np.int64)
        array([2, 3])
    """
    import numpy as np

    pa, _ = parquet()
    wanted = pa.from_numpy_dtype(kind)
    if column.type != wanted:
        column = column.cast(wanted)
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if column.null_count:
        raise CorruptData(f"{column.null_count} of its {len(column)} numbers are missing")
    data = column.buffers()[1]
    if not len(column):
        return np.empty(0, kind)
    return np.frombuffer(data, kind, count=len(column), offset=column.offset * np.dtype(kind).itemsize)
