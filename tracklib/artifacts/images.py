"""Pictures made into files: arrays, tensors and PIL images, or the files of pictures as they are."""

from __future__ import annotations

import functools
import io
import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.artifacts.arrays import as_array, describe, is_tensor
from tracklib.artifacts.content import Content, file_name
from tracklib.artifacts.media import MediaFile, media_file
from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["image_content"]

_FORMATS: Final = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP"}
"""What pixels are written as, by the suffix of a name."""
_CHANNELS: Final = frozenset({1, 3, 4})
_KINDS: Final = {
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "jpg": re.compile(rb"\xff\xd8\xff"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "bmp": re.compile(rb"BM....\0{4}", re.DOTALL),
    "tiff": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "avif": re.compile(rb"....ftypavi[fs]", re.DOTALL),
    "heic": re.compile(rb"....ftyp(hei[cx]|mif1)", re.DOTALL),
    "jxl": re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
    "svg": re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<![^>]*>\s*)*<svg[\s>]", re.DOTALL),
}
"""How the files of pictures begin, by their usual suffixes."""

_log = logging.getLogger("tracklib")


def image_content(image: Any, name: str) -> Content:
    """Return a picture, or a list of them, as files.

    Pixels become PNG, or JPEG or WebP where the name ends so. Of a list the files are `0.png`, `1.png` and so on, with
    zeros before the number where there are more than ten. The file of a picture is kept as it is.

    Floats are from 0 (black) to 1. What lies outside is clipped, and what is no number is black: the metadata says how
    large a part that was (`clipped`), and a warning is logged once for each name. Integers are from 0 to 255.

    Args:
        image: An array of shape (height, width), (height, width, channels) or (channels, height, width), with 1, 3 or 4
            channels; a tensor, which has its channels first where both could be meant; a PIL image; the path or the
            bytes of an image file; a list of these, or an array with one more dimension in front.

    Raises:
        TypeError: It is nothing of the kind.
        ConfigError: It has another shape or no pixels, integers outside 0 to 255, or it cannot be written so.
        FileNotFoundError: There is nothing at the path.
        MissingDependency: Pillow is not installed.

    Example:
        >>> import numpy as np
        >>> content = image_content(np.zeros((28, 28)), "samples/first")
        >>> list(content.files), content.metadata
        (['first.png'], {'width': 28, 'height': 28, 'mode': 'L'})
    """
    several = _several(image)
    if several is None:
        file, metadata = _picture(image, name)
        return Content({file_name(name, file.suffix(name)): file.content}, metadata, file.path)
    if not several:
        raise ConfigError(f"the list of images {name!r} is empty")
    pictures = [_picture(each, name) for each in several]
    digits = len(str(len(pictures) - 1))
    files = {f"{index:0{digits}}.{file.kind}": file.content for index, (file, _) in enumerate(pictures)}
    return Content(files, {"count": len(pictures), **_together([metadata for _, metadata in pictures])})


class _Picture(NamedTuple):
    """A file, and what is known about it."""

    file: MediaFile
    metadata: dict[str, Any]


def _several(image: Any) -> list[Any] | None:
    """Return the parts of a list of images, or of an array of them; None for a single one."""
    if isinstance(image, (list, tuple)):
        # Nested lists of numbers are one image.
        numbers = (isinstance(part, (list, tuple, int, float)) for part in image)
        return None if image and all(numbers) else list(image)
    return list(image) if getattr(image, "ndim", None) == 4 else None


def _together(metadata: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what is known of several images: one value where they agree, else that of each."""
    names = dict.fromkeys(name for each in metadata for name in each)
    values = {name: [each.get(name) for each in metadata] for name in names}
    return {name: each[0] if all(value == each[0] for value in each) else each for name, each in values.items()}


def _picture(image: Any, name: str) -> _Picture:
    file = media_file(image, "image", _KINDS)
    if file is not None:
        return _Picture(file, _size_of(file))
    suffix = name.rpartition(".")[2].lower()
    kind = suffix if suffix in _FORMATS else "png"
    if hasattr(image, "getbands") and hasattr(image, "convert"):
        return _written(_writable(image), kind, {})
    pixels = _pixels(image)
    if "clipped" in pixels.known:
        _warn_of_clipping(name)
    return _written(_pillow().fromarray(pixels.values), kind, pixels.known)


def _size_of(file: MediaFile) -> dict[str, Any]:
    """Return the size of an image file, if Pillow is there and knows its format."""
    try:
        with file.open() as opened, _pillow().open(opened) as image:
            return {"width": image.width, "height": image.height, "mode": image.mode}
    except Exception:  # noqa: BLE001 - the file is kept as it is, also where nobody here can read it
        return {}


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingDependency("log_image needs Pillow: pip install 'tracklib-ml[images]'") from error
    return Image


def _writable(image: Any) -> Any:
    """Return an image in a mode that files can have."""
    if image.mode == "F":
        return _pillow().fromarray(_pixels(image).values)
    if image.mode.startswith("I"):
        return image.convert("I").convert("I;16")
    if image.mode in {"1", "L", "LA", "P", "RGB", "RGBA"}:
        return image
    with_alpha = {"La": "LA", "PA": "RGBA", "RGBa": "RGBA"}
    return image.convert(with_alpha.get(image.mode, "RGB"))


def _written(image: Any, kind: str, known: dict[str, Any]) -> _Picture:
    if not image.width or not image.height:
        raise ConfigError(f"image has no pixels: its size is {image.width} x {image.height}")
    buffer = io.BytesIO()
    try:
        image.save(buffer, format=_FORMATS[kind])
    except (OSError, ValueError) as error:
        advice = "" if kind == "png" else "; a name that ends with .png keeps any image"
        raise ConfigError(f"an image of mode {image.mode} cannot be kept as {kind}: {error}{advice}") from error
    metadata = {"width": image.width, "height": image.height, "mode": image.mode, **known}
    return _Picture(MediaFile(buffer.getvalue(), kind), metadata)


class _Pixels(NamedTuple):
    values: NDArray[Any]
    known: dict[str, Any] = {}  # noqa: RUF012 - nobody changes it


def _pixels(image: Any) -> _Pixels:
    """Return an image as bytes of shape (height, width) or (height, width, 3 or 4)."""
    if hasattr(image, "savefig") or isinstance(image, dict):
        raise TypeError(f"image is {type(image).__name__}, but takes pixels; a figure is kept by log_figure")
    array = _upright(as_array(image, "image"), channels_first=is_tensor(image), what=describe(image))
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype.kind == "b":
        return _Pixels(array.astype("uint8") * 255)
    if array.dtype.kind == "f":
        return _from_floats(array)
    if array.min() < 0 or array.max() > 255:
        raise ConfigError(
            f"image has integers from {array.min()} to {array.max()}, but takes 0 to 255: "
            "divide it by its greatest value, which makes floats from 0 to 1"
        )
    return _Pixels(array.astype("uint8"))


def _upright(array: NDArray[Any], *, channels_first: bool, what: str) -> NDArray[Any]:
    """Return an array with its channels last."""
    if array.ndim not in {2, 3} or (array.ndim == 3 and not _CHANNELS & {array.shape[0], array.shape[2]}):
        raise ConfigError(
            f"image is {what}, but takes (height, width), (height, width, channels) or (channels, height, width) "
            "with 1, 3 or 4 channels"
        )
    if not array.size:
        raise ConfigError(f"image is {what}: it has no pixels")
    if array.ndim == 3 and array.shape[0] in _CHANNELS and (channels_first or array.shape[2] not in _CHANNELS):
        return array.transpose(1, 2, 0)
    return array


def _from_floats(array: NDArray[Any]) -> _Pixels:
    import numpy as np

    outside = array.size - int(((array >= 0) & (array <= 1)).sum())
    values = np.nan_to_num(np.clip(array, 0, 1).astype(np.float32), copy=False)
    return _Pixels(np.rint(values * 255).astype(np.uint8), {"clipped": outside / array.size} if outside else {})


@functools.lru_cache(maxsize=1000)
def _warn_of_clipping(name: str) -> None:
    _log.warning(
        "the image %r has values outside 0 to 1, which were clipped (its metadata says how large a part): scale it "
        "first, e.g. by (image - image.min()) / (image.max() - image.min())",
        name,
    )
