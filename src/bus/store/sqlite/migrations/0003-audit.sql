-- The audit chain (docs/audit.md), signed checkpoints, and what retention leaves of the events it purges.

-- SHA-256 over the hash of the event before and this event's envelope. NULL is an event that the chain does not speak for.
ALTER TABLE event_log ADD COLUMN hash BLOB;

-- Runs of purged events, which touch no other run. hash is that of the last one, so that the event after it still follows.
CREATE TABLE purged_runs (
  from_seq INTEGER PRIMARY KEY,
  to_seq INTEGER NOT NULL,
  hash BLOB NOT NULL
);

-- What the chain was at a time, signed. Kept elsewhere too, it finds what a changed file alone cannot show.
CREATE TABLE checkpoints (
  seq INTEGER PRIMARY KEY,
  hash TEXT NOT NULL,
  at INTEGER NOT NULL,
  epoch TEXT NOT NULL,
  key_id TEXT NOT NULL,
  signature TEXT NOT NULL
);
