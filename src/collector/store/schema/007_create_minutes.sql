-- What came of each minute, for the charts; a week is kept. `answered`, `waited` and `failed` are calls, the others IDs.
CREATE TABLE minutes (
    minute  TEXT    NOT NULL,                -- its beginning, `2026-11-22T08:07:00.000Z`
    source  TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    number  INTEGER NOT NULL,
    PRIMARY KEY (minute, source, outcome),   -- in this order, so that the oldest lie together
    CONSTRAINT minute_whole CHECK (minute GLOB '????-??-??T??:??:00.000Z'),
    CONSTRAINT minute_outcome CHECK (outcome IN ('answered', 'waited', 'failed', 'found', 'gone', 'lost')),
    CONSTRAINT minute_counting CHECK (number > 0)
) STRICT, WITHOUT ROWID;
