"""A run as the processes of a job above rank 0 hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracklib.records import RecordKind
from tracklib.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.run import Companion, RunIdentity
    from tracklib.settings import Settings

__all__ = ["RankRun"]

_OWN: Final = frozenset(
    {RecordKind.START, RecordKind.END, RecordKind.DROPPED, RecordKind.HEARTBEAT, RecordKind.MESSAGE}
)
"""What such a process says of itself. Everything else rank 0 says for all."""


class RankRun(Run):
    """Shows that its process takes part, and how it ends; what it logs is left to rank 0.

    With the setting `all_ranks` its metrics are kept too, each under the process's own context: `rank1/train/loss`.
    The first process on each machine also records the use of that machine.
    """

    def __init__(
        self, identity: RunIdentity, settings: Settings, capture: Callable[[Run], Companion] | None = None
    ) -> None:
        """Join the run; see `Run`."""
        super().__init__(identity, settings, capture)
        keep = self._journal.log
        own = f"rank{identity.rank}"

        def log(values: Any, step: Any = None, context: str | None = None) -> None:
            keep(values, step, own if context is None else f"{own}/{context}")

        self.__dict__["log"] = log if settings.all_ranks else _leave_to_rank_0

    def settle(self, error: BaseException | None = None) -> None:
        """Leave it to rank 0 to say how the run stands."""

    def proceed(self) -> None:
        """Leave that to rank 0, too."""

    def _record(self, kind: str, data: dict[str, Any], *, last: bool = True) -> bool:
        if kind == RecordKind.END and data["error"]:
            # The end of the run is told by rank 0, which may have been terminated for what went wrong here.
            text = f"rank {self._identity.rank} failed:\n{data['error']['traceback']}"
            super()._record(RecordKind.MESSAGE, {"level": "error", "text": text})
        if kind in _OWN:
            return super()._record(kind, data, last=last)
        return True

    def _stage(self, *_: Any, **__: Any) -> None:
        """Copy nothing: the processes of a job write the same files."""

    def _leave(self, *_: Any, **__: Any) -> None:
        """Look at nothing, likewise."""

    def _note_reference(self, path: Any, name: Any, label: Any) -> None:
        """Note nothing, for the same reason."""


def _leave_to_rank_0(values: Any, step: Any = None, context: str | None = None) -> None:
    """Keep no metrics."""
