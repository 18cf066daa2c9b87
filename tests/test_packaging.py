"""The distribution: what is in it, how it installs, and that `tracklib.integrations` is found however it does."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SHIPPED = ("pyproject.toml", "setup.py", "README.md", "tracklib", "integrations")
LINK = Path("tracklib", "integrations")
STARTUP = "tracklib_autolog.pth"

IMPORT = """
import sys
import tracklib.integrations
assert "integrations" not in sys.modules, "a second copy was loaded"
print(tracklib.__file__, tracklib.integrations.__file__)
"""
RECORD = """
import tracklib
with tracklib.start_run(project="digits", name="installed") as run:
    run.log({"train/loss": 0.3}, step=1)
stored = tracklib.get_run("installed")
print(stored.status, stored.metrics["train/loss"].last, stored.series("train/loss").steps)
"""


PROGRAM = "import sys; print('tracklib' in sys.modules)"


@dataclass(frozen=True, slots=True)
class Environment:
    """A fresh virtual environment."""

    folder: Path

    def run(self, *words: str | Path, cwd: Path) -> str:
        """Run a program of the environment and return what it printed; it must succeed."""
        command = [str(self.folder / "bin" / words[0]), *map(str, words[1:])]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=280)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def records_unasked(self, cwd: Path) -> bool:
        """Tell whether a program is recorded where a variable asks for it, and is left alone where none does."""
        program = cwd / "program.py"
        program.write_text(PROGRAM, encoding="utf-8")
        alone = self.run("python", program, cwd=cwd)
        words = ["TRACKLIB_AUTOLOG=1", "TRACKLIB_SYSTEM_INTERVAL=0", self.folder / "bin" / "python", program]
        watched = subprocess.run(["env", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=True)
        name = self.python("import tracklib; print(tracklib.get_run('latest').name)", cwd)
        return (alone, watched.stdout, name[:8]) == ("False\n", "True\n", "program-")

    def python(self, code: str, cwd: Path) -> str:
        """Run Python code and return what it printed."""
        return self.run("python", "-c", code, cwd=cwd)


def new_environment(folder: Path, *, borrow: bool) -> Environment:
    """Make an environment; it may borrow the packages of this one, but for tracklib, which is no folder there."""
    venv.create(folder, with_pip=True)
    environment = Environment(folder)
    if borrow:
        site = environment.python("import sysconfig; print(sysconfig.get_path('purelib'))", folder).strip()
        lenders = [path for path in sys.path if path.endswith("site-packages")]
        Path(site, "borrowed.pth").write_text("\n".join(lenders), encoding="utf-8")
    return environment


def copied(checkout: Path, folder: Path, *, link_as_text: bool = False) -> Path:
    """Copy what a distribution is built from; the link may become a text file, as on a system without links."""
    folder.mkdir()
    for name in SHIPPED:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(checkout / name, folder)
    if link_as_text:
        (folder / LINK).unlink()
        (folder / LINK).write_text("../integrations", encoding="utf-8")
    return folder


def build(source: Path, kind: str) -> Path:
    """Build an sdist or a wheel, in an environment of its own, as `python -m build` does."""
    out = source.with_name(f"{source.name}-{kind}")
    command = [sys.executable, "-m", "build", f"--{kind}", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module", name="work")
def _work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module", name="checkout")
def _checkout(work: Path) -> Path:
    """Return a copy of the checkout, since building leaves things behind."""
    return copied(ROOT, work / "checkout")


@pytest.fixture(scope="module", name="wheel")
def _wheel(checkout: Path, work: Path) -> Path:
    """Return a wheel that was built from the checkout."""
    return build(copied(checkout, work / "for-wheel"), "wheel")


@pytest.fixture(scope="module", name="sdist")
def _sdist(checkout: Path, work: Path) -> Path:
    """Return a source distribution."""
    return build(copied(checkout, work / "for-sdist"), "sdist")


@pytest.fixture(scope="module", name="metadata")
def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def files_of_package(checkout: Path) -> set[str]:
    """Return what a wheel must hold of the package."""
    folders = {checkout / "tracklib": "tracklib", checkout / "integrations": "tracklib/integrations"}
    return {
        f"{target}/{path.relative_to(folder).as_posix()}"
        for folder, target in folders.items()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "integrations" not in path.relative_to(folder).parts
    }


def test_every_package_is_listed() -> None:
    """The explicit list of packages names each folder that has an `__init__.py`."""
    homes = {Path(name).parent for name in files_of_package(ROOT) if name.endswith("__init__.py")}
    names = {home.as_posix().replace("/", ".") for home in homes}

    assert names == set(PROJECT["tool"]["setuptools"]["packages"])


def test_link_leads_to_integrations() -> None:
    """Tools that read files find the package by the link; where a checkout has no links, by its text."""
    link = ROOT / LINK
    text = str(link.readlink()) if link.is_symlink() else link.read_text(encoding="utf-8").strip()

    assert text == "../integrations"


def test_only_one_copy_of_integrations() -> None:
    """Nothing in the tests loads the folder under its own name."""
    import tracklib.integrations

    assert tracklib.integrations.__name__ == "tracklib.integrations"
    assert "integrations" not in sys.modules


def test_every_core_dependency_is_imported() -> None:
    """The package uses each distribution that it asks for, and says in a comment where."""
    modules = {"gitpython": "git", "nvidia-ml-py": "pynvml", "sqlite-utils": "sqlite_utils"}
    wanted = [re.split(r"[<>=!~\[]", line)[0].strip() for line in PROJECT["project"]["dependencies"]]
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tracklib").rglob("*.py"))

    unused = [name for name in wanted if not re.search(rf"(?m)^\s*(import|from) {modules.get(name, name)}\b", source)]

    assert not unused


@pytest.mark.slow
def test_wheel_holds_the_package_and_nothing_else(wheel: Path, checkout: Path) -> None:
    """Modules, `py.typed` and data files are in; tests, docs and examples are not."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert names == {*files_of_package(checkout), STARTUP}
    assert "tracklib/py.typed" in names
    assert "tracklib/integrations/__init__.py" in names


@pytest.mark.slow
def test_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, work: Path) -> None:
    """A source distribution has all that a wheel is built from."""
    with tarfile.open(sdist) as archive:
        archive.extractall(work / "unpacked", filter="data")
    (source,) = (work / "unpacked").iterdir()

    again = build(source, "wheel")

    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


@pytest.mark.slow
def test_metadata(metadata: Message) -> None:
    """Name, licence, Python and extras are as `pyproject.toml` says."""
    assert metadata["Name"] == "tracklib-ml"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert set(metadata.get_all("Provides-Extra", [])) == set(PROJECT["project"]["optional-dependencies"])


@pytest.mark.slow
def test_version_is_said_once(metadata: Message) -> None:
    """The package and its metadata tell the same version."""
    import tracklib

    assert metadata["Version"] == tracklib.__version__


@pytest.mark.slow
def test_wheel_with_its_dependencies_records_and_shows(wheel: Path, work: Path) -> None:
    """With nothing but the core dependencies installed, a run is recorded, read back and shown."""
    environment = new_environment(work / "wheel-env", borrow=False)
    place = work / "wheel-place"
    place.mkdir()

    environment.run("pip", "install", "--quiet", wheel, cwd=place)

    assert "wheel-env" in environment.python(IMPORT, place)
    assert environment.python(RECORD, place).split() == ["completed", "0.3", "[1]"]
    assert "train/loss" in environment.run("tracklib", "show", "latest", cwd=place)
    assert PROJECT["project"]["version"] in environment.run("tracklib", "--version", cwd=place)
    assert environment.records_unasked(place)


@pytest.mark.slow
def test_sdist_installs(sdist: Path, work: Path) -> None:
    """`pip install` of a source distribution gives the whole package."""
    environment = new_environment(work / "sdist-env", borrow=True)

    environment.run("pip", "install", "--quiet", "--no-deps", sdist, cwd=work)

    assert "sdist-env" in environment.python(IMPORT, work)
    assert "Usage: tracklib" in environment.run("tracklib", "--help", cwd=work)


@pytest.mark.slow
@pytest.mark.parametrize("link_as_text", [False, True])
def test_editable_install(checkout: Path, work: Path, *, link_as_text: bool) -> None:
    """An editable install finds the integrations from anywhere, also where the link became a text file."""
    source = copied(checkout, work / f"source-{link_as_text}", link_as_text=link_as_text)
    environment = new_environment(work / f"editable-{link_as_text}", borrow=True)

    environment.run("pip", "install", "--quiet", "--no-deps", "--editable", source, cwd=work)

    for place in (work, source):
        assert f"source-{link_as_text}" in environment.python(IMPORT, place)
    assert environment.records_unasked(environment.folder)
    assert "Usage: tracklib" in environment.run("tracklib", "--help", cwd=work)


@pytest.mark.slow
def test_wheel_of_a_checkout_without_links(checkout: Path, work: Path, wheel: Path) -> None:
    """A checkout whose link became a text file builds the same wheel."""
    again = build(copied(checkout, work / "without-links", link_as_text=True), "wheel")

    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())
