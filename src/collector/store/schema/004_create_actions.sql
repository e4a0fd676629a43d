-- Who ordered what: a row is written in the transaction that does it, and grows with what is done in several.
CREATE TABLE actions (
    id      INTEGER PRIMARY KEY,
    at      TEXT NOT NULL,
    what    TEXT NOT NULL,               -- pause, resume, cancel, retry, priority
    of      TEXT NOT NULL,               -- `batch 7` (and all below it), `source posts`, `all`
    who     TEXT NOT NULL,
    options TEXT NOT NULL DEFAULT '{}',  -- a JSON object
    outcome TEXT NOT NULL,               -- in words
    CONSTRAINT action_who CHECK (who IN ('cli', 'http')),
    CONSTRAINT action_options CHECK (json_valid(options))
) STRICT;
