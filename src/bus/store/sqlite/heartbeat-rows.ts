import type { DatabaseSync } from 'node:sqlite';
import { maxCountedDeliveries, type Says } from '../../../events/heartbeat.ts';
import type { KeptHeartbeat, Owed } from '../heartbeats.ts';

const columns = 'agent, state, every_seconds AS everySeconds, at, says';

type Row = Omit<KeptHeartbeat, 'says'> & { says: string };

export type HeartbeatReader = {
  heartbeats(): KeptHeartbeat[];
  owedTo(agents: readonly string[]): Owed[];
};

/** What is kept of one agent, or undefined. */
export function heartbeatFinderOf(db: DatabaseSync): (agent: string) => KeptHeartbeat | undefined {
  const find = db.prepare(`SELECT ${columns} FROM agent_heartbeats WHERE agent = ?`);
  return (agent) => {
    const row = find.get(agent) as Row | undefined;
    return row && fromRow(row);
  };
}

export function heartbeatReaderOf(db: DatabaseSync): HeartbeatReader {
  const all = db.prepare(`SELECT ${columns} FROM agent_heartbeats ORDER BY agent`);
  const counted = (table: string) =>
    `(SELECT count(*) FROM (SELECT 1 FROM ${table} WHERE agent = ?1 LIMIT ${maxCountedDeliveries}))`;
  const owed = db.prepare(
    `SELECT ${counted('ready_deliveries')} AS ready, ${counted('leased_deliveries')} AS leased,
       ${counted('deferred_deliveries')} AS deferred, ${counted('dead_deliveries')} AS dead`,
  );
  return {
    heartbeats: () => (all.all() as Row[]).map(fromRow),
    owedTo: (agents) => agents.map((agent) => ({ ...(owed.get(agent) as Owed) })),
  };
}

function fromRow({ says, ...rest }: Row): KeptHeartbeat {
  return { ...rest, says: JSON.parse(says) as Says };
}
