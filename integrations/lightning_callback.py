"""What `TrackCallback` does, for Lightning trainers of both packages; their classes only add the base.

Metrics are read where Lightning leaves them for callbacks, after it has put them there: nothing is computed or
synchronized for it, and values are taken off their device only at the log interval.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import tracklib
from tracklib.integrations.lightning_reporter import Reporter, session_for_callback
from tracklib.integrations.lightning_trainer import (
    StepClock,
    data_params,
    hyperparams,
    learning_rates,
    model_params,
    optimizer_params,
    trainer_params,
)
from tracklib.integrations.session import guarded, speaking

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["CallbackBehaviour", "automatic_callbacks", "mute_other_loggers"]


class _Marked(NamedTuple):
    """Metrics that Lightning is about to update: those that are other values afterwards are new."""

    step: int
    epoch: int
    before: dict[str, Any]


class CallbackBehaviour:
    """Records what a Lightning trainer does: its configuration, metrics, speed and checkpoints, and how it ended.

    It reports to the active run. Where there is none, it begins one with the training, and the end of the training
    settles it: a test afterwards still belongs to it. Beside a `TrackLogger` it reports to the logger's run, and
    leaves the metrics to the logger. It never changes what the trainer does.

    Example:
        >>> from tracklib.integrations.lightning import TrackCallback
        >>> callback = TrackCallback(project="digits", tags={"team": "vision"})
    """

    automatic: bool = False
    """Whether it was added unasked, and so makes way for another one."""

    def __init__(  # noqa: PLR0913 - what describes a run, all by keyword but the first
        self,
        project: str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        *,
        store: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
        tags: dict[str, str] | None = None,
        notes: str | None = None,
        log_checkpoints: bool = True,
    ) -> None:
        """Begin nothing yet.

        Args:
            project: As for `tracklib.start_run`; so are the next four.
            experiment: By default `default`.
            name: By default made from the script's name and the time.
            store: URI of the store.
            run_id: The id of a run to go on with.
            tags: Text by name.
            notes: Free text.
            log_checkpoints: Whether to note checkpoints, as far as the setting `log_models` has it.
        """
        place = {"project": project, "experiment": experiment, "name": name, "store": store}
        session = session_for_callback(run_id, {**place, "tags": tags, "notes": notes})
        self._begin(Reporter(session, log_checkpoints=log_checkpoints))

    @classmethod
    def reporting_to(cls, reporter: Reporter) -> Self:
        """Return one that reports to the run of a logger."""
        callback = cls.__new__(cls)
        callback._begin(reporter)  # noqa: SLF001 - it is one of ours
        return callback

    def _begin(self, reporter: Reporter) -> None:
        self._own = self._reporter = reporter
        self._silent = False
        self._has_logger = False
        self._marked: _Marked | None = None
        self._rates: dict[str, Any] = {}
        self._clock = StepClock()

    # ---- whose run it is

    def join(self, trainer: Any) -> None:
        """Find out whether another callback or a logger of ours is there, and report to the same run."""
        ours = [each for each in trainer.callbacks if isinstance(each, CallbackBehaviour)]
        leader = next((each for each in ours if not each.automatic), ours[0] if ours else self)
        reporters = (getattr(each, "reporter", None) for each in trainer.loggers)
        reporter = next((each for each in reporters if isinstance(each, Reporter)), None)
        self._silent = leader is not self or bool(trainer.fast_dev_run)
        self._has_logger = reporter is not None
        self._reporter = reporter or self._own
        if self._reporter.session.run_id is None:
            self._reporter.session.run_id = self._own.session.run_id

    @guarded()
    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Begin nothing yet: the tuner comes this way as well."""
        self.join(trainer)

    def begin(self, trainer: Any, module: Any) -> None:
        """Say what is trained or tested, and by what; called when that is certain to happen."""
        reporter = self._reporter
        fits = trainer.state.fn == "fit"
        if fits:
            reporter.begin_fit(trainer.checkpoint_callbacks)
        if not fits and reporter.described:
            return
        reporter.described = True
        if not self._has_logger:
            self._describe(lambda: hyperparams(trainer, module), None)
        self._describe(lambda: {"trainer": trainer_params(trainer), "model": model_params(module)})

    @guarded()
    def _describe(self, read: Callable[[], dict[str, Any]], place: str | None = "lightning") -> None:
        run = self._reporter.run
        found = read() if run is not None else {}
        if run is not None and found:
            run.log_params(found if place is None else {place: found})

    # ---- a training

    @guarded()
    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin the run."""
        if not self._silent:
            self.begin(trainer, pl_module)

    @guarded()
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Say what it is trained with: only now are the data loaded, and optimizers restored from a checkpoint."""
        if not self._silent:
            self._describe(lambda: optimizer_params(trainer))
            self._describe(lambda: {"data": data_params(trainer)})

    @guarded()
    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Record the metrics of the epoch before."""
        if not self._silent:
            self._record_marked(trainer)
            self._look_at_checkpoints(trainer)
            self._clock.pause()

    @guarded()
    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Record the metrics of the batch before, and see at which rates this one is learned."""
        if self._silent:
            return
        self._record_marked(trainer)
        if trainer._logger_connector.should_update_logs:  # noqa: SLF001 - what decides when loggers are called
            self._look_at_checkpoints(trainer)
            self._rates = learning_rates(trainer)

    @guarded()
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Record speed and learning rates at the log interval, and note that metrics are coming."""
        if self._silent:
            return
        self._clock.batch(batch)
        if not trainer._logger_connector.should_update_logs or _is_accumulating(trainer, pl_module):  # noqa: SLF001
            return
        step = _step(trainer)
        run = self._reporter.run
        if run is not None:
            known = _current(trainer)
            speeds = self._clock.speeds(trainer.world_size, trainer.accumulate_grad_batches)
            own = {**self._rates, **speeds}
            run.log({name: value for name, value in own.items() if name not in known}, step)
        self._mark(trainer, step)

    @guarded()
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Note that the metrics of the epoch are coming; Lightning gives them the step of its last batch."""
        if not self._silent:
            self._record_marked(trainer)
            self._mark(trainer, _step(trainer) - 1)

    @guarded()
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the metrics of the last epoch."""
        if not self._silent:
            self._record_marked(trainer)
            self._look_at_checkpoints(trainer)

    # ---- validations and tests

    @guarded()
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Note that metrics are coming."""
        self._before_evaluation(trainer, pl_module)

    @guarded()
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the metrics of the validation."""
        self._after_evaluation(trainer)

    @guarded()
    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Note that metrics are coming."""
        self._before_evaluation(trainer, pl_module)

    @guarded()
    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Record the metrics of the test."""
        self._after_evaluation(trainer)

    def _before_evaluation(self, trainer: Any, module: Any) -> None:
        if self._silent or trainer.sanity_checking:
            return
        if trainer.state.fn != "fit":
            self.begin(trainer, module)
        self._record_marked(trainer)
        self._mark(trainer, _step(trainer))

    def _after_evaluation(self, trainer: Any) -> None:
        if self._silent or trainer.sanity_checking:
            return
        self._record_marked(trainer)
        self._clock.pause()

    # ---- the end

    @guarded()
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Say what has gone wrong."""
        if not self._silent:
            self._record_marked(trainer)
            self._look_at_checkpoints(trainer)
            self._keep_models(trainer, pl_module, exception)
            self._reporter.fail(exception)

    @guarded()
    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Keep the last and the best checkpoint, which are complete by now, and say that all has gone well."""
        if self._silent:
            return
        if stage == "fit":
            self._look_at_checkpoints(trainer)
            self._keep_models(trainer, pl_module)
        if not self._has_logger:  # Which says so itself, later.
            self._reporter.end()

    def _keep_models(self, trainer: Any, module: Any, error: BaseException | None = None) -> None:
        if trainer.state.fn != "fit":
            return
        checkpoints = list(trainer.checkpoint_callbacks)
        for checkpoint in checkpoints[:1]:
            self._reporter.say_best(checkpoint)
        if type(error).__name__ == "SIGTERMException":  # Lightning's: who sent the signal will not wait for copies.
            return
        if error is not None and any(getattr(each, "save_on_exception", False) for each in checkpoints):
            self._reporter.keep_models_later(checkpoints, module)
        else:
            self._reporter.keep_models(checkpoints, module)

    # ---- metrics and checkpoints

    def _mark(self, trainer: Any, step: int) -> None:
        if not self._has_logger:
            self._marked = _Marked(step, trainer.current_epoch, dict(_current(trainer)))

    @guarded()
    def _record_marked(self, trainer: Any) -> None:
        """Record what Lightning has updated since the mark, under the names that a logger would get."""
        marked, self._marked = self._marked, None
        run = self._reporter.run if marked is not None else None
        if marked is None or run is None:
            return
        fresh = {name: value for name, value in _current(trainer).items() if value is not marked.before.get(name)}
        values = {name: value for name, value in fresh.items() if not fresh.keys() & {f"{name}_step", f"{name}_epoch"}}
        own_step = values.pop("step", None)
        if not values:
            return
        values.setdefault("epoch", marked.epoch)
        run.log(values, marked.step if own_step is None else int(own_step))

    def _look_at_checkpoints(self, trainer: Any) -> None:
        if not self._has_logger:  # Which is told of each.
            for checkpoint in trainer.checkpoint_callbacks:
                self._reporter.note_new(checkpoint)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_marked": None}


def _step(trainer: Any) -> int:
    """Return the step that Lightning gives to its loggers."""
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)  # noqa: SLF001 - there is no other name for it


def _is_accumulating(trainer: Any, module: Any) -> bool:
    """Tell whether gradients are only added up by now: such batches have no step of their own."""
    return bool(module.automatic_optimization and trainer.fit_loop._should_accumulate())  # noqa: SLF001 - as above


def _current(trainer: Any) -> dict[str, Any]:
    """Return the metrics as they stand. The public properties would compute them, and may wait for other processes."""
    connector = trainer._logger_connector  # noqa: SLF001 - for this reason
    values: dict[str, Any] = connector._logged_metrics if trainer.loggers else connector._callback_metrics  # noqa: SLF001 - as above
    return values


@guarded(default=[])
def automatic_callbacks(kind: type[CallbackBehaviour]) -> list[Any]:
    """Return what a trainer is to have unasked: one callback, or none where nothing is to be recorded."""
    if tracklib.current_settings().mode == "disabled":
        return []
    callback = kind()
    callback.automatic = True
    return [callback]


def mute_other_loggers(trainer_module: ModuleType, patches: Patches) -> None:
    """Mark what a trainer tells its loggers as said by a framework, so that it is not recorded from there as well.

    Args:
        trainer_module: `lightning.pytorch.trainer.trainer`, or the same of `pytorch_lightning`.
    """

    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        with speaking():
            return original(*arguments, **keywords)

    patches.wrap(trainer_module._LoggerConnector, "log_metrics", around)  # noqa: SLF001 - loggers are called by these two
    patches.wrap(trainer_module, "_log_hyperparams", around)
