"""The half of a run that keeps files and models, or notes where they are."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklib.artifacts.labels import BEST, Label
from tracklib.errors import NotFound
from tracklib.records import RecordKind, new_id
from tracklib.values import as_step, clean_text, jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracklib.artifacts.content import Content
    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.recording.journal import Journal
    from tracklib.recording.observer import Observer
    from tracklib.recording.spooled import Staging
    from tracklib.recording.uploader import Uploader
    from tracklib.stores.base import Store

__all__ = ["KeepsFiles"]


class KeepsFiles:
    """Methods of a run that keep files and models as artifacts.

    Each returns when a copy of the bytes is in the spool, on this machine: safe from later changes of the original and
    from the death of the process. Threads take it to the store meanwhile.

    An artifact has versions from 0, which its project counts: the same files under the same name are the same version.
    `latest` is the one that was logged last.

    Attributes:
        stored_bytes: Size of what was kept so far, what was there already included.
    """

    id: str
    project: str
    store: str
    stored_bytes: int = 0
    _journal: Journal
    _observer: Observer
    _versions: dict[str, Iterator[int]]
    _logged: dict[str, list[_Logged]]

    @property
    def _uploader(self) -> Uploader:
        raise NotImplementedError("a run has one")

    def _record(self, kind: str, data: dict[str, Any]) -> bool:
        raise NotImplementedError("a run writes to its journal")

    def _opened_store(self) -> Store:
        raise NotImplementedError("a run has one")

    def log_artifact(  # noqa: PLR0913 - what can be said of an artifact
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        type: str = "file",  # noqa: A002 - the field's word
        metadata: Mapping[str, Any] | None = None,
        aliases: str | Iterable[str] = (),
        score: float | None = None,
        step: int | None = None,
        copy: bool = True,
        keep_last: int | None = None,
    ) -> None:
        """Keep a copy of a file, or of a folder with all that is in it; or note where it is.

        It returns when the copy is in the spool: the original may change then, or go. The store gets it in the
        background. What is at a URL is fetched in the background as well.

        Args:
            path: Where it is; or a URL of any file system that fsspec knows.
            name: What it is called in the project; the file's name by default.
            type: dataset, model, checkpoint, figure, table, file, or a word of your own.
            metadata: Anything JSON can say.
            aliases: Further names of this version, such as `production`. Each is taken from the version that had it.
            score: How good it is: higher is better, so give `-loss` for a loss. The version with the best score in
                the project is known as `best`.
            step: The training step it belongs to.
            copy: False notes only path, sizes and SHA-256, in the background: the call returns at once. What is not
                there yet, or is still being written, is waited for until the run ends. Of a URL, sizes and ETags are
                noted.
            keep_last: Of what this run logged under this name, give up all but so many of the newest ones, the one
                with the best score, and those with aliases. `tracklib gc` frees what they took.

        Raises:
            FileNotFoundError: There is nothing at the path.
            ConfigError: A name or type is empty, an alias or score cannot be one, or the path leads to no file or
                folder.

        Example:
            >>> _ = Path("train.csv").write_text("x,y")
            >>> with tracklib.start_run(project="digits") as run:
            ...     run.log_artifact("train.csv", "train-data", type="dataset", aliases=["reviewed"])
            >>> tracklib.get_artifact("digits/train-data:reviewed").version
            0
        """
        from tracklib.artifacts.references import is_url

        where = _place(path)
        own_name = os.path.basename(where.rstrip("/"))  # noqa: PTH119 - it may be a URL
        label = Label.checked(own_name if name is None else name, type, metadata, step).known_as(aliases, score)
        keep = None if keep_last is None else max(1, as_step(keep_last))
        if copy and not is_url(where):
            from tracklib.artifacts.content import path_content

            kept = self._keep(path_content(path), label, project=self.project)
        else:
            kept = self._leave(where, label, fetch=copy)
        self._remember(kept, label, keep)

    def log_model(  # noqa: PLR0913 - what can be said of a model
        self,
        model: Any,
        name: str = "model",
        *,
        metadata: Mapping[str, Any] | None = None,
        aliases: str | Iterable[str] = (),
        score: float | None = None,
        step: int | None = None,
        example: Any = None,
        signature: Mapping[str, Any] | None = None,
        init: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a model: a torch module, a state dict, what has `save_pretrained`, a scikit-learn estimator, or a path.

        A torch module is kept as its state dict, which `torch.load(…, weights_only=True)` reads. `load_model` gives
        a model back.

        Args:
            name: What it is called in the project.
            metadata: Anything JSON can say, beside what is found out: framework, class, parameters, dtype and so on.
            aliases: Further names of this version; see `log_artifact`.
            score: How good it is: higher is better; see `log_artifact`.
            step: The training step it belongs to.
            example: Inputs as the model takes them. Shapes and dtypes of inputs and outputs are noted, the latter from
                one call of the model that leaves no trace in it.
            signature: The same in words: `{"inputs": {"x": {"shape": [None, 64], "dtype": "float32"}}, "outputs": …}`.
            init: What its class is called with to make one that the weights fit in; `load_model` then needs no module.

        Raises:
            TypeError: It is none of these.
            FileNotFoundError: There is nothing at the path.
            ConfigError: It cannot be read back without running code of unknown origin, or a word cannot be meant.
            MissingDependency: It takes a package that is not installed.
        """
        from tracklib.artifacts.content import path_content

        label = Label.checked(name, "model", metadata, step).known_as(aliases, score)
        if isinstance(model, (str, os.PathLike)):
            self._remember(self._keep(path_content(model), label, project=self.project), label)
            return
        from tracklib.artifacts.models import write_model

        def write(staging: Staging) -> dict[str, Any]:
            folder = staging.folder / "model"
            folder.mkdir()
            found: dict[str, Any] = write_model(model, folder, example=example, signature=signature, init=init)
            staging.take(folder.name)
            return found

        self._remember(self._stage(label, write, project=self.project), label)

    def use_artifact(self, reference: str) -> StoredArtifact:
        """Note that the run reads an artifact, and return it: `download` brings its files here, verified.

        What this run has logged itself is waited for.

        Args:
            reference: `name`, `name:v3` or `name:alias` for one of the run's project, `project/name…` for another one.

        Raises:
            NotFound: There is no such artifact; the message suggests near names.
            StoreError: The store cannot be asked.

        Example:
            >>> _ = Path("train.csv").write_text("x,y")
            >>> with tracklib.start_run(project="digits") as run:
            ...     run.log_artifact("train.csv", "train-data", type="dataset")
            ...     data = run.use_artifact("train-data:latest").read("train.csv")
            >>> data
            b'x,y'
        """
        from tracklib.artifacts.stored import find_artifact

        if any(name in reference for name in list(self._logged)):
            self.flush()
        try:
            found = find_artifact(self._opened_store(), reference, self.project)
        except NotFound:  # The message is better where the store knows all that there is.
            self.flush()
            found = find_artifact(self._opened_store(), reference, self.project)
        used = found.info
        self._record(
            RecordKind.USE,
            {
                "artifact": used.id,
                "project": used.project,
                "name": used.name,
                "version": used.version,
                "checksum": used.checksum,
            },
        )
        return found

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the store has what was logged."""
        raise NotImplementedError("a run has a shipper")

    def keep_bytes(self, content: bytes, what: str) -> str | None:
        """Keep bytes that a record is about to name, for what watches over a run.

        Args:
            what: What they are, in words.

        Returns:
            Their SHA-256 in hexadecimal; None where they cannot be kept.
        """
        try:
            return self._journal.spooled.keep(content) if self._journal.claim() else None
        except OSError as error:
            self._observer.lost("artifact", what, error)
            return None

    # ---- how it is done

    def _keep(self, content: Content, label: Label, *, project: str = "") -> str | None:
        """Copy files into the spool; return the id of the artifact."""

        def copy(staging: Staging) -> dict[str, Any]:
            return {**content.metadata, **_copied(content, staging)}

        return self._stage(label, copy, project=project, path=content.path)

    def _stage(
        self, label: Label, fill: Callable[[Staging], dict[str, Any]], *, project: str, path: str = ""
    ) -> str | None:
        """Have files put into the spool, and promise them; return the id of the artifact, None if it cannot be kept.

        Args:
            fill: Puts them there; returns what it found out about them.
            project: Whose artifact it is; empty for one of the run alone.
        """
        artifact = new_id()
        try:
            if not self._journal.claim():
                return None
            with self._journal.spooled.staging(artifact) as staging:
                found = jsonable(fill(staging))
                pending = staging.publish(self._data(artifact, label, path=path, project=project, found=found))
        except OSError as error:
            self._observer.lost("artifact", f"the artifact {label.name!r}", error)
            return None
        self.stored_bytes += pending.size
        self._uploader.add(pending)
        return artifact

    def _leave(self, where: str, label: Label, *, fetch: bool) -> str | None:
        """Promise to look at files where they are, or to fetch them; return the id of the artifact."""
        from tracklib.capture.redact import mask_text

        artifact = new_id()
        found = {} if fetch else {"reference": True}
        data = self._data(artifact, label, path=mask_text(where), project=self.project, found=found)
        try:
            if not self._journal.claim():
                return None
            with self._journal.spooled.staging(artifact) as staging:
                pending = staging.publish(data, source=where, fetch=fetch)
        except OSError as error:
            self._observer.lost("artifact", f"the artifact {label.name!r}", error)
            return None
        self._uploader.add(pending)
        return artifact

    def _data(
        self, artifact: str, label: Label, *, path: str, project: str, found: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what the record of an artifact will say, but for its files."""
        return {
            "id": artifact,
            "project": project,
            "name": label.name,
            "type": label.type,
            "version": None if project else next(self._versions.setdefault(label.name, itertools.count())),
            "path": clean_text(path),
            "metadata": {**found, **label.metadata},
            "step": label.step,
            "created_at": time.time(),
            "aliases": list(label.aliases),
            "score": label.score,
        }

    def _remember(self, artifact: str | None, label: Label, keep_last: int | None = None) -> None:
        """Note what was logged under a name; give up what is older, but for the best and what has a name of its own."""
        if artifact is None:
            return
        logged = self._logged.setdefault(label.name, [])
        logged.append(_Logged(artifact, label.score, bool(set(label.aliases) - {BEST})))
        if keep_last is None:
            return
        best = max((each.score for each in logged if each.score is not None), default=None)
        for old in logged[:-keep_last]:
            if not old.is_named and (best is None or old.score != best):
                logged.remove(old)
                if not self._uploader.forget(old.artifact):
                    self._record(RecordKind.ARTIFACT, {"id": old.artifact, "deleted": True})


class _Logged(NamedTuple):
    """What this run has logged under a name.

    Attributes:
        is_named: Whether it was given an alias, which somebody may look for.
    """

    artifact: str
    score: float | None
    is_named: bool


def _place(path: str | os.PathLike[str]) -> str:
    """Return an absolute path, or a URL.

    Raises:
        TypeError: It is no path.
    """
    from tracklib.artifacts.references import is_url

    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is {path!r:.200}, but takes the path or URL of a file or folder")
    text = os.fspath(path)
    for scheme in ("file://", "local://"):
        text = text.removeprefix(scheme)
    return text if is_url(text) else os.path.abspath(text)  # noqa: PTH100 - a link keeps its own name


def _copied(content: Content, staging: Staging) -> dict[str, Any]:
    """Copy files into the spool; return what was odd about them.

    Raises:
        OSError: There is no room, or no file is left.
    """
    skipped = dict(content.metadata.get("skipped", {}))
    if skipped and not content.files:
        raise OSError("; ".join(f"{path}: {reason}" for path, reason in skipped.items()))
    changed = []
    gone: OSError | None = None
    for path, source in sorted(content.files.items()):
        if isinstance(source, bytes):
            staging.write(path, source)
            continue
        try:
            if not staging.copy(path, source):
                changed.append(path)
        except OSError as error:
            if error.filename != str(source):  # It is the spool that has no room.
                raise
            gone, skipped[path] = error, f"it could not be read: {error.strerror}"
    if gone is not None and not staging.files:
        raise gone
    problem = {"problem": f"it changed while it was copied: {', '.join(changed)}"} if changed else {}
    return {**({"skipped": skipped} if skipped else {}), **problem}
