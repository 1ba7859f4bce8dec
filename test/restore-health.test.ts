import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../src/base/fault.ts';
import type { GateResult } from '../src/recovery/health/gate.ts';
import {
  attempt,
  deps,
  look,
  makeScene,
  quiet,
  requestRestore,
  requestUndo,
} from '../src/recovery/restore/engine.fixtures.ts';
import { beginRun, resumeRun } from '../src/recovery/restore/engine.ts';
import type { Services } from '../src/recovery/restore/services.ts';
import { readJournal } from '../src/recovery/run/journal.ts';
import { journalOf } from '../src/recovery/run/run-folder.ts';

describe('a run with a health check', () => {
  const health = { endpoints: [{ name: 'web', url: 'http://127.0.0.1:1/' }], withinSeconds: 1, consecutive: 1 };
  const unwell: GateResult = { kind: 'unhealthy', says: 'It was not well within 1 s: web answers 503.' };
  const well: GateResult = { kind: 'healthy', tookMs: 5 };

  /** A run that answers in turn when it is asked. */
  async function asked(t: TestContext, ...answers: GateResult[]) {
    const scene = await makeScene(t);
    scene.target = { ...scene.target, health };
    const calls: string[] = [];
    const services: Services = {
      ...quiet,
      stop: async () => String(calls.push('stop')),
      start: async () => String(calls.push(`start on ${readFileSync(join(scene.root, 'sub/file'), 'utf8')}`)),
    };
    const { made, points } = deps(scene, undefined, services);
    const gate = async () => {
      calls.push('ask');
      return answers.shift() ?? well;
    };
    const folder = await requestRestore(scene);
    return { scene, folder, calls, points, made: { ...made, gate } };
  }

  it('commits what is well, and says that it is proven', async (t) => {
    const { folder, made, calls } = await asked(t, well);
    const outcome = await beginRun(folder, made);
    assert.deepEqual([outcome.kind, outcome.exit, outcome.health], ['committed', 0, 'proven']);
    assert.deepEqual(calls, ['stop', 'start on first', 'ask']);
  });

  it('takes back what is not well, and asks the old state too', async (t) => {
    const { scene, folder, made, calls } = await asked(t, unwell, well);
    const before = look(scene.root);
    const outcome = await beginRun(folder, made);
    assert.deepEqual([outcome.kind, outcome.exit], ['taken back', 10]);
    assert.match(outcome.says, /web answers 503/);
    assert.deepEqual(calls, ['stop', 'start on first', 'ask', 'stop', 'start on second', 'ask']);
    assert.deepEqual(look(scene.root), before);
    const failure = readJournal(journalOf(folder)).find(({ step, state }) => step === 'health' && state === 'failed');
    assert.deepEqual(failure?.facts.logs, ['web | exception']);
  });

  it('says so when the old state is not well either', async (t) => {
    const { scene, folder, made } = await asked(t, unwell, unwell);
    const before = look(scene.root);
    const outcome = await beginRun(folder, made);
    assert.deepEqual([outcome.kind, outcome.exit], ['taken back', 1]);
    assert.match(outcome.says, /not well either/);
    assert.deepEqual(look(scene.root), before);
  });

  it('takes back what does not start', async (t) => {
    const { scene, folder, made } = await asked(t);
    const before = look(scene.root);
    let starts = 0;
    const start = async () => {
      if (starts++ === 0) throw new Fault('unreachable', 'The port is taken.');
      return 'started';
    };
    const outcome = await beginRun(folder, { ...made, services: { ...(made.services as Services), start } });
    assert.deepEqual([outcome.kind, outcome.exit, starts], ['taken back', 10, 2]);
    assert.match(outcome.says, /port is taken/);
    assert.deepEqual(look(scene.root), before);
  });

  it('is whole wherever it dies, and never commits what was not asked', async (t) => {
    const scene = await makeScene(t);
    scene.target = { ...scene.target, health };
    const [before, way] = [look(scene.root), ['forward', 'back'] as const];
    for (let diesAt = 0; ; diesAt++) {
      const direction = way[diesAt % 2] as 'forward' | 'back';
      const calls: string[] = [];
      const services: Services = {
        ...quiet,
        stop: async () => String(calls.push('stop')),
        start: async () => String(calls.push('start')),
      };
      const gate = async () => {
        calls.push('ask');
        return well;
      };
      const folder = await requestRestore(scene);
      const lived = (await attempt(beginRun(folder, { ...deps(scene, diesAt, services).made, gate }))) !== undefined;
      if (!lived && readJournal(journalOf(folder)).length > 0) {
        const outcome = await resumeRun(folder, direction, { ...deps(scene, undefined, services).made, gate });
        if (outcome.kind === 'committed') assert.ok(calls.includes('ask'), `died at ${diesAt}`);
        assert.ok(calls.lastIndexOf('start') >= calls.lastIndexOf('stop'), `died at ${diesAt}: ${calls}`);
        if (outcome.kind === 'committed') await beginRun(requestUndo(scene), { ...deps(scene).made, gate });
      } else if (lived) await beginRun(requestUndo(scene), { ...deps(scene).made, gate });
      assert.deepEqual(look(scene.root), before, `died at ${diesAt}, then ${direction}`);
      if (lived) break;
    }
  });
});
