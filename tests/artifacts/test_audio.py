"""Sounds: waves as WAV, and files as they are."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tracklib.artifacts.audio import audio_content
from tracklib.artifacts.content import Content
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEREO = np.array([[0.0, 1.0], [-1.0, 0.5], [0.25, 0.0]])
SAMPLES = [[0, 32767], [-32767, 16384], [8192, 0]]


def heard(content: Content) -> NDArray[Any]:
    """Return the samples of the only file, as (frames, channels)."""
    (file,) = content.files.values()
    with wave.open(io.BytesIO(file) if isinstance(file, bytes) else str(file)) as sound:
        kind = f"<i{sound.getsampwidth()}"
        return np.frombuffer(sound.readframes(-1), kind).reshape(-1, sound.getnchannels())


@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (STEREO, SAMPLES),
        (STEREO.tolist(), SAMPLES),
        (STEREO.astype(np.float16), SAMPLES),
        (torch.tensor(STEREO, requires_grad=True), SAMPLES),
        (torch.tensor(STEREO).bfloat16(), SAMPLES),
        (STEREO[:, 0], [[0], [-32767], [8192]]),
        (np.array([1, -2], np.int16), [[1], [-2]]),
        (np.array([1, -2], ">i2"), [[1], [-2]]),
        (np.array([[1 << 30], [-1]], np.int32), [[1 << 30], [-1]]),
        (torch.tensor([5], dtype=torch.int16), [[5]]),
        (np.zeros((2, 100), np.int16), [[0, 0]] * 100),
    ],
)
def test_waves_are_a_wav(audio: Any, expected: list[list[int]]) -> None:
    """From arrays and tensors of any layout."""
    content = audio_content(audio, "eval/beep", sample_rate=100)

    assert list(content.files) == ["beep.wav"]
    assert heard(content).tolist() == expected
    duration = len(expected) / 100
    assert content.metadata == {"sample_rate": 100, "channels": len(expected[0]), "duration_s": duration}


@given(
    st_numpy.arrays(
        st.sampled_from([np.int16, np.int32]),
        st.tuples(st.integers(0, 20), st.integers(1, 8)) | st.tuples(st.integers(0, 20)),
    )
)
def test_no_sample_is_lost(audio: NDArray[Any]) -> None:
    """Whatever the length and the number of channels."""
    content = audio_content(audio, "x", sample_rate=16_000)
    channels = audio.shape[1] if audio.ndim == 2 else 1
    np.testing.assert_array_equal(heard(content), audio.reshape(-1, channels))


def test_floats_outside_are_clipped_and_it_is_said() -> None:
    """What is no number is silence."""
    content = audio_content([2.0, -np.inf, np.nan, 0.5], "loud", sample_rate=8_000)

    assert heard(content).ravel().tolist() == [32767, -32767, 0, 16384]
    assert content.metadata["clipped"] == 3 / 4


def test_a_wav_is_kept_as_it_is() -> None:
    """From its bytes or its path, and what it says of itself is noted."""
    (source,) = audio_content(STEREO, "x", sample_rate=100).files.values()
    assert isinstance(source, bytes)
    Path("beep.dat").write_bytes(source)

    content = audio_content(source, "beep")
    assert content == Content({"beep.wav": source}, {"sample_rate": 100, "channels": 2, "duration_s": 0.03})
    kept = audio_content("beep.dat", "beep")
    assert kept == Content({"beep.wav": Path("beep.dat")}, content.metadata, "beep.dat")
    assert audio_content(Path("beep.dat"), "beep", sample_rate=7).metadata["sample_rate"] == 7


@pytest.mark.parametrize(
    ("start", "suffix"),
    [
        (b"fLaC", "flac"),
        (b"OggS", "ogg"),
        (b"ID3\4", "mp3"),
        (b"\xff\xfb\x90", "mp3"),
        (b"\0\0\0\x20ftypM4A ", "m4a"),
        (b"\xff\xf1P", "aac"),
        (b"FORM\0\0\0\0AIFF", "aiff"),
        (b"\x1aE\xdf\xa3", "webm"),
        (b".snd", "au"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
    ],
)
def test_a_sound_file_of_any_kind_is_kept(start: bytes, suffix: str) -> None:
    """The suffix says what it is; a rate is noted if it is given."""
    assert audio_content(start, "a") == Content({f"a.{suffix}": start})
    assert audio_content(start, "a", sample_rate=44_100).metadata == {"sample_rate": 44_100}


@pytest.mark.parametrize(("name", "file"), [("a.opus", "a.opus"), ("a.ogg", "a.ogg"), ("a.wav", "a.wav.ogg")])
def test_a_suffix_that_means_the_same_is_kept(name: str, file: str) -> None:
    """And one that is wrong is put right."""
    assert list(audio_content(b"OggS", name).files) == [file]


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (STEREO, None, r"sample_rate is missing: how many frames of 'a' are a second, e\.g\. sample_rate=16000"),
        (STEREO, 0, "sample_rate is 0, but takes"),
        (STEREO, -8, "sample_rate is -8"),
        (STEREO, 0.5, "sample_rate is 0.5"),
        (STEREO, "fast", "sample_rate is 'fast'"),
        (STEREO, float("inf"), "sample_rate is inf"),
        (STEREO, 1 << 31, "sample_rate is 2147483648"),
        (np.zeros((100, 100)), 8, r"audio is ndarray of shape \(100, 100\), but takes \(frames,\)"),
        (np.zeros((0, 0)), 8, r"audio is ndarray of shape \(0, 0\)"),
        (np.zeros((1, 2, 3)), 8, "but takes"),
        (1.0, 8, "audio is float, but takes"),
        ([1, 2], 8, "audio has numbers of int64, but takes floats from -1 to 1, int16 or int32: convert it first"),
        (np.zeros(3, np.uint8), 8, "numbers of uint8"),
        (b"hello", None, "audio is 5 bytes, which is none of wav, flac"),
    ],
)
def test_what_makes_no_sound_is_refused(audio: Any, rate: Any, message: str) -> None:
    """The message shows the value and says what is taken."""
    with pytest.raises(ConfigError, match=message):
        audio_content(audio, "a", sample_rate=rate)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (None, "audio is NoneType of object, but takes real numbers"),
        ({"a": 1}, "audio is dict, but takes waves"),
        (["x"], "but takes real numbers"),
        (np.zeros(3, complex), "of complex128"),
    ],
    ids=str,
)
def test_what_is_no_sound_is_refused(audio: Any, message: str) -> None:
    """By its type."""
    with pytest.raises(TypeError, match=message):
        audio_content(audio, "a", sample_rate=8)


def test_a_path_leads_to_a_sound() -> None:
    """Not to a folder, nowhere, or to another file."""
    Path("folder").mkdir()
    Path("text").write_text("hello")

    with pytest.raises(ConfigError, match="audio is 'folder', but takes the path of a file"):
        audio_content("folder", "a")
    with pytest.raises(ConfigError, match="audio is 'text', which is none of wav"):
        audio_content("text", "a")
    with pytest.raises(FileNotFoundError, match="path is 'gone'"):
        audio_content("gone", "a")
