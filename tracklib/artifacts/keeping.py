"""The half of a run that keeps files, or notes where they are."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklib.artifacts.references import FoundFiles, Reference, ReferenceWorker, is_url
from tracklib.errors import StoreError
from tracklib.records import RecordKind, new_id
from tracklib.values import as_step, checked_name, clean_text, jsonable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklib.artifacts.content import Content
    from tracklib.model import ArtifactFile
    from tracklib.recording.journal import Journal
    from tracklib.recording.observer import Observer

__all__ = ["KeepsFiles"]


class KeepsFiles:
    """Methods of a run that keep files, figures, tables, text and models as artifacts.

    Each returns when a copy of the bytes is in the spool, on this machine: safe from later changes of the original and
    from the death of the process. A thread takes it to the store, as it does with whatever else is logged. What is
    logged again under a name is its next version, from 1.

    Attributes:
        stored_bytes: Size of what was kept so far, what was there already included.
    """

    id: str
    store: str
    stored_bytes: int = 0
    _journal: Journal
    _observer: Observer
    _references: ReferenceWorker | None = None
    _versions: dict[str, Iterator[int]]

    def _record(self, kind: str, data: dict[str, Any]) -> bool:
        raise NotImplementedError("a run writes to its journal")

    def log_artifact(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        type: str = "file",  # noqa: A002 - the field's word
        metadata: Mapping[str, Any] | None = None,
        step: int | None = None,
        copy: bool = True,
    ) -> None:
        """Keep a copy of a file, or of a folder with all that is in it; or note where it is.

        It returns when the copy is in the spool: the original may change then, or go. The store gets it in the
        background, before it gets the record of the artifact.

        Args:
            path: Where it is. Without a copy it may be a URL as well, of which only the words are kept.
            name: What it is called in the run; the file's name by default.
            type: dataset, model, checkpoint, figure, table, file, or a word of your own.
            metadata: Anything JSON can say.
            step: The training step it belongs to.
            copy: False notes only path, sizes and SHA-256, in the background: the call returns at once. What is not
                there yet, or is still being written, is waited for until the run ends.

        Raises:
            FileNotFoundError: There is nothing at the path.
            ConfigError: A name or type is empty, or the path leads to no file or folder.
        """
        from tracklib.artifacts.content import path_content

        if not copy:
            self._note_reference(path, name, _label("reference" if name is None else name, type, metadata, step))
            return
        content = path_content(path)
        own_name = os.path.basename(os.path.abspath(content.path))  # noqa: PTH100, PTH119 - "." has a name, and a link its own
        self._keep_files(content, _label(own_name if name is None else name, type, metadata, step))

    def log_text(self, text: str, name: str, *, step: int | None = None) -> None:
        """Keep text as a file; `name` may bring its own suffix.

        Raises:
            TypeError: It is no text.
        """
        from tracklib.artifacts.content import text_content

        label = _label(name, "text", None, step)
        self._keep_files(text_content(text, name), label)

    def log_figure(self, figure: Any, name: str, *, step: int | None = None) -> None:
        """Keep a matplotlib figure (as PNG, or as the suffix of `name` says) or a plotly figure (as JSON).

        Raises:
            TypeError: It is neither.
        """
        from tracklib.artifacts.content import figure_content

        label = _label(name, "figure", None, step)
        self._keep_files(figure_content(figure, name), label)

    def log_table(self, table: Any, name: str, *, step: int | None = None) -> None:
        """Keep a list of dicts, a dict of columns, or a pandas, polars or Arrow table, as Parquet.

        Raises:
            TypeError: It is none of these.
            ConfigError: Its columns differ in length, or one mixes types.
            MissingDependency: pyarrow is missing.
        """
        from tracklib.artifacts.tables import table_content

        label = _label(name, "table", None, step)
        self._keep_files(table_content(table, name), label)

    def log_model(
        self, model: Any, name: str = "model", *, metadata: Mapping[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Keep a model: a torch module, a state dict, what has `save_pretrained`, or the path of a saved one.

        A torch module is kept as its state dict, which `torch.load(…, weights_only=True)` reads.

        Raises:
            TypeError: It is none of these.
            FileNotFoundError: There is nothing at the path.
        """
        from tracklib.artifacts.content import model_content

        label = _label(name, "model", metadata, step)
        try:
            with model_content(model) as content:
                self._keep_files(content, label)
        except StoreError as error:
            self._observer.lost("artifact", f"the artifact {name!r}", error)

    def _note_reference(self, path: str | os.PathLike[str], name: str | None, label: _Label) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path is {path!r:.200}, but takes the path or URL of a file or folder")
        text = os.fspath(path)
        where = text if is_url(text) else os.path.abspath(text)  # noqa: PTH100 - a link keeps its own name
        own = label._replace(name=checked_name("name", os.path.basename(where.rstrip("/")) if name is None else name))  # noqa: PTH119 - as above
        kept = _Kept(new_id(), next(self._versions.setdefault(own.name, itertools.count(1))), where)
        # At once, so that a kill does not take it; sizes and checksums follow in another record of the same artifact.
        self._record_files(own, kept, FoundFiles(problem="" if is_url(text) else "nobody has looked at it yet"))
        if is_url(text):
            return
        if self._references is None:
            self._references = ReferenceWorker(self.id)
        self._references.add(Reference(where, lambda found: self._record_files(own, kept, found)))

    def _record_files(self, label: _Label, kept: _Kept, found: FoundFiles) -> None:
        """Write the record of files that were found at a path, of which no copy was made."""
        metadata = {**label.metadata, "reference": True, **({"problem": found.problem} if found.problem else {})}
        self._record_artifact(label._replace(metadata=metadata), kept, found.files)

    def _finish_references(self, timeout_s: float) -> float:
        """Note what is left, for so long at the most; return how many seconds it took."""
        began = time.monotonic()
        if self._references is not None:
            self._references.finish(timeout_s)
        return min(timeout_s, time.monotonic() - began)

    def _forget_references(self) -> None:
        """In a forked child: the thread is the parent's."""
        self._references = None

    def _keep_files(self, content: Content, label: _Label) -> None:
        from tracklib.model import ArtifactFile

        files: list[ArtifactFile] = []
        try:
            if not self._journal.claim():
                return
            with self._journal.blobs.staging() as staging:
                for path, file in content.opened():
                    checksum, size = staging.add(file)
                    files.append(ArtifactFile(path=path, size=size, checksum=checksum))
                staging.publish(lambda: self._record_kept(content, label, files))
        except OSError as error:
            self._observer.lost("artifact", f"the artifact {label.name!r}", error)

    def _record_kept(self, content: Content, label: _Label, files: Sequence[ArtifactFile]) -> bool:
        self.stored_bytes += sum(file.size for file in files)
        kept = _Kept(new_id(), next(self._versions.setdefault(label.name, itertools.count(1))), content.path)
        metadata = {**jsonable(content.metadata), **label.metadata}
        return self._record_artifact(label._replace(metadata=metadata), kept, files)

    def keep_bytes(self, content: bytes, what: str) -> str | None:
        """Keep bytes that a record is about to name, for what watches over a run.

        Args:
            what: What they are, in words.

        Returns:
            Their SHA-256 in hexadecimal; None where they cannot be kept.
        """
        import io

        try:
            if not self._journal.claim():
                return None
            with self._journal.blobs.staging() as staging:
                checksum, _ = staging.add(io.BytesIO(content))
                staging.publish(lambda: True)
        except OSError as error:
            self._observer.lost("artifact", what, error)
            return None
        return checksum

    def _record_artifact(self, label: _Label, kept: _Kept, files: Sequence[ArtifactFile]) -> bool:
        from tracklib.artifacts.content import manifest_checksum
        from tracklib.model import Artifact

        whole = all(file.checksum for file in files) and bool(files)
        artifact = Artifact(
            id=kept.id,
            run=self.id,
            name=label.name,
            type=label.type,
            version=kept.version,
            path=clean_text(kept.path),
            size=sum(file.size for file in files),
            checksum=manifest_checksum([(file.checksum, file.path) for file in files]) if whole else "",
            step=label.step,
            files=tuple(files),
        )
        return self._record(RecordKind.ARTIFACT, {**jsonable(asdict(artifact)), "metadata": label.metadata})


class _Kept(NamedTuple):
    """Which artifact it is: its id, its version, and where its files came from."""

    id: str
    version: int
    path: str


class _Label(NamedTuple):
    """What is said of an artifact, checked; the metadata as JSON."""

    name: str
    type: str
    metadata: dict[str, Any]
    step: int | None


def _label(name: str, kind: str, metadata: Mapping[str, Any] | None, step: int | None) -> _Label:
    from tracklib.capture.redact import mask_params

    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata is {metadata!r:.200}, but takes a mapping of names to values")
    return _Label(
        checked_name("name", name),
        checked_name("type", kind),
        mask_params(jsonable(metadata or {})),
        None if step is None else as_step(step),
    )
