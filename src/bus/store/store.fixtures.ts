import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Answer } from '../../events/answer.ts';
import type { Draft } from '../../events/draft.ts';
import type { NewSubscription } from '../../events/subscription.ts';
import type { Answered, Receipt, Store } from './store.ts';

/** A clock that moves only when told to; with a tick, by that many milliseconds each time somebody looks at it. */
export type TestClock = { now: number; tick: number; read: () => number };

export function testClock(now = Date.UTC(2026, 0, 16, 10, 30)): TestClock {
  const clock: TestClock = {
    now,
    tick: 0,
    read() {
      clock.now += clock.tick;
      return clock.now;
    },
  };
  return clock;
}

export const minute = 60_000;

export function aFact(fields: Partial<Draft> = {}): Draft {
  return { source_agent: 'HEPHAESTUS', action: 'deploy_started', target: 'dev', ...fields };
}

export function aQuestion(fields: Partial<Draft> = {}): Draft {
  return {
    source_agent: 'HADES',
    action: 'rollback_proposed',
    requires_human: true,
    human_question: 'Roll dev back?',
    human_options: ['yes', 'no'],
    ...fields,
  };
}

export function anAnswer(fields: Partial<Answer> = {}): Answer {
  return { response: 'yes', responder: 'damon', via: 'cli', payloadHash: null, mayApprove: true, ...fields };
}

export function aSubscription(fields: Partial<NewSubscription> = {}): NewSubscription {
  return {
    agent_name: 'ARTEMIS',
    action_pattern: 'hunt_*',
    priority: 5,
    enabled: true,
    mode: 'queue',
    except: [],
    only_if_new: false,
    ...fields,
  };
}

/** Publishes and insists that it was stored. */
export async function stored(store: Store, draft: Draft): Promise<Receipt> {
  const published = await store.publish(draft);
  assert.equal(published.kind, 'stored');
  return (published as { receipt: Receipt }).receipt;
}

export function resolutionIn(outcome: Answered | { kind: string }) {
  assert.ok('resolution' in outcome, `no resolution in ${JSON.stringify(outcome)}`);
  return outcome.resolution as Extract<Answered, { kind: 'answered' }>['resolution'];
}

export function tempFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-store-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
