"""The half of a run that keeps files."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tracklib.errors import TracklibError
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import open_store
from tracklib.values import checked_name, clean_text, jsonable

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from tracklib.artifacts.content import Content
    from tracklib.recording.observer import Observer

__all__ = ["KeepsFiles"]


class KeepsFiles:
    """Methods of a run that keep files, figures, tables, text and models as artifacts.

    Each returns when the bytes are in the store's blobs, safe from later changes of the original.
    """

    id: str
    store: str
    _observer: Observer

    def _record(self, kind: str, data: dict[str, Any]) -> None:
        raise NotImplementedError("a run writes to its journal")

    def log_artifact(
        self,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        type: str = "file",  # noqa: A002 - the field's word
        metadata: Mapping[str, Any] | None = None,
        step: int | None = None,
    ) -> None:
        """Keep a copy of a file, or of a folder with all that is in it.

        Args:
            name: What it is called in the run; the file's name by default.
            type: dataset, model, checkpoint, figure, table, file, or a word of your own.
            metadata: Anything JSON can say.
            step: The training step it belongs to.

        Raises:
            FileNotFoundError: There is nothing at the path.
        """
        from tracklib.artifacts.content import path_content

        content = path_content(path)
        self._keep_files(content, name or content.path.rpartition("/")[2], type, metadata, step)

    def log_text(self, text: str, name: str, *, step: int | None = None) -> None:
        """Keep text as a file; `name` may bring its own suffix."""
        from tracklib.artifacts.content import text_content

        self._keep_files(text_content(text, name), name, "text", None, step)

    def log_figure(self, figure: Any, name: str, *, step: int | None = None) -> None:
        """Keep a matplotlib figure (as PNG) or a plotly figure (as JSON).

        Raises:
            TypeError: It is neither.
        """
        from tracklib.artifacts.content import figure_content

        self._keep_files(figure_content(figure, name), name, "figure", None, step)

    def log_table(self, table: Any, name: str, *, step: int | None = None) -> None:
        """Keep a list of dicts, a dict of columns, or a pandas, polars or Arrow table, as Parquet.

        Raises:
            TypeError: It is none of these.
            MissingDependency: pyarrow is missing.
        """
        from tracklib.artifacts.content import table_content

        self._keep_files(table_content(table, name), name, "table", None, step)

    def log_model(
        self, model: Any, name: str = "model", *, metadata: Mapping[str, Any] | None = None, step: int | None = None
    ) -> None:
        """Keep a model: a torch module, a state dict, what has `save_pretrained`, or the path of a saved one.

        Raises:
            TypeError: It is none of these.
        """
        from tracklib.artifacts.content import model_content

        with model_content(model) as content:
            self._keep_files(content, name, "model", metadata, step)

    def _keep_files(
        self, content: Content, name: str, kind: str, metadata: Mapping[str, Any] | None, step: int | None
    ) -> None:
        from tracklib.artifacts.content import manifest_checksum
        from tracklib.model import Artifact, ArtifactFile

        checked_name("name", name)
        files: list[ArtifactFile] = []
        try:
            with open_store(self.store) as store:
                for path, file in content.opened():
                    checksum, size = store.put_blob(file)
                    files.append(ArtifactFile(path=path, size=size, checksum=checksum))
        except (OSError, TracklibError) as error:
            self._observer.lost("artifact", f"the artifact {name!r}", error)
            return
        artifact = Artifact(
            id=new_id(),
            run=self.id,
            name=clean_text(name),
            type=kind,
            path=clean_text(content.path),
            size=sum(file.size for file in files),
            checksum=manifest_checksum([(file.checksum, file.path) for file in files]),
            metadata={**content.metadata, **(metadata or {})},
            step=step,
            files=tuple(files),
        )
        self._record(RecordKind.ARTIFACT, jsonable(asdict(artifact)))
