import type { DatabaseSync } from 'node:sqlite';
import { type Clock, rfc3339 } from '../../../base/clock.ts';
import { uuidV7Maker } from '../../../base/uuid-v7.ts';
import { firstDefaults } from '../../../events/defaults.ts';
import type { Subscription } from '../../../events/subscription.ts';
import { firstTime } from './first-values.ts';
import { putSubscription } from './subscription-rows.ts';

/**
 * Carries the subscriptions over. The first implementation added its defaults again at every start, so one pair of agent
 * and pattern may stand there many times: what counted was any enabled one, at the best priority. A default that is
 * missing was deleted by hand, and stays deleted (unless the table is empty, which nobody wants to keep).
 * @returns a sentence for the owner.
 */
export function takeOverSubscriptions(db: DatabaseSync, clock: Clock): string {
  const select = db.prepare(
    `SELECT id, agent_name, action_pattern, priority, enabled, created_at FROM first_subscriptions ORDER BY created_at`,
  );
  select.setReadBigInts(true);
  const rows = select.all();
  if (rows.length === 0) return 'There were no subscriptions; the defaults are set up.';
  const newId = uuidV7Maker(clock);
  const now = rfc3339(clock());
  const merged = new Map<string, Subscription>();
  const keyOf = (agent: string, pattern: string) => JSON.stringify([agent, pattern]);
  for (const row of rows) {
    const [agent, pattern] = [String(row.agent_name), String(row.action_pattern)];
    const key = keyOf(agent, pattern);
    merged.set(key, merge(merged.get(key), fromFirst(row, agent, pattern, newId, now)));
  }
  let deleted = 0;
  for (const d of firstDefaults) {
    const key = keyOf(d.agent, d.pattern);
    if (merged.has(key)) continue;
    deleted++;
    const blank = { id: newId(), enabled: false, except: [], origin: 'default' as const };
    const times = { created_at: now, updated_at: now, deleted_at: now };
    const { agent, pattern, priority, mode } = d;
    merged.set(key, { ...blank, ...times, agent_name: agent, action_pattern: pattern, priority, mode });
  }
  for (const subscription of merged.values()) putSubscription(db, subscription);
  const kept = merged.size - deleted;
  const doubles = rows.length - kept;
  return `${kept} subscriptions kept, ${doubles} doubles of them dropped, ${deleted} defaults left out because you had deleted them.${percentNote([...merged.values()])}`;
}

/** There `%` stood for any text, as in SQL's LIKE; here only `*` does. */
function percentNote(subscriptions: readonly Subscription[]): string {
  const meant = subscriptions.filter((s) => s.action_pattern.includes('%'));
  if (meant.length === 0) return '';
  const list = meant.map((s) => `${s.agent_name} ${s.action_pattern}`).join(', ');
  return ` Look at these: % stood for any text in a pattern, and only * does now: ${list}.`;
}

function fromFirst(
  row: Record<string, unknown>,
  agent: string,
  pattern: string,
  newId: () => string,
  now: string,
): Subscription {
  const known = firstDefaults.find((d) => d.agent === agent && d.pattern === pattern);
  const priority = Math.round(Number(row.priority ?? 5));
  const createdAt = firstTime(row.created_at);
  return {
    id: row.id == null ? newId() : String(row.id),
    agent_name: agent,
    action_pattern: pattern,
    priority: Number.isFinite(priority) ? Math.min(10, Math.max(1, priority)) : 5,
    // Only 1 was ever heard: it asked for enabled = 1.
    enabled: String(row.enabled) === '1',
    mode: known?.mode ?? (pattern === '*' ? 'tail' : 'queue'),
    except: [],
    origin: known ? 'default' : 'operator',
    created_at: createdAt === undefined ? now : rfc3339(createdAt),
    updated_at: now,
    deleted_at: null,
  };
}

function merge(before: Subscription | undefined, next: Subscription): Subscription {
  if (!before) return next;
  if (before.enabled !== next.enabled) return before.enabled ? before : { ...next, id: before.id };
  return { ...before, priority: Math.min(before.priority, next.priority) };
}
