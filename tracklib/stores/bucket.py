"""Whole objects under one root of any fsspec file system: the few operations that the object store is made of."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import shutil
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from tracklib.errors import ConfigError, NotFound, StoreError, TracklibError
from tracklib.stores.exclusive import link_new, pipe_new
from tracklib.stores.file_systems import S3, file_system_class, s3_session
from tracklib.stores.looking import look_at, moment_of, touch
from tracklib.stores.retrying import retried, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

__all__ = ["Bucket", "Listed", "open_bucket"]

_ATOMIC: Final = frozenset(
    {"memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "r2", "tos"}
)
"""File systems on which an object appears whole or not at all. On others it is renamed into its place."""

_MARKS: Final = ("ETag", "etag", "md5Hash", "content_md5")
_TOGETHER: Final = 64
"""How many objects are fetched at once: more take memory and win no time."""
_BLOCK: Final = 8 << 20
"""How much of a large object is in memory at a time; when it is written, a few times as much."""
_MOST_PARTS: Final = 10_000
WRITE_SECONDS: Final = 60.0
SLOWEST_BYTES_PER_SECOND: Final = 10_000.0
"""A write may take so long, and as much longer as its bytes take on so slow a line."""
_S3_PATIENCE: Final = {"connect_timeout": 10, "read_timeout": 30, "retries": {"max_attempts": 0}}


class Listed(NamedTuple):
    """An object in a listing.

    Attributes:
        token: Changes whenever the object does.
        size: In bytes.
        changed_at: When it was written, by the clock of the file system; None where that does not tell.
    """

    token: str
    size: int
    changed_at: float | None = None


class Bucket:
    """A root folder on an fsspec file system. Names of objects are relative to it, with forward slashes.

    Every operation tries again what may pass by itself, and raises errors of ours. An instance may be used by several
    threads. In a forked child it opens its file system anew.
    """

    def __init__(self, uri: str, options: Mapping[str, Any]) -> None:
        """Note what is meant; nothing is opened yet.

        Raises:
            ConfigError: The URI names no root.
        """
        self.uri = uri.rstrip("/")
        self.protocol, _, path = uri.partition("://")
        if not path.strip("/"):
            raise ConfigError(f"the store {uri!r} names no place: write {self.protocol}://bucket/prefix")
        self._options = dict(options)
        self._lock = Lock()
        self._opened: tuple[int, Any, str] | None = None
        self._refuses = True

    def __repr__(self) -> str:
        return f"Bucket({self.uri!r})"

    # ---- the file system

    @property
    def fs(self) -> Any:
        """The file system, opened when it is first needed.

        Raises:
            MissingDependency: Its package is not installed.
            StoreError: It does not take the options, or cannot be opened.
        """
        return self._open()[1]

    def _open(self) -> tuple[int, Any, str]:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                fs = self._make()
                # Where there is no prefix, the bucket itself is the root.
                root = str(fs._strip_protocol(self.uri)).rstrip("/")  # noqa: SLF001 - fsspec offers no other way
                self._opened = os.getpid(), fs, root
            return self._opened

    def _make(self) -> Any:
        kind = file_system_class(self.protocol)
        options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False, **self._options}
        if getattr(kind, "async_impl", False):
            from tracklib.stores.io_loop import io_loop

            options.setdefault("loop", io_loop())
        if self.protocol in S3:
            options["config_kwargs"] = {**_S3_PATIENCE, **options.get("config_kwargs", {})}
        try:
            fs = kind(**options)
            if self.protocol in S3 and getattr(fs, "session", self) is None:
                fs.session = s3_session(fs.kwargs)
        except (TypeError, ValueError, KeyError) as error:
            names = ", ".join(sorted(self._options)) or "none"
            raise StoreError(
                f"the store {self.uri} cannot be opened with the options {names}: {error}; "
                "TRACKLIB_STORE_OPTIONS takes those of its fsspec file system as a JSON object"
            ) from None
        # What is worth another try is tried again by us, with a limit that we know.
        if hasattr(fs, "retries"):
            fs.retries = 1
        if self.protocol in S3:
            from tracklib.stores.io_loop import end_session

            fs.close_session = end_session
        return fs

    def close(self) -> None:
        """End the connections. Whoever goes on opens new ones."""
        with self._lock:
            opened, self._opened = self._opened, None
        session = getattr(opened[1], "_s3creator", None) if opened is not None else None
        if opened is not None and session is not None and opened[0] == os.getpid():
            ending = opened[1].close_session(opened[1].loop, session)
            if ending is not None:
                with contextlib.suppress(Exception):  # It was as good as ended.
                    ending.result(timeout=1.0)

    def path(self, key: str) -> str:
        """Return what the file system calls an object."""
        root = self._open()[2]
        return f"{root}/{key}" if key else root

    def name(self, key: str) -> str:
        """Return the whole URI of an object, for messages."""
        return f"{self.uri}/{key}"

    # ---- objects

    def get(self, key: str) -> bytes:
        """Return an object.

        Raises:
            NotFound: There is none of this name.
        """
        return bytes(self._call(key, lambda: self.fs.cat_file(self.path(key), **self._at_once)))

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes | TracklibError]:
        """Return objects by name, those that cannot be read with the reason. They are fetched side by side."""
        wanted = list(keys)
        if len(wanted) == 1 or not getattr(self.fs, "async_impl", False):
            return {key: self._get_or_error(key) for key in wanted}
        found: dict[str, bytes | TracklibError] = {}
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            paths = {self.path(key): key for key in part}
            answers = self._call("", partial(self.fs.cat, list(paths), on_error="return", **self._at_once))
            for path, key in paths.items():
                answer = answers.get(path)
                # What failed is tried again by itself, or told.
                found[key] = answer if isinstance(answer, bytes) else self._get_or_error(key)
        return found

    @cached_property
    def _at_once(self) -> dict[str, int]:
        """What makes the file system fetch an object in one request, where it else asks for its size before."""
        method = getattr(self.fs, "_cat_file", None)
        return {"max_concurrency": 1} if method and "max_concurrency" in inspect.signature(method).parameters else {}

    def _get_or_error(self, key: str) -> bytes | TracklibError:
        try:
            return self.get(key)
        except (NotFound, StoreError) as error:
            return error

    def put(self, key: str, data: bytes) -> str:
        """Write an object, whole and over what is there; return its token."""
        answer = self._call(key, lambda: self._write(self.path(key), data), writing=True)
        if isinstance(answer, dict) and answer.get("ETag"):
            return str(answer["ETag"])
        token = self.token(key)
        if token is None:
            raise StoreError(f"{self.name(key)} was written, but is not there: does something delete it?")
        return token

    def _write(self, path: str, data: bytes) -> Any:
        if self.protocol in _ATOMIC:
            return self.fs.pipe_file(path, data, **self._limit(len(data)))
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        part = f"{path}.{os.urandom(6).hex()}.part"
        try:
            self.fs.pipe_file(part, data)
            self.fs.mv(part, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self.fs.rm_file(part)
            raise
        return None

    def create(self, key: str, data: bytes) -> bool:
        """Write an object if there is none of this name; tell whether it was written.

        Of any number who do so at once, on any machines, it is one. If it seemed to fail and was tried again, what is
        there may be its own: compare. A file system that cannot write so looks first, and reads what it has written:
        there two who come in the same moment may both seem to be the first.
        """
        return bool(self._call(key, lambda: self._create(key, data), writing=True))

    def _create(self, key: str, data: bytes) -> bool:
        path = self.path(key)
        if self.protocol in _ATOMIC and self._refuses:
            created = pipe_new(self.fs, path, data, **self._limit(len(data)))
            if created is not None:
                return created
        if self.fs.exists(path):
            return False
        self._write(path, data)
        return bool(self.fs.cat_file(path) == data)

    def try_refusal(self, key: str) -> None:
        """See by an object that is there whether a server refuses to create it again.

        Some are like S3, but know no conditions and write over it: from then on `create` looks first.
        """
        if self.protocol in S3:
            self._refuses = True
            self._refuses = not self.create(key, self.get(key))

    def _limit(self, size: int) -> dict[str, float]:
        """Return what ends a write to a server that takes the connection and then says nothing, for which some wait."""
        if not getattr(self.fs, "async_impl", False):
            return {}
        return {"timeout": WRITE_SECONDS + size / SLOWEST_BYTES_PER_SECOND}

    def put_file(self, key: str, path: Path) -> None:
        """Write an object from a file, in parts and with little memory where the file system can."""
        target = self.path(key)
        if self.protocol not in _ATOMIC:
            self._call(key, lambda: self._write_file(target, path), writing=True)
        else:
            options: dict[str, Any] = self._limit(size := path.stat().st_size)
            if self.protocol in S3:
                options |= {"chunksize": max(_BLOCK, -(-size // _MOST_PARTS)), "max_concurrency": 4}
            self._call(key, lambda: self.fs.put_file(str(path), target, **options), writing=True)

    def _write_file(self, target: str, path: Path) -> None:
        self.fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        part = f"{target}.{os.urandom(6).hex()}.part"
        self.fs.put_file(str(path), part)
        self.fs.mv(part, target)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading in parts.

        Raises:
            NotFound: There is none of this name.
        """
        if self.protocol == "memory":  # There all readers of an object share one place in it.
            return io.BytesIO(self.get(key))
        file: BinaryIO = self._call(key, lambda: self.fs.open(self.path(key), "rb", block_size=_BLOCK))
        return file

    def look(self, keys: Sequence[str]) -> dict[str, Listed]:
        """Return what the file system tells of objects, those that are there. They are looked at side by side."""
        paths = [self.path(key) for key in keys]
        found = self._call(keys[0], lambda: look_at(self.fs, paths, is_s3=self.protocol in S3))
        return {key: _listed(details) for key, details in zip(keys, found, strict=True) if details is not None}

    def touch(self, sizes: Mapping[str, int]) -> bool:
        """Let objects be of now; tell whether the file system can do that without having their bytes again.

        Args:
            sizes: Their names, and how large they are.

        Raises:
            NotFound: One is not there any more.
        """
        by_path = {self.path(key): size for key, size in sizes.items()}
        return bool(self._call(next(iter(sizes)), lambda: touch(self.fs, by_path, is_s3=self.protocol in S3)))

    def token(self, key: str) -> str | None:
        """Return what changes whenever the object does; None where there is none of this name."""
        try:
            return _token(self._call(key, lambda: self.fs.info(self.path(key))))
        except NotFound:
            return None

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are none the worse for it."""
        paths = [self.path(key) for key in keys]
        for start in range(0, len(paths), 1000):
            part = paths[start : start + 1000]
            with contextlib.suppress(NotFound):
                self._call(keys[start], partial(self._remove, part), writing=True)

    def _remove(self, paths: list[str]) -> None:
        if getattr(self.fs, "async_impl", False):
            # Many at once are deleted in one request, which s3fs does not look at the answer of: whether one may
            # delete shows with the first.
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(paths[0])
            if len(paths) > 1:
                self.fs.rm(paths[1:])
            return
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(path)

    # ---- listings

    def list(self, folder: str, prefix: str = "") -> dict[str, Listed]:
        """List the objects in and below a folder by name, those whose names go on with `prefix`. None is no error."""
        try:
            found = self._call(folder, lambda: self._find(folder, prefix))
        except NotFound:
            return {}
        strip = len(self.path("")) + 1
        start = f"{folder}/{prefix}"
        named = ((path[strip:], details) for path, details in found.items())
        return {
            key: _listed(details)
            for key, details in named
            if key.startswith(start) and details.get("type") != "directory" and not key.endswith(".part")
        }

    def parts(self, folder: str) -> Iterator[dict[str, Listed]]:
        """List the objects in folders below a folder likewise, but not all at once.

        They are listed by the hexadecimal digit that their names begin with, or else folder by folder.
        """
        if self._lists_prefixes:
            for digit in "0123456789abcdef":
                yield self.list(folder, digit)
            return
        try:
            found = self._call(folder, lambda: self.fs.ls(self.path(folder), detail=True))
        except NotFound:
            return
        names = sorted(str(each["name"]).rstrip("/").rpartition("/")[2] for each in found)
        for name in names:
            yield self.list(f"{folder}/{name}")

    def _find(self, folder: str, prefix: str) -> dict[str, Any]:
        if self._lists_prefixes:
            # From the root on it is one request, where a folder that is not there would take three.
            return dict(self.fs.find(self.path(""), detail=True, prefix=f"{folder}/{prefix}"))
        return dict(self.fs.find(self.path(folder), detail=True))

    @cached_property
    def _lists_prefixes(self) -> bool:
        """Whether the file system can leave out names on its own side."""
        kind = type(self.fs)
        return "prefix" in inspect.signature(getattr(kind, "_find", kind.find)).parameters

    # ---- errors

    def _call(self, key: str, action: Callable[[], Any], *, writing: bool = False) -> Any:
        return retried(lambda: translated(action, self.name(key), writing=writing))


class LocalBucket(Bucket):
    """A folder of this machine, or of a network file system that it has mounted."""

    @property
    def folder(self) -> Path:
        """The root."""
        return Path(self.path(""))

    def _find(self, folder: str, prefix: str) -> dict[str, Any]:
        # fsspec asks the system about every file before any is left out: a thousand markers for the few that are new.
        found: dict[str, Any] = {}
        folders = [self.path(folder)]
        for path in folders:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(path) as entries:
                for entry in entries:
                    if path == folders[0] and not entry.name.startswith(prefix):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        with contextlib.suppress(FileNotFoundError):  # It was deleted meanwhile.
                            found[entry.path] = self.fs.info(entry)
        return found

    def _write(self, path: str, data: bytes) -> Any:
        with self._placed(path) as part:
            _fill(part, data)

    def _create(self, key: str, data: bytes) -> bool:
        target = Path(self.path(key))
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.urandom(6).hex()}.part")
        try:
            _fill(part, data)
            return link_new(part, target)
        finally:
            part.unlink(missing_ok=True)

    def _write_file(self, target: str, path: Path) -> None:
        with self._placed(target) as part, part.open("xb") as file, path.open("rb") as source:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())

    @contextlib.contextmanager
    def _placed(self, path: str) -> Iterator[Path]:
        """Give a name to write to, which becomes the object's name when all has been written."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.{os.urandom(6).hex()}.part")
        try:
            yield part
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _fill(part: Path, data: bytes) -> None:
    with part.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def open_bucket(uri: str, options: Mapping[str, Any]) -> Bucket:
    """Return the bucket that a URI means, without touching it yet.

    Raises:
        ConfigError: The URI cannot be meant.
    """
    scheme, _, path = uri.partition("://")
    if scheme in {"file", "local"}:
        # A relative path means what it means now, wherever the program or its children go later.
        return LocalBucket(f"file://{Path(path).absolute()}", options)
    return Bucket(uri, options)


def _token(details: Mapping[str, Any]) -> str:
    mark = next((details[name] for name in _MARKS if details.get(name)), None)
    if mark is not None:
        return str(mark)
    at = moment_of(details)
    return f"{details.get('size')}-{details.get('ino', '')}-{'' if at is None else at}"


def _listed(details: Mapping[str, Any]) -> Listed:
    return Listed(_token(details), int(details.get("size") or 0), moment_of(details))
