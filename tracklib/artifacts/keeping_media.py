"""The half of a run that keeps what people look at: text, figures, images, audio, tables and histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib.artifacts.keeping import KeepsFiles
from tracklib.artifacts.labels import Label

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["KeepsMedia"]


class KeepsMedia(KeepsFiles):
    """Methods of a run that keep media, each at its step.

    They belong to the run alone: what is logged again under a name is its next version there, from 0. Each call returns
    when the bytes are in the spool, as with `log_artifact`.
    """

    def log_text(self, text: str, name: str, *, step: int | None = None) -> None:
        """Keep text as a file; `name` may bring its own suffix.

        Raises:
            TypeError: It is no text.
        """
        from tracklib.artifacts.content import text_content

        label = Label.checked(name, "text", None, step)
        self._keep(text_content(text, name), label)

    def log_html(self, html: Any, name: str, *, step: int | None = None) -> None:
        """Keep HTML: text, or an object that shows itself as HTML in notebooks.

        Raises:
            TypeError: It is neither.
        """
        from tracklib.artifacts.content import html_content

        label = Label.checked(name, "html", None, step)
        self._keep(html_content(html, name), label)

    def log_figure(self, figure: Any, name: str, *, step: int | None = None, formats: Sequence[str] = ()) -> None:
        """Keep a matplotlib figure (as PNG, or as the suffix of `name` says) or a plotly figure (as JSON).

        Args:
            formats: For matplotlib, which files to make: `("png", "svg")` makes two.

        Raises:
            TypeError: It is neither.
            ConfigError: There is no such format.
        """
        from tracklib.artifacts.content import figure_content

        label = Label.checked(name, "figure", None, step)
        self._keep(figure_content(figure, name, formats=formats), label)

    def log_image(self, image: Any, name: str, *, step: int | None = None) -> None:
        """Keep an image: an array, a tensor, one of Pillow, the path or bytes of an image file, or a list of these.

        Arrays are `(height, width)` or `(height, width, 1, 3 or 4)`, tensors also with the channels first; numbers are
        whole ones from 0 to 255, or real ones from 0 to 1.

        Raises:
            TypeError: It is none of these.
            ConfigError: Its shape or numbers make no image.
            MissingDependency: Pillow is missing.
        """
        from tracklib.artifacts.images import image_content

        label = Label.checked(name, "image", None, step)
        self._keep(image_content(image, name), label)

    def log_audio(self, audio: Any, name: str, *, sample_rate: int | None = None, step: int | None = None) -> None:
        """Keep sound: an array or tensor as WAV, or the path or bytes of an audio file.

        Arrays are `(frames,)` or `(frames, channels)`; numbers are real ones from -1 to 1, or whole ones of 16 or 32
        bits.

        Args:
            sample_rate: Frames a second, which an array needs.

        Raises:
            TypeError: It is none of these.
            ConfigError: Its shape or numbers make no sound, or the sample rate is missing.
        """
        from tracklib.artifacts.audio import audio_content

        label = Label.checked(name, "audio", None, step)
        self._keep(audio_content(audio, name, sample_rate=sample_rate), label)

    def log_table(self, table: Any, name: str, *, step: int | None = None) -> None:
        """Keep a list of dicts, a dict of columns, or a pandas, polars or Arrow table, as Parquet.

        Raises:
            TypeError: It is none of these.
            ConfigError: Its columns differ in length, or one mixes types.
            MissingDependency: pyarrow is missing.
        """
        from tracklib.artifacts.tables import table_content

        label = Label.checked(name, "table", None, step)
        self._keep(table_content(table, name), label)

    def log_histogram(self, values: Any, name: str, *, step: int | None = None, bins: int = 64) -> None:
        """Keep how numbers are distributed, as JSON: edges of bins, counts, minimum, maximum, mean and deviation.

        Args:
            values: Numbers in an array, tensor or sequence of any shape; or a ready pair of counts and edges.
            bins: How many bins to make.

        Raises:
            TypeError: They are no numbers.
            ConfigError: Counts and edges do not fit together, or there are no bins.
        """
        from tracklib.artifacts.histograms import histogram_content

        label = Label.checked(name, "histogram", None, step)
        self._keep(histogram_content(values, name, bins=bins), label)
