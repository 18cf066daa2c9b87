"""S3 stores that cannot be used: one clear error at the start, or a journal that waits; and secrets stay secret."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import tracklib
from tests.servers.s3_server import REGION, S3Server
from tracklib.cli.main import cli

Start = Callable[..., Any]

SECRET = "writesecret"  # noqa: S105 - of a server that lives as long as the tests

STARTING = """
try:
    start()
except tracklib.TracklibError as error:
    print(error)
"""

SPOOLING = """
run = start(on_error="spool", finish_timeout=0.5)
run.log({"x": 0}, 0)
assert run.finish() is False
"""

WITHOUT_S3FS = """
import importlib.abc

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"s3fs", "aiobotocore", "botocore"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(name="records")
def _records(bucket_records: Any) -> Any:
    """Keep the runs of these tests in a bucket."""
    return bucket_records


def options(**given: Any) -> str:
    return json.dumps(given)


NOTHING_LISTENS = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
WRONG_SECRET = {"AWS_SECRET_ACCESS_KEY": "another-secret"}
UNKNOWN_KEY = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "another-secret"}
READ_ONLY = {"AWS_ACCESS_KEY_ID": "readkey", "AWS_SECRET_ACCESS_KEY": "readsecret"}
NO_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
NO_PROFILE = {"AWS_PROFILE": "nobody"}
UNKNOWN_OPTION = {"TRACKLIB_STORE_OPTIONS": options(colour="red", secret="another-secret")}  # noqa: S106 - of nobody
NO_JSON = {"TRACKLIB_STORE_OPTIONS": '{"secret": "another-secret"'}
NO_TABLE = {"TRACKLIB_STORE_OPTIONS": options(client_kwargs=3)}
NO_URL = {"AWS_ENDPOINT_URL": "anywhere"}
NO_REGION = {"AWS_DEFAULT_REGION": "over there"}

CASES = {
    "wrong secret": (WRONG_SECRET, ["/team", "was refused", "check the key and what it may"]),
    "unknown key": (UNKNOWN_KEY, ["/team", "was refused", "check the key and what it may"]),
    "read-only key": (READ_ONLY, ["/team", "was refused", "what it may write"]),
    "no credentials": (NO_CREDENTIALS, ["/team", "there are no credentials", "AWS_ACCESS_KEY_ID"]),
    "no such profile": (NO_PROFILE, ["/team", "there are no credentials", "(nobody)", "AWS_PROFILE"]),
    "nothing listens": (NOTHING_LISTENS, ["/team", "cannot be reached now", "check its address"]),
    "unknown option": (UNKNOWN_OPTION, ["/team", "'colour'", "TRACKLIB_STORE_OPTIONS"]),
    "options that are no JSON": (NO_JSON, ["store_options (from TRACKLIB_STORE_OPTIONS) takes a JSON object"]),
    "options of another kind": (NO_TABLE, ["/team", "cannot be used", "TRACKLIB_STORE_OPTIONS"]),
    "no URL": (NO_URL, ["/team", "cannot be used", "anywhere"]),
    "no region": (NO_REGION, ["/team", "cannot be used", "over there"]),
}
STORES = {
    "no bucket": ("s3://no-such-bucket/team", ["s3://no-such-bucket/team", "does not exist", "create the bucket"]),
    "a name in capitals": ("s3://NO_BUCKET/team", ["s3://NO_BUCKET/team", "cannot be used", "check the name"]),
    "a name of one letter": ("s3://b/team", ["s3://b/team", "cannot be used", "check the name"]),
    "a name with a space": ("s3://a bucket/team", ["s3://a bucket/team", "cannot be used", "check the name"]),
    "no name": ("s3://", ["'s3://' names no place", "s3://bucket/prefix"]),
    "the web": ("https://bucket/team", ["'https://bucket/team'", "give one of"]),
    "another scheme": ("bucket://bucket/team", ["'bucket://bucket/team'", "give one of"]),
    "a secret in it": (f"s3://key:{SECRET}@bucket/team", ["s3://…@bucket/team", "name the store s3://bucket/team"]),
    "options in it": ("s3://bucket/team?secret=hidden", ["s3://bucket/team", "behind a question mark"]),
}


EACH_CASE = """
from click.testing import CliRunner
from tracklib.cli.main import cli

def error_of(store):
    try:
        start(store=store)
    except tracklib.TracklibError as error:
        assert error.__cause__ is None
        return str(error)

def command(*words):
    result = CliRunner().invoke(cli, words, prog_name="tracklib", env={"COLUMNS": "1000"})
    return result.exit_code, result.stdout, result.stderr

answers = {}
usual = dict(os.environ)
for name, (environ, store) in json.loads(os.environ["CASES"]).items():
    os.environ.update(environ)
    words = [("runs",), ("show", "latest"), ("doctor",)] if not environ or name in COMMANDS_TOO else []
    answers[name] = error_of(store), [command(*each, "--store", store) for each in words]
    os.environ.clear()
    os.environ.update(usual)
with open("answers", "w") as file:
    json.dump(answers, file)
ours = [thread.name for thread in threading.enumerate() if thread.name.startswith("tracklib")]
assert all(name.startswith("tracklib-io") for name in ours), ours
"""
"""Tells what is said in each case, by a run that starts and by commands.

The threads of the event loop are there once for all stores, and wait.
"""

COMMANDS_TOO = ("wrong secret", "no credentials", "nothing listens", "unknown option")


def answers_of(start: Start, records: Any, cases: dict[str, tuple[dict[str, str], str]]) -> dict[str, Any]:
    """Return for each case the error of `start_run`, and status, output and errors of commands."""
    program = start(f"COMMANDS_TOO = {COMMANDS_TOO}\n{EACH_CASE}", CASES=json.dumps(cases))
    program.succeed()
    assert records.left() == []
    assert not (records.folder / "ids").exists()
    found: dict[str, Any] = json.loads((records.folder / "answers").read_text())
    return found


def check_commands(words: list[str], commands: list[Any], statuses: set[int]) -> None:
    """See to it that commands say it in a line and nothing else, but for the doctor, who looks at more."""
    for index, (status, output, errors) in enumerate(commands):
        is_doctor = index == 2
        assert status in ({1} if is_doctor else statuses), (words, output, errors)
        assert [line for line in (output + errors).splitlines() if words[0] in line], (words, output, errors)
        assert is_doctor or (output == "" and len(errors.splitlines()) == 1), (words, output, errors)
        assert "Traceback" not in errors
        assert SECRET not in output + errors
        assert "another-secret" not in output + errors


def test_a_store_that_cannot_be_used_is_told_at_the_start(start: Start, records: Any) -> None:
    """One line names the store and what to do, no secret is in it, and neither thread nor file is left."""
    # A root of its own for each: options that were given once count in the process from then on.
    roots = {case: f"{records.uri}{number}" for number, case in enumerate(CASES)}
    answers = answers_of(start, records, {case: (environ, roots[case]) for case, (environ, _) in CASES.items()})

    for case, (_, words) in CASES.items():
        line, commands = answers[case]
        assert [word for word in words if word not in (line or "")] == [], (case, line)
        assert "\n" not in line
        assert "another-secret" not in line
        assert SECRET not in line
        assert len(commands) == (3 if case in COMMANDS_TOO else 0)
        check_commands(words, commands, {1})


def test_a_store_that_cannot_be_is_told_at_the_start(start: Start, records: Any) -> None:
    """Likewise; the status of a command that cannot be meant is 2, as everywhere."""
    answers = answers_of(start, records, {case: ({}, store) for case, (store, _) in STORES.items()})

    for case, (_, words) in STORES.items():
        line, commands = answers[case]
        assert [word for word in words if word not in (line or "")] == [], (case, line)
        assert "\n" not in line
        assert SECRET not in line
        check_commands(words, commands, {1, 2})


def test_the_error_stands_alone(start: Start, records: Any) -> None:
    """What libraries have to say of it, a hundred lines, is not shown around it."""
    program = start("start()", **NOTHING_LISTENS)

    assert program.wait() == 1
    assert program.errors.count("Traceback") == 1
    assert program.errors.splitlines()[-1].startswith(f"tracklib.errors.StoreUnavailable: {records.uri}/")


def test_without_s3fs_one_is_told_what_to_install(start: Start, records: Any) -> None:
    """The extra of the distribution is named; with `on_error="spool"` the run goes on all the same."""
    told = start(WITHOUT_S3FS + STARTING)
    spooled = start(WITHOUT_S3FS + SPOOLING)

    assert told.wait() == 0, told.errors
    (line,) = told.errors.splitlines()
    assert "pip install 'tracklib-ml[s3]'" in line
    assert spooled.wait() == 0, spooled.errors
    assert spooled.errors.count("pip install 'tracklib-ml[s3]'; the run goes on") == 1
    assert records.steps("x") == [0]


@pytest.mark.parametrize("case", ["read-only key", "no credentials", "nothing listens"])
def test_a_run_may_start_all_the_same(start: Start, records: Any, case: str) -> None:
    """With `on_error="spool"` it warns once at the start, goes on, and a sync ships it once the reason is gone."""
    environ, words = CASES[case]
    program = start(SPOOLING, **environ)

    assert program.wait() == 0, program.errors
    (line,) = [line for line in program.errors.splitlines() if "the run goes on and its journal keeps" in line]
    assert [word for word in words if word not in line] == []
    assert SECRET not in program.errors
    assert records.left() != []
    assert [recovered.problem for recovered in tracklib.sync(store=records.uri)] == [None]
    assert records.left() == []
    assert records.steps("x") == [0]
    assert records.run().status == "completed"


def test_the_doctor_sees_a_key_that_may_not_write(records: Any) -> None:
    """Also where there is no store yet, which a run would have to make."""
    answers = [
        CliRunner().invoke(cli, ["doctor", "--store", records.uri], env={"COLUMNS": "1000", **environ})
        for environ in (READ_ONLY, {}, READ_ONLY)
    ]

    assert [result.exit_code for result in answers] == [1, 0, 1]
    assert ["what it may write" in result.output for result in answers] == [True, False, True]


LOGGING = """
run = start()
run.log({"x": 0}, 0)
run.log_params({"text": "a param"})
assert run.finish(), "it did not arrive"
"""


def profile(folder: Path, server: S3Server) -> dict[str, str]:
    """Write a profile as AWS's own tools know it; return the variables that name it."""
    write = server.options()
    (folder / "credentials").write_text(
        f"[team]\naws_access_key_id = {write['key']}\naws_secret_access_key = {write['secret']}\n"
    )
    (folder / "config").write_text(f"[profile team]\nregion = {REGION}\nendpoint_url = {server.endpoint_url}\n")
    return {
        "AWS_PROFILE": "team",
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_CONFIG_FILE": str(folder / "config"),
    }


def fsspec_variables(server: S3Server) -> dict[str, str]:
    write = server.options()
    names = {"key": write["key"], "secret": write["secret"], "endpoint_url": server.endpoint_url}
    variables = {f"FSSPEC_S3_{name.upper()}": value for name, value in names.items()}
    return {**variables, "FSSPEC_S3_CLIENT_KWARGS": json.dumps(write["client_kwargs"])}


WAYS: dict[str, tuple[str, Callable[[Path, S3Server], dict[str, str]]]] = {
    "a profile": ("", profile),
    "the setting": ("", lambda _folder, server: {"TRACKLIB_STORE_OPTIONS": json.dumps(server.options())}),
    "variables of fsspec": ("", lambda _folder, server: fsspec_variables(server)),
    "init": (
        "tracklib.init(STORE, store_options=json.loads(os.environ.pop('GIVEN')))\n",
        lambda _folder, server: {"GIVEN": json.dumps(server.options())},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_say_who_one_is(
    start: Start, records: Any, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The run arrives, can be read in the same way, and the secret is nowhere but where the user has put it."""
    prelude, environment = WAYS[way]
    given = environment(tmp_path.with_name(f"{tmp_path.name}-home"), s3_server)
    for name in s3_server.environment():
        monkeypatch.delenv(name)
    script = f"{prelude}{LOGGING}{SEARCHING}"
    start(script, **given).succeed()
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)

    assert records.steps("x") == [0]
    home = Path(os.environ["HOME"])
    written = [path for path in (*home.rglob("*"), *tmp_path.rglob("*")) if path.is_file()]
    holding = [path.name for path in written if SECRET.encode() in path.read_bytes()]
    assert holding == (["credentials"] if way == "a profile" else [])
    assert holding_in_bucket(records) == []


SEARCHING = f"""
from click.testing import CliRunner
from tracklib.cli.main import cli

for words in (["doctor"], ["runs", "--json"], ["show", run.id]):
    result = CliRunner().invoke(cli, [*words, "--store", STORE])
    assert result.exit_code == 0, result.output
    assert {SECRET[::-1]!r}[::-1] not in result.output
    assert words == ["doctor"] or run.id in result.output
run = start()
run.log({{"x": 0}}, 0)
secret = {SECRET[::-1]!r}[::-1]
assert secret.encode() not in open("/proc/self/cmdline", "rb").read()
spool = os.environ["XDG_STATE_HOME"]
found = [os.path.join(folder, name) for folder, _, names in os.walk(spool) for name in names]
assert found
assert not [path for path in found if secret.encode() in open(path, "rb").read()]
assert secret not in repr(run) + repr(tracklib.current_settings())
"""


def holding_in_bucket(records: Any) -> list[str]:
    """Return the objects of the store in which the secret is found."""
    from tracklib.stores.objects import ObjectStore

    with ObjectStore(records.uri) as store:
        fs = store.bucket.fs
        found = {path: fs.cat_file(path) for path in fs.find(store.uri)}
    assert found
    return [path for path, data in found.items() if SECRET.encode() in data]


def test_a_store_that_is_opened_again_means_the_same(start: Start, records: Any) -> None:
    """Options that were given once in a process are those of all who name the same store there."""
    source = """
options = json.loads(os.environ.pop("GIVEN"))
tracklib.init(STORE, store_options=options)
with start(store=None) as run:
    run.log({"x": 0}, 0)
assert [each.id for each in tracklib.list_runs(store=STORE)] == [run.id]
assert tracklib.get_run(run.id, store=STORE).series("x").values.tolist() == [0.0]
assert tracklib.sync(store=STORE) == []
"""
    server = {"endpoint_url": os.environ["AWS_ENDPOINT_URL"], "key": "writekey", "secret": SECRET}
    start(source, GIVEN=json.dumps(server), AWS_ENDPOINT_URL="http://127.0.0.1:9").succeed()

    assert records.steps("x") == [0]
