"""Arrays and tensors of any library as NumPy has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["as_array", "describe", "is_tensor"]


def is_tensor(value: Any) -> bool:
    """Tell whether a value is a tensor of torch.

    Example:
        >>> is_tensor([1.0])
        False
    """
    return hasattr(value, "detach") and hasattr(value, "numel")


def as_array(value: Any, argument: str) -> NDArray[Any]:
    """Return an array, a tensor on whatever device and in whatever graph, or nested lists of numbers.

    Args:
        argument: What it is called in a message.

    Raises:
        TypeError: It holds something else than real numbers.

    Example:
        >>> as_array([[1, 2], [3, 4]], "values").shape
        (2, 2)
    """
    import numpy as np

    try:
        array = _from_tensor(value) if is_tensor(value) else np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{argument} is {describe(value)}, which cannot be made an array: {error}") from error
    if array.dtype.kind == "V" and array.dtype.names is None:
        # Of ml_dtypes, such as the bfloat16 of JAX: NumPy knows no kind for them.
        array = array.astype(np.float32)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument} is {describe(value)} of {array.dtype}, but takes real numbers")
    return array


def _from_tensor(tensor: Any) -> NDArray[Any]:
    import torch

    dense = tensor.detach()
    if dense.layout != torch.strided:
        dense = dense.to_dense()
    if dense.is_quantized:
        dense = dense.dequantize()
    if dense.is_floating_point() and dense.dtype not in {torch.float16, torch.float32, torch.float64}:
        dense = dense.float()  # NumPy has no bfloat16 and no float8.
    array: NDArray[Any] = dense.numpy(force=True)
    return array


def describe(value: Any) -> str:
    """Return what an array is, in words for a message.

    Example:
        >>> describe([1, 2])
        'list'
    """
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"
