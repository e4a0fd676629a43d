"""A database of the first schema, as a service of then left it: batches, jobs and items in every state."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

FILLED = """
INSERT INTO meta VALUES ('hash_key', '{key}');
INSERT INTO batches (id, source, name, origin, file, source_column, device, inode, size, mtime, digest, layout,
    warnings, priority, state, pause_wanted, line, lines, refused, items, created_at, opened_at, finished_at,
    written_at)
VALUES
    (1, 'posts', 'done', 'file', 'done.txt', NULL, 1, 101, 99, 1700000000000000001, 'd1', 'plain text', '["odd"]', 0,
     'finished', 0, 7, 7, 1, 2, '{at}', '{at}', '{at}', '{at}'),
    (2, 'posts', 'unwritten', 'cli', 'unwritten.csv', '"ID"', 1, 102, 9, 2, 'd2', 'CSV', '[]', 2,
     'finished', 0, 2, 2, 0, 1, '{at}', '{at}', '{at}', NULL),
    (3, 'posts', 'open', 'file', 'open.txt', '2', 1, 103, 99, 3, 'd3', 'plain text', '[]', 1,
     'open', 0, 9, 9, 0, 2, '{at}', '{at}', NULL, NULL),
    (4, 'posts', 'paused', 'http', NULL, NULL, NULL, NULL, NULL, NULL, 'd4', 'plain text', '[]', 0,
     'paused', 0, 1, 1, 0, 0, '{at}', '{at}', NULL, NULL),
    (5, 'posts', 'held', 'file', 'held.txt', NULL, 1, 105, 9, 5, 'd5', 'plain text', '[]', 0,
     'held', 0, 1, 1, 0, 0, '{at}', '{at}', NULL, NULL),
    (6, 'posts', 'cancelled', 'file', 'cancelled.txt', NULL, 1, 106, 9, 6, 'd6', 'plain text', '[]', 0,
     'cancelled', 0, 2, 2, 0, 1, '{at}', '{at}', '{at}', '{at}'),
    (7, 'posts', 'loading', 'file', 'loading.txt', NULL, 1, 107, 9, 7, NULL, NULL, '[]', 0,
     'loading', 1, 1, 0, 0, 0, '{at}', NULL, NULL, NULL);
INSERT INTO jobs (batch, key, state, attempts, due_at, cursor, pack_max, reason, detail, same_as, finished_at) VALUES
    (1, '101', 'found',     1, NULL, NULL, NULL, NULL,         NULL,       NULL, '{at}'),
    (1, '102', 'found',     2, NULL, NULL, NULL, NULL,         NULL,       NULL, '{at}'),
    (1, '103', 'gone',      0, NULL, NULL, NULL, 'not-found',  'no post',  NULL, '{at}'),
    (1, '104', 'gone',      0, NULL, NULL, NULL, 'protected',  NULL,       NULL, '{at}'),
    (1, '105', 'invalid',   0, NULL, NULL, NULL, 'refused',    NULL,       NULL, '{at}'),
    (1, '106', 'failed',    6, NULL, NULL, 1,    'http_500',   'often',    NULL, '{at}'),
    (2, '201', 'found',     0, NULL, NULL, NULL, NULL,         NULL,       NULL, '{at}'),
    (2, '101', 'found',     0, NULL, NULL, NULL, NULL,         NULL,       1,    '{at}'),
    (3, '301', 'queued',    0, NULL, NULL, NULL, NULL,         NULL,       NULL, NULL),
    (3, '302', 'queued',    0, NULL, NULL, NULL, NULL,         NULL,       NULL, NULL),
    (3, '303', 'delayed',   2, '{at}', NULL, 1,  'http_500',   'again',    NULL, NULL),
    (3, '304', 'delayed',   0, '{at}', NULL, NULL, 'throttled', NULL,      NULL, NULL),
    (3, '305', 'found',     0, NULL, NULL, NULL, NULL,         NULL,       NULL, '{at}'),
    (3, '306', 'found',     0, NULL, NULL, NULL, NULL,         NULL,       NULL, '{at}'),
    (3, '307', 'gone',      0, NULL, NULL, NULL, 'not-found',  NULL,       NULL, '{at}'),
    (3, '308', 'failed',    6, NULL, NULL, NULL, 'timeout',    NULL,       NULL, '{at}'),
    (3, '309', 'invalid',   0, NULL, NULL, NULL, 'refused',    NULL,       NULL, '{at}'),
    (4, '401', 'queued',    0, NULL, NULL, NULL, NULL,         NULL,       NULL, NULL),
    (5, '501', 'queued',    0, NULL, NULL, NULL, NULL,         NULL,       NULL, NULL),
    (6, '601', 'found',     0, NULL, NULL, NULL, NULL,         NULL,       NULL, '{at}'),
    (6, '602', 'cancelled', 1, NULL, NULL, NULL, 'cancelled',  NULL,       NULL, '{at}'),
    (7, '701', 'queued',    0, NULL, NULL, NULL, NULL,         NULL,       NULL, NULL);
INSERT INTO counts SELECT batch, state, coalesce(reason, ''), count(*) FROM jobs GROUP BY 1, 2, 3;
INSERT INTO counts VALUES (1, 'queued', '', 0), (1, 'delayed', 'http_500', 0);
INSERT INTO answers VALUES (1, 1, 'posts', '{at}', '{{"includes": 1}}'), (2, 3, 'posts', '{at}', '{{"includes": 3}}');
INSERT INTO items (batch, job, source, key, fetched_at, answer, reencoded, body)
SELECT batch, key, 'posts', key, '{at}', iif(batch = 3, 2, 1), key = '102', '{{"id": "' || key || '", "n": 5.26e+17}}'
FROM jobs WHERE state = 'found' AND same_as IS NULL ORDER BY batch, key;
INSERT INTO attempts VALUES
    (1, '106', '{at}', 500, 'http_500', '{{"x-rate-limit-remaining": "3"}}', 0.25),
    (3, '303', '{at}', NULL, 'timeout', '{{}}', 30.0);
"""
AT = "2026-11-22T10:00:00.000Z"
KEY = "0f" * 32


def database(path: Path, more: str = "") -> Path:
    """Makes it; `more` is SQL that follows."""
    path.parent.mkdir(exist_ok=True)
    rows = FILLED.format(at=AT, key=KEY)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(f"BEGIN;\n{_schema()}\nPRAGMA user_version = 1;\n{rows}{more}\nCOMMIT;")
    return path


def told(path: Path, where: str = "true") -> dict[str, list[tuple[object, ...]]]:
    """All rows of its tables, in the columns of then, in their order; `where` is for those of batches."""
    with closing(sqlite3.connect(":memory:")) as then, reading(path) as now:
        then.executescript(_schema())
        tables = [name for (name,) in then.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = {table: [name for _, name, *_ in then.execute(f"PRAGMA table_info({table})")] for table in tables}
        rows: dict[str, list[tuple[object, ...]]] = {}
        for table, names in columns.items():
            listed = ", ".join(names)
            those = where if "batch" in names else "true"
            rows[table] = now.execute(f"SELECT {listed} FROM {table} WHERE {those} ORDER BY {listed}").fetchall()
        return rows


def version(path: Path) -> int:
    """Of its schema."""
    with reading(path) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        yield db


def _schema() -> str:
    return (resources.files("collector.store") / "schema" / "001_create_tables.sql").read_text()
