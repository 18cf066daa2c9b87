"""What can go wrong, as a tree.

    TracklibError
    ├── ConfigError (ValueError)            a setting, argument or store URI that cannot be meant
    │   ├── FilterError (ValueError)        a filter or order of runs that cannot be understood
    │   └── NotTrusted (ValueError)         what would run code that a file names, and was not asked for by name
    ├── NotFound (LookupError)              no such project, experiment, run, series or artifact
    │   └── AmbiguousName (LookupError)     a prefix or name that fits more than one run
    ├── NoActiveRun (RuntimeError)          a module-level call without a run
    ├── RunFinished (RuntimeError)          a call on a run that has ended
    ├── StillRunning (RuntimeError)         what must not be done to a run that is being written
    ├── NotANumber (TypeError)              strict mode: a metric value that is no number
    ├── DataLost (RuntimeError)             strict mode: something could not be recorded
    ├── MissingDependency (ImportError)     an optional package is needed
    └── StoreError (OSError)                a store that cannot be used
        ├── StoreUnavailable                away, locked or full: the same call may work later
        ├── StoreVersion                    written by a newer tracklib
        └── CorruptData                     the bytes are damaged

Each is also the built-in exception that a caller would catch anyway.
"""

__all__ = [
    "AmbiguousName",
    "ConfigError",
    "CorruptData",
    "DataLost",
    "FilterError",
    "MissingDependency",
    "NoActiveRun",
    "NotANumber",
    "NotFound",
    "NotTrusted",
    "RunFinished",
    "StillRunning",
    "StoreError",
    "StoreUnavailable",
    "StoreVersion",
    "TracklibError",
]


class TracklibError(Exception):
    """The base of every error that tracklib raises."""


class ConfigError(TracklibError, ValueError):
    """A setting, argument or store URI cannot be meant as it stands."""


class FilterError(ConfigError):
    """A filter or an order of runs cannot be understood; the message points at the place in the text.

    Attributes:
        text: The filter.
        position: The place in it, in characters from 0.
    """

    def __init__(self, message: str, *, text: str = "", position: int = 0) -> None:
        super().__init__(message)
        self.text = text
        self.position = position


class NotTrusted(ConfigError):
    """Loading a file would run code that the file names; the message says how to allow that."""


class NotFound(TracklibError, LookupError):
    """A store holds nothing of that name."""


class AmbiguousName(NotFound):
    """A name or id prefix fits more than one thing; the message lists them."""


class NoActiveRun(TracklibError, RuntimeError):
    """A module-level function was called while no run is active."""


class RunFinished(TracklibError, RuntimeError):
    """A run was written to after it had ended."""


class StillRunning(TracklibError, RuntimeError):
    """A run was to be deleted while a process writes to it."""


class NotANumber(TracklibError, TypeError):
    """Strict mode only: a metric value is not a number."""


class DataLost(TracklibError, RuntimeError):
    """Strict mode only: a record could not be kept."""


class MissingDependency(TracklibError, ImportError):
    """An optional package is missing; the message says what to install."""


class StoreError(TracklibError, OSError):
    """A store cannot be used."""


class StoreUnavailable(StoreError):
    """A store is away, locked or full; the same call may work later."""


class StoreVersion(StoreError):
    """A store was written by a newer tracklib than this one."""


class CorruptData(StoreError):
    """Stored bytes are damaged; the message names what and where."""
