"""Tells by its name whether a parameter, variable, option or file is likely to hold a secret.

Names are split into words at punctuation and at the humps of camelCase, and words are compared whole: `tokenizer`,
`author` and `keyboard` are no secrets. A "token" of a language model and a "key" of a table or of attention are told
from credentials by the words beside them.

Known trade-offs: a name alone can mislead. Where both readings are common (`user_token`) it counts as a secret, since a
masked setting is a nuisance and a recorded credential is not undone.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

__all__ = ["is_secret_file", "is_secret_name"]

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def _word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# A name that ends so speaks about a secret, and does not hold it: password_length, token_type_ids, credentials_path.
_ABOUT = _word_set(
    """age algorithm backend cls count counts dim dir directory embedding embeddings enabled endpoint env error expires
    expiry field file filename format header headers helper host hub ids index label len length level limit lifetime
    location loss manager mask max method min mode model name names num path policy position positions prefix provider
    rate required rotation scope size sizes state status store strength suffix timeout ttl type types uri url user
    username validator var version weight weights"""
)
_ALWAYS = _word_set(
    """passwd passphrase passcode password passwords secret secrets credential credentials authorization cookie cookies
    jwt bearer"""
)
_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "secretkey",
    "privatekey",
    "accesskey",
    "authkey",
    "authtoken",
)
# "key" is a secret after one of these, and "keys" too.
_KEY_OWNERS = _word_set(
    """access account aes anthropic api app application auth aws azure client cohere comet consumer databricks deepseek
    deploy encryption fireworks gcp gemini google gpg groq hmac kaggle license master mistral nebius neptune openai
    openrouter perplexity pgp pinecone private replicate rsa sas secret service session signing ssh storage subscription
    tavily together wandb webhook"""
)
# "tokens" are credentials only after one of these; a single "token" also after names that nobody can foresee.
_TOKEN_OWNERS = _word_set(
    """access api app auth bearer bot gh github gitlab hf hub huggingface identity jwt oauth personal refresh secret
    security service session slack"""
)
_TEXT_TOKENS = _word_set(
    """added additional assistant audio avg begin boi bos box byte char class cls context count current decoder draft
    encoder end endoftext eoi eos eot expected fake fim first forced gen generated image img input instruction kv label
    language last mask max mean middle min n new next no num number object output pad padding patch per pos position
    prefix prev previous prompt quantizer query register response sep separator sequence sos source space special speech
    start stop sub suffix suppress system target task text think thinking time timestamp tool total trigger unk unknown
    video vision vocab word"""
)
_SWITCHES = _word_set("allow disable enable has is needs no require requires skip with without")
_PASS_OWNERS = _word_set(
    "admin basic db email ftp http imap mail mongo mysql pg postgres proxy redis root smtp ssh user"
)
_PAT_OWNERS = _word_set("azure databricks devops ext gh github gitlab gl snowflake")
_SECRET_FILES = re.compile(
    r"""(?ix) \.env(\..+)? | .+\.env | \.(netrc|npmrc|pypirc|git-credentials|htpasswd|pgpass|boto|s3cfg|dockercfg)
    | _netrc | kubeconfig | id_(rsa|dsa|ecdsa|ed25519).* | .+\.(pem|key|p12|pfx|jks|keystore|kdbx|ovpn|ppk|asc|gpg)
    | (.*[_.-])? (credentials?|secrets?|service[_-]?account|client[_-]?secrets?) ([_.-].*)?
      \.(json|ya?ml|toml|ini|cfg|txt|csv) | credentials?"""
)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether a value of this name is likely to be a secret.

    Example:
        >>> [is_secret_name(name) for name in ("api_key", "hubToken", "DB-PASSWORD", "AWS_ACCESS_KEY_ID")]
        [True, True, True, True]
        >>> [is_secret_name(name) for name in ("max_tokens", "pad_token", "primary_key", "author", "auth_type")]
        [False, False, False, False, False]
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if words[-1:] == ["id"] and words[-3:-1] != ["access", "key"]:
        return False
    if not words or words[-1] in _ABOUT:
        return False
    return any(_is_secret_word(word) for word in words) or _is_secret_phrase(words)


def is_secret_file(name: str) -> bool:
    """Tell whether a file of this name (without its folder) is likely to hold nothing but secrets.

    Example:
        >>> [is_secret_file(name) for name in (".env", "id_rsa", "server.pem", "credentials.json", "train.py")]
        [True, True, True, True, False]
    """
    return _SECRET_FILES.fullmatch(name) is not None


def _is_secret_word(word: str) -> bool:
    if word in _ALWAYS or word.endswith(_ENDINGS):
        return True
    return any(
        word.endswith(noun) and word.removesuffix(noun) in owners
        for noun, owners in (("key", _KEY_OWNERS), ("token", _TOKEN_OWNERS))
    )


def _is_secret_phrase(words: list[str]) -> bool:
    if any(noun in {"key", "keys"} and owner in _KEY_OWNERS for owner, noun in pairwise(words)):
        return True
    *owners, last = words
    if last in {"value", "string"} and owners:
        *owners, last = owners
    return _is_secret_end(owners, last)


def _is_secret_end(owners: list[str], last: str) -> bool:
    """Tell whether a name that ends with the word `last`, after the words `owners`, names a secret."""
    if last == "token":
        return not _TEXT_TOKENS.intersection(owners) or bool(_TOKEN_OWNERS.intersection(owners[-1:]))
    if last == "tokens":
        return bool(_TOKEN_OWNERS.intersection(owners[-1:]))
    if last == "auth":
        return not _SWITCHES.intersection(owners)
    if last == "pwd":
        return bool(owners) and owners[-1] != "old"
    companions = {"pass": _PASS_OWNERS, "pat": _PAT_OWNERS}.get(last, frozenset())
    return bool(companions.intersection(owners[-1:]))
