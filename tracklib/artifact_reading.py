"""Recorded artifacts for everybody: finding and listing them, their aliases, their lineage, and models loaded back."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklib.artifacts.aliases import reference_to
from tracklib.artifacts.labels import checked_alias
from tracklib.artifacts.lineage import Lineage, LineageEdge, LineageNode
from tracklib.artifacts.stored import StoredArtifact, find_artifact
from tracklib.artifacts.stored import list_artifacts as list_in_store
from tracklib.artifacts.tracing import lineage_of
from tracklib.artifacts.versions import find_version
from tracklib.errors import ConfigError, NotFound
from tracklib.reading import find_run, open_for_reading, with_live_status
from tracklib.records import RecordKind
from tracklib.stores.base import ArtifactQuery
from tracklib.values import checked_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.artifacts.versions import Version
    from tracklib.reading import StoredRun
    from tracklib.run import Run
    from tracklib.stores.base import Store

    StoreName = str | os.PathLike[str] | None

__all__ = [
    "Lineage",
    "LineageEdge",
    "LineageNode",
    "Meant",
    "StoredArtifact",
    "artifact_lineage",
    "get_artifact",
    "list_artifacts",
    "load_model",
    "meant_project",
    "remove_alias",
    "set_alias",
]


def get_artifact(reference: str, *, project: str | None = None, store: StoreName = None) -> StoredArtifact:
    """Return a recorded artifact.

    Args:
        reference: `name` for its latest version, `name:v3`, `name:alias`, or `name@sha256:…` with the first characters
            of its checksum. A project before it, as in `project/name:v3`, or the id of a run, for what that run logged.
        project: The project that is meant where the reference names none. By default the one that runs started here
            belong to, or else the only one that has an artifact of this name.
        store: URI of the store; by default the one that runs go to.

    Raises:
        NotFound: There is no such artifact, or no store; the message suggests near names, versions and aliases.
        AmbiguousName: Several are meant.
        ConfigError: The reference is no text.

    Example:
        >>> Path("train.csv").write_text("x,y")
        3
        >>> with tracklib.start_run(project="digits") as run:
        ...     run.log_artifact("train.csv", "train-data", type="dataset", aliases=["reviewed"])
        >>> artifact = tracklib.get_artifact("digits/train-data:reviewed")
        >>> artifact.version, artifact.aliases, artifact.read("train.csv")
        (0, ('latest', 'reviewed'), b'x,y')
    """
    checked_text("reference", reference)
    meant = meant_project(project)
    opened = open_for_reading(store)
    with opened.one_look():
        return find_artifact(opened, reference, meant.name, anywhere=meant.is_guess)


def list_artifacts(
    project: str | None = None,
    *,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the field's word
    run: str | Run | StoredRun | None = None,
    store: StoreName = None,
) -> list[StoredArtifact]:
    """List each version of each artifact, by project and name, the newest version first.

    Args:
        project: Only those of this project; by default of all that are not archived.
        name: Only those of this name.
        type: Only those of this type, such as `dataset` or `model`.
        run: Only what this run has logged, figures and the like too; as for `get_run`.
        store: URI of the store; by default the one that runs go to.

    Raises:
        NotFound: There is no store, or no such run.
        ConfigError: A condition cannot be meant.

    Example:
        >>> with tracklib.start_run(project="digits") as run:
        ...     for text in ("x,y", "x,y,z"):
        ...         _ = Path("train.csv").write_text(text)
        ...         run.log_artifact("train.csv", "train-data", type="dataset")
        >>> [artifact.reference for artifact in tracklib.list_artifacts(type="dataset")]
        ['digits/train-data:v1', 'digits/train-data:v0']
    """
    for argument, text in (("project", project), ("name", name), ("type", type)):
        if text is not None:
            checked_text(argument, text)
    wanted = None if run is None else checked_text("run", run if isinstance(run, str) else getattr(run, "id", run))
    opened = open_for_reading(store)
    with opened.one_look():
        run_id = None if wanted is None else find_run(opened, wanted).id
        return list_in_store(opened, ArtifactQuery(project=project, name=name, type=type, run=run_id))


def set_alias(reference: str, alias: str, *, project: str | None = None, store: StoreName = None) -> StoredArtifact:
    """Give a version of an artifact another name, which is taken from the version that has it.

    Args:
        reference: As for `get_artifact`; the latest version where it names none.
        alias: Such as `production`. `best` may be given as well, until a better score is logged.
        project: As for `get_artifact`.
        store: URI of the store; by default the one that runs go to.

    Returns:
        The version as it is now.

    Raises:
        NotFound: There is no such artifact, or no store.
        AmbiguousName: Several are meant.
        ConfigError: It cannot be an alias, or the artifact has no versions in a project.

    Example:
        >>> _ = Path("train.csv").write_text("x,y")
        >>> with tracklib.start_run(project="digits") as run:
        ...     run.log_artifact("train.csv", "train-data")
        >>> tracklib.set_alias("digits/train-data:v0", "reviewed").aliases
        ('latest', 'reviewed')
    """
    name = checked_alias(alias)
    checked_text("reference", reference)
    meant, opened = meant_project(project), open_for_reading(store)
    version = find_version(opened, reference, meant.name, anywhere=meant.is_guess)
    info = version.info
    if not info.project or info.version is None:
        raise ConfigError(
            f"{reference_to(info)} cannot have an alias: only a version has that which a project counts, of files that "
            "are known"
        )
    return _told(opened, version, name, {"version": info.version, "checksum": info.checksum})


def remove_alias(reference: str, alias: str, *, project: str | None = None, store: StoreName = None) -> StoredArtifact:
    """Take an alias away from the version of an artifact that has it.

    Args:
        reference: As for `get_artifact`. Where it names no version, the one that has the alias is meant.
        alias: Such as `production`.
        project: As for `get_artifact`.
        store: URI of the store; by default the one that runs go to.

    Returns:
        The version that had it, as it is now.

    Raises:
        NotFound: There is no such artifact or no store, or the version does not have this alias.
        AmbiguousName: Several are meant.
        ConfigError: It cannot be an alias.

    Example:
        >>> _ = Path("train.csv").write_text("x,y")
        >>> with tracklib.start_run(project="digits") as run:
        ...     run.log_artifact("train.csv", "train-data", aliases="reviewed")
        >>> tracklib.remove_alias("digits/train-data", "reviewed").aliases
        ('latest',)
    """
    name = checked_alias(alias)
    checked_text("reference", reference)
    meant, opened = meant_project(project), open_for_reading(store)
    try:
        version = find_version(opened, f"{reference}:{name}", meant.name, anywhere=meant.is_guess)
    except NotFound:
        version = find_version(opened, reference, meant.name, anywhere=meant.is_guess)
    if name not in version.aliases:
        own = ", ".join(version.aliases) or "none"
        raise NotFound(f"{reference_to(version.info)} does not have the alias {name!r}; it has: {own}")
    return _told(opened, version, name, {"version": None})


def _told(store: Store, version: Version, alias: str, data: dict[str, Any]) -> StoredArtifact:
    """Say something of an alias of a version, in the records of the run that logged it last; return the version."""
    from tracklib.editing import append_changes

    info = version.info
    before = [event.time for event in store.aliases(info.project, info.name)]
    change = {"project": info.project, "name": info.name, "alias": alias, **data}
    append_changes(store, store.run(version.last.run), [(RecordKind.ALIAS, change)], after=max(before, default=0.0))
    query = ArtifactQuery(project=info.project, name=info.name, version=info.version)
    return list_in_store(store, query)[0]


def artifact_lineage(
    reference: str, *, depth: int | None = None, project: str | None = None, store: StoreName = None
) -> Lineage:
    """Return what a version of an artifact came from and what came of it: the runs and versions around it.

    Args:
        reference: As for `get_artifact`.
        depth: How many steps to go in each direction: 1 leads to the runs that made and used it, 2 to what these used
            and made. All by default.
        project: As for `get_artifact`.
        store: URI of the store; by default the one that runs go to.

    Raises:
        NotFound: There is no such artifact, or no store.
        AmbiguousName: Several are meant.
        ConfigError: The depth is no number of steps.

    Example:
        >>> _ = Path("train.csv").write_text("x,y")
        >>> with tracklib.start_run(project="digits", name="prepare") as run:
        ...     run.log_artifact("train.csv", "train-data")
        >>> with tracklib.start_run(project="digits", name="train") as run:
        ...     folder = run.use_artifact("train-data").download()
        >>> lineage = tracklib.artifact_lineage("digits/train-data")
        >>> [run.name for run in lineage.makers], [run.name for run in lineage.users]
        (['prepare'], ['train'])
    """
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise ConfigError(f"depth is {depth!r}, but takes a number of steps, or None for all")
    checked_text("reference", reference)
    meant, opened = meant_project(project), open_for_reading(store)
    with opened.one_look():
        version = find_version(opened, reference, meant.name, anywhere=meant.is_guess)
        return lineage_of(opened, version.info, depth=depth, status=with_live_status)


def load_model(
    reference: str,
    into: Any = None,
    *,
    project: str | None = None,
    store: StoreName = None,
    allow_pickle: bool = False,
    trusted: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """Load a model that `log_model` has kept, its files verified. Nothing is unpickled that you do not allow by name.

    Args:
        reference: As for `get_artifact`, such as `digits/classifier:best`.
        into: A torch module that takes the weights; a class or function that makes one, from the arguments that were
            noted as `init`; a class that has `from_pretrained`; or the base model of an adapter.
        project: As for `get_artifact`.
        store: URI of the store; by default the one that runs go to.
        allow_pickle: Let files be unpickled, which runs whatever code they name.
        trusted: Types of a `.skops` file, or the class of a module, that may be made beyond those which are known.
        options: For weights `map_location` (the CPU if it is not said), `strict`, `assign` and `file`, the one to load
            of several; else what `from_pretrained` takes.

    Returns:
        `into` itself if it was a module; a module that was built anew, in evaluation mode; what `from_pretrained`
        returned; an estimator; or a state dict, if nothing says what takes it.

    Raises:
        NotFound: There is no such artifact, or no store.
        NotTrusted: A file needs more trust than it was given.
        ConfigError: The weights do not fit, or nothing in the artifact is a model.
        CorruptData: A file is not what it was.
        MissingDependency: A package that reads the format is not installed.
        TypeError: An option means nothing here.

    Example:
        >>> import torch
        >>> with tracklib.start_run(project="digits") as run:
        ...     run.log_model(torch.nn.Linear(4, 2), "classifier", score=0.9)
        >>> model = tracklib.load_model("digits/classifier:best", torch.nn.Linear(4, 2))
        >>> model.weight.shape
        torch.Size([2, 4])
    """
    from tracklib.artifacts.loading import load_files

    artifact = get_artifact(reference, project=project, store=store)
    # Weights that are mapped into memory outlive the names of their files.
    with tempfile.TemporaryDirectory(prefix="tracklib-model-", ignore_cleanup_errors=True) as folder:
        artifact.download(folder)
        return load_files(
            Path(folder),
            artifact.metadata,
            into=into,
            allow_pickle=allow_pickle,
            trusted=trusted,
            options=options,
        )


class Meant(NamedTuple):
    """The project that is meant where a reference names none.

    Attributes:
        is_guess: Whether nobody has said so, so that others may be meant as well.
    """

    name: str
    is_guess: bool


def meant_project(project: str | None) -> Meant:
    """Return the project that is meant: that of runs that would be started here, unless one is given.

    Raises:
        ConfigError: It is no text.
    """
    from tracklib.starting import default_project, effective_settings, working_directory

    if project is not None:
        return Meant(checked_text("project", project), is_guess=False)
    return Meant(effective_settings().project or default_project(working_directory()), is_guess=True)
