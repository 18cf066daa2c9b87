"""The difference between what two runs ran on and with."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklib.model import Environment, Gpu, RunInfo

__all__ = ["EnvironmentDiff", "diff_environments"]

_FACTS: Final = (
    "python_version",
    "python_implementation",
    "conda_environment",
    "os",
    "platform",
    "hostname",
    "cpu_model",
    "cpu_count",
    "cpu_count_physical",
    "memory_bytes",
    "driver_version",
    "cuda_version",
)
_MAPPINGS: Final = ("frameworks", "container", "variables")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDiff:
    """How the environment of run `b` differs from that of run `a`. Printed, it is a list.

    Attributes:
        a: Id of the one run.
        b: Id of the other.
        facts: Value in `a` and in `b` of what differs of Python, system, machine, GPUs, frameworks, container and
            variables, by name; None where it is not known or not there.
        packages_added: Version by name of the packages that only `b` had.
        packages_removed: The same for those that only `a` had.
        packages_changed: Version in `a` and in `b`, by name.
        notes: What could not be compared, and why.
    """

    a: str
    b: str
    facts: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    packages_added: dict[str, str] = field(default_factory=dict)
    packages_removed: dict[str, str] = field(default_factory=dict)
    packages_changed: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool | None:
        """Whether there is no difference; None where what was recorded does not tell."""
        if self.facts or self.packages_added or self.packages_removed or self.packages_changed:
            return False
        return None if self.notes else True

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "a": self.a,
            "b": self.b,
            "same": self.same,
            "facts": {name: list(pair) for name, pair in self.facts.items()},
            "packages_added": dict(self.packages_added),
            "packages_removed": dict(self.packages_removed),
            "packages_changed": {name: list(pair) for name, pair in self.packages_changed.items()},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        said = {True: "Both runs had the same environment.", False: "", None: "What differs is not all known."}[
            self.same
        ]
        lines = [said] if said else []
        lines += [f"{name}: {_shown(old)} → {_shown(new)}" for name, (old, new) in self.facts.items()]
        lines += [f"~ {name} {old} → {new}" for name, (old, new) in self.packages_changed.items()]
        lines += [f"+ {name} {version}" for name, version in self.packages_added.items()]
        lines += [f"- {name} {version}" for name, version in self.packages_removed.items()]
        lines += [f"Note: {note}." for note in self.notes]
        return "\n".join(lines)


def diff_environments(a: RunInfo, b: RunInfo) -> EnvironmentDiff:
    """Return how the environment of one run, whole, differs from that of another."""
    old, new = (_packages(run.environment.packages) for run in (a, b))
    unrecorded = [run.name for run in (a, b) if not run.environment.packages]
    notes = tuple(f"no packages were recorded of run {name}" for name in unrecorded)
    if unrecorded:  # Else all of the other would look as if they had come or gone.
        old, new = {}, {}
    return EnvironmentDiff(
        a=a.id,
        b=b.id,
        facts=_differing(_facts(a.environment), _facts(b.environment)),
        packages_added={name: new[name] for name in sorted(new.keys() - old.keys())},
        packages_removed={name: old[name] for name in sorted(old.keys() - new.keys())},
        packages_changed={
            name: (old[name], new[name]) for name in sorted(old.keys() & new.keys()) if old[name] != new[name]
        },
        notes=notes,
    )


def _packages(packages: Mapping[str, str]) -> dict[str, str]:
    """Return versions by one spelling of each name: other programs may have written `Scikit_Learn`."""
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in packages.items()}


def _facts(environment: Environment) -> dict[str, Any]:
    facts = {name: getattr(environment, name) or None for name in _FACTS}
    facts["gpus"] = _gpus(environment.gpus)
    for mapping in _MAPPINGS:
        facts |= {f"{mapping}.{name}": value for name, value in getattr(environment, mapping).items()}
    return facts


def _gpus(gpus: tuple[Gpu, ...]) -> str | None:
    """Return what GPUs there are, in words: which of several alike a run had is no difference."""
    counted = Counter(
        f"{gpu.name}{' (MIG)' if gpu.mig else ''}{f', {gpu.memory_bytes / 2**30:.0f} GiB' if gpu.memory_bytes else ''}"
        for gpu in gpus
    )
    return "; ".join(f"{count} x {name}" for name, count in sorted(counted.items())) or None


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys([*old, *new])
    return {name: (old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)}


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)
