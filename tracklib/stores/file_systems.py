"""File systems of fsspec as they are opened here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["S3", "file_system_class", "s3_session"]

S3: Final = frozenset({"s3", "s3a"})
"""What is opened with s3fs."""

_loaders: list[Any] = []
"""What has read the descriptions of S3: they are a megabyte of JSON, which sessions else read one by one."""


def s3_session(options: Mapping[str, Any]) -> Any:
    """Return the session that s3fs would make itself."""
    from aiobotocore.session import AioSession

    session = AioSession(**options)
    if not _loaders:
        _loaders.append(session.get_component("data_loader"))
    session.register_component("data_loader", _loaders[0])
    return session


def file_system_class(protocol: str) -> Any:
    """Return what fsspec opens a file system with.

    Raises:
        MissingDependency: Its package is not installed.
        ConfigError: There is none of this name.
    """
    try:
        import fsspec
    except ImportError:
        raise MissingDependency(f"{protocol}:// needs fsspec: pip install 'tracklib-ml[s3]'") from None
    try:
        return fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = "s3" if protocol in S3 else ""
        install = f"pip install 'tracklib-ml[{extra}]'" if extra else str(error)
        raise MissingDependency(f"{protocol}:// needs a package that is not installed: {install}") from None
    except ValueError as error:
        raise ConfigError(f"{protocol}:// is no file system that fsspec knows: {error}") from None
