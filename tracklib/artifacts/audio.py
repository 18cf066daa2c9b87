"""Sound made into files: waves as WAV, or the files of sounds as they are."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Final

from tracklib.artifacts.arrays import as_array, describe
from tracklib.artifacts.content import Content, file_name
from tracklib.artifacts.media import MediaFile, media_file
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["audio_content"]

_MOST_CHANNELS: Final = 64
_LARGEST_WAV: Final = (1 << 32) - 1024
_KINDS: Final = {
    "wav": re.compile(rb"(RIFF|RF64)....WAVE", re.DOTALL),
    "flac": re.compile(rb"fLaC"),
    "ogg": re.compile(rb"OggS"),
    "mp3": re.compile(rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"),
    "m4a": re.compile(rb"....ftyp(M4A|M4B|isom|mp4)", re.DOTALL),
    "aac": re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"),
    "aiff": re.compile(rb"FORM....AIF[FC]", re.DOTALL),
    "webm": re.compile(rb"\x1a\x45\xdf\xa3"),
    "au": re.compile(rb"\.snd"),
}
"""How the files of sounds begin, by their usual suffixes."""


def audio_content(audio: Any, name: str, *, sample_rate: int | None = None) -> Content:
    """Return a sound as a file.

    Waves become WAV: floats, from -1 to 1, and int16 with 16 bits, int32 with 32 bits. Floats outside are clipped, and
    what is no number is silence: the metadata says how large a part that was (`clipped`). The file of a sound is kept
    as it is.

    Args:
        audio: An array, tensor or list of shape (frames,), (frames, channels) or (channels, frames), with 64 channels
            at the most; or the path or the bytes of a sound file.
        sample_rate: Frames per second. Waves need it; of the file of a sound it is only noted.

    Raises:
        TypeError: It is nothing of the kind.
        ConfigError: It has another shape or kind of numbers, or no sample rate.
        FileNotFoundError: There is nothing at the path.

    Example:
        >>> import numpy as np
        >>> beep = np.sin(np.arange(8000) / 8000 * 440 * 2 * np.pi)
        >>> content = audio_content(beep, "beep", sample_rate=8000)
        >>> list(content.files), content.metadata
        (['beep.wav'], {'sample_rate': 8000, 'channels': 1, 'duration_s': 1.0})
    """
    rate = None if sample_rate is None else _checked_rate(sample_rate)
    file = media_file(audio, "audio", _KINDS)
    if file is not None:
        known = _known_of_wav(file) if file.kind == "wav" else {}
        noted = {} if rate is None else {"sample_rate": rate}
        return Content({file_name(name, file.suffix(name)): file.content}, {**known, **noted}, file.path)
    if rate is None:
        raise ConfigError(f"sample_rate is missing: how many frames of {name!r} are a second, e.g. sample_rate=16000")
    return _waves(audio, name, rate)


def _checked_rate(rate: Any) -> int:
    try:
        number = int(rate)
        if number == rate and 0 < number < 1 << 31:
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigError(f"sample_rate is {rate!r:.200}, but takes whole frames per second, such as 16000")


def _known_of_wav(file: MediaFile) -> dict[str, Any]:
    import wave

    try:
        with file.open() as opened, wave.open(opened) as sound:
            rate, frames = sound.getframerate(), sound.getnframes()
            return {"sample_rate": rate, "channels": sound.getnchannels(), "duration_s": frames / rate}
    except (wave.Error, EOFError, ZeroDivisionError):  # Such as floats, which Python does not read.
        return {}


def _waves(audio: Any, name: str, rate: int) -> Content:
    import wave

    if hasattr(audio, "savefig") or isinstance(audio, dict):
        raise TypeError(f"audio is {type(audio).__name__}, but takes waves, or the path or bytes of a sound file")
    frames = _frames_first(as_array(audio, "audio"), describe(audio))
    samples, known = _samples(frames)
    if samples.nbytes > _LARGEST_WAV:
        raise ConfigError(f"the audio {name!r} has {samples.nbytes:,} bytes, but a WAV file takes less than 4 GiB")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(samples.shape[1])
        sound.setsampwidth(samples.dtype.itemsize)
        sound.setframerate(rate)
        sound.writeframes(samples.tobytes())
    duration = {"sample_rate": rate, "channels": samples.shape[1], "duration_s": samples.shape[0] / rate}
    return Content({file_name(name, "wav"): buffer.getvalue()}, {**duration, **known})


def _frames_first(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.ndim == 1:
        return array.reshape(-1, 1)
    if array.ndim == 2 and 1 <= array.shape[1] <= _MOST_CHANNELS:
        return array
    if array.ndim == 2 and 1 <= array.shape[0] <= _MOST_CHANNELS:
        return array.T
    raise ConfigError(
        f"audio is {what}, but takes (frames,), (frames, channels) or (channels, frames) with 1 to {_MOST_CHANNELS} "
        "channels"
    )


def _samples(array: NDArray[Any]) -> tuple[NDArray[Any], dict[str, float]]:
    """Return waves as WAV has them, little-endian, and how large a part was clipped."""
    import numpy as np

    if array.dtype.kind == "f":
        outside = array.size - int(((array >= -1) & (array <= 1)).sum())
        values = np.nan_to_num(np.clip(array, -1, 1).astype(np.float32), copy=False)
        return np.rint(values * 32767).astype("<i2"), {"clipped": outside / array.size} if outside else {}
    if array.dtype.kind == "i" and array.dtype.itemsize in {2, 4}:
        return array.astype(f"<i{array.dtype.itemsize}"), {}
    raise ConfigError(
        f"audio has numbers of {array.dtype}, but takes floats from -1 to 1, int16 or int32: convert it first"
    )
