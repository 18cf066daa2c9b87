"""Versions in an object store: any number of writers count them without a lock, by objects that can be created once.

Who has new content first creates the object of that content, which says at which number to begin, and then the first
object of a number from there on that is not taken. Whoever comes with the same content, at the same time or because
the first one was killed in between, begins at the same number, and so ends at the same one. Nothing of this is ever
written again or deleted, so what was seen once holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tracklib.errors import NotFound
from tracklib.stores.claims import free_version
from tracklib.stores.layout import FORMAT, content_key, number_key, number_of, numbers_folder

if TYPE_CHECKING:
    from tracklib.stores.bucket import Bucket
    from tracklib.stores.claims import Wish

__all__ = ["Claimer"]


class Claimer:
    """Finds the version of content, or gives it one, with four requests at the most while nobody else does."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._known: dict[tuple[str, str, str], int] = {}
        self._tried = False

    def claim(self, wish: Wish) -> int:
        """Return the version of content."""
        content = (wish.project, wish.name, wish.checksum)
        if content not in self._known:
            self._known[content] = self._claim(wish)
        return self._known[content]

    def _claim(self, wish: Wish) -> int:
        begin = self._begun(wish)
        version = self._begin(wish) if begin is None else begin
        while True:
            # Of what others have begun, the number is there as a rule.
            holder = None if begin is None else self._holder(wish, version)
            if holder is None:
                if self._create(number_key(wish.project, wish.name, version), wish, version=version):
                    return version
                holder = self._holder(wish, version)
            if holder == wish.checksum:
                return version
            version += 1

    def _begun(self, wish: Wish) -> int | None:
        """Return at which number content begins; None where nobody had it yet."""
        try:
            said = self._bucket.get(content_key(wish.project, wish.name, wish.checksum))
        except NotFound:
            return None
        begin = _parsed(said).get("from")
        # What is damaged says that there may be a number, and not where.
        return begin if isinstance(begin, int) else 0

    def _begin(self, wish: Wish) -> int:
        """Say at which number new content begins, and return that; or what somebody else has just said."""
        if not self._tried:
            self._bucket.try_refusal(FORMAT)
            self._tried = True
        taken = map(number_of, self._bucket.list(numbers_folder(wish.project, wish.name)))
        begin = free_version(wish.version, [number for number in taken if number is not None])
        if self._create(content_key(wish.project, wish.name, wish.checksum), wish, **{"from": begin}):
            return begin
        said = self._begun(wish)
        return begin if said is None else said

    def _holder(self, wish: Wish, version: int) -> str | None:
        """Return the checksum that has a number, empty where that cannot be read; None where the number is free."""
        try:
            said = self._bucket.get(number_key(wish.project, wish.name, version))
        except NotFound:
            return None
        return str(_parsed(said).get("checksum", ""))

    def _create(self, key: str, wish: Wish, **what: int) -> bool:
        said = {"project": wish.project, "name": wish.name, "checksum": wish.checksum, "time": wish.time, **what}
        return self._bucket.create(key, json.dumps(said).encode() + b"\n")


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
