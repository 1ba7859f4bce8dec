import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { openSqliteStore } from '../src/bus/store/sqlite/open.ts';
import type { Store } from '../src/bus/store/store.ts';
import type { Draft } from '../src/events/draft.ts';

const inFlight = 1_000;
const openQuestions = 500;
const heartbeat = 'cpu_sampled';
/** What a fleet says, by how often. The last ones are rare: what a filter must find among everything else. */
const actions: [action: string, source: string, share: number][] = [
  [heartbeat, 'ARGUS', 400],
  ['workflow_modified', 'AEGIS', 100],
  ['build_started', 'HEPHAESTUS', 100],
  ['build_completed', 'HEPHAESTUS', 90],
  ['deploy_started', 'HEPHAESTUS', 80],
  ['deploy_completed', 'HEPHAESTUS', 70],
  ['backup_completed', 'CHRONOS', 60],
  ['health_checked', 'ARGUS', 60],
  ['config_changed', 'ALOY', 25],
  ['build_failed', 'HEPHAESTUS', 10],
  ['credential_expiring', 'AEGIS', 5],
];

export type Filled = { ids: { oldest: string; middle: string; newest: string }; seconds: number };

/**
 * Fills a database through the store itself: a log as it is after years. AEGIS has acknowledged everything but its oldest
 * and its newest 20 (the hard case for a queue), ARGUS the same (for a tail); HERMES nothing; 500 questions
 * are open, as many answered and timed out.
 */
export async function fill(file: string, events: number, storeWorker: URL): Promise<Filled> {
  const began = performance.now();
  mkdirSync(dirname(file), { recursive: true });
  const store = await openSqliteStore({ file, clock: Date.now, worker: storeWorker });
  try {
    const heard: Record<'AEGIS' | 'ARGUS', string[]> = { AEGIS: [], ARGUS: [] };
    const ids: string[] = [];
    await inGroups(events, async (number) => {
      const published = await store.publish(draftOf(number, events));
      if (published.kind !== 'stored') throw new Error(`Event ${number} was not stored.`);
      const { id, subscribedAgents } = published.receipt;
      ids[number] = id;
      for (const agent of ['AEGIS', 'ARGUS'] as const) if (subscribedAgents.includes(agent)) heard[agent].push(id);
      if (questionAt(number, events) === 'answered')
        await store.answer(id, {
          response: 'yes',
          responder: 'human',
          via: 'bench',
          payloadHash: null,
          mayApprove: false,
        });
    });
    for (const [agent, list] of Object.entries(heard)) {
      const done = list.slice(20, -20);
      await inGroups(done.length, async (number) => {
        await store.acknowledge(done[number] as string, agent);
      });
    }
    await sweepAll(store);
    const at = (share: number) => ids[Math.floor((events - 1) * share)] as string;
    return { ids: { oldest: at(0), middle: at(0.5), newest: at(1) }, seconds: (performance.now() - began) / 1000 };
  } finally {
    await store.close();
  }
}

/** Spread over the whole log, a third of each kind. */
function questionAt(number: number, events: number): 'open' | 'answered' | 'timed_out' | undefined {
  const stride = Math.max(1, Math.floor(events / (openQuestions * 3)));
  if (number % stride !== 0) return undefined;
  return (['open', 'answered', 'timed_out'] as const)[(number / stride) % 3];
}

function draftOf(number: number, events: number): Draft {
  const [action, source] = actionAt((number * 617) % 1000);
  const draft: Draft = {
    source_agent: source,
    action,
    target: `target-${number % 50}`,
    details: { number, host: 'server-1', text: 'as long as such a thing usually is, a line or so of text', used: 37.5 },
  };
  const question = questionAt(number, events);
  if (!question) return draft;
  return {
    ...draft,
    source_agent: 'HADES',
    action: 'rollback_proposed',
    requires_human: true,
    human_question: `Roll number ${number} back?`,
    human_options: ['yes', 'no'],
    ...(question === 'timed_out' ? { human_timeout_minutes: 0, human_fallback: 'no' } : {}),
  };
}

function actionAt(place: number): [action: string, source: string] {
  let left = place;
  for (const [action, source, share] of actions) {
    if (left < share) return [action, source];
    left -= share;
  }
  return [heartbeat, 'ARGUS'];
}

async function inGroups(count: number, job: (number: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += inFlight)
    await Promise.all(Array.from({ length: Math.min(inFlight, count - from) }, (_, i) => job(from + i)));
}

async function sweepAll(store: Store): Promise<void> {
  for (let round = 0; round < openQuestions; round++) {
    const { timedOut, escalated } = await store.sweep();
    if (timedOut + escalated === 0) return;
  }
}
