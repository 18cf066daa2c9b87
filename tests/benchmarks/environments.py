"""One virtual environment per tool, made from PyPI when it is first needed and then reused."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CHECKOUT", "ENVIRONMENTS", "Environment", "EnvironmentFailedError"]

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
VENVS = HERE / "venvs"

_SOURCES = ("tracklib", "integrations", "pyproject.toml", "setup.py", "README.md")
_SUFFIXES = frozenset({".py", ".pth", ".sql", ".toml"})


class EnvironmentFailedError(RuntimeError):
    """The packages of a tool could not be installed; the message is pip's last line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is installed for one tool.

    Attributes:
        name: Its folder under `venvs/`.
        packages: Requirements, as pip takes them.
        distribution: Whose version the report names; None where there is nothing but Python.
        checkout: Whether tracklib is installed too, from this checkout.
    """

    name: str
    packages: tuple[str, ...] = ()
    distribution: str | None = None
    checkout: bool = False

    @property
    def folder(self) -> Path:
        """Where the environment lives."""
        return VENVS / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its packages lie."""
        return self.folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"

    def ensure(self) -> None:
        """Make the environment, or bring it up to date, unless it holds just what it should.

        Raises:
            EnvironmentFailedError: pip says no.
        """
        marker, wanted = self.folder / "installed", self._contents()
        if marker.is_file() and marker.read_text(encoding="utf-8") == wanted:
            return
        print(f"installing the environment {self.name} …", file=sys.stderr, flush=True)
        if not self.python.exists():
            _run(sys.executable, "-m", "venv", str(self.folder))
        if self.packages:
            self._pip(*self.packages)
        if self.checkout:
            self._install_checkout()
        marker.write_text(wanted, encoding="utf-8")

    def version(self) -> str:
        """Return the version of the tool that is installed."""
        if self.distribution is None:
            return f"Python {sys.version.split()[0]}"
        question = f"from importlib.metadata import version; print(version({self.distribution!r}))"
        return _run(str(self.python), "-c", question).strip()

    def _contents(self) -> str:
        digest = hashlib.sha256()
        for path in _checkout_files() if self.checkout else ():
            digest.update(str(path.relative_to(CHECKOUT)).encode() + b"\0" + path.read_bytes())
        return "\n".join((*self.packages, sys.version, digest.hexdigest()))

    def _install_checkout(self) -> None:
        # A copy is built: setuptools leaves its build folder beside the sources, and takes stale files from it.
        with tempfile.TemporaryDirectory() as folder:
            for path in map(CHECKOUT.joinpath, _SOURCES):
                if path.is_dir():
                    shutil.copytree(path, Path(folder, path.name), symlinks=True)
                elif path.exists():
                    shutil.copy(path, folder)
            self._pip(folder)

    def _pip(self, *arguments: str) -> None:
        _run(str(self.python), "-m", "pip", "install", "--quiet", *arguments)


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment(name="tracklib", distribution="tracklib-ml", checkout=True),
        Environment(name="tracklib-s3", packages=("pyarrow", "s3fs"), distribution="tracklib-ml", checkout=True),
        Environment(
            name="tracklib-analysis",
            packages=("scipy", "scikit-learn", "pandas", "plotly", "pyarrow", "s3fs"),
            distribution="tracklib-ml",
            checkout=True,
        ),
        Environment(name="trackio", packages=("trackio",), distribution="trackio"),
        Environment(name="wandb", packages=("wandb",), distribution="wandb"),
        Environment(name="mlflow", packages=("mlflow",), distribution="mlflow"),
        Environment(name="aim", packages=("aim",), distribution="aim"),
        Environment(
            name="tensorboard", packages=("tensorboardX", "tensorboard", "tbparse"), distribution="tensorboardX"
        ),
        Environment(
            name="lightning", packages=("pytorch-lightning", "torch==2.13.0"), distribution="pytorch-lightning"
        ),
        # Not that of Lightning: with transformers beside it, torchmetrics imports that too, two seconds more.
        Environment(name="loops", packages=("torch==2.13.0", "transformers", "accelerate", "pytorch-lightning")),
        # Beside TensorBoard itself, Lightning and the Trainer would take the writer that comes with that.
        Environment(name="tensorboardX", packages=("tensorboardX",), distribution="tensorboardX"),
        # numpy for the limit that reads a series back.
        Environment(name="plain", packages=("numpy",)),
    )
}


def _checkout_files() -> list[Path]:
    """Return what an installation depends on, and nothing that running or editing leaves beside it."""
    found: list[Path] = []
    for path in map(CHECKOUT.joinpath, _SOURCES):
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in found if path.suffix in _SUFFIXES]


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise EnvironmentFailedError(f"{' '.join(command[:4])} … failed: {lines[-1]}")
    return done.stdout
