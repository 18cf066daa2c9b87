"""Bringing the local catalog up to date with the bucket, at the cost of few requests."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.errors import CorruptData, NotFound
from tracklib.records import RecordKind, id_time, is_id
from tracklib.stores.layout import (
    CHANGES,
    ENTITIES,
    RUNS,
    SNAPSHOTS,
    Marker,
    entity_key,
    first_id,
    has_id,
    run_folder,
    time_prefixes,
)
from tracklib.stores.object_catalog import (
    LACKING,
    CatalogDamaged,
    Part,
    clear,
    forget_run,
    is_seen,
    known_parts,
    live_runs,
    read_note,
    write_note,
)
from tracklib.stores.object_fold import apply_news
from tracklib.stores.object_format import read_format
from tracklib.stores.object_news import ObjectNews, records_keys

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from tracklib.stores.bucket import Bucket, Listed
    from tracklib.stores.object_catalog import Catalog
    from tracklib.stores.object_fold import RunNews

__all__ = ["Refresher"]

OVERLAP_SECONDS: Final = 900.0
"""How far back markers are listed again: clocks differ, and what was written first may be seen last."""

SILENT_SECONDS: Final = 600.0
"""A run that was not heard of for so long is left alone: its writer will leave a marker if it comes back."""

STALE_SECONDS: Final = 3 * 86_400.0
"""A catalog that was not brought up to date for so long is made anew: markers of that time may have been deleted."""

_AT_ONCE: Final = 8
_MANY_RUNS: Final = 200
"""So many runs are listed with all others in one go."""

Listings = dict[str, "dict[str, Listed]"]


class _Known(NamedTuple):
    """How far the catalog is.

    Attributes:
        cursor: The newest marker that it has seen.
        seen: Those that it has seen within the overlap.
        live: Runs to look at in any case.
    """

    cursor: str
    seen: set[str]
    live: list[str]


class Refresher:
    """Brings one catalog up to date.

    Attributes:
        news: What reads the objects.
    """

    def __init__(self, bucket: Bucket, catalog: Catalog, *, alone: bool = False) -> None:
        """Say what is to be brought up to date.

        Args:
            alone: The catalog is asked about single runs only, and never about what they are gathered under.
        """
        self._bucket = bucket
        self._catalog = catalog
        self._alone = alone
        self.news = ObjectNews(bucket)
        # None where each question looks anew.
        self._is_fresh: bool | None = None

    def refresh(self) -> None:
        """See what has changed anywhere.

        Raises:
            NotFound: There is no store yet.
            StoreUnavailable: The bucket cannot be reached.
        """
        if self._is_fresh:
            return
        try:
            self._refresh()
        except CatalogDamaged:
            self._refresh()
        if self._is_fresh is not None:
            self._is_fresh = True

    @contextmanager
    def once(self) -> Iterator[None]:
        """Refresh once for as long as this lasts, however often it is asked for."""
        self._is_fresh = False
        try:
            yield
        finally:
            self._is_fresh = None

    def _refresh(self) -> None:
        store = read_format(self._bucket).store
        with self._catalog.reading() as connection:
            current = _is_current(connection, store)
        if not current:
            self._begin_anew(store)
        self._follow()

    def refresh_artifacts(self) -> None:
        """See what has changed anywhere, also of artifacts that a snapshot of an older version says too little of.

        Raises:
            NotFound: There is no store yet.
        """
        self.refresh()
        with self._catalog.reading() as connection:
            lacking = read_note(connection, LACKING)
        if lacking:
            self.refresh_everything()

    def refresh_everything(self) -> dict[str, dict[str, Listed]]:
        """Compare all objects of records to what was read of them, whatever markers and snapshots say.

        That costs a listing of all runs, and the first time the reading of those that came from a snapshot.

        Returns:
            The objects of each run.

        Raises:
            NotFound: There is no store yet.
        """
        self.refresh()
        listings = _by_run(self._bucket.list(RUNS))
        runs = list(listings)
        for start in range(0, len(runs), _MANY_RUNS):
            # Some at a time, so that not all records are in memory at once.
            self._apply({run: listings[run] for run in runs[start : start + _MANY_RUNS]})
        with self._catalog.writing() as connection:
            write_note(connection, LACKING, False)
        return listings

    def knows(self, run: str) -> bool:
        """Tell whether the catalog has a run."""
        with self._catalog.reading() as connection:
            return connection.execute("SELECT 1 FROM object_run WHERE id = ?", (run,)).fetchone() is not None

    def refresh_run(self, run: str) -> dict[str, Listed]:
        """See what has changed in one run; return its objects.

        Raises:
            NotFound: There is no such run.
        """
        objects = self._bucket.list(run_folder(run))
        try:
            moved = self._apply({run: objects}, single=not self._alone)
            if moved:
                # Where a run goes may be made by it, or by what came before and is not known here yet.
                self._refresh()
                self._apply({run: objects})
        except CatalogDamaged:
            self._apply({run: objects})
        if not records_keys(run, objects):
            raise NotFound(f"the store has no run {run!r}")
        return objects

    # ---- the first time

    def _begin_anew(self, store: str) -> None:
        from tracklib.stores.snapshots import load_snapshot

        for key in sorted(filter(has_id, self._bucket.list(SNAPSHOTS)), reverse=True):
            try:
                data = self._bucket.get(key)
                with self._catalog.writing() as connection:
                    if _is_current(connection, store):  # Another process was quicker, and may know more by now.
                        return
                    clear(connection)
                    load_snapshot(connection, data)
                    write_note(connection, "store", store)
                    write_note(connection, "refreshed_at", time.time())
                return
            except (CorruptData, NotFound) as error:  # Damaged, or deleted meanwhile: there may be an older one.
                self.news.tell(key, "", str(error))
        self._read_everything(store)

    def _read_everything(self, store: str) -> None:
        # The markers first: what changes meanwhile is found behind them.
        markers = _markers(self._bucket.list(CHANGES))
        listings = _by_run(self._bucket.list(RUNS))
        keys = {run: found for run, objects in listings.items() if (found := records_keys(run, objects))}
        entities = self.news.of_entities(filter(has_id, self._bucket.list(ENTITIES)))
        runs = self.news.of_runs(keys, listings, {})
        with self._catalog.writing() as connection:
            if _is_current(connection, store):  # As above.
                return
            clear(connection)
            apply_news(connection, runs, entities)
            _note(connection, markers)
            write_note(connection, "store", store)

    # ---- from then on

    def _follow(self) -> None:
        known = self._known()
        fresh = [marker for marker in self._markers_since(known.cursor) if marker.id not in known.seen]
        runs = dict.fromkeys([*(marker.run for marker in fresh if marker.run), *known.live])
        self._apply(self._listings(list(runs)), fresh)

    def _known(self) -> _Known:
        with self._catalog.reading() as connection:
            seen = {row[0] for row in connection.execute("SELECT id FROM object_marker")}
            live = live_runs(connection, time.time() - SILENT_SECONDS)
            return _Known(read_note(connection, "cursor") or "", seen, live)

    def _markers_since(self, cursor: str) -> list[Marker]:
        if not cursor:
            return _markers(self._bucket.list(CHANGES))
        begin, end = id_time(cursor) - OVERLAP_SECONDS, time.time() + OVERLAP_SECONDS
        prefixes = time_prefixes(begin, max(begin, end))
        found = _markers(key for prefix in prefixes for key in self._bucket.list(CHANGES, prefix))
        return [marker for marker in found if marker.id >= first_id(begin)]

    def _listings(self, runs: list[str]) -> Listings:
        if len(runs) > _MANY_RUNS:
            everything = _by_run(self._bucket.list(RUNS))
            return {run: everything.get(run, {}) for run in runs}
        if len(runs) < 2:
            return {run: self._bucket.list(run_folder(run)) for run in runs}
        with ThreadPoolExecutor(min(_AT_ONCE, len(runs)), thread_name_prefix="tracklib-listing") as pool:
            return dict(zip(runs, pool.map(lambda run: self._bucket.list(run_folder(run)), runs), strict=True))

    def _apply(self, listings: Listings, markers: Sequence[Marker] = (), *, single: bool = False) -> bool:
        """Read what has changed of these runs, and what these markers speak of, and put it into the tables.

        Args:
            single: Do nothing where a run was moved, and tell so by returning True.
        """
        entities = {marker.id: entity_key(marker.id) for marker in markers if not marker.run}
        puts = {key: self.news.of_entities([key]) for key in entities.values()}
        while listings or markers:
            with self._catalog.reading() as connection:
                known = known_parts(connection, listings)
            keys = {run: found for run, objects in listings.items() if (found := records_keys(run, objects))}
            changed = {run: mine for run, mine in keys.items() if _differs(mine, listings[run], known.get(run, {}))}
            news = self.news.of_runs(changed, listings, known)
            gone = [run for run in listings if run not in keys]
            if not (news or gone or markers):
                break
            if single and _have_moved(news):
                return True
            with self._catalog.writing() as connection:
                # Another process may have put some of it there meanwhile.
                current = known_parts(connection, changed)
                sound = [found for found in news if current.get(found.run, {}) == known.get(found.run, {})]
                unseen = [key for marker, key in entities.items() if not is_seen(connection, marker)]
                for run in gone:
                    forget_run(connection, run)
                apply_news(connection, sound, [put for key in unseen for put in puts[key]])
                _note(connection, markers)
            done = {found.run for found in sound}
            listings = {run: listings[run] for run in changed if run not in done}
            markers = ()
        return False


def _is_current(connection: sqlite3.Connection, store: str) -> bool:
    """Tell whether the catalog is of this store, and was brought up to date not long ago."""
    refreshed_at = read_note(connection, "refreshed_at") or 0.0
    return bool(read_note(connection, "store") == store and refreshed_at > time.time() - STALE_SECONDS)


def _have_moved(news: Sequence[RunNews]) -> bool:
    told = (told for found in news for writer in found.writers for told in writer.records)
    return any(each.record.kind == RecordKind.PLACE for each in told)


def _note(connection: sqlite3.Connection, markers: Sequence[Marker]) -> None:
    """Write down which markers were seen, and when."""
    connection.executemany("INSERT OR IGNORE INTO object_marker (id) VALUES (?)", ((marker.id,) for marker in markers))
    cursor = max([read_note(connection, "cursor") or "", *(marker.id for marker in markers)])
    write_note(connection, "cursor", cursor)
    write_note(connection, "refreshed_at", time.time())
    if cursor:
        oldest = first_id(id_time(cursor) - OVERLAP_SECONDS)
        connection.execute("DELETE FROM object_marker WHERE id < ?", (oldest,))


def _markers(keys: Iterable[str]) -> list[Marker]:
    found = (Marker.of(key.rpartition("/")[2]) for key in keys)
    return sorted(marker for marker in found if marker is not None)


def _by_run(objects: dict[str, Listed]) -> Listings:
    found: Listings = {}
    for key, listed in objects.items():
        run = key.split("/")[1]
        if is_id(run):
            found.setdefault(run, {})[key] = listed
    return found


def _differs(keys: list[str], objects: dict[str, Listed], known: dict[str, Part]) -> bool:
    return known.keys() != set(keys) or any(known[key].token != objects[key].token for key in keys)
