"""As much of HTTP/1.1 as a proxy has to read: heads, and where bodies end. Everything is passed on byte for byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

BLOCK_BYTES = 65_536
NO_BODY = {204, 304}


class BrokenOffError(ConnectionError):
    """The other side ended the connection in the middle of a message."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a message and its headers.

    Attributes:
        raw: All of it as it came, with the empty line at the end.
        words: The first line, split at its first two spaces.
        headers: Values by name, in lower case.
    """

    raw: bytes
    words: tuple[str, str, str]
    headers: dict[str, str]

    @property
    def length(self) -> int | None:
        """How many bytes the body has, None where the message does not say."""
        value = self.headers.get("content-length")
        return None if value is None else int(value)

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks that say their own length."""
        return "chunked" in self.headers.get("transfer-encoding", "").lower()

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this message."""
        return self.headers.get("connection", "").lower() == "close"

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits to be told to send the body."""
        return self.headers.get("expect", "").lower() == "100-continue"

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.words[1])


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for.

    Attributes:
        method: In capitals.
        path: Without percent signs: "/bucket/key".
        query: As it was sent, without the question mark.
    """

    method: str
    path: str
    query: str

    @classmethod
    def of(cls, head: Head) -> Request:
        """Return what the head of a message asks for."""
        target = urlsplit(head.words[1])
        return cls(head.words[0], unquote(target.path), target.query)

    @property
    def kind(self) -> str:
        """The name of the S3 operation, for the common ones; else the method."""
        _, _, key = self.path.strip("/").partition("/")
        if "list-type=2" in self.query:
            return "ListObjects"
        if self.method == "POST":
            return "DeleteObjects" if self.query.startswith("delete") else "Multipart"
        if "uploadId=" in self.query:
            return "Multipart"
        verb = {"GET": "Get", "PUT": "Put", "HEAD": "Head", "DELETE": "Delete"}.get(self.method)
        return f"{verb}{'Object' if key else 'Bucket'}" if verb else self.method


def read_head(stream: io.BufferedIOBase) -> Head | None:
    """Return the next head; None where the connection was ended before it.

    Raises:
        BrokenOffError: It was ended within the head.
    """
    first = stream.readline()
    if not first:
        return None
    lines = [first]
    while lines[-1] not in {b"\r\n", b"\n"}:
        line = stream.readline()
        if not line:
            raise BrokenOffError("the connection ended within a head")
        lines.append(line)
    method, target, rest = first.decode("latin-1").strip().split(" ", maxsplit=2)
    fields = (line.decode("latin-1").partition(":") for line in lines[1:-1])
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    return Head(b"".join(lines), (method, target, rest), headers)


def request_body(stream: io.BufferedIOBase, head: Head) -> Iterator[bytes]:
    """Yield the bytes of a request's body, with the framing of its chunks."""
    if head.chunked:
        yield from _chunks(stream)
    else:
        yield from _exactly(stream, head.length or 0)


def answer_body(stream: io.BufferedIOBase, head: Head, *, method: str) -> Iterator[bytes]:
    """Yield the bytes of an answer's body, with the framing of its chunks; `method` is that of the request."""
    if method == "HEAD" or head.status in NO_BODY:
        return
    if head.chunked:
        yield from _chunks(stream)
    elif head.length is not None:
        yield from _exactly(stream, head.length)
    else:
        while block := stream.read1(BLOCK_BYTES):
            yield block


def _exactly(stream: io.BufferedIOBase, count: int) -> Iterator[bytes]:
    while count:
        block = stream.read1(min(count, BLOCK_BYTES))
        if not block:
            raise BrokenOffError(f"the connection ended {count} bytes too early")
        count -= len(block)
        yield block


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    size = -1
    while size:
        line = stream.readline()
        size = int(line.partition(b";")[0] or b"0", 16)
        yield line
        if size:
            yield from _exactly(stream, size + 2)  # The line end belongs to the chunk.
    while True:
        line = stream.readline()  # Trailers, of which a checksum may be one.
        yield line
        if line in {b"\r\n", b"\n", b""}:
            return
