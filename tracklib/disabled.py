"""What stands in for a run when nothing is to be recorded: every call is there and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast

from tracklib.records import RunStatus

if TYPE_CHECKING:
    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.run import Run

__all__ = ["DisabledRun"]


def _nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


class DisabledRun:
    """A run that records nothing and writes nothing, for `mode="disabled"`.

    Example:
        >>> with DisabledRun(project="p", experiment="e", name="n") as run:
        ...     run.log({"loss": 0.3})
        >>> run.status
        <RunStatus.COMPLETED: 'completed'>
    """

    id = ""
    store = ""
    provisional = False
    settled = None
    last_step = None
    stored_bytes = 0

    log = log_metric = log_metrics = staticmethod(_nothing)
    log_param = log_params = set_tag = set_tags = set_notes = staticmethod(_nothing)
    keep_bytes = log_artifact = log_model = log_text = log_html = log_figure = staticmethod(_nothing)
    log_image = log_audio = log_table = log_histogram = staticmethod(_nothing)
    record_event = log_aside = before_end = move = settle = proceed = staticmethod(_nothing)

    def __init__(self, *, project: str = "", experiment: str = "", name: str = "") -> None:
        self.project = project
        self.experiment = experiment
        self.name = name
        self.status = RunStatus.RUNNING

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status is RunStatus.RUNNING

    def set_name(self, name: str) -> None:
        """Rename the run."""
        self.name = name

    def use_artifact(self, reference: str) -> StoredArtifact:
        """Return the artifact, which the program needs; that it was read is noted nowhere."""
        from tracklib.artifact_reading import get_artifact

        return get_artifact(reference, project=self.project or None)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Return True: there is nothing to wait for."""
        return True

    def finish(self, status: str | RunStatus | None = None, reason: str = "") -> bool:
        """End the run; return True."""
        from tracklib.lifecycle import chosen_ending

        return self.finish_because(chosen_ending(RunStatus.COMPLETED if status is None else status, reason))

    def finish_because(self, ending: Any, timeout_s: float | None = None) -> bool:
        """End the run as `ending` says; return True."""
        self.status = ending.status if self.is_open else self.status
        return True

    def __enter__(self) -> Self:
        from tracklib.active import push

        push(cast("Run", self))
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        from tracklib.lifecycle import ending_of

        self.finish_because(ending_of(error))

    def __repr__(self) -> str:
        return f"<DisabledRun {self.project}/{self.experiment}/{self.name}>"
