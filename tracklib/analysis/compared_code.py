"""The difference between the code of two runs, from what was recorded of it.

Known trade-offs: of one commit only what was captured can be compared. Where both runs changed the same file in
different ways, the difference is that of the two patches: lines of it begin with two signs.
"""

from __future__ import annotations

import difflib
import io
import re
import shlex
import zipfile
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.git_differences import compare_url, diff_commits, public_url
from tracklib.errors import NotFound, StoreError
from tracklib.stores.base import open_store

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    from tracklib.model import RunInfo, Source

__all__ = ["CodeDiff", "CodePart", "RecordedCode", "diff_code"]

_LARGEST_FILE: Final = 1_000_000
_FILE: Final = re.compile(r"^diff --git .*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RecordedCode:
    """A run, whole, and where it is.

    Attributes:
        store: URI of its store, where its files are.
    """

    info: RunInfo
    store: str


@dataclass(frozen=True, slots=True)
class CodePart:
    """A part of a difference.

    Attributes:
        title: What it is about, in words.
        text: As a unified diff.
    """

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDiff:
    """How the code of run `b` differs from that of run `a`. Printed, it is a page of text.

    Attributes:
        a: Id of the one run.
        b: Id of the other.
        same: Whether both ran the same code; None where what was recorded does not tell.
        facts: What else differs of where the code came from and how it was started, by name: the one of `a`, then that
            of `b`.
        parts: The differences.
        notes: What is not in them, and why.
        url: The page of the repository's host that shows the two commits side by side, where there is one.
    """

    a: str
    b: str
    same: bool | None
    facts: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    parts: tuple[CodePart, ...] = ()
    notes: tuple[str, ...] = ()
    url: str | None = None

    @property
    def text(self) -> str:
        """All differences behind each other."""
        return "".join(part.text for part in self.parts)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "facts": {name: list(pair) for name, pair in self.facts.items()},
            "parts": [{"title": part.title, "text": part.text} for part in self.parts],
            "notes": list(self.notes),
            "url": self.url,
        }

    def __str__(self) -> str:
        said = {
            True: "Both runs ran the same code.",
            False: "The code differs.",
            None: "What differs is not all known.",
        }
        lines = [said[self.same]]
        lines += [f"{name}: {old or '(none)'} → {new or '(none)'}" for name, (old, new) in self.facts.items()]
        lines += [f"Note: {note}." for note in self.notes]
        lines += [f"See {self.url}"] if self.url else []
        for part in self.parts:
            lines += ["", f"# {part.title}", part.text.rstrip("\n")]
        return "\n".join(lines)


@dataclass(slots=True)
class _Findings:
    """What was found so far.

    Attributes:
        unknown: Whether something could not be compared.
    """

    parts: list[CodePart] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: bool = False

    def add(self, title: str, text: str) -> None:
        if text:
            self.parts.append(CodePart(title, text))

    def lack(self, note: str) -> None:
        self.notes.append(note)
        self.unknown = True


def diff_code(a: RecordedCode, b: RecordedCode, *, repository: str | os.PathLike[str] | None = None) -> CodeDiff:
    """Return how the code of one run differs from that of another.

    Args:
        repository: A folder of the repository that has the commits of both; by default the working directory.

    Raises:
        ConfigError: There is no repository in the folder that was given.
    """
    old, new = a.info.source, b.info.source
    findings = _Findings()
    url = None
    if old.commit and new.commit and old.commit != new.commit:
        url = _compare_commits(findings, old, new, repository)
        findings.add(f"Changes of run {a.info.name} that were not committed", old.diff)
        findings.add(f"Changes of run {b.info.name} that were not committed", new.diff)
    else:
        _compare_patches(findings, a.info, b.info)
    _compare_untracked(findings, old, new)
    _compare_snapshots(findings, a, b)
    for run in (a.info, b.info):
        _note_gaps(findings, run)
    facts = _facts(old, new)
    differ = bool(findings.parts) or "commit" in facts or "snapshot" in facts
    same = False if differ else None if findings.unknown else True
    return CodeDiff(
        a=a.info.id,
        b=b.info.id,
        same=same,
        facts=facts,
        parts=tuple(findings.parts),
        notes=tuple(findings.notes),
        url=url,
    )


def _compare_commits(
    findings: _Findings, old: Source, new: Source, repository: str | os.PathLike[str] | None
) -> str | None:
    """Add the difference of two commits, or why there is none to show; return where else it can be seen."""
    first, second = str(old.commit), str(new.commit)
    found = diff_commits(first, second, repository=repository)
    findings.add(f"From commit {first[:12]} to {second[:12]}", found.text)
    remotes = {public_url(url) for url in (old.repository_url, new.repository_url) if url}
    if len(remotes) > 1:
        findings.notes.append(f"the runs come from different repositories: {', '.join(sorted(remotes))}")
    url = compare_url(new.repository_url or old.repository_url, first, second) if len(remotes) == 1 else None
    if found.problem:
        findings.lack(
            f"{found.problem}, so commit {first} cannot be compared with {second} here: give `repo=`, the path of a "
            f"clone that has both{f', or look at {url}' if url else ''}"
            if not found.text
            else found.problem
        )
    return url


def _compare_patches(findings: _Findings, a: RunInfo, b: RunInfo) -> None:
    """Add how the changes of two runs to the same commit differ."""
    old, new = _files_of(a.source.diff), _files_of(b.source.diff)
    only_old = [text for file, text in old.items() if file not in new]
    only_new = [text for file, text in new.items() if file not in old]
    findings.add(f"Changes that were not committed, of run {a.name} only", "".join(only_old))
    findings.add(f"Changes that were not committed, of run {b.name} only", "".join(only_new))
    both = {file: (text, new[file]) for file, text in old.items() if file in new and new[file] != text}
    findings.add(
        "Files that both runs changed, each in its own way: the difference of the two patches",
        "".join(_unified(*pair, f"{a.name}: {file}", f"{b.name}: {file}") for file, pair in both.items()),
    )


def _files_of(patch: str) -> dict[str, str]:
    """Return the part of each file of a patch, by its first line without `diff --git`."""
    starts = [match.start() for match in _FILE.finditer(patch)]
    parts = [patch[start:end] for start, end in pairwise([*starts, len(patch)])]
    return {part.partition("\n")[0].removeprefix("diff --git "): part for part in parts}


def _compare_untracked(findings: _Findings, old: Source, new: Source) -> None:
    findings.add("Files that git did not track", "".join(_file_diffs(old.untracked, new.untracked)))


def _compare_snapshots(findings: _Findings, a: RecordedCode, b: RecordedCode) -> None:
    """Add how the code of two runs differs that was kept whole, since it was in no repository."""
    old, new = a.info.source, b.info.source
    for run in (a.info, b.info):
        if not run.source.commit and not run.source.snapshot and not run.source.untracked:
            findings.lack(f"no code was kept of run {run.name}")
    if bool(old.commit) != bool(new.commit):
        findings.lack("one of the runs came from a commit, the other did not")
    if not (old.snapshot and new.snapshot) or old.snapshot == new.snapshot:
        return
    try:
        texts = [_snapshot(code.store, str(code.info.source.snapshot)) for code in (a, b)]
    except (StoreError, NotFound, zipfile.BadZipFile) as error:
        findings.lack(f"the code that was kept cannot be read: {error}")
        return
    findings.add("Files of the project", "".join(_file_diffs(*texts)))


def _snapshot(store: str, checksum: str) -> dict[str, str]:
    """Return the text of each file of a project that was kept, by its path."""
    with open_store(store) as opened, opened.open_blob(checksum) as file:
        content = file.read()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: _text(archive, name) for name in sorted(archive.namelist())}


def _text(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        return file.read(_LARGEST_FILE).decode("utf-8", "replace")


def _file_diffs(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    for path in sorted({*old, *new}):
        names = (f"a/{path}" if path in old else "/dev/null", f"b/{path}" if path in new else "/dev/null")
        yield _unified(old.get(path, ""), new.get(path, ""), *names)


def _unified(old: str, new: str, old_name: str, new_name: str) -> str:
    if old == new and "/dev/null" in (old_name, new_name):  # A file that is empty is something, too.
        return f"--- {old_name}\n+++ {new_name}\n"
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), old_name, new_name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _note_gaps(findings: _Findings, run: RunInfo) -> None:
    """Note what was left out when the code of a run was recorded."""
    if run.source.commit and run.source.dirty is None:
        findings.lack(f"whether run {run.name} had changes that were not committed is not known")
    for path, reason in run.source.skipped.items():
        findings.lack(f"of run {run.name} {path!r} was not kept as it was: {reason}")


def _facts(old: Source, new: Source) -> dict[str, tuple[str | None, str | None]]:
    """Return what differs of where the code came from and how it was started."""
    pairs = {name: (said, _said(new)[name]) for name, said in _said(old).items()}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _said(source: Source) -> dict[str, str | None]:
    return {
        "repository": public_url(source.repository_url) if source.repository_url else None,
        "commit": source.commit,
        "branch": source.branch,
        "tag": source.tag,
        "snapshot": source.snapshot,
        "entry point": source.entry_point,
        "command line": shlex.join(source.command_line) or None,
    }
