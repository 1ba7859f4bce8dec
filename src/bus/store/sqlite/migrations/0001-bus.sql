-- The first schema. Times are milliseconds since the Unix epoch in the tables, RFC 3339 in the views.
-- People read this file with the sqlite3 shell (3.40 and newer): events, agent_subscriptions, pending_human_requests and
-- recent_events keep the names and columns of the first implementation.

CREATE TABLE bus_meta (
  name TEXT PRIMARY KEY,
  value NOT NULL
) WITHOUT ROWID;

-- Who hears, interned: thousands of events share one list. hearers: [[agent, mode, priority], …], best priority first.
CREATE TABLE audiences (
  audience_id INTEGER PRIMARY KEY,
  hearers TEXT NOT NULL UNIQUE,
  agents TEXT NOT NULL
);

CREATE TABLE audience_members (
  agent TEXT NOT NULL,
  audience_id INTEGER NOT NULL,
  mode TEXT NOT NULL,
  PRIMARY KEY (agent, audience_id)
) WITHOUT ROWID;

-- What events are listed by, interned. One index on (facet_id, seq) serves every filter and every inbox:
-- the facets that fit are found here, and their newest events are merged.
CREATE TABLE facets (
  facet_id INTEGER PRIMARY KEY,
  source_agent TEXT NOT NULL,
  action TEXT NOT NULL,
  status TEXT NOT NULL,
  audience_id INTEGER NOT NULL,
  UNIQUE (source_agent, action, status, audience_id)
);
CREATE INDEX facets_by_action ON facets (action);
CREATE INDEX facets_by_audience ON facets (audience_id);
CREATE INDEX facets_by_status ON facets (status);

-- The log. seq has no gap and grows in commit order; a row never changes but for the status in its facet.
CREATE TABLE event_log (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  facet_id INTEGER NOT NULL,
  at INTEGER NOT NULL,
  target TEXT,
  details TEXT,
  source_workflow_id TEXT,
  source_execution_id TEXT,
  correlation_id TEXT,
  causation_id TEXT,
  traceparent TEXT,
  tags TEXT,
  -- Only for events of the first implementation, whose own times these are; else they follow from at and what came later.
  first_created_at INTEGER,
  first_updated_at INTEGER
);
CREATE INDEX event_log_by_facet ON event_log (facet_id, seq);

-- state is NULL when the event has such fields but asks nobody (requires_human was false).
CREATE TABLE questions (
  seq INTEGER PRIMARY KEY,
  state TEXT,
  question TEXT,
  options TEXT,
  timeout_minutes REAL,
  fallback TEXT,
  free_text INTEGER NOT NULL DEFAULT 0,
  answerers TEXT,
  payload_hash TEXT,
  deadline INTEGER,
  escalation TEXT,
  next_rung_at INTEGER,
  escalated_at INTEGER,
  shown_at INTEGER,
  shown_via TEXT,
  response TEXT,
  responded_by TEXT,
  responded_via TEXT,
  resolved_at INTEGER
);
CREATE INDEX questions_open ON questions (coalesce(deadline, 9007199254740991), seq) WHERE state = 'open';
CREATE INDEX questions_rungs ON questions (next_rung_at) WHERE state = 'open' AND next_rung_at IS NOT NULL;

-- What is still owed to agents that hear by queue. An acknowledged row moves to acknowledgements.
CREATE TABLE deliveries (
  seq INTEGER NOT NULL,
  agent TEXT NOT NULL,
  priority INTEGER NOT NULL,
  state TEXT NOT NULL DEFAULT 'ready',
  PRIMARY KEY (agent, seq)
) WITHOUT ROWID;

CREATE TABLE acknowledgements (
  seq INTEGER NOT NULL,
  agent TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (seq, agent)
) WITHOUT ROWID;

-- Runs of events that a tail has acknowledged: between two runs of one agent lies at least one event that it heard and
-- has not acknowledged, so an inbox skips what is done in one step.
CREATE TABLE tail_runs (
  agent TEXT NOT NULL,
  to_seq INTEGER NOT NULL,
  from_seq INTEGER NOT NULL,
  PRIMARY KEY (agent, to_seq)
) WITHOUT ROWID;

-- Rows with deleted_at are tombstones, which are never enabled: what was deleted stays deleted. The table may be edited
-- in the sqlite3 shell; the next publish follows it. except_patterns is a JSON list of patterns.
CREATE TABLE agent_subscriptions (
  id TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(16)))),
  agent_name TEXT NOT NULL CHECK (typeof(agent_name) = 'text'),
  action_pattern TEXT NOT NULL CHECK (typeof(action_pattern) = 'text'),
  priority INTEGER NOT NULL DEFAULT 5 CHECK (typeof(priority) = 'integer' AND priority BETWEEN 1 AND 10),
  enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  mode TEXT NOT NULL DEFAULT 'queue' CHECK (mode IN ('queue', 'tail')),
  except_patterns TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(except_patterns) AND json_type(except_patterns) = 'array'),
  origin TEXT NOT NULL DEFAULT 'operator' CHECK (origin IN ('default', 'operator', 'agent')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  deleted_at TEXT,
  CHECK (deleted_at IS NULL OR enabled = 0),
  UNIQUE (agent_name, action_pattern)
);

CREATE VIEW events AS
SELECT
  e.id,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS timestamp,
  f.source_agent,
  e.source_workflow_id,
  e.source_execution_id,
  f.action,
  e.target,
  e.details,
  q.state IS NOT NULL AS requires_human,
  q.question AS human_question,
  q.options AS human_options,
  q.timeout_minutes AS human_timeout_minutes,
  q.fallback AS human_fallback,
  q.response AS human_response,
  CASE WHEN q.response IS NOT NULL
    THEN strftime('%Y-%m-%dT%H:%M:%fZ', q.resolved_at / 1000.0, 'unixepoch') END AS human_responded_at,
  q.shown_at IS NOT NULL AS human_notified,
  a.agents AS subscribed_agents,
  (SELECT json_group_object(k.agent, strftime('%Y-%m-%dT%H:%M:%fZ', k.at / 1000.0, 'unixepoch'))
    FROM acknowledgements k WHERE k.seq = e.seq) AS acknowledged_by,
  f.status,
  strftime('%Y-%m-%dT%H:%M:%fZ', coalesce(e.first_created_at, e.at) / 1000.0, 'unixepoch') AS created_at,
  strftime('%Y-%m-%dT%H:%M:%fZ', max(
    e.at,
    coalesce(e.first_updated_at, 0),
    coalesce(q.escalated_at, 0),
    coalesce((SELECT max(k.at) FROM acknowledgements k WHERE k.seq = e.seq), 0),
    coalesce(q.resolved_at, 0),
    coalesce(q.shown_at, 0)
  ) / 1000.0, 'unixepoch') AS updated_at
FROM event_log e
JOIN facets f USING (facet_id)
JOIN audiences a USING (audience_id)
LEFT JOIN questions q USING (seq);

CREATE VIEW pending_human_requests AS
SELECT
  e.id,
  f.source_agent,
  f.action,
  q.question AS human_question,
  q.options AS human_options,
  q.timeout_minutes AS human_timeout_minutes,
  q.fallback AS human_fallback,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS timestamp,
  strftime('%Y-%m-%dT%H:%M:%fZ', q.deadline / 1000.0, 'unixepoch') AS timeout_at
FROM questions q
JOIN event_log e USING (seq)
JOIN facets f USING (facet_id)
WHERE q.state = 'open'
ORDER BY coalesce(q.deadline, 9007199254740991), q.seq;

CREATE VIEW recent_events AS
SELECT
  e.id,
  strftime('%Y-%m-%dT%H:%M:%fZ', e.at / 1000.0, 'unixepoch') AS timestamp,
  f.source_agent,
  f.action,
  e.target,
  f.status,
  q.state IS NOT NULL AS requires_human,
  q.response AS human_response
FROM event_log e
JOIN facets f USING (facet_id)
LEFT JOIN questions q USING (seq)
ORDER BY e.seq DESC
LIMIT 100;
