"""What `tracklib doctor` looks at of the installation and the machine, as plain data."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracklib.cli.checks import BROKEN, NOTE, Check
from tracklib.cli.formats import size

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DISTRIBUTION", "check_installation", "check_machine"]

DISTRIBUTION: Final = "tracklib-ml"
FEW_FILES: Final = 256

_NAME = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
# One gathers the others, and one is for those who develop tracklib itself.
_UNASKED = frozenset({"all", "dev"})


def check_installation() -> Iterator[Check]:
    """Look at Python, tracklib and the packages that it needs or can use."""
    import tracklib

    home = Path(tracklib.__file__).parent
    yield Check(
        section="Installed", name="tracklib", text=f"{tracklib.__version__} in {home}", value=tracklib.__version__
    )
    version = platform.python_version()
    text = f"{version} ({platform.python_implementation()}) in {sys.prefix}"
    yield Check(section="Installed", name="Python", text=text, value=version)
    needs = _requirements()
    if not needs:
        text = f"not known: there is no distribution {DISTRIBUTION} here, so this is a plain folder"
        fix = "pip install tracklib-ml"
        yield Check(section="Installed", name="packages", state=NOTE, text=text, fix=fix)
        return
    yield _check_needed(needs.pop("", []))
    for extra, names in needs.items():
        yield _check_extra(extra, names)


def _requirements() -> dict[str, list[str]]:
    """Return the names of required distributions by extra; those that are always needed under ""."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        return {}
    needs: dict[str, list[str]] = {"": []}
    for line in lines:
        name, extra = _NAME.match(line), _EXTRA.search(line)
        if name and not (extra and extra[1] in _UNASKED):
            needs.setdefault(extra[1] if extra else "", []).append(name[0])
    return needs


def _versions(names: list[str]) -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _check_needed(names: list[str]) -> Check:
    versions = _versions(names)
    missing = [name for name, version in versions.items() if version is None]
    if missing:
        text = f"missing: {', '.join(missing)}"
        return Check(section="Installed", name="packages", state=BROKEN, text=text, fix=f"pip install {DISTRIBUTION}")
    return Check(section="Installed", name="packages", text=_said(versions))


def _check_extra(extra: str, names: list[str]) -> Check:
    versions = _versions(names)
    missing = [name for name, version in versions.items() if version is None]
    there = _said({name: version for name, version in versions.items() if version})
    if not missing:
        return Check(section="Optional", name=extra, text=there, value=True)
    text = f"{there}; missing: {', '.join(missing)}" if there else f"missing: {', '.join(missing)}"
    fix = f"pip install '{DISTRIBUTION}[{extra}]'"
    return Check(section="Optional", name=extra, state=NOTE, text=text, value=False, fix=fix)


def _said(versions: dict[str, str | None]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def check_machine() -> Iterator[Check]:
    """Look at git, the GPUs and the limits of the system."""
    yield _check_git()
    yield from _check_gpus()
    yield from _check_limits()


def _check_git() -> Check:
    from tracklib.capture.git_commands import git_problem

    problem = git_problem()
    if problem:
        text = f"{problem}: the version of the code is not recorded"
        return Check(section="Machine", name="git", state=NOTE, text=text, value=False, fix="install git")
    from git import Git

    version = ".".join(map(str, Git().version_info))
    return Check(section="Machine", name="git", text=version, value=version)


def _check_gpus() -> Iterator[Check]:
    from tracklib.capture.gpu import visible_gpus

    found = visible_gpus()
    names = [gpu.name + (f", {size(gpu.memory_bytes)}" if gpu.memory_bytes else "") for gpu in found.gpus]
    versions = [
        f"{what} {version}"
        for what, version in (("driver", found.driver_version), ("CUDA", found.cuda_version))
        if version
    ]
    text = "\n".join([*names, *([", ".join(versions)] if versions else [])]) or "none that this process may use"
    yield Check(section="Machine", name="GPU", text=text, value=len(found.gpus))
    if found.problem:
        yield Check(section="Machine", name="GPU driver", state=NOTE, text=found.problem)


def _check_limits() -> Iterator[Check]:
    import resource

    from tracklib.capture.cgroups import cpu_limit, memory_limit

    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= files < FEW_FILES
    yield Check(
        section="Machine",
        name="open files",
        state=NOTE if few else "ok",
        text=f"{files:,} at once" if files >= 0 else "unlimited",
        value=files if files >= 0 else None,
        fix=f"ulimit -n {most if 0 < most < 4096 else 4096}" if few else "",
    )
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if largest >= 0:
        text = f"none may have more than {size(largest)}: journals and stores stop growing there"
        yield Check(
            section="Machine", name="file size", state=NOTE, text=text, value=largest, fix="ulimit -f unlimited"
        )
    memory, cpus = memory_limit(), cpu_limit()
    if memory is not None:
        text = f"{size(memory.limit_bytes)}, of which {size(memory.used_bytes)} are used (control group)"
        yield Check(section="Machine", name="memory limit", text=text, value=memory.limit_bytes)
    if cpus is not None:
        yield Check(
            section="Machine", name="CPU limit", text=f"{cpus:g} CPUs' worth of time (control group)", value=cpus
        )
