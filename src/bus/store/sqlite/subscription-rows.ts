import type { DatabaseSync } from 'node:sqlite';
import type { Subscription } from '../../../events/subscription.ts';

const columns = `id, agent_name, action_pattern, priority, enabled, mode, except_patterns, origin, created_at, updated_at,
  deleted_at`;

/** By agent, then by priority, then by pattern; tombstones only when asked for. */
export function readSubscriptions(
  db: DatabaseSync,
  filter: { agent?: string | undefined; deleted: boolean },
): Subscription[] {
  const rows = db
    .prepare(
      `SELECT ${columns} FROM agent_subscriptions
       WHERE (?1 IS NULL OR agent_name = ?1) AND (?2 OR deleted_at IS NULL)
       ORDER BY agent_name, priority, action_pattern`,
    )
    .all(filter.agent ?? null, filter.deleted ? 1 : 0);
  return rows.map(fromRow);
}

export function readSubscription(db: DatabaseSync, id: string): Subscription | undefined {
  const row = db.prepare(`SELECT ${columns} FROM agent_subscriptions WHERE id = ?`).get(id);
  return row && fromRow(row);
}

export function findSubscription(db: DatabaseSync, agent: string, pattern: string): Subscription | undefined {
  const row = db
    .prepare(`SELECT ${columns} FROM agent_subscriptions WHERE agent_name = ? AND action_pattern = ?`)
    .get(agent, pattern);
  return row && fromRow(row);
}

/** Stores the subscription as it is given, over one of the same agent and pattern. */
export function putSubscription(db: DatabaseSync, s: Subscription): void {
  db.prepare(
    `INSERT INTO agent_subscriptions (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (agent_name, action_pattern) DO UPDATE SET priority = excluded.priority, enabled = excluded.enabled,
       mode = excluded.mode, except_patterns = excluded.except_patterns, origin = excluded.origin,
       updated_at = excluded.updated_at, deleted_at = excluded.deleted_at`,
  ).run(
    s.id,
    s.agent_name,
    s.action_pattern,
    s.priority,
    s.enabled ? 1 : 0,
    s.mode,
    JSON.stringify(s.except),
    s.origin,
    s.created_at,
    s.updated_at,
    s.deleted_at,
  );
}

function fromRow(row: Record<string, unknown>): Subscription {
  const { enabled, except_patterns, ...rest } = row;
  return { ...rest, enabled: enabled === 1, except: JSON.parse(except_patterns as string) } as Subscription;
}
