-- A batch that came over HTTP may wait for a yes once it is loaded.
ALTER TABLE batches ADD COLUMN hold_wanted INTEGER NOT NULL DEFAULT 0;
