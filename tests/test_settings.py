"""Settings: where they come from, which one wins, and what is no setting."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import ConfigError
from tracklib.records import id_of_number
from tracklib.settings import Prices, Settings, load_settings, state_directory
from tracklib.starting import resolve_spool, resolve_store

RUN_ID = id_of_number(1)

FROM_TEXT: list[tuple[str, str, Any]] = [
    ("store", "sqlite:///runs.db", "sqlite:///runs.db"),
    ("project", "digits", "digits"),
    ("experiment", "sweep", "sweep"),
    ("run_id", RUN_ID, RUN_ID),
    ("run_name", "lr-1e-3", "lr-1e-3"),
    ("tags", "a=1, b = two ,c=x=y", {"a": "1", "b": "two", "c": "x=y"}),
    ("tags", '{"a": 1, "b": "x,y"}', {"a": "1", "b": "x,y"}),
    ("mode", "offline", "offline"),
    ("mode", "disabled", "disabled"),
    ("autolog", "1", True),
    ("autolog_exclude", "saves,wandb", "saves,wandb"),
    ("all_ranks", "1", True),
    ("log_models", "all", "all"),
    ("log_models", "off", "off"),
    ("keep_checkpoints", "3", 3),
    ("flush_interval", "0.5", 0.5),
    ("system_interval", "0", 0.0),
    ("spool", "/var/spool/tracklib", "/var/spool/tracklib"),
    ("cache", "/var/cache/tracklib", "/var/cache/tracklib"),
    ("store_options", '{"anon": true}', {"anon": True}),
    ("finish_timeout", "1e3", 1000.0),
    ("strict", "yes", True),
    ("strict", "Off", False),
    ("on_error", "spool", "spool"),
    ("auto_log_git", "false", False),
    ("auto_log_env", "no", False),
    ("auto_log_console", "0", False),
    ("diff_limit", "1000", 1000),
    ("prices", '{"gpu_hour": 2.5, "energy_kwh": 0.3}', Prices(gpu_hour=2.5, energy_kwh=0.3)),
]


@pytest.mark.parametrize(("name", "text", "expected"), FROM_TEXT)
def test_each_setting_comes_from_the_environment(name: str, text: str, expected: Any) -> None:
    """Under its name in capitals, behind TRACKLIB_."""
    settings = load_settings({f"TRACKLIB_{name.upper()}": text})

    assert getattr(settings, name) == expected
    assert type(getattr(settings, name)) is type(expected)


def test_options_of_a_store_are_not_shown() -> None:
    """There are keys and passwords in them: neither an error nor the text of the settings says them."""
    settings = load_settings({"TRACKLIB_STORE_OPTIONS": '{"secret": "hush"}'})

    assert settings.store_options == {"secret": "hush"}
    assert "hush" not in repr(settings)
    with pytest.raises(ConfigError, match=r"store_options .from TRACKLIB_STORE_OPTIONS. takes a JSON") as caught:
        load_settings({"TRACKLIB_STORE_OPTIONS": '{"secret": "hush"'})
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_setting_is_forgotten_here() -> None:
    """Each is among those above, so that a new one is tested too."""
    assert {name for name, _, _ in FROM_TEXT} == {field.name for field in fields(Settings)}


def test_each_setting_is_described() -> None:
    """In the docstring of the class, by its name."""
    documentation = Settings.__doc__ or ""

    assert [field.name for field in fields(Settings) if f"        {field.name}: " not in documentation] == []


@pytest.mark.parametrize(("name", "text", "expected"), FROM_TEXT)
def test_each_setting_is_an_argument(name: str, text: str, expected: Any) -> None:
    """As text, as in the environment, or as what it is."""
    for value in (text, expected):
        arguments: dict[str, Any] = {name: value}
        assert getattr(load_settings({}, **arguments), name) == expected


def test_nothing_said_is_the_default() -> None:
    """An empty variable says nothing, and None is no argument."""
    empty = {f"TRACKLIB_{field.name.upper()}": "" for field in fields(Settings)}

    assert load_settings(empty, **dict.fromkeys((field.name for field in fields(Settings)), None)) == Settings()


def test_arguments_win_over_the_environment_and_that_over_the_project_file() -> None:
    """Each setting for itself."""
    Path("tracklib.toml").write_text('project = "file"\nexperiment = "file"\nrun_name = "file"\nflush_interval = 3\n')
    settings = load_settings(
        {"TRACKLIB_PROJECT": "environment", "TRACKLIB_EXPERIMENT": "environment"}, project="argument"
    )

    assert (settings.project, settings.experiment, settings.run_name) == ("argument", "environment", "file")
    assert settings.flush_interval == 3.0


def test_the_project_file_may_be_a_table_of_pyproject() -> None:
    """`[tool.tracklib]`, with tables of its own."""
    Path("pyproject.toml").write_text(
        '[tool.tracklib]\nproject = "digits"\nstrict = true\n'
        '[tool.tracklib.tags]\nteam = "vision"\n[tool.tracklib.prices]\ngpu_hour = 2\n'
    )

    settings = load_settings({})
    assert (settings.project, settings.strict, settings.tags) == ("digits", True, {"team": "vision"})
    assert settings.prices == Prices(gpu_hour=2.0)


def test_the_nearest_project_file_counts() -> None:
    """Above the working directory too; a file of ours goes before pyproject.toml, of which only our table counts."""
    Path("a/b/c").mkdir(parents=True)
    Path("tracklib.toml").write_text('project = "far"')
    Path("a/tracklib.toml").write_text('project = "near"')
    Path("a/pyproject.toml").write_text('[tool.tracklib]\nproject = "shared"')
    Path("a/b/pyproject.toml").write_text('[tool.ruff]\n[project]\nname = "x"')

    assert load_settings({}, Path("a/b/c").absolute()).project == "near"
    assert load_settings({}).project == "far"


def test_paths_in_a_project_file_begin_where_it_lies() -> None:
    """So that a program means the same store wherever it is started."""
    inner = Path("inner").absolute()
    inner.mkdir()
    Path("tracklib.toml").write_text('store = "sqlite:///runs.db"\nspool = "spool"')
    settings = load_settings({}, inner)
    store = resolve_store(settings)

    assert store.uri == f"sqlite:///{Path('runs.db').absolute()}"
    assert resolve_spool(settings, store) == Path("spool").absolute()
    Path("tracklib.toml").write_text('store = "sqlite:////abs/runs.db"')
    assert load_settings({}, inner).store == "sqlite:////abs/runs.db"
    Path("tracklib.toml").write_text('store = "s3://bucket/runs"')
    assert load_settings({}, inner).store == "s3://bucket/runs"


def test_a_damaged_project_file_of_ours_is_said() -> None:
    """With its path and what is wrong in it."""
    Path("tracklib.toml").write_text("project = digits")

    with pytest.raises(ConfigError, match=r"tracklib\.toml cannot be read as TOML: .*line 1"):
        load_settings({})


def test_a_damaged_file_of_others_is_their_business() -> None:
    """A pyproject.toml that cannot be read is passed over."""
    Path("pyproject.toml").write_text("[tool")

    assert load_settings({}) == Settings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[tool]\ntracklib = 5", r"tool\.tracklib in .*pyproject\.toml is 5, but takes a table"),
        ("[tool.tracklib]\nstrict = 'maybe'", r"strict is 'maybe' \(from .*pyproject\.toml\), but takes true or false"),
        ("[tool.tracklib]\nprojekt = 'x'", r"'projekt', from .*pyproject\.toml, is no setting; did you mean 'project'"),
    ],
)
def test_what_is_wrong_in_a_project_file_is_said(content: str, message: str) -> None:
    """With the file that it stands in."""
    Path("pyproject.toml").write_text(content)

    with pytest.raises(ConfigError, match=message):
        load_settings({})


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("strict", "maybe", "true or false"),
        ("strict", 2, "true or false"),
        ("flush_interval", "soon", "a number from 0 to"),
        ("flush_interval", -1, "a number from 0 to"),
        ("flush_interval", True, "a number from 0 to"),
        ("finish_timeout", float("inf"), "a number from 0 to"),
        ("finish_timeout", "nan", "a number from 0 to"),
        ("finish_timeout", 1e10, "a number from 0 to"),
        ("diff_limit", "1.5", "a whole number"),
        ("diff_limit", 1.0, "a whole number"),
        ("diff_limit", -1, "a whole number"),
        ("mode", "on", "one of online, offline, disabled"),
        ("log_models", "some", "one of all, end, reference, off"),
        ("keep_checkpoints", "0", "a whole number from 1 on"),
        ("keep_checkpoints", 0, "a whole number from 1 on"),
        ("keep_checkpoints", -1, "a whole number from 1 on"),
        ("keep_checkpoints", True, "a whole number from 1 on"),
        ("keep_checkpoints", "all", "a whole number from 1 on"),
        ("on_error", "ignore", "one of raise, spool"),
        ("project", 5, "text"),
        ("store", b"x", "text"),
        ("tags", "=x", "names and values"),
        ("tags", "{", "names and values"),
        ("tags", ["a"], "names and values"),
        ("tags", 5, "names and values"),
        ("prices", "5", "a table of prices: gpu_hour"),
        ("prices", 5, "a table of prices"),
        ("prices", "{", "a table of prices"),
        ("prices", {"gpu": 1}, "a table of prices"),
        ("prices", {"gpu_hour": -1}, "a table of prices"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(name: str, value: Any, takes: str) -> None:
    """With the setting, the value, where it stands and what would do."""
    with pytest.raises(ConfigError, match=rf"{name} is .* \(from an argument\), but takes {takes}"):
        load_settings({}, **{name: value})
    if isinstance(value, str):
        with pytest.raises(ConfigError, match=rf"{name} is .* \(from TRACKLIB_{name.upper()}\), but takes {takes}"):
            load_settings({f"TRACKLIB_{name.upper()}": value})


def test_a_setting_that_there_is_not_is_refused() -> None:
    """A near one is suggested, else all are listed."""
    with pytest.raises(ConfigError, match="'flush_intervall', from an argument, is no setting; did you mean 'flush_in"):
        load_settings({}, flush_intervall=1)
    with pytest.raises(ConfigError, match="is no setting; the settings are all_ranks, auto_log_console, "):
        load_settings({}, xyz=1)


@pytest.mark.usefixtures("bare")
def test_the_environment_describes_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store, place, name and tags."""
    for name, value in {
        "STORE": "runs.db",
        "PROJECT": "digits",
        "EXPERIMENT": "sweep",
        "RUN_NAME": "first",
        "TAGS": "a=1,b=2",
    }.items():
        monkeypatch.setenv(f"TRACKLIB_{name}", value)

    with tracklib.start_run(tags={"b": 3}) as run:
        pass
    stored = tracklib.get_run(run)
    assert (run.project, run.experiment, run.name) == ("digits", "sweep", "first")
    assert stored.tags == {"a": "1", "b": "3"}
    assert run.store == f"sqlite:///{Path('runs.db').absolute()}"


@pytest.mark.usefixtures("bare")
def test_init_wins_over_the_environment_and_arguments_over_init(monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearer word counts."""
    monkeypatch.setenv("TRACKLIB_PROJECT", "environment")
    monkeypatch.setenv("TRACKLIB_EXPERIMENT", "environment")
    tracklib.init(project="init", run_name="init")

    with tracklib.start_run(name="argument") as run:
        pass
    assert (run.project, run.experiment, run.name) == ("init", "environment", "argument")


@pytest.mark.usefixtures("bare")
def test_the_default_store_is_beside_the_work() -> None:
    """In the working directory, or the nearest folder above that has one."""
    assert resolve_store(Settings()).uri == f"sqlite:///{Path('.tracklib/tracklib.db').absolute()}"


@pytest.mark.usefixtures("bare")
def test_the_default_store_is_found_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is started in a folder of the project writes to the project's store."""
    with tracklib.start_run() as run:
        pass
    Path("src/deep").mkdir(parents=True)
    monkeypatch.chdir("src/deep")

    assert resolve_store(Settings()).uri == run.store


@pytest.mark.usefixtures("bare")
def test_a_spool_of_ones_own_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is there while the run goes on."""
    monkeypatch.setenv("TRACKLIB_SPOOL", "elsewhere")
    with tracklib.start_run() as run:
        assert list(Path("elsewhere", run.id).glob("*.journal"))

    assert list(Path("elsewhere").iterdir()) == []
    assert not Path(".tracklib/spool").exists()


@pytest.mark.usefixtures("bare")
def test_prices_make_the_cost_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what it used; without prices there is none."""
    monkeypatch.setenv("TRACKLIB_SYSTEM_INTERVAL", "0.01")
    costs = []
    for prices in (None, {"cpu_hour": 1e6, "memory_gb_hour": 1e6}):
        with tracklib.start_run(prices=prices) as run:
            sum(range(1_000_000))
        costs.append(tracklib.get_run(run).resources.cost)

    assert costs[0] is None
    assert costs[1] is not None
    assert costs[1] > 0


@pytest.mark.usefixtures("bare")
def test_finish_waits_no_longer_than_it_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It says what waits and where; nothing is lost."""
    run = tracklib.start_run(finish_timeout=0.05, store="runs.db")
    Path("runs.db").write_bytes(b"something else, of some other program")
    run.log({"loss": 1})

    assert not run.finish()
    assert "Nothing is lost: the journal in" in caplog.text
    assert "tracklib sync" in caplog.text


def test_the_state_directory_is_the_users(tmp_path: Path) -> None:
    """Unless the spool is set."""
    assert state_directory({}).name == "tracklib"
    assert state_directory({"TRACKLIB_SPOOL": "x"}) == tmp_path / "x"


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("setting", ["AUTO_LOG_GIT", "AUTO_LOG_ENV", "AUTO_LOG_CONSOLE", "SYSTEM_INTERVAL"])
def test_each_capture_is_turned_on_and_off(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is on is recorded."""
    monkeypatch.setenv(f"TRACKLIB_{setting}", "1")
    with tracklib.start_run() as run:
        print("hello")

    stored = tracklib.get_run(run)
    recorded = {
        "AUTO_LOG_GIT": stored.source.entry_point is not None or bool(stored.source.command_line),
        "AUTO_LOG_ENV": bool(stored.environment.packages),
        "AUTO_LOG_CONSOLE": "hello" in stored.console(),
        "SYSTEM_INTERVAL": any(name.startswith("system/") for name in stored.metrics),
    }
    assert [name for name, found in recorded.items() if found] == [setting]
