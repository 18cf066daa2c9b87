"""The `Trainer` of transformers, and those that derive from it: of sequence-to-sequence models, of TRL.

    trainer = Trainer(model, args, callbacks=[TrackCallback(project="digits")])

`TrainingArguments(report_to="tracklib")` does the same once this module has been imported.
"""

from __future__ import annotations

import math
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_callback import TrainerCallback

import tracklib
from tracklib.integrations.session import Session, guarded, open_run
from tracklib.integrations.transformers_checkpoints import (
    FOLDER_TAG,
    Checkpoints,
    absolute,
    checkpoint_path,
    resumed_path,
    run_of_checkpoint,
    step_of,
)
from tracklib.integrations.transformers_reading import (
    StepClock,
    configuration,
    final_values,
    is_training,
    metric_values,
    perplexity,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Mapping

    from tracklib import Run

__all__ = ["TrackCallback"]

_PARTS: Final = frozenset({"params", "speed", "perplexity", "checkpoints", "completions"})


class TrackCallback(TrainerCallback):  # type: ignore[misc, unused-ignore]  # Where transformers ships no types.
    """Records what a Trainer does: its arguments, metrics, speed and checkpoints, and how it ended.

    It reports to the active run. Where there is none, it begins one with the first thing to record, and the end of the
    training settles it: an evaluation afterwards still belongs to it. It never changes what the Trainer does, and
    writes nothing into its folders.

    Example:
        >>> callback = TrackCallback(project="digits", tags={"team": "vision"}, omit={"speed"})
    """

    automatic: bool = False
    """Whether it was added unasked, and so makes way for another one."""

    def __init__(
        self,
        *,
        project: str | None = None,
        experiment: str | None = None,
        name: str | None = None,
        store: str | os.PathLike[str] | None = None,
        tags: Mapping[str, Any] | None = None,
        omit: Collection[str] = (),
    ) -> None:
        """Begin nothing yet.

        Args:
            project: As for `tracklib.start_run`; by default `project` of the arguments, where that was set.
            experiment: As for `tracklib.start_run`.
            name: The run's name; by default `run_name` of the arguments.
            store: As for `tracklib.start_run`.
            tags: As for `tracklib.start_run`.
            omit: What is not to be recorded: params, speed, perplexity, checkpoints, completions.

        Raises:
            ValueError: Something to omit is none of these.
        """
        unknown = set(omit) - _PARTS
        if unknown:
            raise ValueError(f"omit has {sorted(unknown)!r}, but takes only {', '.join(sorted(_PARTS))}")
        self._options = {"project": project, "experiment": experiment, "name": name, "store": store, "tags": tags}
        self._store = store
        self._wanted = _PARTS - set(omit)
        self._session: Session | None = None
        self._trial: Session | None = None
        self._trials = 0
        self._trial_params: Any = None
        self._training = False
        self._ended = False
        self._restarts = 0
        self._described: set[str] = set()
        self._clock = StepClock()
        self._exact_path = ""
        self._resumed_from = ""
        self._checkpoints = Checkpoints()
        self._noted_best: tuple[Any, ...] = ()
        self._awaited: set[str] = set()
        self._began_at = 0.0
        self._completions: set[tuple[str, str]] = set()

    # ---- the run

    def _session_for(self, args: Any) -> Session:
        if self._session is None:
            self._session = Session(**self._place(args))
        return self._session

    def _place(self, args: Any) -> dict[str, Any]:
        """Return the options of the run, completed from the arguments of the training."""
        name, project = getattr(args, "run_name", None), getattr(args, "project", None)
        said = {
            "name": name if name != args.output_dir else None,
            "project": project if project != "huggingface" else None,
        }
        return {**self._options, **{key: value for key, value in said.items() if value and not self._options[key]}}

    def _run(self, args: Any, state: Any, model: Any = None) -> Run | None:
        """Return the run to report to; None where another process reports, or where none could be begun."""
        if not (state.is_world_process_zero or tracklib.process_rank().rank):
            return None
        run = (self._trial or self._session_for(args)).run
        if not state.is_world_process_zero or not run.id:
            return None
        if run.id not in self._described:
            self._describe(run, args, model)
        return run

    def _describe(self, run: Run, args: Any, model: Any, dataloader: Any = None) -> None:
        self._described.add(run.id)
        if "params" in self._wanted:
            run.log_params(configuration(args, model, dataloader))

    # ---- a training begins and ends

    @guarded()
    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Begin the run, or go on with it."""
        restarted = self._is_restart(args, state)
        if self._training and not restarted:
            self.fail(RuntimeError("the training broke off, and the program went on with another one"))
        self._training = True
        if not restarted:
            self._began_at = time.time()
            self._checkpoints = Checkpoints(tracklib.current_settings() if "checkpoints" in self._wanted else None)
            self._begin(args, state)
        run = self._run(args, state, model)
        self._await_end(run)
        for session in filter(None, (self._session, self._trial)):
            session.proceed()
        self._clock.restart()
        if run is not None:
            self._describe(run, args, model, kwargs.get("train_dataloader"))
            if restarted:
                self._restarts += 1
                run.set_tag("restarts", self._restarts)
                run.log_params({"training": {"train_batch_size": state.train_batch_size}})

    def _is_restart(self, args: Any, state: Any) -> bool:
        """Tell whether this goes on with the training before, which has had no end.

        The Trainer begins anew with smaller batches where memory was short, and a program may go on from a checkpoint
        after an exception. Everything else is another training.
        """
        same_trial = bool(state.is_hyper_param_search) == (self._trial is not None)
        if not self._training or not same_trial or state.trial_params != self._trial_params:
            return False
        return bool(args.auto_find_batch_size) or state.global_step > 0

    def _begin(self, args: Any, state: Any) -> None:
        """Choose the run of a training that begins."""
        session, self._restarts = self._session, 0
        self._trial_params = state.trial_params
        if state.is_hyper_param_search:
            self._begin_trial(args, state)
            return
        if self._trial is not None:
            self._trial.close()
            self._trial, self._ended = None, True
        if state.global_step == 0 and self._ended and session is not None and session.owned:
            session.close()
            session = self._session = None
        if state.global_step and (session is None or session.begun is None):
            self._resume(args, state)
        self._ended = False

    def _resume(self, args: Any, state: Any) -> None:
        path, here = self._resumed_from or resumed_path(args, state), open_run()
        # Another Trainer of this process may have begun it, and be done with it.
        here = here if Session.is_idle(here) else None
        if here is not None:
            here.flush()
        run_id = run_of_checkpoint(path, self._store) if path else None
        if run_id is None:
            return
        if here is not None and here.id == run_id:
            here.finish()
        self._session = Session(run_id, **self._place(args))

    def _begin_trial(self, args: Any, state: Any) -> None:
        """Begin a run for a trial of a search, within the run of the search."""
        above = self._session_for(args).proceed()
        name = state.trial_name or f"trial-{self._trials}"
        self._trials += 1
        if self._trial is not None:
            self._trial.close()
        self._trial = Session(parent=above, name=name, params={"trial": state.trial_params})

    @guarded()
    def on_train_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Say that the training has ended; the run stays open for what comes after it."""
        self._keep_results(args, state, model)
        self._store_models(None if self._session is None else self._session.begun)
        # A search that prunes a trial ends it before its last step, and nobody has asked the training to stop.
        if self._trial is not None and state.global_step < state.max_steps and not control.should_training_stop:
            self._trial.run.set_tag("pruned", "true")
        self._settle(None)

    def _settle(self, error: BaseException | None) -> None:
        self._training, self._ended = False, True
        if self._trial is not None:
            self._trial.settle(error)
        if self._session is not None:
            self._session.settle(None if self._trial is not None else error)

    def _rest(self) -> None:
        """Let a run that only evaluates stand as completed: another Trainer must not take it for the program's own."""
        if self._session is not None and not self._training and not self._ended:
            self._session.settle()

    @guarded()
    def fail(self, error: BaseException) -> None:
        """Say that the training has ended with an exception. A callback does not see one: whoever does calls this."""
        if self._training:
            self._store_models(None if self._session is None else self._session.begun)
            self._settle(error)

    # ---- metrics

    @guarded()
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **kwargs: Any) -> None:
        """Keep what the Trainer logs."""
        run = self._run(args, state, model)
        if run is None or not logs:
            return
        values = {**metric_values(logs), **final_values(logs, state)}
        if "speed" in self._wanted and is_training(logs):
            values.update(self._clock.speeds(logs, _samples_per_step(args, state)))
        if "perplexity" in self._wanted:
            values.update(perplexity(logs, model, args))
        run.log(values, step=state.global_step)
        self._note_completions(run, args, state.global_step)

    @guarded()
    def on_predict(
        self, args: Any, state: Any, control: Any, metrics: Any = None, model: Any = None, **kwargs: Any
    ) -> None:
        """Keep the metrics of a prediction, which the Trainer does not log."""
        run = self._run(args, state, model)
        if run is None or not metrics:
            return
        values = metric_values(metrics)
        if "perplexity" in self._wanted:
            values.update(perplexity(metrics, model, args))
        run.log(values, step=state.global_step)
        self._rest()

    @guarded()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note the time."""
        self._clock.step()

    @guarded()
    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the time of the evaluation out of that of the steps."""
        self._clock.pause()
        self._rest()

    # ---- files

    @guarded()
    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        """Note the checkpoint: where it is, and what is in it."""
        self._clock.pause()
        path, self._exact_path = self._exact_path, ""
        run = self._run(args, state, model)
        if run is None:
            return
        path = path or checkpoint_path(args, state)
        run.set_tag(FOLDER_TAG, str(Path(path).parent))
        self._note_best(run, args, state)
        self._checkpoints.note(run, path, state=state, model=model)

    @guarded()
    def saved_to(self, path: str) -> None:
        """Take the exact path of the checkpoint that `on_save` will be about, from whoever knows it."""
        self._exact_path = absolute(path)

    @guarded()
    def resumes_from(self, path: str) -> None:
        """Take the exact path of the checkpoint that the next training goes on from; empty if that is not known."""
        self._resumed_from = absolute(path) if path else ""

    def _note_best(self, run: Run, args: Any, state: Any) -> None:
        self._checkpoints.take_best(args, state)
        best = (run.id, state.best_model_checkpoint, state.best_metric)
        if None in best or best == self._noted_best:
            return
        self._noted_best = best
        run.set_tag("best_checkpoint", absolute(state.best_model_checkpoint))
        step = getattr(state, "best_global_step", None) or step_of(state.best_model_checkpoint)
        metric = str(args.metric_for_best_model or "loss").removeprefix("eval_")
        run.log({f"eval/best_{metric}": state.best_metric}, step=step)

    def _note_completions(self, run: Run, args: Any, before: float) -> None:
        """Note the tables of completions that trainers of TRL have written at steps before this one.

        They write them after they have logged, and again at the same step after an evaluation.
        """
        if "completions" not in self._wanted or not getattr(args, "log_completions", False):
            return
        for path in sorted(Path(args.output_dir, "completions").glob("*.parquet")):
            step = step_of(path.stem)
            known = (run.id, path.name) in self._completions or path.stat().st_mtime < self._began_at
            if step is not None and step < before and not known:
                self._completions.add((run.id, path.name))
                run.log_artifact(path, "completions", type="table", step=step, copy=False)

    @guarded()
    def _keep_results(self, args: Any, state: Any, model: Any) -> None:
        run = self._run(args, state, model)
        if run is None:
            return
        self._note_completions(run, args, math.inf)
        self._note_best(run, args, state)

    @guarded()
    def _store_models(self, run: Run | None) -> None:
        """Store what the training leaves; of the trials of a search nothing, since there would be a model of each."""
        if run is not None and self._trial is None:
            self._checkpoints.store_models(run)

    def _await_end(self, run: Run | None) -> None:
        """Do the same when the run ends while the training still goes on: it broke off, and nobody has said so."""
        if run is not None and self._trial is None and run.id not in self._awaited:
            self._awaited.add(run.id)
            run.before_end(partial(self._break_off, run))

    def _break_off(self, run: Run) -> None:
        if self._training:
            self._store_models(run)


def _samples_per_step(args: Any, state: Any) -> float:
    batch = getattr(state, "train_batch_size", None) or args.train_batch_size
    return float(batch * args.world_size * args.gradient_accumulation_steps)


INTEGRATION_TO_CALLBACK["tracklib"] = TrackCallback
