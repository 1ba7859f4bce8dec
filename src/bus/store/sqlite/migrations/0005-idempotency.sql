-- The outcomes of requests that came with an Idempotency-Key, so that the same request again gets the same answer.
-- request: SHA-256 of all that was sent, in hex. outcomes: JSON, as batch-text.ts writes it. at: milliseconds since the Unix epoch.
CREATE TABLE idempotency_keys (
  key_id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  request TEXT NOT NULL,
  outcomes TEXT NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (owner, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);
