"""What a program writes with a `SummaryWriter`, of torch or tensorboardX, recorded in the active run as well.

Scalars become metrics under their tags, hyperparameters params, figures and short texts files. Images, histograms,
graphs, audio, video and embeddings stay in TensorBoard alone, and so do wall times that a program sets.

Known trade-offs:
    A tag belongs to the log folder that used it first. Another folder's points of the same tag get the name of that
    folder before theirs, so that `runs/train` and `runs/val` that both write `loss` are `loss` and `val/loss`.
"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib.integrations.imports import when_imported
from tracklib.integrations.mirrors import heard_by, numbers
from tracklib.integrations.patching import nested
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tracklib import Run
    from tracklib.integrations.patching import Patches

    Hook = Callable[..., None]

__all__ = ["install"]

_LONGEST_TEXT = 10_000
_MODULES = ("torch.utils.tensorboard.writer", "tensorboardX.writer")


def install(patches: Patches) -> None:
    """Listen to the writers of torch and tensorboardX, as soon as they have been imported.

    Example:
        >>> from tracklib.integrations.patching import Patches
        >>> patches = Patches()
        >>> install(patches)
        >>> patches.undo()
    """
    tags = _Tags()
    for name in _MODULES:
        when_imported(name, partial(_listen, patches, tags))


class _Tags:
    """Which log folder a tag belongs to, in the run that was heard last."""

    def __init__(self) -> None:
        self._run = ""
        self._folders: dict[str, str] = {}

    def name(self, run: Run, writer: Any, tag: str) -> str:
        """Return the name that a tag of this writer has in the run."""
        if run.id != self._run:
            self._run, self._folders = run.id, {}
        folder = str(getattr(writer, "log_dir", None) or getattr(writer, "logdir", ""))
        if self._folders.setdefault(tag, folder) == folder:
            return tag
        return f"{Path(folder).name}/{tag}"


def _listen(patches: Patches, tags: _Tags, module: ModuleType) -> None:
    for method, record in _HOOKS.items():
        original = inspect.getattr_static(module.SummaryWriter, method, None)
        if callable(original):
            patches.wrap(module.SummaryWriter, method, _around(record, tags, inspect.signature(original)))


def _around(record: Hook, tags: _Tags, signature: inspect.Signature) -> Callable[..., Any]:
    """Return what stands in for a method: the outermost call is recorded, once the writer has done it."""
    is_often = record in {_scalar, _scalars}  # For these the interpreter binds arguments, which takes it no time.

    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        with nested("tensorboard") as inner:
            result = original(*arguments, **keywords)
        run = None if inner else _run()
        if run is not None:
            if is_often:
                record(run, tags, *arguments, **keywords)
            else:
                _bound(record, run, tags, signature.bind(*arguments, **keywords))
        return result

    return around


@guarded()
def _run() -> Run | None:
    return heard_by()


@guarded()
def _bound(record: Hook, run: Run, tags: _Tags, bound: inspect.BoundArguments) -> None:
    record(run, tags, **{"writer" if name == "self" else name: value for name, value in bound.arguments.items()})


def _step(step: Any) -> int | None:
    """Return a step as TensorBoard takes it, which cuts fractions off."""
    return None if step is None else int(step)


@guarded()
def _scalar(
    run: Run, tags: _Tags, self: Any, tag: str, scalar_value: Any, global_step: Any = None, *_: Any, **__: Any
) -> None:
    values = numbers({tag: scalar_value})
    if values:
        run.log({tags.name(run, self, tag): scalar_value}, _step(global_step))


@guarded()
def _scalars(
    run: Run,
    tags: _Tags,
    self: Any,
    main_tag: str,
    tag_scalar_dict: dict[str, Any],
    global_step: Any = None,
    *_: Any,
    **__: Any,
) -> None:
    values = numbers({tags.name(run, self, f"{main_tag}/{tag}"): value for tag, value in tag_scalar_dict.items()})
    if values:
        run.log(values, _step(global_step))


@guarded()
def _hparams(run: Run, _tags: _Tags, hparam_dict: Any, metric_dict: Any, global_step: Any = None, **_: Any) -> None:
    if hparam_dict:
        run.log_params(hparam_dict)
    values = numbers(metric_dict)
    if values:
        run.log(values, _step(global_step))


@guarded()
def _figure(run: Run, _tags: _Tags, tag: str, figure: Any, global_step: Any = None, **_: Any) -> None:
    several = isinstance(figure, list)
    for index, item in enumerate(figure if several else [figure]):
        run.log_figure(item, f"{tag}/{index}" if several else tag, step=_step(global_step))


@guarded()
def _text(run: Run, _tags: _Tags, tag: str, text_string: str, global_step: Any = None, **_: Any) -> None:
    if isinstance(text_string, str) and len(text_string) <= _LONGEST_TEXT:
        run.log_text(text_string, tag, step=_step(global_step))


_HOOKS: dict[str, Hook] = {
    "add_scalar": _scalar,
    "add_scalars": _scalars,
    "add_hparams": _hparams,
    "add_figure": _figure,
    "add_text": _text,
}
