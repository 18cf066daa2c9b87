"""Secrets are masked wherever they stand, and nothing else is."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.capture.redact import MASK, is_secret_file, is_secret_name, mask_command, mask_params, mask_text

# A slow machine is no fault of the code.
patient = settings(deadline=None)

SECRET_NAMES = """
    api_key apikey API_KEY apiKey APIKey OPENAI_API_KEY wandb.api_key x-api-key api_keys api_key_1 license_key
    password passwd passphrase db_password dbPassword PGPASSWORD MYSQL_PWD SMTP_PASS password2 MLFLOW_TRACKING_PASSWORD
    secret secrets client_secret clientSecret AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID AWSAccessKeyId AccountKey
    token TOKEN hf_token HF_TOKEN hub_token hubToken HUGGING_FACE_HUB_TOKEN huggingfacetoken use_auth_token access_token
    refresh_token id_token auth_tokens authtoken bearer_token GITHUB_TOKEN corp_token token_value NEPTUNE_API_TOKEN
    AWS_SESSION_TOKEN X-Amz-Security-Token X-Amz-Credential private_key ssh_key KAGGLE_KEY encryption_key access_keys
    credential credentials GOOGLE_APPLICATION_CREDENTIALS auth basic_auth REDISCLI_AUTH Authorization cookie github_pat
    model.api_key trainer.hub.token
""".split()  # noqa: SIM905 - a table of words reads better than a hundred quoted strings
HARMLESS_NAMES = """
    max_tokens num_tokens tokens_per_second tokenizer token_count pad_token pad_token_id eos_token bos_token unk_token
    special_tokens additional_special_tokens cls_token mask_token sep_token image_token stop_token forced_bos_token_id
    decoder_start_token tokenizer_name tokenizer.path max_new_tokens maxNewTokens token_type_ids token_embedding tokens
    prompt_tokens completion_tokens total_tokens token_dim tokens_seen token_drop_rate image_token_index add_bos_token
    key keys primary_key foreign_key sort_key public_key cache_key image_key label_key drop_key num_key_value_heads
    key_padding_mask query_key_value state_dict_keys keyboard keyword monkey hotkey author authors authority
    authentication auth_type auth_method no_auth password_length credentials_path secret_name forward_pass num_passes
    bypass passthrough compass PWD OLDPWD pin_memory session_id api_version access_mode signature
""".split()  # noqa: SIM905 - as above

TOKENS = {
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "github": "ghp_" + "a1B2" * 9,
    "github fine-grained": "github_pat_11ABCDEFG0" + "x_9" * 20,
    "gitlab": "glpat-" + "a1-_" * 5,
    "hugging face": "hf_" + "aB3" * 11,
    "openai": "sk-proj-" + "a1_-B" * 8,
    "slack": "xoxb-1234567890-abcdefABCDEF",
    "slack hook": "https://hooks.slack.com/services/T0000/B0000/XXXXXXXX",
    "google": "AIza" + "a1_-B" * 7,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "bearer": "Bearer abc.def-123_456",
    "wandb login": "wandb login " + "0123456789" * 4,
}
# Each is a place where people put secrets; {} is the secret.
PLACES = (
    "password={}",
    "connect(password='{}', timeout=3)",
    'token: str = "{}"',
    'os.environ["HF_TOKEN"] = "{}"',
    "export WANDB_API_KEY={}",
    "+AWS_SECRET_ACCESS_KEY={}",
    "-  password: {}",
    '{{"api_key": "{}", "lr": 0.1}}',
    '"source": ["api_key = \\"{}\\"\\n"]',
    "train.py --api-key {} --lr 0.1",
    "train.py --hub.token={}",
    "https://user:{}@example.com/x.git",
    "https://{}@example.com/x.git",
    "postgresql://me:{}@db/x",
    "https://example.com/x?lr=1&token={}&b=2",
    "https://bucket/x?X-Amz-Signature={}",
    "AccountName=x;AccountKey={};EndpointSuffix=y",
    "Authorization: Bearer {}",
    '-H "Authorization: token {}"',
    "Your API key: {}",
    'if password == "{}":',
    "-----BEGIN RSA PRIVATE KEY-----\nMII{}\n-----END RSA PRIVATE KEY-----",
)
secrets = st.from_regex(r"[A-Za-z0-9]{8,40}", fullmatch=True).filter(lambda text: not text.isalpha())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
texts = st.text() | st.lists(st.sampled_from([*PLACES, "\n", " ", "=", '"', "'", "\\", "://", "a"])).map("".join)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    """A name that credentials go by is recognised in every spelling."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_harmless_names(name: str) -> None:
    """Names of tokens, keys and passes that machine learning is full of are no secrets."""
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "name", [".env", ".env.local", "id_rsa", "server.pem", "secrets.yaml", "my-credentials.json", ".netrc"]
)
def test_secret_files(name: str) -> None:
    """Files that hold nothing but secrets are known by name."""
    assert is_secret_file(name)


@pytest.mark.parametrize(
    "name", ["train.py", "tokenizer.json", "environment.yml", "keys.py", "secret_names.py", "config.toml"]
)
def test_ordinary_files(name: str) -> None:
    """Ordinary files are not taken for files of secrets."""
    assert not is_secret_file(name)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS.keys())
def test_token_shapes(token: str) -> None:
    """Tokens of well-known services are masked wherever they stand."""
    masked = mask_text(f"using {token}, as told")

    assert token.rpartition(" ")[2] not in masked
    assert MASK in masked


@patient
@given(place=st.sampled_from(PLACES), secret=secrets, before=st.text(), after=st.text())
def test_an_embedded_secret_never_survives(place: str, secret: str, before: str, after: str) -> None:
    """Whatever stands around, a secret in one of the usual places is gone."""
    masked = mask_text(f"{before}\n{place.format(secret)}\n{after}")

    assert masked.count(secret) <= before.count(secret) + after.count(secret)


@patient
@given(texts)
def test_masking_text_is_idempotent(text: str) -> None:
    """Masked text stays as it is when it is masked again."""
    once = mask_text(text)

    assert mask_text(once) == once


@pytest.mark.parametrize(
    "text",
    [
        "def login(token: str, secret: Optional[str] = None) -> None:",
        "api_key = os.environ['KEY']",
        "login(token=get_token(), auth=self.auth, password=password)",
        "tokenizer(text, max_tokens=12, pad_token='<pad>')",
        "token: The token of the user.",
        "password=${DB_PASSWORD}",
        "token: ${{ secrets.TOKEN }}",
        "parser.add_argument('--api-key', type=str)",
        "git@github.com:owner/repository.git ssh://git@github.com/x postgresql://me@db/x",
        "commit 0123456789012345678901234567890123456789",
        "for key in keys: values[key] = primary_key == key",
        'if "-----BEGIN PRIVATE KEY-----" in text: return 1',
        "",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    """Code that names secrets without holding any, and URLs without passwords, are left alone."""
    assert mask_text(text).replace(f"-----{MASK}-----END PRIVATE KEY", "") == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://user:pass@example.com:8080/a@b", "https://***@example.com:8080/a@b"),
        ("s3://key:secret@bucket/x", "s3://key:***@bucket/x"),
        ("https://x.org/a?token=abc&page=2#top", "https://x.org/a?token=***&page=2#top"),
        ('login(api_key="abc", lr=1)', 'login(api_key="***", lr=1)'),
        ("run --password 'a b' --lr 1", "run --password '***' --lr 1"),
    ],
)
def test_only_the_secret_is_masked(text: str, masked: str) -> None:
    """What stands around a secret stays readable."""
    assert mask_text(text) == masked


def test_text_without_line_ends_is_masked_in_linear_time() -> None:
    """Lines that invite a pattern to try again and again are done with all the same."""
    hostile = ['token="\\' * 20_000, "token: a " * 20_000, "http://a:" * 20_000, "-----BEGIN PRIVATE KEY-----" * 5_000]

    assert all(mask_text(mask_text(text)) == mask_text(text) for text in hostile)


@pytest.mark.parametrize(
    ("words", "masked"),
    [
        (["t.py", "--api-key", "abc", "x"], ("t.py", "--api-key", MASK, "x")),
        (["--api-key=abc", "--lr=0.1"], (f"--api-key={MASK}", "--lr=0.1")),
        (["--token", "--verbose", "-v"], ("--token", "--verbose", "-v")),
        (["--use-auth-token", "true"], ("--use-auth-token", "true")),
        (["+db.password=a,b c", "HF_TOKEN=x"], (f"+db.password={MASK}", f"HF_TOKEN={MASK}")),
        (["-p", "22", "--max-tokens", "9"], ("-p", "22", "--max-tokens", "9")),
        (["--url", "https://me:pw@host/x"], ("--url", f"https://{MASK}@host/x")),
        (["bash", "-c", "export TOKEN=abc; run"], ("bash", "-c", f"export TOKEN={MASK}; run")),
        (["--config", '{"password": "x y"}'], ("--config", f'{{"password": "{MASK}"}}')),
        ([], ()),
    ],
)
def test_commands(words: list[str], masked: tuple[str, ...]) -> None:
    """Secrets in options, assignments and URLs of a command are masked, the rest is kept."""
    assert mask_command(words) == masked


@patient
@given(st.lists(texts | st.sampled_from(["--token", "--api-key=x", "PASSWORD=y"])))
def test_masking_commands_is_idempotent(words: list[str]) -> None:
    """A masked command has as many words, and stays as it is when it is masked again."""
    once = mask_command(words)

    assert mask_command(once) == once
    assert len(once) == len(words)


@patient
@given(st.sampled_from(SECRET_NAMES), secrets)
def test_a_secret_in_a_command_never_survives(name: str, secret: str) -> None:
    """Every spelling of an option or assignment is masked."""
    assert secret not in " ".join(mask_command([f"--{name}", secret, f"--{name}={secret}", f"{name}={secret}"]))


def test_params() -> None:
    """Text under secret names is masked at any depth; numbers, flags and other text stay."""
    params = {
        "hub": {"token": "abc", "max_tokens": 5, "use_auth_token": True, "private": None},
        "api_keys": {"one": "k1", "more": ["k2", ("k3",)]},
        "optimizers": [{"name": "adam", "password": ""}, {"name": "sgd", "secret": b"x"}],
        "tokenizer": {"pad_token": "<pad>"},
        "data": "s3://key:pw@bucket/x",
        3: "three",
    }

    masked = mask_params(params)  # type: ignore[arg-type]

    assert masked == {
        "hub": {"token": MASK, "max_tokens": 5, "use_auth_token": True, "private": None},
        "api_keys": {"one": MASK, "more": [MASK, (MASK,)]},
        "optimizers": [{"name": "adam", "password": ""}, {"name": "sgd", "secret": MASK}],
        "tokenizer": {"pad_token": "<pad>"},
        "data": f"s3://key:{MASK}@bucket/x",
        3: "three",
    }


@patient
@given(st.dictionaries(st.text() | st.sampled_from(SECRET_NAMES), json_values))
def test_masking_params_is_pure_and_idempotent(params: dict[str, Any]) -> None:
    """The input is left as it is, the shape is kept, and a second time changes nothing."""
    before = copy.deepcopy(params)

    once = mask_params(params)

    assert repr(params) == repr(before)
    assert repr(mask_params(once)) == repr(once)
    assert list(once) == list(params)


@patient
@given(json_values, st.sampled_from(SECRET_NAMES), secrets)
def test_a_secret_in_params_never_survives(around: Any, name: str, secret: str) -> None:
    """A secret is found beside and below anything else."""
    params = {"a": {"b": [{name: secret, "c": 1}, secret[:0]]}, name: [secret, {"inner": secret}]}

    assert secret not in json.dumps(mask_params(params))
    assert mask_params({"x": around, **params})["a"] == mask_params(params)["a"]


def test_params_that_contain_themselves() -> None:
    """A structure without end is cut instead of followed for ever."""
    params: dict[str, Any] = {"lr": 0.1}
    params["self"] = params
    deep: Any = "end"
    for _ in range(5000):
        deep = [deep]

    assert mask_params(params) == {"lr": 0.1, "self": MASK}
    assert mask_params({"deep": deep})["deep"][0][0] is not None


def test_unchanged_text_keeps_its_type() -> None:
    """Text of a type of its own, as of an enumeration, is not turned into plain text."""

    class Name(str):
        __slots__ = ()

    assert type(mask_params({"model": Name("bert")})["model"]) is Name
