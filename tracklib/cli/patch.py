"""The uncommitted changes of a run as a patch that `git apply` takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracklib.model import Source

__all__ = ["patch_of"]

_ODD = re.compile(r'[\x00-\x1f"\\\x7f]')


def patch_of(source: Source) -> str:
    r"""Return the diff of tracked files, then each untracked file as a new one.

    Example:
        >>> from tracklib.model import Source
        >>> print(patch_of(Source(untracked={"notes.txt": "one\n"})), end="")
        diff --git a/notes.txt b/notes.txt
        new file mode 100644
        --- /dev/null
        +++ b/notes.txt
        @@ -0,0 +1 @@
        +one
    """
    diff = source.diff if not source.diff or source.diff.endswith("\n") else f"{source.diff}\n"
    return diff + "".join(_new_file(path, text) for path, text in source.untracked.items())


def _new_file(path: str, text: str) -> str:
    head = f"diff --git {_quoted('a/' + path)} {_quoted('b/' + path)}\nnew file mode 100644\n"
    if not text:
        return head
    # Only a newline ends a line here; str.splitlines knows more ends.
    lines = text.removesuffix("\n").split("\n")
    count = "+1" if len(lines) == 1 else f"+1,{len(lines)}"
    body = "".join(f"+{line}\n" for line in lines)
    unended = "" if text.endswith("\n") else "\\ No newline at end of file\n"
    # As git does it: a name with blanks is ended by a tab.
    end = "\t" if " " in path else ""
    return f"{head}--- /dev/null\n+++ {_quoted('b/' + path)}{end}\n@@ -0,0 {count} @@\n{body}{unended}"


def _quoted(path: str) -> str:
    if not _ODD.search(path):
        return path
    escaped = _ODD.sub(lambda found: f"\\{ord(found[0]):03o}", path)
    return f'"{escaped}"'
