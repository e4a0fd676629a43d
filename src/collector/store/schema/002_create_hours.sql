-- Where the time of each source went, by the hour. The rows of a source sum to the time from `since` to `until`
-- in meta's `hours.source.NAME`, to the millisecond.
CREATE TABLE hours (
    source  TEXT NOT NULL,
    hour    TEXT NOT NULL,                   -- its beginning, `2026-11-22T08:00:00.000Z`
    why     TEXT NOT NULL,
    seconds REAL NOT NULL,                   -- whole milliseconds; above 3,600 where a clock was set back
    PRIMARY KEY (source, hour, why),
    CONSTRAINT hour_whole CHECK (hour GLOB '????-??-??T??:00:00.000Z'),
    CONSTRAINT hour_why CHECK (
        why IN ('window', 'network', 'backoff', 'paused', 'stopped', 'down', 'disk', 'busy', 'idle', 'off')
    ),
    CONSTRAINT hour_lasting CHECK (seconds > 0)
) STRICT, WITHOUT ROWID;
