"""Artifacts told straight to a store, as runs tell of them, and ways to look at what is read back."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib.artifacts.content import manifest_checksum
from tracklib.artifacts.stored import StoredArtifact, find_artifact
from tracklib.model import Artifact, ArtifactFile
from tracklib.records import RecordKind, new_id
from tracklib.testing.batches import EPOCH, WriterScript

if TYPE_CHECKING:
    from tracklib.stores.base import Store

Files = Mapping[str, bytes]

X = {"x.csv": b"x"}
XY = {"x.csv": b"x", "sub/y.csv": b"yy"}

_clocks = itertools.count(int(EPOCH), 1000)


def writer(**about: Any) -> WriterScript:
    """Return the writer of a new run that begins later than all before."""
    return WriterScript(**{"clock": float(next(_clocks)), **about})


def kept(store: Store, files: Files) -> tuple[ArtifactFile, ...]:
    """Put files into a store."""
    return tuple(
        ArtifactFile(path=path, size=len(content), checksum=store.put_blob(io.BytesIO(content))[0])
        for path, content in sorted(files.items())
    )


def tell(
    store: Store, script: WriterScript, name: str, files: Files | tuple[ArtifactFile, ...] = (), **fields: Any
) -> str:
    """Tell of an artifact as the run of a script; return its id."""
    listed = files if isinstance(files, tuple) else kept(store, files)
    checksum = manifest_checksum([(file.checksum, file.path) for file in listed]) if listed else ""
    data = {
        "id": new_id(script.clock),
        "project": script.project,
        "name": name,
        "type": "dataset",
        "files": [asdict(file) for file in listed],
        "size": sum(file.size for file in listed),
        "checksum": checksum,
        "created_at": script.clock,
        **fields,
    }
    script.ship(store, script.record(RecordKind.ARTIFACT, **data))
    return str(data["id"])


def use(store: Store, script: WriterScript, artifact: Artifact) -> None:
    """Tell that the run of a script uses an artifact."""
    used = {
        "artifact": artifact.id,
        **{key: getattr(artifact, key) for key in ("project", "name", "version", "checksum")},
    }
    script.ship(store, script.record(RecordKind.USE, **used))


def say_alias(store: Store, script: WriterScript, name: str, alias: str, version: int | None, **data: Any) -> None:
    """Tell that a version has another name from now on."""
    said = {"project": script.project, "name": name, "alias": alias, "version": version, **data}
    script.ship(store, script.record(RecordKind.ALIAS, **said))


def get(store: Store, reference: str, **options: Any) -> StoredArtifact:
    """Return the artifact that a reference means."""
    return find_artifact(store, reference, options.pop("project", "digits"), **options)


def blob_path(store: Store, content: bytes) -> Path:
    """Return where a SQLite store keeps a file."""
    checksum = hashlib.sha256(content).hexdigest()
    return Path(store.uri.removeprefix("sqlite:///")).parent / "blobs" / checksum[:2] / checksum


def tree(folder: Path) -> dict[str, bytes]:
    """Return what lies in a folder, by path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
