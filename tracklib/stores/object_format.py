"""The object that says that a root is a store of ours, and of which version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from tracklib.errors import CorruptData, NotFound, StoreVersion
from tracklib.stores.layout import FORMAT, VERSION

if TYPE_CHECKING:
    from tracklib.stores.bucket import Bucket

__all__ = ["Format", "read_format"]


class Format(NamedTuple):
    """What `tracklib.json` says.

    Attributes:
        version: Of the format.
        store: A ULID, by which a store is known that was deleted and made again under the same name.
    """

    version: int
    store: str

    def text(self) -> bytes:
        """Return the object."""
        about = "tracklib keeps runs here: see the page on the object format in its documentation"
        return json.dumps({"format": self.version, "store": self.store, "about": about}).encode() + b"\n"


def read_format(bucket: Bucket) -> Format:
    """Return what the store says of itself.

    Raises:
        NotFound: There is no store there yet.
        StoreVersion: A newer tracklib made it.
        CorruptData: The object is damaged.
    """
    try:
        said = json.loads(bucket.get(FORMAT))
        found = Format(int(said["format"]), str(said["store"]))
    except NotFound:
        raise NotFound(
            f"there is no store at {bucket.uri} yet: a first run makes it, or give another with --store or store=…"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData(
            f"{bucket.name(FORMAT)} is damaged: {error}; move it away, and the next run writes it anew"
        ) from None
    if found.version > VERSION:
        raise StoreVersion(
            f"the store {bucket.uri} has version {found.version}, but this tracklib knows versions up to {VERSION}: "
            "upgrade with `pip install --upgrade tracklib-ml`"
        )
    return found
