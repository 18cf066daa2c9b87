"""A proxy in front of an HTTP server that fails as networks and servers do, and counts what it was asked."""

from __future__ import annotations

import contextlib
import io
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Self
from urllib.parse import urlsplit

from tests.servers.http_wire import Head, Request, answer_body, read_head, request_body
from tests.servers.s3_server import free_ports

ABORT = struct.pack("ii", 1, 0)  # Linger for no time at all: the close of a socket is a reset.

SLOW_DOWN_BODY = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
SLOW_DOWN_HEAD = b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(
    SLOW_DOWN_BODY
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Fault(Enum):
    """What may become of a request.

    After a reset or a lost answer aiohttp, and so s3fs, asks once more at once, whatever retries were set: for its
    callers to see one such fault, there have to be two.
    """

    SLOW_DOWN = "answered with 503, the server never hears of it"
    RESET = "reset once the half of it has come, the server never hears of it"
    LOST_ANSWER = "the server does it, the client is reset in place of the answer"
    CUT_ANSWER = "the server does it, the client is reset after the half of the answer's body"
    HANG = "never answered, the server never hears of it"


@dataclass(slots=True)
class _Plan:
    """A fault that waits for its requests; `left` is how many it still takes, None for any number."""

    fault: Fault
    method: str
    path: re.Pattern[str]
    left: int | None

    def takes(self, request: Request) -> bool:
        return self.left != 0 and self.method in {"", request.method} and bool(self.path.search(request.path))


class FaultyProxy:
    """A proxy on a free port, which passes everything on until it is told otherwise; threads may tell it at any time.

    Headers go on as they came, Host among them, which is part of what clients sign.

    Attributes:
        requests: What clients asked for, in the order in which it came, whether it then failed or not.

    Example::

        with FaultyProxy(server.endpoint_url) as proxy:
            store = fsspec.filesystem("s3", **server.options(endpoint_url=proxy.endpoint_url))
            proxy.fail(Fault.SLOW_DOWN, times=2, method="PUT", path=r"/runs/")
    """

    def __init__(self, target_url: str) -> None:
        """Prepare a proxy for the server at this URL."""
        address = urlsplit(target_url)
        self._target = (address.hostname or "", address.port or 80)
        self._port = free_ports(1)[0]
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._clients: set[socket.socket] = set()
        self._plans: list[_Plan] = []
        self._healed = threading.Event()
        self._bytes_per_second: float | None = None
        self._latency_s = 0.0
        self._busy_until = 0.0
        self.requests: list[Request] = []

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._healed.set()

    @property
    def endpoint_url(self) -> str:
        """Where clients find the proxy."""
        return f"http://127.0.0.1:{self._port}"

    def count(self) -> Counter[str]:
        """Return how many requests there were of each kind: "PutObject", "ListObjects" and so on."""
        return Counter(request.kind for request in list(self.requests))

    def fail(self, fault: Fault, *, times: int | None = None, method: str = "", path: str = "") -> None:
        """Let a fault befall the next requests: so many of them, or all of them until `heal`.

        Args:
            fault: What becomes of them.
            times: How many; None for no end.
            method: Only those with this method.
            path: Only those in whose path ("/bucket/key") this pattern is found.
        """
        with self._lock:
            self._plans.append(_Plan(fault, method, re.compile(path), times))

    def throttle(self, *, bytes_per_second: float | None = None, latency_s: float = 0.0) -> None:
        """Be a slow line: all connections share its rate, in both directions, and each request waits at first."""
        with self._lock:
            self._bytes_per_second, self._latency_s, self._busy_until = bytes_per_second, latency_s, 0.0

    def refuse(self) -> None:
        """Be unreachable: connections end, and new ones are refused."""
        with self._lock:
            listener, self._listener = self._listener, None
            clients = list(self._clients)
        if listener is not None:
            _end(listener)
            listener.close()
        for client in clients:
            _end(client)

    def heal(self) -> None:
        """Pass everything on again: faults that still waited are dropped, and what hung is reset."""
        with self._lock:
            self._plans.clear()
            healed, self._healed = self._healed, threading.Event()
        self.throttle()
        healed.set()
        if self._listener is None:
            self._listen()

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        with self._lock:
            self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="proxy-accept", daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # It was closed.
            while True:
                client, _ = listener.accept()
                with self._lock:
                    self._clients.add(client)
                    late = self._listener is not listener
                if late:
                    _end(client)
                threading.Thread(target=self._serve, args=(client,), name="proxy-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Answer the requests of a connection, one after the other."""
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, client.makefile("rb") as stream:
            with contextlib.suppress(OSError):  # One side or the other went away, which ends the connection.
                while (head := read_head(stream)) is not None and self._answer(client, stream, head):
                    pass
            with self._lock:
                self._clients.discard(client)

    def _answer(self, client: socket.socket, stream: io.BufferedIOBase, head: Head) -> bool:
        """Deal with a request; return whether the connection goes on."""
        request = Request.of(head)
        fault, healed, latency_s = self._receive(request)
        if latency_s:
            healed.wait(latency_s)
        match fault:
            case Fault.SLOW_DOWN:
                return self._slow_down(client, stream, head)
            case Fault.RESET:
                if head.expects_continue:
                    client.sendall(CONTINUE)
                self._drain(request_body(stream, head), until=(head.length or 0) // 2)
                return _reset(client)
            case Fault.HANG:
                healed.wait()
                return _reset(client)
            case _:
                return self._pass_on(client, stream, head, fault)

    def _receive(self, request: Request) -> tuple[Fault | None, threading.Event, float]:
        with self._lock:
            self.requests.append(request)
            plan = next((plan for plan in self._plans if plan.takes(request)), None)
            if plan is not None and plan.left is not None:
                plan.left -= 1
            return plan.fault if plan else None, self._healed, self._latency_s

    def _slow_down(self, client: socket.socket, stream: io.BufferedIOBase, head: Head) -> bool:
        if not head.expects_continue:  # Such a client sends no body after an error.
            self._drain(request_body(stream, head))
        client.sendall(SLOW_DOWN_HEAD + (b"" if head.words[0] == "HEAD" else SLOW_DOWN_BODY))
        return not head.expects_continue

    def _pass_on(self, client: socket.socket, stream: io.BufferedIOBase, head: Head, fault: Fault | None) -> bool:
        """Bring a request to the server and its answer back; the server is connected anew for each."""
        try:
            server = socket.create_connection(self._target)
        except OSError:
            return _reset(client)
        with server, server.makefile("rb") as answers:
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server.sendall(head.raw)
            answer = read_head(answers) if head.expects_continue else None
            if answer is not None and answer.status == 100:
                client.sendall(answer.raw)
                answer = None
            refused = answer is not None
            if answer is None:
                self._copy(request_body(stream, head), server)
                answer = read_head(answers)
            if answer is None or fault is Fault.LOST_ANSWER:
                return _reset(client)
            body = answer_body(answers, answer, method=head.words[0])
            if fault is Fault.CUT_ANSWER:
                client.sendall(answer.raw)
                self._copy(body, client, until=(answer.length or 0) // 2)
                return _reset(client)
            self._copy(chain([answer.raw], body), client)
        return not (answer.closes or head.closes or refused)

    def _copy(self, blocks: Iterable[bytes], target: socket.socket, *, until: int | None = None) -> None:
        """Send blocks on, at the rate of the line; at `until` bytes, where it is given, stop."""
        for block in self._paced(_first(blocks, until)):
            target.sendall(block)

    def _drain(self, blocks: Iterable[bytes], *, until: int | None = None) -> None:
        for _ in self._paced(_first(blocks, until)):
            pass

    def _paced(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what the blocks hold as the line has it through."""
        for block in blocks:
            with self._lock:
                rate = self._bytes_per_second
            # A tenth of a second at a time, so that a client sees it trickle.
            size = len(block) if rate is None else max(1, int(rate / 10))
            for start in range(0, len(block), size):
                piece = block[start : start + size]
                self._wait_for_line(len(piece))
                yield piece

    def _wait_for_line(self, size_bytes: int) -> None:
        with self._lock:
            if self._bytes_per_second is None:
                return
            self._busy_until = max(self._busy_until, time.monotonic()) + size_bytes / self._bytes_per_second
            wait_s, healed = self._busy_until - time.monotonic(), self._healed
        healed.wait(max(0.0, wait_s))


def _first(blocks: Iterable[bytes], count: int | None) -> Iterator[bytes]:
    """Yield the first so many bytes of the blocks."""
    for block in blocks:
        if count is None:
            yield block
        elif count:
            yield block[:count]
            count -= len(block[:count])
        else:
            return


def _reset(client: socket.socket) -> bool:
    """Have the connection reset when it is closed, which is to be now."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    return False


def _end(connection: socket.socket) -> None:
    """End a connection, or a listener, that another thread may be reading."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
