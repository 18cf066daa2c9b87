"""The difference between the artifacts that two runs read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracklib.reading import StoredRun

__all__ = ["InputsDiff", "diff_inputs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsDiff:
    """How the artifacts that run `b` read differ from those of run `a`.

    Attributes:
        a: Id of the one run.
        b: Id of the other.
        added: Versions by name (`project/name`) of the artifacts that only `b` read.
        removed: The same for those that only `a` read.
        changed: Versions that `a` read and those that `b` read, by name.
    """

    a: str
    b: str
    added: dict[str, tuple[str, ...]] = field(default_factory=dict)
    removed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    changed: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether both read the same versions."""
        return not (self.added or self.removed or self.changed)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "added": {name: list(versions) for name, versions in self.added.items()},
            "removed": {name: list(versions) for name, versions in self.removed.items()},
            "changed": {name: [list(old), list(new)] for name, (old, new) in self.changed.items()},
        }

    def __str__(self) -> str:
        if self.same:
            return "Both runs read the same artifacts."
        lines = [f"~ {name} {', '.join(old)} → {', '.join(new)}" for name, (old, new) in self.changed.items()]
        lines += [f"+ {name} {', '.join(versions)}" for name, versions in self.added.items()]
        lines += [f"- {name} {', '.join(versions)}" for name, versions in self.removed.items()]
        return "\n".join(lines)


def diff_inputs(a: StoredRun, b: StoredRun) -> InputsDiff:
    """Return how the artifacts that one run read differ from those of another."""
    old, new = _versions(a), _versions(b)
    return InputsDiff(
        a=a.id,
        b=b.id,
        added={name: new[name] for name in sorted(new.keys() - old.keys())},
        removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        changed={name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]},
    )


def _versions(run: StoredRun) -> dict[str, tuple[str, ...]]:
    """Return the versions that a run read of each artifact; one without a version is told by its checksum."""
    found: dict[str, set[tuple[int, str]]] = {}
    for use in run.used_artifacts:
        version = (-1, f"sha256:{use.checksum[:12]}") if use.version is None else (use.version, f"v{use.version}")
        found.setdefault(f"{use.project}/{use.name}" if use.project else use.name, set()).add(version)
    return {name: tuple(text for _, text in sorted(versions)) for name, versions in found.items()}
