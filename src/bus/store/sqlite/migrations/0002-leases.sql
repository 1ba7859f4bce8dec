-- Deliveries with leases. What is owed lies in one of four tables, by its state, so that a claim walks over no row that is
-- leased, put off or dead, and a publish adds one small row for each hearer.

-- May be claimed now: best priority first, then oldest. ready_at is NULL where it is the event's own time.
CREATE TABLE ready_deliveries (
  agent TEXT NOT NULL,
  priority INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  ready_at INTEGER,
  PRIMARY KEY (agent, priority, seq)
) WITHOUT ROWID;

-- Claimed until a time. lease is the fencing token: who comes with another, or too late, holds nothing.
CREATE TABLE leased_deliveries (
  agent TEXT NOT NULL,
  seq INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  lease INTEGER NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (agent, seq)
) WITHOUT ROWID;
CREATE INDEX leased_deliveries_until ON leased_deliveries (until);

-- To be ready later: published for later, or given back with a delay.
CREATE TABLE deferred_deliveries (
  due_at INTEGER NOT NULL,
  agent TEXT NOT NULL,
  seq INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (due_at, agent, seq)
) WITHOUT ROWID;
CREATE INDEX deferred_deliveries_by_agent ON deferred_deliveries (agent, seq);

-- Given up until a person looks. reason: attempts, rejected or expired.
CREATE TABLE dead_deliveries (
  agent TEXT NOT NULL,
  seq INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  reason TEXT NOT NULL,
  error TEXT,
  died_at INTEGER NOT NULL,
  PRIMARY KEY (agent, seq)
) WITHOUT ROWID;
CREATE INDEX dead_deliveries_by_time ON dead_deliveries (died_at, agent, seq);
CREATE INDEX dead_deliveries_by_agent ON dead_deliveries (agent, died_at, seq);

-- Which events there were at a time: what nobody claims expires by these, so that the log need not be read for it.
CREATE TABLE log_marks (
  at INTEGER PRIMARY KEY,
  seq INTEGER NOT NULL
);

INSERT INTO ready_deliveries (agent, priority, seq)
  SELECT agent, priority, seq FROM deliveries ORDER BY agent, priority, seq;
DROP TABLE deliveries;

-- The lease it was acknowledged under; NULL without one.
ALTER TABLE acknowledgements ADD COLUMN lease INTEGER;
-- When the event is delivered, where that is not at once.
ALTER TABLE event_log ADD COLUMN deliver_at INTEGER;

-- What is still owed, for people with the sqlite3 shell.
CREATE VIEW deliveries AS
SELECT
  e.id AS event_id,
  d.seq,
  d.agent,
  d.priority,
  d.state,
  d.attempts,
  strftime('%Y-%m-%dT%H:%M:%fZ', d.until / 1000.0, 'unixepoch') AS until,
  d.reason,
  d.error
FROM (
  SELECT seq, agent, priority, 'ready' AS state, attempts, NULL AS until, NULL AS reason, NULL AS error
    FROM ready_deliveries
  UNION ALL SELECT seq, agent, priority, 'leased', attempts, until, NULL, NULL FROM leased_deliveries
  UNION ALL SELECT seq, agent, priority, 'deferred', attempts, due_at, NULL, NULL FROM deferred_deliveries
  UNION ALL SELECT seq, agent, priority, 'dead', attempts, NULL, reason, error FROM dead_deliveries
) d
JOIN event_log e USING (seq);
