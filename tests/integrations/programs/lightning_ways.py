"""A program that trains with Lightning in many ways, one project each; the tests look at what was recorded.

Importing Lightning takes seconds, so one process does it all: `lightning_ways.py package result.json [names]`.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import os
import pickle
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import tracklib

PACKAGE = sys.argv[1]
pl = import_module(PACKAGE)
torch.set_num_threads(1)

integration = import_module("tracklib.integrations.lightning")
TrackLogger: Any = integration.TrackLogger
TrackCallback: Any = integration.TrackCallback
ours = import_module(TrackLogger.__module__)

Report = dict[str, Any]


class Model(pl.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self, lr: float = 0.1, fail_at: int = -1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.net = nn.Linear(3, 4)
        self.head = nn.Linear(4, 1)

    def loss(self, batch: Any) -> Tensor:
        scores: Tensor = self.head(self.net(batch[0]))
        return scores.pow(2).mean()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.global_step == self.hparams.fail_at:
            raise ValueError("the loss is gone")
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("late", float(self.current_epoch))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test_loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        groups: list[dict[str, Any]] = [
            {"params": self.net.parameters(), "name": "net"},
            {"params": self.head.parameters(), "lr": self.lr / 2, "name": "head"},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)]


class Data(pl.LightningDataModule):  # type: ignore[misc, name-defined]
    def train_dataloader(self) -> Any:
        return data()

    def val_dataloader(self) -> Any:
        return data()


def data() -> Any:
    values = torch.linspace(-1, 1, 48).reshape(16, 3)
    return DataLoader(TensorDataset(values), batch_size=4)


def trainer(**options: Any) -> Any:
    shown = {"enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(**{"accelerator": "cpu", "max_epochs": 2, "log_every_n_steps": 2, **shown, **options})


def model(**options: Any) -> Model:
    pl.seed_everything(0)
    return Model(**options)


def fitted(module: Any = None, **options: Any) -> Any:
    made = trainer(**options)
    made.fit(module or model(), data(), data())
    return made


def weights(made: Any) -> str:
    return digest(made.lightning_module)


def digest(module: Any) -> str:
    state = module.state_dict()
    return hashlib.sha256(b"".join(each.numpy().tobytes() for each in state.values())).hexdigest()


# ---- the ways


def logger() -> Report:
    log = TrackLogger(project="logger", tags={"team": "vision"})
    made = fitted(logger=log)
    random = torch.rand(1).item()
    checkpoint = made.checkpoint_callback.best_model_path
    after_fit = str(log.experiment.status)
    made.test(made.lightning_module, data(), verbose=False)
    log.experiment.flush()
    again = tracklib.load_model("logger/model:last")
    report = {"version": log.version, "checkpoint": checkpoint, "after fit": after_fit, "weights": weights(made)}
    return {**report, "random": random, "again": [type(again).__name__, digest(again)]}


def callback() -> Report:
    made = fitted(logger=False, callbacks=[TrackCallback(project="callback")])
    random = torch.rand(1).item()
    made.test(made.lightning_module, data(), verbose=False)
    return {"checkpoint": made.checkpoint_callback.best_model_path, "weights": weights(made), "random": random}


def plain() -> Report:
    made = fitted(logger=False)
    random = torch.rand(1).item()
    return {"checkpoint": made.checkpoint_callback.best_model_path, "weights": weights(made), "random": random}


def beside() -> Report:
    """Train with a logger of Lightning's own, with the callback and without."""
    csv = import_module(f"{PACKAGE}.loggers").CSVLogger
    folders = []
    for callbacks in ([], [TrackCallback(project="beside")]):
        made = fitted(logger=csv("csv", version=0), callbacks=callbacks)
        folders.append(made.checkpoint_callback.dirpath)
    return {"folders": folders, "loggers": [type(each).__name__ for each in made.loggers]}


def both() -> Report:
    callbacks = [TrackCallback(project="both"), *ours.auto_callbacks()]
    made = fitted(logger=TrackLogger(project="both"), callbacks=callbacks)
    return {"callbacks": sum(isinstance(each, TrackCallback) for each in made.callbacks)}


def unasked() -> Report:
    callbacks = [*ours.auto_callbacks(), TrackCallback(project="unasked")]
    fitted(logger=False, callbacks=callbacks)
    os.environ["TRACKLIB_MODE"] = "disabled"
    silent = ours.auto_callbacks()
    fitted(logger=TrackLogger(project="disabled"))
    del os.environ["TRACKLIB_MODE"]
    return {"when disabled": silent}


def failed() -> Report:
    log = TrackLogger(project="failed")
    made = trainer(logger=log)
    broken = model(fail_at=5)
    with contextlib.suppress(ValueError):
        made.fit(broken, data(), data())
    made.test(broken, data(), verbose=False)
    return {}


def failed_callback() -> Report:
    with contextlib.suppress(ValueError):
        fitted(model(fail_at=5), logger=False, callbacks=[TrackCallback(project="failed-callback")])
    return {}


def healed() -> Report:
    log = TrackLogger(project="healed")
    with contextlib.suppress(ValueError):
        fitted(model(fail_at=2), logger=log)
    before = str(log.experiment.status)
    fitted(logger=log)
    return {"before": before}


def interrupted() -> Report:
    class Interrupt(pl.Callback):  # type: ignore[misc, name-defined]
        def on_train_batch_end(self, *_: Any) -> None:
            raise KeyboardInterrupt

    with contextlib.suppress(SystemExit):
        fitted(logger=TrackLogger(project="interrupted"), callbacks=[Interrupt()])
    return {}


def dry() -> Report:
    fitted(logger=TrackLogger(project="dry"), callbacks=[TrackCallback(project="dry")], fast_dev_run=True)
    return {}


def tuned() -> Report:
    tuner = import_module(f"{PACKAGE}.tuner").Tuner
    rates = {}
    for name, options in {
        "tuned": {"logger": False, "callbacks": [TrackCallback(project="tuned")]},
        "tuned-logger": {"logger": TrackLogger(project="tuned-logger")},
    }.items():
        made, module = trainer(**options), model()
        tuner(made).lr_find(module, data(), num_training=10)
        made.fit(module, data(), data())
        rates[name] = module.lr
    return rates


def asynchronous() -> Report:
    plugins = import_module(f"{PACKAGE}.plugins.io")
    made = fitted(logger=TrackLogger(project="asynchronous"), plugins=[plugins.AsyncCheckpointIO()])
    return {"checkpoint": made.checkpoint_callback.best_model_path}


def sharded() -> Report:
    base = import_module(f"{PACKAGE}.plugins.io").TorchCheckpointIO

    class Folders(base):  # type: ignore[misc, valid-type]
        def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
            Path(path).mkdir(parents=True, exist_ok=True)
            torch.save(checkpoint, Path(path, "shard-0.pt"))
            torch.save({"shard": 1}, Path(path, "shard-1.pt"))

    fitted(logger=TrackLogger(project="sharded"), plugins=[Folders()])
    return {}


def last() -> Report:
    checkpoints = import_module(f"{PACKAGE}.callbacks").ModelCheckpoint
    for name, options in {
        "last": {"logger": TrackLogger(project="last")},
        "last-callback": {"logger": False, "callbacks": [TrackCallback(project="last-callback")]},
    }.items():
        keep = checkpoints(dirpath=f"kept/{name}", monitor="val/loss", save_last=True, save_top_k=-1)
        fitted(**{**options, "callbacks": [*options.get("callbacks", []), keep]})
    return {}


def noted() -> Report:
    """Note checkpoints as each setting says, without and with copies."""
    checkpoints = import_module(f"{PACKAGE}.callbacks").ModelCheckpoint
    for policy in ("all", "reference", "off"):
        os.environ["TRACKLIB_LOG_MODELS"] = policy
        fitted(logger=TrackLogger(project=f"models-{policy}"))
    os.environ |= {"TRACKLIB_LOG_MODELS": "all", "TRACKLIB_KEEP_CHECKPOINTS": "1"}
    keep = checkpoints(monitor="late", mode="min", save_top_k=-1)
    fitted(max_epochs=3, logger=TrackLogger(project="models-kept"), callbacks=[keep])
    del os.environ["TRACKLIB_LOG_MODELS"], os.environ["TRACKLIB_KEEP_CHECKPOINTS"]
    fitted(logger=TrackLogger(project="models-none", log_checkpoints=False))
    return {}


def monitored() -> Report:
    """Save the best by two values, in a good training and then in one that learns nothing."""
    checkpoints = import_module(f"{PACKAGE}.callbacks").ModelCheckpoint
    scores = []
    for lr in (0.1, 0.0):
        kept = [checkpoints(monitor="val/loss"), checkpoints(monitor="late", mode="max", filename="late-{epoch}")]
        fitted(model(lr=lr), logger=False, callbacks=[*kept, TrackCallback(project="monitored")])
        scores.append([float(each.best_model_score) for each in kept])
    return {"scores": scores}


def broken_off() -> Report:
    """Train until something goes wrong: an error that is caught by saving, and a signal."""
    checkpoints = import_module(f"{PACKAGE}.callbacks").ModelCheckpoint
    error = import_module(f"{PACKAGE}.utilities.exceptions").SIGTERMException

    class Terminate(pl.Callback):  # type: ignore[misc, name-defined]
        def on_validation_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 8:
                raise error

    for name, callbacks, module in (
        ("rescued", [checkpoints(save_on_exception=True)], model(fail_at=6)),
        ("terminated", [Terminate()], model()),
    ):
        with contextlib.suppress(ValueError, error):
            fitted(module, logger=False, callbacks=[TrackCallback(project=name), *callbacks])
    return {}


def remote() -> Report:
    log = TrackLogger(project="remote")
    path = "s3://bucket/epoch=1.ckpt"
    log.after_save_checkpoint(Namespace(best_model_path=path, _last_checkpoint_saved=path, _last_global_step_saved=8))
    log.finalize("success")
    return {}


def travels() -> Report:
    log = TrackLogger(project="travels")
    log.log_metrics({"loss": 3.0}, step=0)
    came = pickle.loads(pickle.dumps(log))  # noqa: S301 - our own
    came.log_metrics({"loss": 2.0}, step=1)
    copied = copy.deepcopy(log)
    copied.log_metrics({"loss": 1.0}, step=2)
    late = TrackLogger(project="travels", save_dir="there")
    again = pickle.loads(pickle.dumps(late))  # noqa: S301 - our own
    log.finalize("success")
    return {
        "same run": came.version == copied.version == log.version == came.experiment.id,
        "same place": again.log_dir == late.log_dir and again.save_dir == "there",
        "callback": type(pickle.loads(pickle.dumps(TrackCallback()))).__name__,  # noqa: S301 - our own
    }


def values() -> Report:
    log = TrackLogger(project="values", prefix="own")
    log.log_metrics(metrics={"a": 1, "nan": float("nan"), "inf": float("inf"), "none": None, "text": "x"}, step=3)
    log.log_metrics({"a": np.float32(2), "b": torch.tensor(4.0), "c": np.array([5.0])}, np.int64(4))
    log.log_metrics({"a": 3.0})
    log.log_hyperparams({"net": {"width": 4}}, {"score": 0.5})
    log.log_hyperparams(Namespace(depth=2))
    log.log_hyperparams(import_module("omegaconf").OmegaConf.create({"data": {"size": 3}, "twice": "${data.size}"}))
    log.log_hyperparams()
    log.log_table("rows", columns=["x", "y"], data=[[1, "a"], [2, "b"]])
    log.log_image("pixels", [torch.zeros(3, 4, 5), np.ones((4, 5))], caption=["black", "white"])
    log.log_metrics("nonsense")
    for status in ("finished", None, "success", "success"):
        log.finalize(status)
    log.log_metrics({"later": 1.0}, step=9)
    log.save()
    return {"separator": log.group_separator}


def adopted() -> Report:
    with tracklib.start_run(project="adopted", name="mine") as run:
        log = TrackLogger()
        fitted(logger=log)
        return {"same": log.version == run.id and log.name == "adopted", "open": run.is_open, "status": str(run.status)}


def broken_store() -> Report:
    rates = {}
    for name, options in {
        "logger": {"logger": TrackLogger(project="broken", store="sqlite:////proc/nope/x.db")},
        "callback": {"logger": False, "callbacks": [TrackCallback(store="sqlite:////proc/nope/x.db")]},
    }.items():
        rates[name] = weights(fitted(**options))
    return rates


def fabric() -> Report:
    module = "lightning.fabric" if PACKAGE.startswith("lightning.") else "lightning_fabric"
    made = import_module(module).Fabric(accelerator="cpu", devices=1, loggers=TrackLogger(project="fabric"))
    made.launch()
    made.log("loss", 3.0)
    made.log_dict({"loss": torch.tensor(2.0), "accuracy": 0.5})
    made.log("loss", 1.0, step=7)
    made.logger.log_hyperparams({"lr": 0.1})
    made.logger.finalize("success")
    return {}


def cli() -> Report:
    command = import_module(f"{PACKAGE}.cli").LightningCLI
    options = {"max_epochs": 1, "accelerator": "cpu", "enable_progress_bar": "false", "log_every_n_steps": 1}
    words = [f"--trainer.{name}={value}" for name, value in options.items()]
    logger_words = ["=tracklib.integrations.lightning.TrackLogger", ".project=cli", ".save_dir=cli", ".tags={a: b}"]
    words += [f"--trainer.logger{word}" for word in logger_words]
    made = command(Model, Data, args=["fit", *words, "--model.lr=0.05"])
    made.trainer.logger.log_hyperparams({"config": made.config})
    return {"kind": type(made.trainer.logger).__module__}


def muted() -> Report:
    """Have another logger see whether a framework is said to speak while Lightning calls it."""
    from tracklib.integrations.lightning_callback import mute_other_loggers
    from tracklib.integrations.patching import Patches
    from tracklib.integrations.session import is_framework_speaking

    heard: dict[str, bool] = {}

    class Listening(import_module(f"{PACKAGE}.loggers").CSVLogger):  # type: ignore[misc]
        def log_metrics(self, *arguments: Any, **keywords: Any) -> None:
            heard["metrics"] = is_framework_speaking()

        def log_hyperparams(self, *arguments: Any, **keywords: Any) -> None:
            heard["params"] = is_framework_speaking()

    patches = Patches()
    mute_other_loggers(import_module(f"{PACKAGE}.trainer.trainer"), patches)
    made = fitted(logger=Listening("muted"), callbacks=[TrackCallback(project="muted")])
    patches.undo()
    return {**heard, "afterwards": is_framework_speaking(), "loss": float(made.callback_metrics["val/loss"])}


WAYS: dict[str, Callable[[], Report]] = {
    way.__name__: way
    for way in (
        logger,
        callback,
        plain,
        beside,
        both,
        unasked,
        failed,
        failed_callback,
        healed,
        interrupted,
        dry,
        tuned,
        asynchronous,
        sharded,
        last,
        noted,
        monitored,
        broken_off,
        remote,
        travels,
        values,
        adopted,
        broken_store,
        fabric,
        cli,
        muted,
    )
}


@contextlib.contextmanager
def own_folder() -> Iterator[None]:
    """Work in a folder in which nothing was saved before."""
    folder = tempfile.mkdtemp(dir=Path.cwd())
    with contextlib.chdir(folder):
        yield


def main() -> None:
    reports = {}
    for name in sys.argv[3:] or WAYS:
        with own_folder():
            reports[name] = WAYS[name]()
    Path(sys.argv[2]).write_text(json.dumps(reports))


if __name__ == "__main__":
    main()
