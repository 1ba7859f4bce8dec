-- Who may do what off loopback. A token's secret is nowhere: hash is its SHA-256 in hex. scopes is a JSON list. Times are
-- milliseconds since the Unix epoch. To take a token back in the sqlite3 shell set revoked_at, or delete the row; the
-- next call with it is refused.

CREATE TABLE tokens (
  id TEXT PRIMARY KEY NOT NULL,
  hash TEXT NOT NULL UNIQUE CHECK (length(hash) = 64),
  name TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('agent', 'person', 'tool')),
  scopes TEXT NOT NULL CHECK (json_valid(scopes) AND json_type(scopes) = 'array'),
  per_minute INTEGER CHECK (per_minute > 0),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  last_used_at INTEGER,
  revoked_at INTEGER
) WITHOUT ROWID;
