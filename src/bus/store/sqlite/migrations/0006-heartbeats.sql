-- The last heartbeat of each agent. The running bus remembers the newest ones; here they are written when the state changes,
-- now and then, and when the bus stops. state lost means that an event has said so. at: milliseconds since the Unix epoch.
-- says: JSON, what the heartbeat said.
CREATE TABLE agent_heartbeats (
  agent TEXT PRIMARY KEY NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('alive', 'lost', 'stopped')),
  every_seconds INTEGER,
  at INTEGER NOT NULL,
  says TEXT NOT NULL,
  CHECK (state = 'stopped' OR every_seconds IS NOT NULL)
) WITHOUT ROWID;
