"""Installs one file beside the package: the line that makes `TRACKLIB_AUTOLOG=1 python train.py` work.

Everything else about the distribution stands in pyproject.toml, which has no word for such a file.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NAME = "tracklib_autolog.pth"


class BuildWithStartup(build_py):
    """Builds the package and puts the file at the top, from where it comes into site-packages."""

    def run(self) -> None:
        """Build as usual, then add the file: for an editable install to what is installed instead of the package."""
        super().run()
        install = self.distribution.get_command_obj("install")
        target = install.install_purelib if self.editable_mode else self.build_lib
        self.copy_file(str(Path("integrations", "startup", NAME)), str(Path(target, NAME)), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """List the file too."""
        more = [] if self.editable_mode else [str(Path(self.build_lib, NAME))]
        return [*super().get_outputs(include_bytecode), *more]


setup(cmdclass={"build_py": BuildWithStartup})
