"""One frozen `Settings`, put together in one place: arguments, then `TRACKLIB_*`, then the project file, then defaults.

The project file is `tracklib.toml`, or the table `[tool.tracklib]` of a `pyproject.toml`, in the working
directory or the nearest folder above it that has one. Relative paths in it begin where it lies.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Prices", "Settings", "cache_directory", "defaults", "load_settings", "state_directory"]

defaults: dict[str, Any] = {}
"""What `init` set for this process."""

_LARGEST = 1e9
"""Waits of more seconds are more than a clock can be told."""
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_CHOICES = {
    "mode": ("online", "offline", "disabled"),
    "log_models": ("all", "end", "reference", "off"),
    "on_error": ("raise", "spool"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What resources cost, in one currency of the user's choice. All zero: no cost is computed.

    Attributes:
        gpu_hour: One GPU for an hour.
        cpu_hour: One CPU busy for an hour.
        memory_gb_hour: One gigabyte (10⁹ bytes) of memory for an hour.
        storage_gb: One gigabyte stored.
        energy_kwh: One kilowatt-hour.
    """

    gpu_hour: float = 0.0
    cpu_hour: float = 0.0
    memory_gb_hour: float = 0.0
    storage_gb: float = 0.0
    energy_kwh: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Each field `name` is also the environment variable `TRACKLIB_NAME`.

    Attributes:
        store: URI of the store; None: `.tracklib/tracklib.db` here or in the nearest folder above that has it.
        store_options: What the file system of an object store is opened with, as fsspec takes it: key, secret, token,
            endpoint_url, client_kwargs … In the environment: a JSON object. It is never stored or shown.
        project: Name of the project; None: that of the repository or folder.
        experiment: Name of the experiment.
        run_id: Id of a run to continue.
        run_name: Name of the next run; None: made from the script's name and the time.
        tags: Tags of each run. In the environment: `a=1,b=2`, or a JSON object.
        mode: online; offline (keep everything in the journal until `tracklib sync`); disabled (record nothing).
        autolog: Record frameworks and save calls in this process unasked.
        autolog_exclude: What autolog leaves alone, with commas between: arguments, lightning, transformers, accelerate,
            saves, tensorboard, wandb, mlflow.
        log_models: What becomes of models and checkpoints that programs and frameworks save: end notes path, size and
            SHA-256 of each, and copies the last and the best one into the store when the training ends; all copies each
            of them; reference only notes them; off does not even do that.
        keep_checkpoints: Where log_models is all: how many of the newest checkpoints of a run stay in the store, beside
            the best one; None: all of them.
        flush_interval: Seconds between shipments to the store; None: 1, or 10 for an object store, where each shipment
            is some requests that are paid for.
        system_interval: Seconds between samples of system metrics; 0 turns them off.
        spool: Folder of the journals; None: beside a local store, else among the user's state files.
        cache: Folder of the catalogs that readers of object stores keep; None: among the user's cache files.
        finish_timeout: Seconds that `finish` waits for the store before it leaves the rest to `tracklib sync`.
        strict: Raise where tracklib would otherwise warn and count.
        on_error: What `start_run` does when the store cannot be used: raise, or spool and go on.
        all_ranks: Record what the processes of a job above rank 0 log as well, each under `rank1/…` and so on.
        auto_log_git: Record the code's version.
        auto_log_env: Record Python, packages and hardware.
        auto_log_console: Record what the program prints.
        diff_limit: Most bytes of `git diff` kept, and as many of untracked files.
        prices: What resources cost. In the environment: a JSON object.
    """

    store: str | None = None
    store_options: dict[str, Any] = field(default_factory=dict, repr=False)
    project: str | None = None
    experiment: str = "default"
    run_id: str | None = None
    run_name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    mode: str = "online"
    autolog: bool = False
    autolog_exclude: str | None = None
    log_models: str = "end"
    keep_checkpoints: int | None = None
    flush_interval: float | None = None
    system_interval: float = 10.0
    spool: str | None = None
    cache: str | None = None
    finish_timeout: float = 60.0
    strict: bool = False
    on_error: str = "raise"
    all_ranks: bool = False
    auto_log_git: bool = True
    auto_log_env: bool = True
    auto_log_console: bool = True
    diff_limit: int = 1_000_000
    prices: Prices = field(default_factory=Prices)

    def updated(self, origin: str, **changes: Any) -> Settings:
        """Return a copy with `changes` checked and applied; those that are None are left as they are.

        Args:
            origin: Where the changes come from, for the error message.

        Raises:
            ConfigError: A name is unknown or a value cannot be meant.

        Example:
            >>> Settings().updated("an argument", flush_interval=0.5).flush_interval
            0.5
        """
        known = {f.name for f in fields(Settings)}
        checked: dict[str, Any] = {}
        for name, value in changes.items():
            if name not in known:
                raise ConfigError(f"{name!r}, from {origin}, is no setting; {_hint(name, known)}")
            if value is not None:
                checked[name] = _checked(name, value, origin)
        return replace(self, **checked)


def load_settings(
    environ: Mapping[str, str] | None = None, directory: Path | None = None, **arguments: Any
) -> Settings:
    """Put the settings together: `arguments` win over the environment, that over the project file.

    Args:
        environ: The environment variables; the process's by default.
        directory: Where the search for the project file begins; the working directory by default.
        arguments: Settings by name; None means not given.

    Raises:
        ConfigError: A value cannot be meant; the message says where it stands and what would do.

    Example:
        >>> load_settings({"TRACKLIB_FLUSH_INTERVAL": "2"}, strict=True).flush_interval
        2.0
    """
    environ = os.environ if environ is None else environ
    settings = Settings()
    path, table = _project_file(directory or Path.cwd())
    if table:
        settings = settings.updated(str(path), **table)
    for f in fields(Settings):
        variable = f"TRACKLIB_{f.name.upper()}"
        if environ.get(variable, "") != "":
            settings = settings.updated(variable, **{f.name: environ[variable]})
    return settings.updated("an argument", **arguments)


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder for what a user's processes keep between runs: spools of remote stores."""
    environ = os.environ if environ is None else environ
    if environ.get("TRACKLIB_SPOOL"):
        return Path(environ["TRACKLIB_SPOOL"]).absolute()
    from platformdirs import user_state_path

    return user_state_path("tracklib", appauthor=False)


def cache_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder for what can be made again at any time: catalogs of object stores."""
    cache = load_settings(environ, **defaults).cache
    if cache:
        return Path(cache).absolute()
    from platformdirs import user_cache_path

    return user_cache_path("tracklib", appauthor=False)


def _hint(name: str, known: set[str]) -> str:
    import difflib

    near = difflib.get_close_matches(str(name), known, 1)
    return f"did you mean {near[0]!r}?" if near else f"the settings are {', '.join(sorted(known))}"


def _project_file(directory: Path) -> tuple[Path | None, dict[str, Any]]:
    for folder in (directory, *directory.parents):
        own, shared = folder / "tracklib.toml", folder / "pyproject.toml"
        if own.is_file():
            return own, _anchored(_read_toml(own), folder)
        if shared.is_file():
            table = _tool_table(_read_toml(shared), shared)
            if table:
                return shared, _anchored(table, folder)
    return None, {}


def _tool_table(document: dict[str, Any], path: Path) -> dict[str, Any]:
    tools = document.get("tool")
    table = tools.get("tracklib", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise ConfigError(f"tool.tracklib in {path} is {table!r:.200}, but takes a table: [tool.tracklib]")
    return table


def _anchored(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Let relative paths in a project file mean what they say from where it lies, wherever the program is started."""
    anchored = dict(table)
    for name in ("store", "spool", "cache"):
        value = table.get(name)
        if isinstance(value, str) and value:
            prefix = next((each for each in ("sqlite:///", "file://") if value.startswith(each)), "")
            if prefix or "://" not in value:
                anchored[name] = f"{prefix}{folder / value.removeprefix(prefix)}"
    return anchored


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        if path.name == "pyproject.toml":  # Another tool's business: whoever owns the file will say so.
            return {}
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error


def _checked(name: str, value: Any, origin: str) -> Any:
    kind = _KINDS[name]
    try:
        result = _PARSERS[kind](value)
    except (TypeError, ValueError) as error:
        if name == "store_options":  # There are secrets in it.
            raise ConfigError(f"store_options (from {origin}) takes {_WORDS[kind]}; it is not shown here") from None
        raise ConfigError(f"{name} is {value!r} (from {origin}), but takes {_WORDS[kind]}") from error
    choices = _CHOICES.get(name)
    if choices and result not in choices:
        raise ConfigError(f"{name} is {value!r} (from {origin}), but takes one of {', '.join(choices)}")
    return result


def _text(value: Any) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise TypeError
    return text


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError
    return word in _TRUE


def _seconds(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    if not 0 <= number <= _LARGEST:
        raise ValueError
    return number


def _count(value: Any) -> int:
    if isinstance(value, (bool, float)):
        raise TypeError
    number = int(value)
    if number < 0:
        raise ValueError
    return number


def _number(value: Any) -> int:
    number = _count(value)
    if number < 1:
        raise ValueError
    return number


def _tags(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            value = json.loads(text)
        else:
            parts = (part.partition("=") for part in text.split(",") if part.strip())
            value = {name.strip(): content.strip() for name, _, content in parts}
    if not isinstance(value, dict) or "" in value:
        raise TypeError
    return {str(key): str(item) for key, item in value.items()}


def _options(value: Any) -> dict[str, Any]:
    table = json.loads(value) if isinstance(value, str) else value
    if not isinstance(table, dict) or not all(isinstance(name, str) for name in table):
        raise TypeError
    return dict(table)


def _prices(value: Any) -> Prices:
    if isinstance(value, Prices):
        return value
    table = json.loads(value) if isinstance(value, str) else value
    if not isinstance(table, dict):
        raise TypeError
    return Prices(**{str(key): _seconds(item) for key, item in table.items()})


_PARSERS: dict[str, Any] = {
    "str": _text,
    "bool": _flag,
    "float": _seconds,
    "int": _count,
    "number": _number,
    "dict": _tags,
    "options": _options,
    "Prices": _prices,
}
_WORDS = {
    "str": "text that is not empty",
    "bool": "true or false (1, 0, yes, no, on, off)",
    "float": f"a number from 0 to {_LARGEST:.0f}",
    "int": "a whole number that is not negative",
    "number": "a whole number from 1 on",
    "dict": "names and values: a=1,b=2 or a JSON object",
    "options": "a JSON object of options of an fsspec file system",
    "Prices": f"a table of prices: {', '.join(f.name for f in fields(Prices))}",
}
_KINDS = {f.name: re.split(r"\W", str(f.type))[0] for f in fields(Settings)} | {
    "store_options": "options",
    "keep_checkpoints": "number",
}
