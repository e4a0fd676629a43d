-- Times are text, `2026-11-22T08:07:21.123Z`: they read well anywhere, and text order is time order.

PRAGMA application_id = 0x636F6C6C; -- "coll": no other program's file is taken for ours

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- IDs that came in together for one source.
CREATE TABLE batches (
    id           INTEGER PRIMARY KEY,
    source       TEXT    NOT NULL,
    name         TEXT    NOT NULL,              -- of the file, without its endings
    origin       TEXT    NOT NULL,
    file         TEXT,                          -- the file's own name
    source_column TEXT,                         -- the column asked for when it was added, as JSON
    device       INTEGER,                       -- which file it was, so that a start finds it again
    inode        INTEGER,
    size         INTEGER,
    mtime        INTEGER,                       -- nanoseconds
    digest       TEXT,                          -- SHA-256 of the file's bytes
    layout       TEXT,                          -- what the file was recognised as
    warnings     TEXT    NOT NULL DEFAULT '[]', -- JSON list of texts
    priority     INTEGER NOT NULL DEFAULT 0,
    state        TEXT    NOT NULL,
    pause_wanted INTEGER NOT NULL DEFAULT 0,    -- a pause asked for while loading
    parent       INTEGER REFERENCES batches (id),
    line         INTEGER NOT NULL DEFAULT 0,    -- where loading has come to
    lines        INTEGER NOT NULL DEFAULT 0,    -- lines of the file = IDs taken in + repeats + refused
    refused      INTEGER NOT NULL DEFAULT 0,
    items        INTEGER NOT NULL DEFAULT 0,    -- stored so far, changed with them
    created_at   TEXT    NOT NULL,
    opened_at    TEXT,
    finished_at  TEXT,
    written_at   TEXT,                          -- when its results were written into its folder
    CONSTRAINT batch_origin CHECK (origin IN ('file', 'http', 'cli', 'chain')),
    CONSTRAINT batch_state CHECK (state IN ('loading', 'held', 'open', 'paused', 'cancelled', 'finished')),
    CONSTRAINT batch_finished CHECK ((finished_at IS NOT NULL) = (state IN ('cancelled', 'finished')))
) STRICT;

CREATE INDEX batches_to_write ON batches (id) WHERE finished_at IS NOT NULL AND written_at IS NULL;

-- How many jobs of a batch stand in a state for a reason; changed in the transaction that changes the jobs.
CREATE TABLE counts (
    batch  INTEGER NOT NULL REFERENCES batches (id),
    state  TEXT    NOT NULL,
    reason TEXT    NOT NULL DEFAULT '',
    jobs   INTEGER NOT NULL,
    PRIMARY KEY (batch, state, reason),
    CONSTRAINT count_not_negative CHECK (jobs >= 0)
) STRICT, WITHOUT ROWID;

-- One ID of one batch. A row is `queued` only while the feeder has not passed it; what comes back is `delayed`.
CREATE TABLE jobs (
    batch       INTEGER NOT NULL,
    key         TEXT    NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'queued',
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at      TEXT,
    cursor      TEXT,
    pack_max    INTEGER,
    reason      TEXT,
    detail      TEXT,
    same_as     INTEGER,
    finished_at TEXT,
    PRIMARY KEY (batch, key),
    CONSTRAINT job_state CHECK (state IN ('queued', 'delayed', 'found', 'gone', 'invalid', 'failed', 'cancelled')),
    CONSTRAINT job_finished CHECK (
        (finished_at IS NOT NULL) = (state IN ('found', 'gone', 'invalid', 'failed', 'cancelled'))
    ),
    CONSTRAINT job_due CHECK ((due_at IS NOT NULL) = (state = 'delayed')),
    CONSTRAINT job_reason CHECK (reason IS NOT NULL OR state NOT IN ('gone', 'invalid', 'failed', 'cancelled'))
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_delayed ON jobs (batch, due_at) WHERE state = 'delayed';
CREATE INDEX jobs_not_found ON jobs (batch, state, key) WHERE state IN ('gone', 'invalid', 'failed', 'cancelled');

-- What `also` keeps once for an answer, beside its items.
CREATE TABLE answers (
    id         INTEGER PRIMARY KEY,
    batch      INTEGER NOT NULL,
    source     TEXT    NOT NULL,
    fetched_at TEXT    NOT NULL,
    body       TEXT    NOT NULL
) STRICT;

CREATE INDEX answers_of_batch ON answers (batch);

-- One object that the API returned, in its own bytes.
CREATE TABLE items (
    id         INTEGER PRIMARY KEY,
    batch      INTEGER NOT NULL,
    job        TEXT    NOT NULL,             -- the key that was asked for
    source     TEXT    NOT NULL,
    key        TEXT    NOT NULL,             -- the object's own ID
    fetched_at TEXT    NOT NULL,
    answer     INTEGER REFERENCES answers (id),
    reencoded  INTEGER NOT NULL DEFAULT 0,   -- 1 where the bytes are ours, not the API's
    body       TEXT    NOT NULL
) STRICT;

CREATE UNIQUE INDEX items_once ON items (batch, job, key);
CREATE INDEX items_of_job ON items (source, job);
CREATE INDEX items_versions ON items (source, key);

-- Calls that were sent and failed, or were told to wait; the latest few of each job.
CREATE TABLE attempts (
    batch   INTEGER NOT NULL,
    key     TEXT    NOT NULL,
    at      TEXT    NOT NULL,
    status  INTEGER,
    reason  TEXT    NOT NULL,
    headers TEXT    NOT NULL,                -- the limit headers seen, as JSON
    seconds REAL    NOT NULL,
    PRIMARY KEY (batch, key, at)
) STRICT, WITHOUT ROWID;
