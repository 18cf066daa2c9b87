"""`tracklib artifacts`: list, show, get, verify and alias artifacts, and tell where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, Commands, json_option, project_option, store_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.artifacts.verifying import Problem
    from tracklib.artifacts.versions import Version
    from tracklib.model import Artifact
    from tracklib.stores.base import Store

__all__ = ["artifacts"]

_project = project_option(
    "Where REF names no project, this one is meant; by default the one that runs started here go to, or else the only "
    "one that has the artifact."
)


@click.group(
    cls=Commands,
    default="list",
    examples=[
        "tracklib artifacts",
        "tracklib artifacts show digits/classifier:best",
        "tracklib artifacts get digits/train-data:v3 -o data",
        "tracklib artifacts alias digits/classifier:v7 production",
        "tracklib artifacts lineage digits/classifier:production --up",
    ],
)
def artifacts() -> None:
    """List, show, get, verify and alias artifacts, and tell their lineage. Without a command they are listed.

    REF is NAME for the latest version, NAME:v3, NAME:ALIAS or NAME@sha256:… with the first characters of its checksum.
    PROJECT/ may stand before it, or the id of a run, for what that run logged.
    """


@artifacts.command(
    "list",
    cls=Command,
    examples=[
        "tracklib artifacts list digits --type model",
        "tracklib artifacts list --name classifier --all",
        "tracklib artifacts list --run latest --json | jq -r '.artifacts[].reference'",
    ],
)
@click.argument("project", required=False)
@click.option("--name", metavar="NAME", help="Only those of this name.")
@click.option("--type", "kind", metavar="TYPE", help="Only those of this type, such as model or dataset.")
@click.option("--run", metavar="RUN", help="Only what this run has logged: figures and the like too, and each version.")
@click.option("--all", "every", is_flag=True, help="Each version, not just the newest and those with aliases.")
@store_option
@json_option
def list_(  # noqa: PLR0913 - one for each option
    *,
    project: str | None,
    name: str | None,
    kind: str | None,
    run: str | None,
    every: bool,
    store: str | None,
    as_json: bool,
) -> None:
    """List artifacts by project and name, the newest version first."""
    from tracklib.artifacts.stored import list_artifacts
    from tracklib.cli.artifact_pages import print_artifacts
    from tracklib.cli.as_json import stored_artifact
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import check_place, found_runs, reach, safe_uri
    from tracklib.stores.base import ArtifactQuery

    opened, there = reach(store)
    if there:
        check_place(opened, project, None)
    run_id = found_runs(opened, [run])[0].id if run else None
    query = ArtifactQuery(project=project, name=name, type=kind, run=run_id)
    found = list_artifacts(opened, query) if there else []
    shown = found if every or run else _of_interest(found)
    if as_json:
        print_json({"store": safe_uri(opened.uri), "artifacts": [stored_artifact(each) for each in shown]})
    elif shown:
        print_artifacts(shown)
        if len(shown) < len(found):
            click.echo(f"Versions that are older: {len(found) - len(shown):,}; --all lists them.", err=True)
    else:
        click.echo(f"There are no such artifacts in {safe_uri(opened.uri)}.")


def _of_interest(found: Sequence[StoredArtifact]) -> list[StoredArtifact]:
    """Return what has a name of its own; what has no version only where it is the newest."""
    newest = {(each.project, each.name): each for each in reversed(found)}
    return [each for each in found if each.aliases or newest[each.project, each.name] is each]


@artifacts.command(
    cls=Command,
    examples=["tracklib artifacts show classifier:best --project digits", "tracklib artifacts show digits/train-data"],
)
@click.argument("ref")
@_project
@store_option
@json_option
def show(*, ref: str, project: str | None, store: str | None, as_json: bool) -> None:
    """Show all that is known of a version of an artifact: what is in it, who made it and who uses it."""
    from tracklib.cli.artifact_pages import print_artifact
    from tracklib.cli.as_json import stored_artifact
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import reach

    opened = reach(store).store
    found = _find(opened, ref, project)
    if as_json:
        print_json({**stored_artifact(found), "used_by": found.used_by})
    else:
        print_artifact(opened, found)


@artifacts.command(
    cls=Command,
    examples=["tracklib artifacts get digits/train-data:v3 -o data", "tracklib artifacts get classifier:best --force"],
)
@click.argument("ref")
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Where to; by default artifacts/NAME-vVERSION here.",
)
@click.option("--force", is_flag=True, help="Replace files of the same names that have other content.")
@_project
@store_option
@json_option
def get(*, ref: str, output: str | None, force: bool, project: str | None, store: str | None, as_json: bool) -> None:
    """Bring the files of an artifact to a folder, each verified by its SHA-256.

    What is there already is not fetched again, so a download that was broken off goes on. Of a reference, of which no
    copy was made, the files are copied from where they were noted, if they are still what they were.
    """
    from tracklib.cli.formats import size
    from tracklib.cli.output import line, print_json, progress, styled
    from tracklib.cli.reaching import reach

    found = _find(reach(store).store, ref, project)
    with progress("getting", found.size) as on_bytes:
        folder = found.download(output, force=force, on_bytes=on_bytes)
    if as_json:
        told = {"reference": found.reference, "folder": str(folder), "files": len(found.files), "size": found.size}
        print_json(told)
    else:
        files = f"{len(found.files):,} file{'' if len(found.files) == 1 else 's'}"
        line(f"{found.reference} is in {folder}: {files}, {size(found.size)}.")
        if found.problem:
            line(styled(f"It was not whole when it was logged: {found.problem}", "yellow"))


@artifacts.command(
    cls=Command,
    examples=["tracklib artifacts verify digits/classifier:best", "tracklib artifacts verify --all --json"],
)
@click.argument("refs", nargs=-1, metavar="[REF]...")
@click.option("--all", "every", is_flag=True, help="All that any run has logged, or all of the project with --project.")
@_project
@store_option
@json_option
def verify(*, refs: tuple[str, ...], every: bool, project: str | None, store: str | None, as_json: bool) -> None:
    """Read all files of artifacts and compare them to what was recorded.

    What is damaged or missing is named: the artifact, the file, and the blob that the store keeps it in. Of a
    reference, of which no copy was made, what lies now where it was noted is compared to what was noted.

    Exit status 1 if anything is not as it was.
    """
    from tracklib.artifacts.aliases import reference_to
    from tracklib.cli.artifact_pages import print_problems
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import reach, safe_uri

    if bool(refs) == every:
        raise click.UsageError("Name artifacts, or give --all.")
    opened, there = reach(store)
    if every:
        chosen = _all_of(opened, project) if there else []
    else:
        chosen = [_version(opened, ref, project).info for ref in refs]
    problems = _problems(opened, chosen)
    if as_json:
        told = {"store": safe_uri(opened.uri), "verified": list(map(reference_to, chosen)), "problems": problems}
        print_json(told)
    else:
        print_problems(chosen, problems)
    if problems:
        click.get_current_context().exit(1)


def _all_of(store: Store, project: str | None) -> list[Artifact]:
    """Return what is there of artifacts; what several runs have logged once, with a copy if there is any."""
    from tracklib.artifacts.versions import key_of
    from tracklib.cli.reaching import check_place
    from tracklib.stores.base import ArtifactQuery

    check_place(store, project, None)
    records = store.find_artifacts(ArtifactQuery(project=project, files=False))
    # References are compared to their places, copies to the store: one of each.
    return list({(key_of(record), record.is_reference): record for record in records}.values())


def _problems(store: Store, chosen: Sequence[Artifact]) -> list[Problem]:
    from tracklib.artifacts.verifying import Verifier
    from tracklib.cli.output import progress
    from tracklib.stores.base import ArtifactQuery

    with progress("verifying", sum(artifact.size for artifact in chosen)) as on_bytes:
        verifier = Verifier(store, on_bytes)
        # One after the other: each may have very many files.
        whole = (each for record in chosen for each in store.find_artifacts(ArtifactQuery(ids=(record.id,))))
        return [problem for artifact in whole for problem in verifier.problems(artifact)]


@artifacts.command(
    cls=Command,
    examples=[
        "tracklib artifacts lineage digits/classifier:production",
        "tracklib artifacts lineage train-data:v0 --down --depth 2",
    ],
)
@click.argument("ref")
@click.option("--up", is_flag=True, help="Only what it came from.")
@click.option("--down", is_flag=True, help="Only what came of it.")
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(min=1),
    help="How many steps to go: 1 leads to runs, 2 to what these used and made. All by default.",
)
@_project
@store_option
@json_option
def lineage(  # noqa: PLR0913 - one for each option
    *, ref: str, up: bool, down: bool, depth: int | None, project: str | None, store: str | None, as_json: bool
) -> None:
    """Tell which runs made an artifact and from what, and which runs used it and for what."""
    from tracklib.artifacts.tracing import lineage_of
    from tracklib.cli.artifact_trees import print_lineage
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import reach
    from tracklib.reading import with_live_status

    opened = reach(store).store
    found = _version(opened, ref, project).info
    directions = [word for word, is_asked in (("up", up), ("down", down)) if is_asked or up == down]
    told = lineage_of(opened, found, directions=directions, depth=depth, status=with_live_status)
    if as_json:
        print_json({"root": told.root.id, "nodes": list(told.nodes.values()), "edges": told.edges})
    else:
        print_lineage(told, directions)


@artifacts.command(
    cls=Command,
    examples=[
        "tracklib artifacts alias digits/classifier:v7 production",
        "tracklib artifacts alias digits/classifier production --remove",
    ],
)
@click.argument("ref")
@click.argument("alias", metavar="ALIAS")
@click.option("--remove", is_flag=True, help="Take the alias away instead.")
@_project
@store_option
@json_option
def alias(*, ref: str, alias: str, remove: bool, project: str | None, store: str | None, as_json: bool) -> None:
    """Give a version another name, which is taken from the version that has it."""
    from tracklib.artifact_reading import remove_alias, set_alias
    from tracklib.cli.as_json import stored_artifact
    from tracklib.cli.output import line, print_json

    change = remove_alias if remove else set_alias
    found = change(ref, alias, project=project, store=store)
    if as_json:
        print_json(stored_artifact(found))
    else:
        line(f"{found.reference} is now known as: {', '.join(found.aliases) or 'nothing else'}.")


def _find(store: Store, ref: str, project: str | None) -> StoredArtifact:
    from tracklib.artifacts.stored import StoredArtifact

    return StoredArtifact(store, _version(store, ref, project))


def _version(store: Store, ref: str, project: str | None) -> Version:
    from tracklib.artifact_reading import meant_project
    from tracklib.artifacts.versions import find_version
    from tracklib.cli.reaching import check_place

    check_place(store, project, None)
    meant = meant_project(project)
    return find_version(store, ref, meant.name, anywhere=meant.is_guess)
