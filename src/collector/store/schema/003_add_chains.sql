-- Batches whose IDs come from the items of another one: what is to follow, and whether somebody said yes to more
-- children than `max_children`.
ALTER TABLE batches ADD COLUMN chain TEXT NOT NULL DEFAULT '[]';     -- JSON list of the sources that are to follow
ALTER TABLE batches ADD COLUMN granted INTEGER NOT NULL DEFAULT 0;

ALTER TABLE attempts ADD COLUMN traceback TEXT;                      -- of a Python source's function

-- `cursor` of a job is JSON: next, pages, restarts. A list that was begun goes on before others are begun.
CREATE INDEX jobs_begun ON jobs (batch, due_at) WHERE state = 'delayed' AND cursor IS NOT NULL;
