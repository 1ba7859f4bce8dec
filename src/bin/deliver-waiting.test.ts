import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { doPlanned } from '../agents/chronos/do-planned.ts';
import type { Planned } from '../agents/chronos/plan.ts';
import { makePrecedence } from '../agents/chronos/precedence.ts';
import type { GaiaEnd } from '../agents/gaia-end.ts';
import { copyBusWord, requireAsked } from '../gaia/asked-by-agents.ts';
import { outboxState, putIntoOutbox } from '../recovery/events/outbox.ts';
import { askToDeliver } from './deliver-waiting.ts';

const never = new AbortController().signal;
const fine: GaiaEnd = { exit: 0, stdout: '{}', stderr: '' };
/** All there are: the compiler finds one that is missing. */
const kinds: Readonly<Record<Planned['what'], true>> = {
  ...{ whole: true, databases: true, copy: true, prune: true, verify: true, drill: true },
};

async function wordsOf(what: Planned['what']): Promise<(readonly string[])[]> {
  const asked: (readonly string[])[] = [];
  const gaia = async (words: readonly string[]) => {
    asked.push(words);
    return { ...fine, stdout: '{"results":[]}' };
  };
  const planned = {
    ...{
      target: 'dev',
      what,
      rule: { kind: 'daily', minutes: 180 },
      cause: `schedule:dev:${what}:2026-11-29T03:00:00.000Z`,
    },
    ...{ lastMs: undefined, isDue: true, nextMs: 0, missing: undefined, untold: undefined, note: {} },
  } as unknown as Planned;
  await doPlanned(planned, { gaia, copyBus: () => gaia([copyBusWord]), precedence: makePrecedence() }, never);
  return asked;
}

function placeWith(t: TestContext, waiting: number) {
  const state = mkdtempSync(join(tmpdir(), 'deliver-'));
  t.after(() => rmSync(state, { recursive: true, force: true }));
  const details = { happened_at: '2026-01-01T00:00:00.000Z' };
  for (let n = 0; n < waiting; n++)
    putIntoOutbox({ state }, { id: `e${n}`, source_agent: 'GAIA', action: 'drill_completed', target: 'dev', details });
  return { place: { state } as Parameters<ReturnType<typeof askToDeliver>>[0]['place'], bus: 'home' as const };
}

describe('what the schedule asks of GAIA', () => {
  for (const what of Object.keys(kinds) as Planned['what'][])
    it(`is on the list of what agents may ask for: ${what}`, async () => {
      const asked = await wordsOf(what);
      assert.equal(asked.length, 1);
      for (const words of asked) assert.deepEqual(requireAsked(words), words);
    });

  it('is to deliver only where something waits, with words of the list', async (t) => {
    const asked: string[][] = [];
    const gaia = async (words: readonly string[]) => {
      asked.push(requireAsked(words));
      return fine;
    };
    const deliver = askToDeliver(gaia, { warn: () => assert.fail('nothing went wrong') });
    await deliver(placeWith(t, 0), never);
    await deliver({ ...placeWith(t, 1), bus: 'none' }, never);
    assert.equal(asked.length, 0);
    await deliver(placeWith(t, 1), never);
    assert.equal(asked.length, 1);
    assert.equal(asked[0]?.[0], 'deliver');
  });

  it('is logged once for each reason why it could not be delivered, and stays in the outbox', async (t) => {
    const warned: unknown[] = [];
    const answers: GaiaEnd[] = [];
    const deliver = askToDeliver(async () => answers.shift() ?? fine, { warn: (_, more) => void warned.push(more) });
    const away = { exit: 1, stdout: '', stderr: '{"error":{"code":"unavailable","message":"GAIA cannot be asked."}}' };
    answers.push(away, away, { ...fine, exit: 9 }, away);
    const waiting = placeWith(t, 1);
    for (let n = 0; n < 4; n++) await deliver(waiting, never);
    assert.deepEqual(warned, [{ because: 'GAIA cannot be asked.' }, { because: 'GAIA cannot be asked.' }]);
    assert.equal(outboxState(waiting.place).waiting, 1);
  });

  it('does not keep the round from ending when GAIA does not even start', async (t) => {
    const warned: unknown[] = [];
    const deliver = askToDeliver(() => Promise.reject(new Error('spawn')), {
      warn: (_, more) => void warned.push(more),
    });
    const waiting = placeWith(t, 1);
    await deliver(waiting, never);
    await deliver(waiting, never);
    assert.equal(warned.length, 1);
  });
});
