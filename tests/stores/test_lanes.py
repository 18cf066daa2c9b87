"""Lanes do several things at once, not more, and tell of what went wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from threading import Barrier, Event, Thread
from threading import enumerate as threads_alive

import pytest

from tracklib.stores.lanes import Lanes

PATIENCE_SECONDS = 60.0


def test_several_things_are_done_at_once() -> None:
    """As many as there are lanes: each waits here until the others have come."""
    barrier = Barrier(3)
    with Lanes(3) as lanes:
        for _ in range(6):
            lanes.hand_over(lambda: barrier.wait(PATIENCE_SECONDS))
        lanes.settle()


def test_no_more_are_taken_than_there_are_lanes() -> None:
    """Whoever hands over more waits: what waits is in memory."""
    begun: list[int] = []
    handed: list[int] = []
    go = Event()

    def action() -> None:
        begun.append(1)
        go.wait(PATIENCE_SECONDS)

    def hand_over() -> None:
        for number in range(3):
            lanes.hand_over(action)
            handed.append(number)

    with Lanes(2) as lanes:
        thread = Thread(target=hand_over)
        thread.start()
        while len(begun) < 2 or len(handed) < 2:
            time.sleep(0.001)
        thread.join(0.1)
        assert (len(begun), len(handed)) == (2, 2)
        go.set()
        thread.join()
        lanes.settle()
    assert len(begun) == 3


def test_the_first_error_is_told_once() -> None:
    """What is handed over behind it is not done, and lanes go on afterwards."""
    done: list[int] = []

    def fail() -> None:
        raise LookupError("first")

    with Lanes(1) as lanes:
        lanes.hand_over(fail)
        lanes.hand_over(lambda: done.append(1))
        assert lanes.failed
        with pytest.raises(LookupError, match="first"):
            lanes.settle()
        lanes.hand_over(lambda: done.append(2))
        lanes.settle()
        lanes.hand_over(fail)
        lanes.abandon()
        lanes.settle()
    assert done == [2]


def test_threads_end_with_their_lanes() -> None:
    """None is left behind, and who goes on gets new ones."""
    done: list[int] = []
    lanes = Lanes(2)
    for number in range(2):
        lanes.hand_over(partial(done.append, number))
        lanes.close()
        lanes.close()

    assert done == [0, 1]
    for thread in threads_alive():
        if thread.name.startswith("tracklib-lane"):
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()


def test_a_forked_child_has_lanes_of_its_own(in_child: Callable[..., str]) -> None:
    """Those of its parent are not there."""
    with Lanes(2) as parent:
        parent.hand_over(int)
        parent.settle()

        def work() -> str:
            done: list[int] = []
            with Lanes(2) as lanes:
                for number in range(5):
                    lanes.hand_over(partial(done.append, number))
                lanes.settle()
            return str(sorted(done))

        assert in_child(work) == "[0, 1, 2, 3, 4]"


def test_lanes_work_while_the_interpreter_ends() -> None:
    """The last files are brought to the store then; where no thread can be started, the caller does it."""
    script = (
        "import atexit, threading\n"
        "from tracklib.stores.lanes import Lanes\n"
        "def end():\n"
        "    with Lanes(2) as lanes:\n"
        "        for n in range(4): lanes.hand_over(lambda n=n: done.append(n))\n"
        "        lanes.settle()\n"
        "        class Dead(threading.Thread):\n"
        "            def start(self): raise RuntimeError\n"
        "        import tracklib.stores.lanes as module\n"
        "        module.Thread = Dead\n"
        "    with Lanes(2) as lanes:\n"
        "        for n in range(4, 6): lanes.hand_over(lambda n=n: done.append(n))\n"
        "        lanes.settle()\n"
        "    print(sorted(done))\n"
        "done = []\n"
        "atexit.register(end)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (ended.stdout, ended.stderr) == ("[0, 1, 2, 3, 4, 5]\n", "")
