import { rfc3339 } from '../../../base/clock.ts';
import { busActions, busAgent } from '../../../events/event.ts';
import { type Heartbeat, type HeartbeatNoted, type LastHeard, maxKeptAgents } from '../heartbeats.ts';
import { heartbeatFinderOf } from './heartbeat-rows.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

/** Keeps what agents say, and tells in the same transaction of a loss and of its end. */
export type HeartbeatWriter = {
  note(heartbeat: Heartbeat): HeartbeatNoted;
  noteLost(last: LastHeard): boolean;
};

export function heartbeatWriterOf({ db, clock }: Ledger, events: EventWriter): HeartbeatWriter {
  const find = heartbeatFinderOf(db);
  const put = db.prepare(
    `INSERT INTO agent_heartbeats (agent, state, every_seconds, at, says) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (agent) DO UPDATE SET state = excluded.state, at = excluded.at, says = excluded.says,
       every_seconds = coalesce(excluded.every_seconds, every_seconds)`,
  );
  const lose = db.prepare("UPDATE agent_heartbeats SET state = 'lost', at = ?, says = ? WHERE agent = ?");
  const count = db.prepare('SELECT count(*) AS n FROM agent_heartbeats');
  const forgetOne = db.prepare(
    `DELETE FROM agent_heartbeats WHERE agent =
       (SELECT agent FROM agent_heartbeats WHERE state <> 'alive' ORDER BY at, agent LIMIT 1) RETURNING agent`,
  );

  function announce(action: string, agent: string, details: Record<string, unknown>): void {
    events.announce({
      source_agent: busAgent,
      action,
      target: agent,
      details: JSON.stringify({ agent, ...details }),
    });
  }

  /** Undefined when there is room, else who had to go for it, or null when nobody may. */
  function makeRoom(): string | null | undefined {
    if ((count.get()?.n as number) < maxKeptAgents) return undefined;
    return (forgetOne.get()?.agent as string | undefined) ?? null;
  }

  return {
    note({ agent, state, everySeconds, at, says }) {
      const before = find(agent);
      const forgot = before === undefined ? makeRoom() : undefined;
      if (forgot === null) return { kind: 'too-many-agents', limit: maxKeptAgents };
      put.run(agent, state, everySeconds, at, JSON.stringify(says));
      if (before?.state === 'lost')
        announce(busActions.agentBack, agent, { silent_seconds: secondsBetween(before.at, at) });
      return { kind: 'noted', forgot: forgot ?? null };
    },
    noteLost({ agent, at, says }) {
      if (find(agent)?.state !== 'alive') return false;
      lose.run(at, JSON.stringify(says), agent);
      announce(busActions.agentLost, agent, {
        last_heartbeat_at: rfc3339(at),
        silent_seconds: secondsBetween(at, clock()),
        says,
      });
      return true;
    },
  };
}

/** A clock that was set back has not run backwards. */
function secondsBetween(from: number, to: number): number {
  return Math.max(0, Math.round((to - from) / 1000));
}
