"""Which paths lead to what will not last.

A path below the folder for temporary files is not temporary for that alone: tests and containers keep their results
there. What counts is that Python itself is going to remove it.
"""

from __future__ import annotations

import os
import re
import tempfile
import weakref
from typing import Final

__all__ = ["is_temporary", "is_volatile"]

_VOLATILE: Final = ("/dev/", "/proc/", "/sys/")
_OWN_NAME: Final = re.compile(r"tmp[a-z0-9_]{8}")
"""How `tempfile` names what it makes where the program gives no name."""


def is_volatile(path: str) -> bool:
    """Tell whether an absolute path leads to memory or a device.

    Example:
        >>> is_volatile("/dev/shm/weights.pt"), is_volatile("/data/weights.pt")
        (True, False)
    """
    return path.startswith(_VOLATILE)


def is_temporary(path: str) -> bool:
    """Tell whether an absolute path is of a `NamedTemporaryFile`, or lies in a `TemporaryDirectory` of this process.

    A folder that the program works in is none, whoever made it: then everything is there.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     is_temporary(f"{folder}/weights.pt")
        True
    """
    if os.path.dirname(path) == os.path.abspath(tempfile.gettempdir()):  # noqa: PTH100, PTH120 - text is compared
        name = os.path.basename(path)  # noqa: PTH119 - as above
        if _OWN_NAME.match(name) and os.path.isfile(path):  # noqa: PTH113 - as above
            return True
    folders = [folder for folder in _folders() if _is_below(path, folder)]
    return bool(folders) and not any(_is_below(_here(), folder) for folder in folders)


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - text is compared
    except OSError:  # The working directory was removed.
        return ""


def _is_below(path: str, folder: str) -> bool:
    return bool(path) and os.path.join(path, "").startswith(os.path.join(folder, ""))  # noqa: PTH118 - with a slash at the end


def _folders() -> list[str]:
    """Return the folders that are going to be removed at the latest when the process ends."""
    # Only the finalizers know: a TemporaryDirectory stands in no other list.
    registry = getattr(weakref.finalize, "_registry", {})
    found = []
    for info in list(registry.values()):
        if getattr(getattr(info, "func", None), "__qualname__", "") == "TemporaryDirectory._cleanup":
            found += [os.path.abspath(folder) for folder in info.args[:1]]  # noqa: PTH100 - text is compared
    return found
