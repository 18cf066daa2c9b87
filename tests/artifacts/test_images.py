"""Pictures: whatever they come as, the file shows them as they are."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from PIL import Image

from tracklib.artifacts.content import Content
from tracklib.artifacts.images import image_content
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RED = np.zeros((2, 5, 3), np.uint8)
RED[..., 0] = 255


def opened(content: Content) -> Image.Image:
    """Return the only picture."""
    (file,) = content.files.values()
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file)


def shown(content: Content) -> NDArray[Any]:
    return np.asarray(opened(content))


def encoded(kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RED).save(buffer, kind, **options)
    return buffer.getvalue()


# ---- pixels


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RED, RED),
        (RED.tolist(), RED),
        (RED / 255, RED),
        ((RED / 255).astype(np.float16), RED),
        (RED > 0, RED),
        (RED.astype(np.int64), RED),
        (RED.transpose(2, 0, 1), RED),
        (RED[:, ::-1], RED),
        (torch.tensor(RED), RED),
        (torch.tensor(RED).permute(2, 0, 1) / 255, RED),
        ((torch.tensor(RED) / 255).bfloat16(), RED),
        ((torch.tensor(RED) / 255).requires_grad_(), RED),
        (Image.fromarray(RED), RED),
        (RED[..., 0], RED[..., 0]),
        (RED[..., :1], RED[..., 0]),
        (torch.tensor(RED[..., 0])[None], RED[..., 0]),
        (np.full((2, 3, 4), 0.5), np.full((2, 3, 4), 128, np.uint8)),
        (np.full((2, 3), 0.5), np.full((2, 3), 128, np.uint8)),
        (torch.zeros(3, 4, 3), np.zeros((4, 3, 3), np.uint8)),
        (np.zeros((3, 4, 3)), np.zeros((3, 4, 3), np.uint8)),
    ],
)
def test_pixels_are_shown_as_they_are(image: Any, expected: NDArray[Any]) -> None:
    """From arrays and tensors of any layout and kind of number."""
    content = image_content(image, "eval/sample")

    assert list(content.files) == ["sample.png"]
    np.testing.assert_array_equal(shown(content), expected)
    height, width, *channels = expected.shape
    mode = {(): "L", (3,): "RGB", (4,): "RGBA"}[tuple(channels)]
    assert content.metadata == {"width": width, "height": height, "mode": mode}


@given(
    st_numpy.arrays(
        st.sampled_from([np.uint8, np.bool_]),
        st.one_of(
            st.tuples(st.integers(5, 9), st.integers(5, 9)),
            st.tuples(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3, 4])),
        ),
    )
)
def test_no_pixel_is_lost(image: NDArray[Any]) -> None:
    """Whatever the shape; channels may be first."""
    expected = image.astype(np.uint8) * (255 if image.dtype == bool else 1)
    ways = [image, torch.tensor(image)]
    if image.ndim == 3:
        expected = expected[..., 0] if image.shape[2] == 1 else expected
        ways += [image.transpose(2, 0, 1), torch.tensor(image).permute(2, 0, 1)]

    for way in ways:
        np.testing.assert_array_equal(shown(image_content(way, "x")), expected)


def test_floats_outside_are_clipped_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Once for each name; the metadata says how large a part it was."""
    image = np.array([[-2.0, 0.5], [1.5, np.nan], [np.inf, -np.inf], [0.0, 1.0]])
    with caplog.at_level(logging.WARNING, "tracklib"):
        content = image_content(image, "noise")
        image_content(image, "noise")
        image_content(torch.tensor(image), "other noise")

    assert shown(content).tolist() == [[0, 128], [255, 0], [255, 0], [0, 255]]
    assert content.metadata["clipped"] == 5 / 8
    assert [("'noise'" in text, "scale it first" in text) for text in caplog.messages] == [(True, True), (False, True)]


@pytest.mark.parametrize(
    ("name", "file", "kind"),
    [
        ("a", "a.png", "PNG"),
        ("a.png", "a.png", "PNG"),
        ("a.jpg", "a.jpg", "JPEG"),
        ("a.JPEG", "a.JPEG", "JPEG"),
        ("a.webp", "a.webp", "WEBP"),
        ("a.0", "a.0.png", "PNG"),
        ("png", "png.png", "PNG"),
    ],
)
def test_the_name_may_say_the_format(name: str, file: str, kind: str) -> None:
    """PNG where it says none."""
    content = image_content(RED, name)

    assert list(content.files) == [file]
    assert opened(content).format == kind


def test_what_a_format_cannot_say_is_refused() -> None:
    """With the way out."""
    with pytest.raises(ConfigError, match=r"mode RGBA cannot be kept as jpg: .*; a name that ends with \.png"):
        image_content(np.zeros((2, 2, 4)), "a.jpg")


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "I;16"])
def test_a_pil_image_of_any_mode_is_kept(mode: str) -> None:
    """As the nearest that a file can say; the image itself is left alone."""
    image = Image.new(mode, (4, 2))

    content = image_content(image, "a")
    assert (content.metadata["width"], content.metadata["height"]) == (4, 2)
    assert opened(content).size == (4, 2)
    assert image.mode == mode


@pytest.mark.parametrize("mode", ["La", "PA", "RGBa", "RGBX"])
def test_a_pil_image_of_a_rare_mode_is_kept(mode: str) -> None:
    """As the nearest of those that are common."""
    image = Image.new("RGBA", (4, 2)).convert(mode) if mode.startswith("RGB") else Image.new(mode, (4, 2))

    assert opened(image_content(image, "a")).size == (4, 2)


def test_sixteen_bits_are_kept() -> None:
    """Of a PIL image, as medical pictures have them."""
    image = Image.fromarray(np.array([[0, 40_000]], np.uint16))

    assert shown(image_content(image, "a")).tolist() == [[0, 40_000]]


# ---- files


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp"), ("TIFF", "tiff")],
)
def test_an_image_file_is_kept_as_it_is(kind: str, suffix: str) -> None:
    """From its bytes or its path; the suffix says what it is."""
    source = encoded(kind)
    Path("photo.dat").write_bytes(source)

    content = image_content(source, "photo")
    assert content.files == {f"photo.{suffix}": source}
    assert (content.metadata["width"], content.metadata["height"]) == (5, 2)
    assert image_content(bytearray(source), f"photo.{suffix}").files == {f"photo.{suffix}": source}
    content = image_content("photo.dat", "photo")
    assert content.files == {f"photo.{suffix}": Path("photo.dat")}
    assert content.path == "photo.dat"
    assert image_content(Path("photo.dat"), "photo").metadata == content.metadata


@pytest.mark.parametrize(
    ("name", "file"), [("cat.jpeg", "cat.jpeg"), ("cat.jpg", "cat.jpg"), ("cat.png", "cat.png.jpg")]
)
def test_a_suffix_that_means_the_same_is_kept(name: str, file: str) -> None:
    """And one that is wrong is put right."""
    assert list(image_content(encoded("JPEG"), name).files) == [file]


@pytest.mark.parametrize(
    "start",
    [
        b"<svg xmlns='...'></svg>",
        b'<?xml version="1.0"?>\n<!-- hello -->\n<!DOCTYPE svg>\n<svg\nwidth="1">',
        b"\xef\xbb\xbf  <svg>",
    ],
)
def test_an_svg_is_an_image(start: bytes) -> None:
    """Its size is not known to us."""
    content = image_content(start, "plot")

    assert (content.files, content.metadata) == ({"plot.svg": start}, {})


def test_a_damaged_image_file_is_kept_as_it_is() -> None:
    """Somebody may want to see what it was."""
    source = encoded("PNG")[:12]

    assert image_content(source, "a") == Content({"a.png": source})


def test_long_lines_of_brackets_are_no_svg() -> None:
    """It is found out at once."""
    with pytest.raises(ConfigError, match="none of png, jpg"):
        image_content(b"<!>" * 2000, "a")


@pytest.mark.parametrize("content", [b"", b"hello", b"BM is no picture", b"\xff\xfe"], ids=repr)
def test_another_file_is_no_image(content: bytes) -> None:
    """The message says what is, and where to go with it."""
    Path("file").write_bytes(content)

    with pytest.raises(ConfigError, match=f"image is {len(content)} bytes, which is none of .*log_artifact"):
        image_content(content, "a")
    with pytest.raises(ConfigError, match="image is 'file', which is none of png"):
        image_content("file", "a")


def test_a_path_leads_to_a_file() -> None:
    """Not to a folder, and not nowhere."""
    Path("folder").mkdir()

    with pytest.raises(ConfigError, match="image is 'folder', but takes the path of a file"):
        image_content("folder", "a")
    with pytest.raises(FileNotFoundError, match="path is 'gone'"):
        image_content("gone", "a")


# ---- several


def test_a_list_is_several_files() -> None:
    """Of whatever kinds."""
    Path("photo").write_bytes(encoded("JPEG"))

    content = image_content([RED, torch.zeros(3, 4, 4), "photo", Image.new("L", (1, 1))], "samples")
    assert list(content.files) == ["0.png", "1.png", "2.jpg", "3.png"]
    assert content.metadata == {
        "count": 4,
        "width": [5, 4, 5, 1],
        "height": [2, 4, 2, 1],
        "mode": ["RGB", "RGB", "RGB", "L"],
    }


@pytest.mark.parametrize("batch", [np.zeros((12, 5, 6, 3)), torch.zeros(12, 3, 5, 6), [np.zeros((5, 6, 3))] * 12])
def test_a_batch_is_several_files(batch: Any) -> None:
    """In order of their names, and what they share is said once."""
    content = image_content(batch, "samples.jpg")

    assert list(content.files) == sorted(content.files) == [f"{index:02}.jpg" for index in range(12)]
    assert content.metadata == {"count": 12, "width": 6, "height": 5, "mode": "RGB"}


# ---- misuse


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([], "the list of images 'a' is empty"),
        (np.zeros(5), r"image is ndarray of shape \(5,\), but takes \(height, width\)"),
        (np.zeros((5, 5, 2)), r"shape \(5, 5, 2\), but takes .* with 1, 3 or 4 channels"),
        (np.zeros((1, 1, 1, 1, 1)), "but takes"),
        (5, "image is int, but takes"),
        (np.zeros((0, 5)), "it has no pixels"),
        (torch.zeros(3, 0, 5), "it has no pixels"),
        (Image.new("L", (0, 5)), "image has no pixels: its size is 0 x 5"),
        (np.array([[0, 256]]), "image has integers from 0 to 256, but takes 0 to 255: divide it"),
        (np.array([[-1, 0]]), "image has integers from -1 to 0"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_shows_nothing_is_refused(image: Any, message: str) -> None:
    """The message has its shape and says what is taken."""
    with pytest.raises(ConfigError, match=message):
        image_content(image, "a")


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (None, "image is NoneType of object, but takes real numbers"),
        (np.zeros((2, 2), complex), r"image is ndarray of shape \(2, 2\) of complex128"),
        (np.array([["a"]]), "but takes real numbers"),
        ([[1, 2], [3]], "which cannot be made an array"),
        ({"a": 1}, "image is dict, but takes pixels"),
        (object(), "image is object of object"),
    ],
    ids=["none", "complex", "text", "ragged", "dict", "object"],
)
def test_what_is_no_picture_is_refused(image: Any, message: str) -> None:
    """By its type."""
    with pytest.raises(TypeError, match=message):
        image_content(image, "a")


def test_a_figure_is_sent_to_its_own_function() -> None:
    """It is no array of pixels."""
    from matplotlib.figure import Figure

    with pytest.raises(TypeError, match="a figure is kept by log_figure"):
        image_content(Figure(), "a")


def test_pillow_is_needed_for_pixels_alone() -> None:
    """Without it the message says what to install, and files are kept as they are."""
    program = (
        "import sys; sys.modules['PIL'] = None\n"
        "import numpy as np\n"
        "from tracklib.artifacts.images import image_content\n"
        "print(image_content(b'\\x89PNG\\r\\n\\x1a\\n', 'a'))\n"
        "image_content(np.zeros((2, 2)), 'a')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert "'a.png'" in done.stdout
    assert "MissingDependency: log_image needs Pillow: pip install 'tracklib-ml[images]'" in done.stderr
