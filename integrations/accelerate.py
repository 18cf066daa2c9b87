"""The trackers of accelerate: `Accelerator(log_with="tracklib")` once this module has been imported.

accelerator = Accelerator(log_with="tracklib")
accelerator.init_trackers("digits", config={"lr": 1e-3})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import accelerate.tracking  # type: ignore[import-untyped]
from accelerate.state import PartialState  # type: ignore[import-untyped]

from tracklib.integrations.media import as_rows
from tracklib.integrations.session import Session, guarded

if TYPE_CHECKING:
    from tracklib import Run

__all__ = ["AccelerateTracker"]


class AccelerateTracker(accelerate.tracking.GeneralTracker):  # type: ignore[misc]  # accelerate ships no types
    """Records what an `Accelerator` logs, from its main process.

    It reports to the active run, and begins one in the project of `init_trackers` where there is none.

    Example:
        >>> tracker = AccelerateTracker("digits", tags={"team": "vision"})
        >>> tracker.name, tracker.requires_logging_directory
        ('tracklib', False)
    """

    name = "tracklib"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, project_name: str | None = None, **options: Any) -> None:
        """Begin nothing yet: which process this is may not be settled.

        Args:
            project_name: The project of the run.
            options: What else `tracklib.start_run` takes, as `experiment`, `store` and `tags`. Here `name` is the
                name of the run.
        """
        super().__init__()
        self._session = Session(**{"project": project_name, **options})

    @property
    def tracker(self) -> Run:
        """The run."""
        return self._session.run

    def _speaker(self) -> Run | None:
        """Return the run where this is the process that speaks for all."""
        return self._session.run if PartialState().is_main_process else None

    @guarded()
    def start(self) -> None:
        """Begin the run; every process takes part in it, and only the main one says something."""
        self._session.proceed()

    @guarded()
    def store_init_configuration(self, values: dict[str, Any]) -> None:
        """Keep the configuration as params.

        Args:
            values: Nested as you like; they are not changed.
        """
        run = self._speaker()
        if run is not None:
            run.log_params(values)

    @guarded()
    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Keep the numbers in `values`; what is nested gets a name with `/`, and text is left out.

        Args:
            values: Numbers by name, also as NumPy scalars and tensors of one element.
            step: By default one more than the highest so far.
            kwargs: Of no use here.
        """
        run = self._speaker()
        if run is not None:
            run.log(dict(_numbers(values)), step=step)

    @guarded()
    def log_images(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Keep images as PNG files, those of one name as one artifact; see `Run.log_image`.

        Args:
            values: By name, a list of images or an array of them.
            step: The training step that they belong to.
            kwargs: Of no use here.
        """
        run = self._speaker()
        if run is None:
            return
        for name, images in values.items():
            run.log_image(list(images), name, step=step)

    @guarded()
    def log_table(
        self,
        table_name: str,
        columns: list[str] | None = None,
        data: list[list[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep a table, given as a data frame, or as rows and the names of their columns.

        Args:
            table_name: The name of the artifact.
            columns: By default the first row of `data`, as other trackers of accelerate take it.
            data: Rows.
            dataframe: What `Run.log_table` takes, in place of rows.
            step: The training step that it belongs to.
            kwargs: Of no use here.
        """
        run = self._speaker()
        if run is None:
            return
        names, rows = (columns, data or []) if columns else ((data or [[]])[0], (data or [])[1:])
        run.log_table(as_rows(names, rows) if dataframe is None else dataframe, table_name, step=step)

    @guarded()
    def finish(self) -> None:
        """End the run, where it was begun here. A second call does nothing."""
        self._session.settle()
        self._session.close()


def _numbers(values: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{above}{name}/")
        elif value is not None and not isinstance(value, str):
            found.append((f"{above}{name}", value))
    return found


# Before it could be registered, a tracker was given to the Accelerator itself.
if hasattr(accelerate.tracking, "register_tracker_class"):
    accelerate.tracking.register_tracker_class(AccelerateTracker)
