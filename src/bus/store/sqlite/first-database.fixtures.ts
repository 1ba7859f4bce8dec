import { DatabaseSync } from 'node:sqlite';
import { firstDefaults } from '../../../events/defaults.ts';

/** A database as the first implementation leaves it: its tables, views and column defaults, filled by `fill`. */
export function makeFirstDatabase(file: string, fill: (db: DatabaseSync) => void, starts = 1): void {
  const db = new DatabaseSync(file);
  db.exec(`
    CREATE TABLE events (
      id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))), timestamp TEXT DEFAULT (datetime('now')),
      source_agent TEXT NOT NULL, source_workflow_id TEXT, source_execution_id TEXT, action TEXT NOT NULL, target TEXT,
      details TEXT, requires_human INTEGER DEFAULT 0, human_question TEXT, human_options TEXT,
      human_timeout_minutes INTEGER, human_fallback TEXT, human_response TEXT, human_responded_at TEXT,
      human_notified INTEGER DEFAULT 0, subscribed_agents TEXT, acknowledged_by TEXT DEFAULT '{}',
      status TEXT DEFAULT 'pending', created_at TEXT DEFAULT (datetime('now')), updated_at TEXT DEFAULT (datetime('now')));
    CREATE INDEX idx_events_timestamp ON events (timestamp DESC);
    CREATE TABLE agent_subscriptions (
      id TEXT PRIMARY KEY DEFAULT (lower(hex(randomblob(16)))), agent_name TEXT NOT NULL, action_pattern TEXT NOT NULL,
      priority INTEGER DEFAULT 5, enabled INTEGER DEFAULT 1, created_at TEXT DEFAULT (datetime('now')));
    CREATE VIEW pending_human_requests AS SELECT id, timestamp FROM events WHERE requires_human = 1;
    CREATE VIEW recent_events AS SELECT id FROM events ORDER BY timestamp DESC LIMIT 100;`);
  const add = db.prepare('INSERT INTO agent_subscriptions (agent_name, action_pattern, priority) VALUES (?, ?, ?)');
  // It added its defaults again at each start.
  for (let start = 0; start < starts; start++)
    for (const { agent, pattern, priority } of firstDefaults) add.run(agent, pattern, priority);
  fill(db);
  db.close();
}

/** Inserts one row, leaving out what is not given, as the first implementation did. */
export function addFirstEvent(db: DatabaseSync, row: Record<string, string | number | null>): void {
  const names = Object.keys(row);
  const marks = names.map(() => '?').join(', ');
  db.prepare(`INSERT INTO events (${names.join(', ')}) VALUES (${marks})`).run(...Object.values(row));
}
