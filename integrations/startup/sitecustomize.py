"""Python imports this before the program, since `tracklib run` has put this folder on the path.

It steps aside at once: the path is as it would have been, and the user's own `sitecustomize` is the one that is there.
Children find this folder in `PYTHONPATH` as well.
"""

import sys
from pathlib import Path

_FOLDER = str(Path(__file__).resolve().parent)

sys.path[:] = [entry for entry in sys.path if not entry or str(Path(entry).resolve()) != _FOLDER]
_ours = sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401 - the user's own, if there is one
except ModuleNotFoundError as error:
    if error.name != "sitecustomize":
        raise
    if _ours is not None:
        sys.modules["sitecustomize"] = _ours

try:
    from tracklib.integrations.startup import begin
except ImportError as error:
    print(f"tracklib: this program is not recorded: {error} (with {sys.executable})", file=sys.stderr)
else:
    begin()
