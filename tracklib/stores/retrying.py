"""Operations on file systems of others: their errors in our words, and another try for what may pass by itself."""

from __future__ import annotations

import errno
import logging
import random
import time
from typing import TYPE_CHECKING, Final, TypeVar

from tracklib.errors import MissingDependency, NotFound, StoreError, StoreUnavailable, TracklibError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["retried", "translated"]

T = TypeVar("T")

_random = random.Random()  # noqa: S311 - no secret; that of the module belongs to the program, which may have seeded it

PAUSES_SECONDS: Final = (0.1, 0.4, 1.2)
"""Before the second, third and fourth try; each is shortened at random, so that many processes do not come at once."""

PATIENCE_SECONDS: Final = 20.0
"""After so long there is no further try: who called has its own way of waiting."""

_WITHOUT_CREDENTIALS: Final = frozenset(
    {
        *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"),
        *("DefaultCredentialsError", "ClientAuthenticationError", "ConfigParseError", "NoAuthTokenError"),
        *("TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError"),
    }
)
"""Errors of cloud libraries, which need not be installed, that say that nobody has told who we are."""

_MISTAKEN: Final = frozenset(
    {"ParamValidationError", "InvalidRegionError", "TypeError", "ValueError", "KeyError", "AttributeError"}
)
_MISTAKEN_NUMBERS: Final = frozenset({errno.EINVAL, errno.ENOSYS, getattr(errno, "EREMCHG", errno.EINVAL)})
"""Errors that will be the same the next time: names that cannot be, options that nobody knows, another region."""

_log = logging.getLogger("tracklib")


def retried(action: Callable[[], T]) -> T:
    """Call `action`, again after a pause where the store was unavailable.

    Raises:
        StoreUnavailable: It was unavailable each time.
    """
    began = time.monotonic()
    for pause_s in PAUSES_SECONDS:
        try:
            return action()
        except StoreUnavailable:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise
        time.sleep(pause_s * _random.uniform(0.5, 1.0))
    return action()


def translated(action: Callable[[], T], name: str, *, writing: bool) -> T:
    """Call `action`, which does something with the object of this name, and raise errors of ours.

    The tracebacks of cloud libraries are a hundred lines long, so they are logged for those who ask, and not shown.

    Raises:
        NotFound: There is no such object.
        StoreError: It was refused, or cannot be meant: the next time will be the same.
        StoreUnavailable: Something that may pass by itself.
    """
    try:
        return action()
    except TracklibError:
        raise
    except FileNotFoundError as error:
        if not writing:
            raise NotFound(f"there is no {name}") from None
        raise StoreError(
            f"{name} cannot be written: its bucket does not exist ({_line(error)}); create the bucket"
        ) from None
    except ImportError as error:
        raise MissingDependency(f"{name} cannot be reached: {error}") from None
    except Exception as error:  # noqa: BLE001 - each file system raises errors of its own
        _log.debug("%s: %s", name, error, exc_info=error)
        raise _told(error, name, writing=writing) from None


def _told(error: Exception, name: str, *, writing: bool) -> StoreError:
    kind = type(error).__name__
    words = f"{kind}: {_line(error)}"
    if isinstance(error, PermissionError):
        return StoreError(
            f"{name} was refused: {_line(error) or kind}; check the key and what it may "
            f"{'write' if writing else 'read'}, "
            "and where it comes from (TRACKLIB_STORE_OPTIONS, the environment, a profile)"
        )
    if kind in _WITHOUT_CREDENTIALS:
        return StoreError(
            f"{name} cannot be reached: there are no credentials ({words}); give them as the cloud's own tools take "
            "them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE …) or in TRACKLIB_STORE_OPTIONS"
        )
    if kind in _MISTAKEN or (isinstance(error, OSError) and error.errno in _MISTAKEN_NUMBERS):
        return StoreError(
            f"{name} cannot be used: {words}; check the name of the store and its options (TRACKLIB_STORE_OPTIONS)"
        )
    return StoreUnavailable(f"{name} cannot be reached now: {words}; check its address (endpoint_url) and the network")


def _line(error: Exception) -> str:
    """Return what an error says as a single line that does not end a sentence."""
    return " ".join(str(error).split())[:300].rstrip(".")
