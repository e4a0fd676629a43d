-- What somebody was told of a batch: nothing, `in` once it was taken in, then the finished_at of the end that was told.
ALTER TABLE batches ADD COLUMN told TEXT NOT NULL DEFAULT '';
