"""The tables of the SQLite store, as a history of migrations. `docs/store-format.md` describes them.

A migration is never changed once it was released: a new one is added behind it, and `VERSION` counts them.

A new database is made from `schema.sql`, which is what the migrations give, written down: sqlite-utils imports pandas
where that is installed, which takes half a second and 100 MB that a training process need not pay for an empty file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.stores.param_rows import set_param_types

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from sqlite_utils import Database

__all__ = ["APPLICATION_ID", "MIGRATIONS", "SCHEMA_FILE", "VERSION", "create", "migrate", "render_schema"]

APPLICATION_ID: Final = 0x74726B6C
"""Stands in the header of each of our databases: the letters "trkl"."""


def m001_initial(db: Database) -> None:
    """Make the tables of the first version."""
    _catalog_tables(db)
    _run_tables(db)
    _artifact_tables(db)
    _point_tables(db)


def _catalog_tables(db: Database) -> None:
    db.table("project").create(
        {
            "id": str,
            "name": str,
            "description": str,
            "owner": str,
            "team": str,
            "tags": str,
            "settings": str,
            "created_at": float,
            "updated_at": float,
            "archived_at": float,
        },
        pk="id",
        not_null={"name"},
    )
    db.table("project").create_index(["name"], unique=True)
    db.table("experiment").create(
        {
            "id": str,
            "project_id": str,
            "name": str,
            "description": str,
            "hypothesis": str,
            "status": str,
            "tags": str,
            "created_by": str,
            "created_at": float,
            "updated_at": float,
            "archived_at": float,
        },
        pk="id",
        not_null={"project_id", "name", "status"},
        foreign_keys=[("project_id", "project", "id")],
    )
    db.table("experiment").create_index(["project_id", "name"], unique=True)
    # Long texts that many runs share (package lists, diffs), once each, by SHA-256.
    db.table("document").create({"hash": str, "text": str}, pk="hash")


def _run_tables(db: Database) -> None:
    db.table("run").create(
        {
            "key": int,
            "id": str,
            "experiment_id": str,
            "name": str,
            "status": str,
            "reason": str,
            "start_time": float,
            "end_time": float,
            "duration": float,
            "parent": str,
            "created_by": str,
            "created_at": float,
            "archived_at": float,
            "notes": str,
            "params": str,
            "error": str,
            "dropped": str,
            "source": str,
            "source_documents": str,
            "environment": str,
            "packages": str,
            "resources": str,
            "git_commit": str,
            "git_branch": str,
            "hostname": str,
        },
        pk="key",
        not_null={"id", "experiment_id", "status"},
        foreign_keys=[("experiment_id", "experiment", "id")],
    )
    db.table("run").create_index(["id"], unique=True)
    db.table("run").create_index(["experiment_id", "created_at"])
    for column in ("status", "name", "parent", "git_commit", "created_at"):
        db.table("run").create_index([column])
    db.table("writer").create(
        {
            "key": int,
            "run_key": int,
            "writer": str,
            "rank": int,
            "host": str,
            "pid": int,
            "spool": str,
            "position": int,
            "summarised": int,
            "status": str,
            "started_at": float,
            "heartbeat_at": float,
            "is_primary": int,
            "dropped": str,
        },
        pk="key",
        not_null={"run_key", "writer", "position"},
        foreign_keys=[("run_key", "run", "key")],
    )
    db.table("writer").create_index(["run_key", "writer"], unique=True)
    # number is NULL where the value is no number (or NaN); text is its JSON, or the bare text of a string.
    db.execute(
        'CREATE TABLE "param" ("run_key" INTEGER NOT NULL REFERENCES "run"("key"), "name" TEXT NOT NULL,'
        ' "text" TEXT, "number" REAL, PRIMARY KEY ("run_key", "name")) WITHOUT ROWID'
    )
    db.table("param").create_index(["name", "number"])
    db.table("param").create_index(["name", "text"])
    db.execute(
        'CREATE TABLE "tag" ("run_key" INTEGER NOT NULL REFERENCES "run"("key"), "name" TEXT NOT NULL,'
        ' "value" TEXT NOT NULL, PRIMARY KEY ("run_key", "name")) WITHOUT ROWID'
    )
    db.table("tag").create_index(["name", "value"])
    db.table("event").create(
        {"id": int, "run_key": int, "writer": str, "kind": str, "time": float, "data": str},
        pk="id",
        foreign_keys=[("run_key", "run", "key")],
    )
    db.table("event").create_index(["run_key", "kind"])


def _artifact_tables(db: Database) -> None:
    db.table("artifact").create(
        {
            "id": str,
            "run_key": int,
            "name": str,
            "type": str,
            "version": int,
            "path": str,
            "size": int,
            "checksum": str,
            "metadata": str,
            "step": int,
            "created_at": float,
        },
        pk="id",
        foreign_keys=[("run_key", "run", "key")],
    )
    db.table("artifact").create_index(["run_key"])
    db.table("artifact").create_index(["name"])
    db.table("artifact_file").create(
        {"artifact_id": str, "path": str, "size": int, "checksum": str},
        pk=("artifact_id", "path"),
        foreign_keys=[("artifact_id", "artifact", "id")],
    )
    db.table("artifact_file").create_index(["checksum"])


def _point_tables(db: Database) -> None:
    # NULL in last, min, max and sum means NaN. last_start is when the writer of last began.
    db.table("series").create(
        {
            "id": int,
            "run_key": int,
            "name": str,
            "last": float,
            "min": float,
            "max": float,
            "sum": float,
            "count": int,
            "nan_count": int,
            "first_step": int,
            "last_step": int,
            "last_time": float,
            "last_start": float,
        },
        pk="id",
        not_null={"run_key", "name"},
        foreign_keys=[("run_key", "run", "key")],
    )
    db.table("series").create_index(["run_key", "name"], unique=True)
    db.table("series").create_index(["name", "last"])
    db.table("batch").create(
        {"id": int, "writer_key": int, "rows": int, "points": int, "data": bytes},
        pk="id",
        foreign_keys=[("writer_key", "writer", "key")],
    )
    db.table("batch").create_index(["writer_key"])
    db.table("axis").create(
        {
            "id": int,
            "writer_key": int,
            "count": int,
            "first_step": int,
            "last_step": int,
            "steps": bytes,
            "times": bytes,
        },
        pk="id",
        foreign_keys=[("writer_key", "writer", "key")],
    )
    db.table("axis").create_index(["writer_key"])
    db.table("chunk").create(
        {
            "id": int,
            "series_id": int,
            "axis_id": int,
            "count": int,
            "nan_count": int,
            "min": float,
            "max": float,
            "sum": float,
            "data": bytes,
        },
        pk="id",
        foreign_keys=[("series_id", "series", "id"), ("axis_id", "axis", "id")],
    )
    db.table("chunk").create_index(["series_id", "axis_id"])


def m002_writer_seconds(db: Database) -> None:
    """Keep for each writer how long it ran. Of older runs only the total is known: the last main writer has it."""
    db.table("writer").add_column("seconds", float)
    db.execute(
        "UPDATE writer SET seconds = (SELECT duration FROM run WHERE run.key = run_key) WHERE is_primary AND NOT EXISTS"
        " (SELECT 1 FROM writer AS other WHERE other.run_key = writer.run_key AND other.is_primary"
        " AND (other.started_at, other.key) > (writer.started_at, writer.key))"
    )


def m003_artifact_versions(db: Database) -> None:
    """Count versions of artifacts by project, and keep aliases and uses. Older artifacts stay as their runs count."""
    artifact = db.table("artifact")
    artifact.add_column("project", str, not_null_default="")
    artifact.add_column("aliases", str, not_null_default="[]")
    artifact.add_column("score", float)
    artifact.create_index(["project", "name", "version"])
    artifact.create_index(["checksum"])
    # Which numbers were given out: the artifacts that got them may be no more.
    db.table("artifact_version").create(
        {"project": str, "name": str, "version": int, "checksum": str, "claimed_at": float},
        pk=("project", "name", "version"),
    )
    db.table("artifact_version").create_index(["project", "name", "checksum"], unique=True)
    shared = {"project": str, "name": str, "version": int, "checksum": str}
    tables: dict[str, dict[str, Any]] = {
        "artifact_alias": {"alias": str, "score": float},
        "artifact_use": {"artifact": str},
    }
    for name, own in tables.items():
        db.table(name).create(
            {"id": int, "run_key": int, **shared, **own, "time": float},
            pk="id",
            foreign_keys=[("run_key", "run", "key")],
        )
        db.table(name).create_index(["run_key"])
        db.table(name).create_index(["project", "name"])


def m004_param_types(db: Database) -> None:
    """Keep of each param what kind of value it is, and let orders by a metric be read from an index alone."""
    db.execute('ALTER TABLE "param" ADD COLUMN "type" TEXT NOT NULL DEFAULT \'text\'')
    set_param_types(db.conn)
    db.execute('DROP INDEX "idx_series_name_last"')
    db.table("series").create_index(["name", "last", "run_key"])


MIGRATIONS: Final[tuple[Callable[[Database], None], ...]] = (
    m001_initial,
    m002_writer_seconds,
    m003_artifact_versions,
    m004_param_types,
)
VERSION: Final = len(MIGRATIONS)

SCHEMA_FILE: Final = Path(__file__).with_name("schema.sql")

_SEPARATOR: Final = ";\n\n"


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of the current version in an empty database, within the transaction that the caller has begun."""
    for statement in SCHEMA_FILE.read_text(encoding="utf-8").split(_SEPARATOR):
        connection.execute(statement)
    _mark(connection)


def render_schema() -> str:
    """Return what `schema.sql` must say: the tables, indexes and migration marks that the migrations make."""
    import sqlite3

    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    statements = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    statements += [
        'INSERT INTO "_sqlite_migrations" ("migration_set", "name", "applied_at")'  # noqa: S608 - our own names
        f" VALUES ('tracklib', '{migration.__name__}', datetime('now'))"
        for migration in MIGRATIONS
    ]
    connection.close()
    return _SEPARATOR.join(statements) + "\n"


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database to the current version, within the transaction that the caller has begun."""
    from sqlite_utils import Database, Migrations

    migrations = Migrations("tracklib")
    for migration in MIGRATIONS:
        migrations(name=migration.__name__)(migration)
    migrations.apply(Database(connection))
    _mark(connection)


def _mark(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
