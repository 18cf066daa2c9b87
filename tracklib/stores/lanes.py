"""A few threads that bring pieces of files to a store side by side."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Condition, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

__all__ = ["Lanes"]


class Lanes:
    """So many threads of our own, which take what one other thread hands over.

    They are made when they are first needed and do not keep the interpreter from ending; they work while it does,
    which those of `concurrent.futures` refuse. A forked child has none of them, so it needs lanes of its own.

    Example:
        >>> done = []
        >>> with Lanes(2) as lanes:
        ...     for number in range(3):
        ...         lanes.hand_over(lambda number=number: done.append(number))
        ...     lanes.settle()
        >>> sorted(done)
        [0, 1, 2]
    """

    def __init__(self, count: int) -> None:
        """Note how many there are to be.

        Args:
            count: 1 or more. As many actions are being done, or wait for it, at the most.
        """
        self._count = count
        self._actions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._changed = Condition()
        self._busy = 0
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def failed(self) -> bool:
        """Whether an action has raised, so that others need not be begun."""
        return self._error is not None

    def hand_over(self, action: Callable[[], object]) -> None:
        """Have an action done in one of the threads; wait first until one is free. After an error nothing is done."""
        with self._changed:
            while self._busy >= self._count:
                self._changed.wait()
            if self.failed:
                return
            self._busy += 1
        if self._has_thread():
            self._actions.put(action)
        else:
            self._do(action)

    def settle(self) -> None:
        """Wait until all that was handed over is done.

        Raises:
            BaseException: What an action raised, the first one that did. It is forgotten then.
        """
        error = self._settled()
        if error is not None:
            raise error

    def abandon(self) -> None:
        """Wait likewise, but tell nobody of errors."""
        self._settled()

    def close(self) -> None:
        """End the threads, when all that was handed over is done. Whoever goes on gets new ones."""
        self._settled()
        for _ in self._threads:
            self._actions.put(None)
        self._threads.clear()

    def _settled(self) -> BaseException | None:
        with self._changed:
            while self._busy:
                self._changed.wait()
            error, self._error = self._error, None
        return error

    def _has_thread(self) -> bool:
        """Start one more thread if there are not enough; tell whether there is any."""
        if len(self._threads) < self._count:
            thread = Thread(target=self._work, name=f"tracklib-lane-{len(self._threads)}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # There can be no more, or the interpreter is about to end.
                return bool(self._threads)
            self._threads.append(thread)
        return True

    def _work(self) -> None:
        while (action := self._actions.get()) is not None:
            self._do(action)
            del action  # It has a piece, which is not to be kept while there is nothing to do.

    def _do(self, action: Callable[[], object]) -> None:
        error: BaseException | None = None
        try:
            action()
        except BaseException as raised:  # noqa: BLE001 - whoever settles is told
            error = raised
        with self._changed:
            self._busy -= 1
            self._error = self._error or error
            self._changed.notify_all()
