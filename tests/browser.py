"""A real browser without a network, to see what pages look like."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

Result = TypeVar("Result")

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ("--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update")
DRAWN = "document.querySelector('.js-plotly-plot')?._fullLayout?._size !== undefined"
PLACE = """() => {
    const plot = document.querySelector('.js-plotly-plot');
    const box = plot.getBoundingClientRect();
    const size = plot._fullLayout._size;
    return [box.x + size.l, box.y + size.t, size.w, size.h];
}"""
PATIENCE_MS = 120_000


class Page(NamedTuple):
    """What a browser has made of a page.

    Attributes:
        plot: `(height, width, 3)` uint8, what is inside of the axes.
        text: What stands on the page.
        requests: Addresses that were asked for.
        errors: What was complained of.
    """

    plot: NDArray[np.uint8]
    text: str
    requests: tuple[str, ...]
    errors: tuple[str, ...]

    def ink(self, colour: str) -> int:
        """Return how many pixels of the plot have a colour, such as #0072B2, or nearly so."""
        wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
        return int((np.abs(self.plot.astype(int) - wanted).max(axis=2) <= 12).sum())

    @property
    def colours(self) -> int:
        """How many colours the plot has."""
        return len(np.unique(self.plot.reshape(-1, 3), axis=0))


class Browser:
    """Chromium, driven by Playwright in a thread of its own, so that the tests' own loops are left alone."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._playwright, self._chromium = self._run(self._start)

    def _run(self, call: Callable[[], Result]) -> Result:
        return self._thread.submit(call).result()

    def _start(self) -> tuple[Any, Any]:
        from playwright.sync_api import sync_playwright

        program = next(filter(None, map(shutil.which, PROGRAMS)), None)
        assert program is not None, "these tests need a browser: apt-get install chromium"
        playwright = sync_playwright().start()
        return playwright, playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))

    def open(self, path: Path) -> Page:
        """Return what a page with a chart of plotly looks like, with no network."""
        return self._run(lambda: self._open(path))

    def _open(self, path: Path) -> Page:
        context = self._chromium.new_context(viewport={"width": 1000, "height": 700}, offline=True)
        try:
            page = context.new_page()
            requests: list[str] = []
            errors: list[str] = []
            page.on("request", lambda request: requests.append(request.url))
            page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(path.as_uri(), timeout=PATIENCE_MS)
            page.wait_for_function(DRAWN, timeout=PATIENCE_MS)
            # What WebGL draws comes some frames after the rest.
            page.evaluate("() => new Promise(done => setTimeout(() => requestAnimationFrame(done), 150))")
            left, top, width, height = page.evaluate(PLACE)
            picture = page.screenshot(clip={"x": left, "y": top, "width": width, "height": height}, full_page=True)
            text = page.evaluate("() => document.body.textContent")
        finally:
            context.close()
        pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
        return Page(pixels, text, tuple(requests), tuple(errors))

    def close(self) -> None:
        """End the browser."""
        self._run(self._stop)
        self._thread.shutdown()

    def _stop(self) -> None:
        self._chromium.close()
        self._playwright.stop()
