"""What `TrackLogger` does, for Lightning trainers of both packages and for Fabric; their classes only add the base."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import tracklib
from tracklib.integrations.lightning_callback import CallbackBehaviour
from tracklib.integrations.lightning_reporter import Reporter, adoptable_run, disabled_run, session_for_logger
from tracklib.integrations.lightning_trainer import as_params
from tracklib.integrations.media import as_rows
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracklib import Run

__all__ = ["LoggerBehaviour"]

_FOLDER = "lightning_logs"
_UNKNOWN = "unknown"


class LoggerBehaviour:
    """Logs a Lightning training, or what Fabric is told to log, to a run.

    It reports to the active run, or begins one with the training. Of the trainer it records what `TrackCallback`
    records: it brings one along. It can be pickled at any time, and what comes out logs to the same run.

    Attributes:
        reporter: Holds the run, which a `TrackCallback` of the same trainer reports to as well.

    Example:
        >>> from tracklib.integrations.lightning import TrackLogger
        >>> logger = TrackLogger(project="digits")
        >>> logger.log_metrics({"val_loss": 0.3}, step=0)
        >>> logger.finalize("success")
        >>> logger.experiment.status
        <RunStatus.COMPLETED: 'completed'>
    """

    callback_class: ClassVar[type[CallbackBehaviour]]

    def __init__(  # noqa: PLR0913 - what describes a run, all by keyword but the first
        self,
        project: str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        *,
        save_dir: str | os.PathLike[str] = ".",
        store: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
        tags: dict[str, str] | None = None,
        notes: str | None = None,
        prefix: str = "",
        log_checkpoints: bool = True,
    ) -> None:
        """Choose the id of the run, and begin nothing yet.

        Args:
            project: As for `tracklib.start_run`.
            experiment: By default `default`.
            name: The run's name; by default made from the script's name and the time.
            save_dir: Where Lightning puts checkpoints, below the name of the project and the id of the run.
            store: URI of the store.
            run_id: The id of a run to go on with.
            tags: Text by name.
            notes: Free text.
            prefix: Put before the name of each metric, with a `/`.
            log_checkpoints: Whether to note checkpoints, as far as the setting `log_models` has it.
        """
        place = {"project": project, "experiment": experiment, "name": name, "store": store}
        session = session_for_logger(run_id, {**place, "tags": tags, "notes": notes})
        self.reporter = Reporter(session, log_checkpoints=log_checkpoints)
        self._save_dir = os.fspath(save_dir)
        self._name = (project or _known_project() or _FOLDER).replace(os.sep, "_")
        self._prefix = prefix

    # ---- where Lightning puts its files

    @property
    def name(self) -> str:
        """The project, as far as it was said, else `lightning_logs`; the name of the folder for checkpoints."""
        return self._name

    @property
    def version(self) -> str:
        """The run's id; the name of the folder below."""
        return self.reporter.session.run_id or _UNKNOWN

    @property
    def save_dir(self) -> str:
        """The folder that these are in."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """The folder of the project."""
        return str(Path(self._save_dir, self._name))

    @property
    def log_dir(self) -> str:
        """The folder of the run."""
        return str(Path(self.root_dir, self.version))

    # ---- what Lightning and programs call

    @property
    def experiment(self) -> Run | None:
        """The run, begun now if there is none; where nothing is to be recorded, one that records nothing."""
        return self.reporter.run or disabled_run()

    @guarded()
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Keep one point for each number; None and text are passed over."""
        run = self.reporter.run
        if run is not None:
            values = {
                str(name): value
                for name, value in metrics.items()
                if value is not None and not isinstance(value, (str, bytes))
            }
            run.log(values, step, self._prefix or None)

    @guarded()
    def log_hyperparams(
        self, params: Any = None, metrics: Mapping[str, Any] | None = None, *_arguments: Any, **_keywords: Any
    ) -> None:
        """Keep params: a mapping, a namespace or a configuration of OmegaConf; and metrics, if some are given."""
        run = self.reporter.run
        found = as_params(params)
        if run is not None and found:
            run.log_params(found)
        if isinstance(metrics, dict) and metrics:
            self.log_metrics(metrics)

    @guarded()
    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Have a `TrackCallback` watch the trainer of this model.

        A logger is not shown the trainer. This is called once for each training and test, after all callbacks have
        heard that it begins, outside of any loop over them: here one can be added, and told what it has missed.
        """
        trainer = getattr(model, "_trainer", None)
        if trainer is None or any(isinstance(each, CallbackBehaviour) for each in trainer.callbacks):
            return
        callback = self.callback_class.reporting_to(self.reporter)
        callback.join(trainer)
        trainer.callbacks.append(callback)
        callback.begin(trainer, model)

    @guarded()
    def log_table(
        self,
        key: str,
        columns: Sequence[str] | None = None,
        data: Sequence[Sequence[Any]] | None = None,
        dataframe: Any = None,
        step: int | None = None,
    ) -> None:
        """Keep a table: rows and the names of their columns, or a data frame."""
        run = self.reporter.run
        if run is None:
            return
        run.log_table(as_rows(columns, data) if dataframe is None else dataframe, key, step=step)

    @guarded()
    def log_image(
        self, key: str, images: Sequence[Any], step: int | None = None, caption: Sequence[str] | None = None
    ) -> None:
        """Keep images: paths, figures, PIL images, or arrays and tensors of pixels; see `Run.log_image`.

        Several are one artifact, with a file for each. Captions are a text beside them, with a line for each.
        """
        run = self.reporter.run
        if run is None:
            return
        figures = [image for image in images if hasattr(image, "savefig") or hasattr(image, "to_plotly_json")]
        for number, figure in enumerate(figures):
            run.log_figure(figure, key if len(figures) == 1 else f"{key}/{number}", step=step)
        pictures = [image for image in images if not any(image is figure for figure in figures)]
        if pictures:
            run.log_image(pictures if len(pictures) > 1 else pictures[0], key, step=step)
        if caption:
            run.log_text("\n".join(map(str, caption)), f"{key}/caption", step=step)

    @guarded()
    def after_save_checkpoint(self, checkpoint_callback: Any) -> None:
        """Note a checkpoint: a file, a folder or a URL, which may still be written."""
        self.reporter.note_saved(checkpoint_callback)

    def save(self) -> None:
        """Do nothing: what was logged is safe already."""

    @guarded()
    def finalize(self, status: str | None) -> None:
        """Say how a training or a test has ended; logging may go on afterwards.

        Args:
            status: success or failed; `finished` is what a signal handler says before the training goes on.
        """
        if status == "finished":
            return
        if status in {"success", None}:
            self.reporter.end()
            return
        # Lightning calls this while it handles what was raised.
        self.reporter.fail(sys.exc_info()[1] or RuntimeError(f"the training was reported as {status}"))


@guarded()
def _known_project() -> str | None:
    run = adoptable_run()
    return run.project if run is not None else tracklib.current_settings().project
