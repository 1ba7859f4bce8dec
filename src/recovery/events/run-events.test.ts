import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { GateResult } from '../health/gate.ts';
import {
  attempt,
  deps,
  makeScene,
  quiet,
  requestRestore,
  requestUndo,
  type Scene,
} from '../restore/engine.fixtures.ts';
import { beginRun, resumeRun } from '../restore/engine.ts';
import type { OutboxEvent } from './event.ts';
import { outboxState, takeOut, waitingIn } from './outbox.ts';
import { beginTelling, haveRunsToTell, tellRun, tellRuns } from './run-events.ts';

/** What the bus would get, which then has it. */
function taken({ place }: Scene): OutboxEvent[] {
  return [...waitingIn(place)].map((waiting) => {
    takeOut(place, waiting);
    return waiting.event as OutboxEvent;
  });
}

const actionsOf = (events: OutboxEvent[]) => events.map(({ action, details }) => [action, details.kind]);

describe('what runs tell', () => {
  it('is that they began and how they ended, an undo too, and each once', async (t) => {
    const scene = await makeScene(t);
    for (const [folder, kind] of [
      [await requestRestore(scene), 'restore'],
      [undefined, 'undo'],
    ] as const) {
      const run = folder ?? requestUndo(scene);
      beginTelling(run);
      const { made } = deps(scene);
      const noted: string[] = [];
      await beginRun(run, { ...made, noted: ({ step, state }) => noted.push(`${step} ${state}`) && tellRun(run) });
      assert.ok(noted.indexOf('preflight done') < noted.indexOf('swap begin'));
      assert.equal(noted.at(-1), 'end done');
      const events = taken(scene);
      assert.deepEqual(actionsOf(events), [
        ['restore_started', kind],
        ['restore_completed', kind],
      ]);
      const [, { details, id, target, correlation_id } = {} as OutboxEvent] = events;
      assert.deepEqual([target, correlation_id, id], ['dev', details.run, `gaia-${details.run}-end`]);
      assert.deepEqual([details.exit, details.health, details.outcome], [0, 'none', 'committed']);
      assert.equal(typeof details.backup === 'string', kind === 'restore');
      assert.equal(typeof details.undoes === 'string', kind === 'undo');
      tellRuns(scene.place);
      assert.deepEqual(taken(scene), []);
    }
  });

  it('is a failure where nothing was touched, and a way back that was asked for', async (t) => {
    const scene = await makeScene(t);
    const refused = await requestRestore(scene, { plan_hash: 'another' });
    beginTelling(refused);
    await beginRun(refused, deps(scene).made);
    tellRun(refused);
    const [event, ...others] = taken(scene);
    assert.deepEqual([event?.action, event?.details.outcome, event?.details.exit], ['restore_failed', 'refused', 6]);
    assert.match(String(event?.details.says), /not what was confirmed/);
    assert.deepEqual(others, []);
    const back = await requestRestore(scene);
    beginTelling(back);
    await attempt(beginRun(back, deps(scene, 12).made));
    tellRun(back);
    await resumeRun(back, 'back', deps(scene).made);
    tellRun(back);
    assert.deepEqual(actionsOf(taken(scene)), [
      ['restore_started', 'restore'],
      ['restore_rolled_back', 'restore'],
    ]);
  });

  it('is a way back where the new state was not well, and a failure where the old one is not either', async (t) => {
    const scene = await makeScene(t);
    const endpoints = [{ name: 'web', url: 'http://127.0.0.1:1/' }];
    scene.target = { ...scene.target, health: { endpoints, withinSeconds: 1, consecutive: 1 } };
    for (const [oldIsWell, action, exit] of [
      [true, 'restore_rolled_back', 10],
      [false, 'restore_failed', 1],
    ] as const) {
      const run = await requestRestore(scene);
      beginTelling(run);
      let asked = 0;
      const gate = async (): Promise<GateResult> =>
        asked++ > 0 && oldIsWell ? { kind: 'healthy', tookMs: 1 } : { kind: 'unhealthy', says: 'web answers 503.' };
      await beginRun(run, { ...deps(scene, undefined, quiet).made, gate });
      tellRun(run);
      const { details, ...event } = taken(scene).at(-1) as OutboxEvent;
      assert.deepEqual([event.action, details.exit, details.outcome], [action, exit, 'taken back']);
      assert.match(String(details.says), /web answers 503/);
    }
  });

  it('is told by the next, wherever the run was killed, and is the same however often', async (t) => {
    const scene = await makeScene(t);
    const run = await requestRestore(scene);
    beginTelling(run);
    const { made, points } = deps(scene);
    await beginRun(run, made);
    // Whoever may only look finds that there is something, and nothing is told by looking.
    assert.equal(haveRunsToTell(scene.place), true);
    assert.equal(outboxState(scene.place).waiting, 0);
    tellRuns(scene.place);
    assert.equal(haveRunsToTell(scene.place), false);
    const first = taken(scene);
    assert.equal(first.length, 2);
    beginTelling(run);
    tellRuns(scene.place);
    assert.deepEqual(taken(scene), first);
    // Killed while it staged, and begun anew: it began once.
    await beginRun(requestUndo(scene), deps(scene).made);
    const again = await requestRestore(scene);
    beginTelling(again);
    await attempt(beginRun(again, deps(scene, points.indexOf('after stage done') + 1).made));
    tellRun(again);
    const [began] = taken(scene);
    assert.equal(haveRunsToTell(scene.place), false, 'one that waits for a person has not ended');
    await resumeRun(again, 'forward', deps(scene).made);
    rmSync(join(again, 'untold'));
    beginTelling(again);
    tellRuns(scene.place);
    assert.deepEqual(taken(scene)[0], began);
  });

  it('is nothing for runs of before there was anybody to tell', async (t) => {
    const scene = await makeScene(t);
    await beginRun(await requestRestore(scene), deps(scene).made);
    tellRuns(scene.place);
    assert.equal(existsSync(outboxState(scene.place).folder), false);
  });
});
