CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);

CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");

CREATE TABLE "project" (
   "id" TEXT PRIMARY KEY,
   "name" TEXT NOT NULL,
   "description" TEXT,
   "owner" TEXT,
   "team" TEXT,
   "tags" TEXT,
   "settings" TEXT,
   "created_at" REAL,
   "updated_at" REAL,
   "archived_at" REAL
);

CREATE UNIQUE INDEX "idx_project_name"
    ON "project" ("name");

CREATE TABLE "experiment" (
   "id" TEXT PRIMARY KEY,
   "project_id" TEXT NOT NULL REFERENCES "project"("id"),
   "name" TEXT NOT NULL,
   "description" TEXT,
   "hypothesis" TEXT,
   "status" TEXT NOT NULL,
   "tags" TEXT,
   "created_by" TEXT,
   "created_at" REAL,
   "updated_at" REAL,
   "archived_at" REAL
);

CREATE UNIQUE INDEX "idx_experiment_project_id_name"
    ON "experiment" ("project_id", "name");

CREATE TABLE "document" (
   "hash" TEXT PRIMARY KEY,
   "text" TEXT
);

CREATE TABLE "run" (
   "key" INTEGER PRIMARY KEY,
   "id" TEXT NOT NULL,
   "experiment_id" TEXT NOT NULL REFERENCES "experiment"("id"),
   "name" TEXT,
   "status" TEXT NOT NULL,
   "reason" TEXT,
   "start_time" REAL,
   "end_time" REAL,
   "duration" REAL,
   "parent" TEXT,
   "created_by" TEXT,
   "created_at" REAL,
   "archived_at" REAL,
   "notes" TEXT,
   "params" TEXT,
   "error" TEXT,
   "dropped" TEXT,
   "source" TEXT,
   "source_documents" TEXT,
   "environment" TEXT,
   "packages" TEXT,
   "resources" TEXT,
   "git_commit" TEXT,
   "git_branch" TEXT,
   "hostname" TEXT
);

CREATE UNIQUE INDEX "idx_run_id"
    ON "run" ("id");

CREATE INDEX "idx_run_experiment_id_created_at"
    ON "run" ("experiment_id", "created_at");

CREATE INDEX "idx_run_status"
    ON "run" ("status");

CREATE INDEX "idx_run_name"
    ON "run" ("name");

CREATE INDEX "idx_run_parent"
    ON "run" ("parent");

CREATE INDEX "idx_run_git_commit"
    ON "run" ("git_commit");

CREATE INDEX "idx_run_created_at"
    ON "run" ("created_at");

CREATE TABLE "writer" (
   "key" INTEGER PRIMARY KEY,
   "run_key" INTEGER NOT NULL REFERENCES "run"("key"),
   "writer" TEXT NOT NULL,
   "rank" INTEGER,
   "host" TEXT,
   "pid" INTEGER,
   "spool" TEXT,
   "position" INTEGER NOT NULL,
   "summarised" INTEGER,
   "status" TEXT,
   "started_at" REAL,
   "heartbeat_at" REAL,
   "is_primary" INTEGER,
   "dropped" TEXT
, "seconds" REAL);

CREATE UNIQUE INDEX "idx_writer_run_key_writer"
    ON "writer" ("run_key", "writer");

CREATE TABLE "param" ("run_key" INTEGER NOT NULL REFERENCES "run"("key"), "name" TEXT NOT NULL, "text" TEXT, "number" REAL, "type" TEXT NOT NULL DEFAULT 'text', PRIMARY KEY ("run_key", "name")) WITHOUT ROWID;

CREATE INDEX "idx_param_name_number"
    ON "param" ("name", "number");

CREATE INDEX "idx_param_name_text"
    ON "param" ("name", "text");

CREATE TABLE "tag" ("run_key" INTEGER NOT NULL REFERENCES "run"("key"), "name" TEXT NOT NULL, "value" TEXT NOT NULL, PRIMARY KEY ("run_key", "name")) WITHOUT ROWID;

CREATE INDEX "idx_tag_name_value"
    ON "tag" ("name", "value");

CREATE TABLE "event" (
   "id" INTEGER PRIMARY KEY,
   "run_key" INTEGER REFERENCES "run"("key"),
   "writer" TEXT,
   "kind" TEXT,
   "time" REAL,
   "data" TEXT
);

CREATE INDEX "idx_event_run_key_kind"
    ON "event" ("run_key", "kind");

CREATE TABLE "artifact" (
   "id" TEXT PRIMARY KEY,
   "run_key" INTEGER REFERENCES "run"("key"),
   "name" TEXT,
   "type" TEXT,
   "version" INTEGER,
   "path" TEXT,
   "size" INTEGER,
   "checksum" TEXT,
   "metadata" TEXT,
   "step" INTEGER,
   "created_at" REAL
, "project" TEXT NOT NULL DEFAULT '', "aliases" TEXT NOT NULL DEFAULT '[]', "score" REAL);

CREATE INDEX "idx_artifact_run_key"
    ON "artifact" ("run_key");

CREATE INDEX "idx_artifact_name"
    ON "artifact" ("name");

CREATE TABLE "artifact_file" (
   "artifact_id" TEXT REFERENCES "artifact"("id"),
   "path" TEXT,
   "size" INTEGER,
   "checksum" TEXT,
   PRIMARY KEY ("artifact_id", "path")
);

CREATE INDEX "idx_artifact_file_checksum"
    ON "artifact_file" ("checksum");

CREATE TABLE "series" (
   "id" INTEGER PRIMARY KEY,
   "run_key" INTEGER NOT NULL REFERENCES "run"("key"),
   "name" TEXT NOT NULL,
   "last" REAL,
   "min" REAL,
   "max" REAL,
   "sum" REAL,
   "count" INTEGER,
   "nan_count" INTEGER,
   "first_step" INTEGER,
   "last_step" INTEGER,
   "last_time" REAL,
   "last_start" REAL
);

CREATE UNIQUE INDEX "idx_series_run_key_name"
    ON "series" ("run_key", "name");

CREATE TABLE "batch" (
   "id" INTEGER PRIMARY KEY,
   "writer_key" INTEGER REFERENCES "writer"("key"),
   "rows" INTEGER,
   "points" INTEGER,
   "data" BLOB
);

CREATE INDEX "idx_batch_writer_key"
    ON "batch" ("writer_key");

CREATE TABLE "axis" (
   "id" INTEGER PRIMARY KEY,
   "writer_key" INTEGER REFERENCES "writer"("key"),
   "count" INTEGER,
   "first_step" INTEGER,
   "last_step" INTEGER,
   "steps" BLOB,
   "times" BLOB
);

CREATE INDEX "idx_axis_writer_key"
    ON "axis" ("writer_key");

CREATE TABLE "chunk" (
   "id" INTEGER PRIMARY KEY,
   "series_id" INTEGER REFERENCES "series"("id"),
   "axis_id" INTEGER REFERENCES "axis"("id"),
   "count" INTEGER,
   "nan_count" INTEGER,
   "min" REAL,
   "max" REAL,
   "sum" REAL,
   "data" BLOB
);

CREATE INDEX "idx_chunk_series_id_axis_id"
    ON "chunk" ("series_id", "axis_id");

CREATE INDEX "idx_artifact_project_name_version"
    ON "artifact" ("project", "name", "version");

CREATE INDEX "idx_artifact_checksum"
    ON "artifact" ("checksum");

CREATE TABLE "artifact_version" (
   "project" TEXT,
   "name" TEXT,
   "version" INTEGER,
   "checksum" TEXT,
   "claimed_at" REAL,
   PRIMARY KEY ("project", "name", "version")
);

CREATE UNIQUE INDEX "idx_artifact_version_project_name_checksum"
    ON "artifact_version" ("project", "name", "checksum");

CREATE TABLE "artifact_alias" (
   "id" INTEGER PRIMARY KEY,
   "run_key" INTEGER REFERENCES "run"("key"),
   "project" TEXT,
   "name" TEXT,
   "version" INTEGER,
   "checksum" TEXT,
   "alias" TEXT,
   "score" REAL,
   "time" REAL
);

CREATE INDEX "idx_artifact_alias_run_key"
    ON "artifact_alias" ("run_key");

CREATE INDEX "idx_artifact_alias_project_name"
    ON "artifact_alias" ("project", "name");

CREATE TABLE "artifact_use" (
   "id" INTEGER PRIMARY KEY,
   "run_key" INTEGER REFERENCES "run"("key"),
   "project" TEXT,
   "name" TEXT,
   "version" INTEGER,
   "checksum" TEXT,
   "artifact" TEXT,
   "time" REAL
);

CREATE INDEX "idx_artifact_use_run_key"
    ON "artifact_use" ("run_key");

CREATE INDEX "idx_artifact_use_project_name"
    ON "artifact_use" ("project", "name");

CREATE INDEX "idx_series_name_last_run_key"
    ON "series" ("name", "last", "run_key");

INSERT INTO "_sqlite_migrations" ("migration_set", "name", "applied_at") VALUES ('tracklib', 'm001_initial', datetime('now'));

INSERT INTO "_sqlite_migrations" ("migration_set", "name", "applied_at") VALUES ('tracklib', 'm002_writer_seconds', datetime('now'));

INSERT INTO "_sqlite_migrations" ("migration_set", "name", "applied_at") VALUES ('tracklib', 'm003_artifact_versions', datetime('now'));

INSERT INTO "_sqlite_migrations" ("migration_set", "name", "applied_at") VALUES ('tracklib', 'm004_param_types', datetime('now'))
