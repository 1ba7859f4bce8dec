import assert from 'node:assert/strict';
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { journalOf } from '../run/run-folder.ts';
import { statusOf } from '../run/status.ts';
import {
  attempt,
  Crash,
  deps,
  look,
  makeScene,
  quiet,
  request,
  requestRestore,
  requestUndo,
  type Scene,
} from './engine.fixtures.ts';
import { beginRun, resumeRun } from './engine.ts';
import type { Services } from './services.ts';
import { leftovers, removeLeftover, undoable } from './undo.ts';

/** An undo that dies at one point, and its resume at others; asserts that one of the two states is there, whole. */
async function dieInUndo(scene: Scene, diesAt: number, way: 'forward' | 'back'): Promise<string> {
  const before = look(scene.root);
  const folder = requestUndo(scene);
  const dying = deps(scene, diesAt);
  const where = `died at ${diesAt}, after ${dying.points.at(-1)}, then ${way}`;
  const lived = (await attempt(beginRun(folder, dying.made))) !== undefined;
  const stateOf = () => statusOf(scene.place).runs.find((run) => run.folder === folder);
  const committing = stateOf()?.lines.some(({ step }) => step === 'commit') === true;
  for (const again of [0, 2, 5, 100])
    if (stateOf()?.state === 'interrupted') await attempt(resumeRun(folder, way, deps(scene, again).made));
  const end = stateOf()?.outcome?.kind ?? 'not begun';
  const wanted = stateOf() === undefined ? 'not begun' : way === 'forward' || committing ? 'committed' : 'taken back';
  assert.equal(end, wanted, where);
  if (end !== 'committed') assert.deepEqual(look(scene.root), before, where);
  else assert.notDeepEqual(look(scene.root), before, where);
  // The other state lies aside as it was: the next run brings it back.
  await beginRun(requestUndo(scene), deps(scene).made);
  if (end === 'committed') assert.deepEqual(look(scene.root), before, where);
  else assert.notDeepEqual(look(scene.root), before, where);
  return lived ? 'lived' : end;
}

describe('a run', () => {
  it('restores, says what it put aside, and is undone by another run', async (t) => {
    const scene = await makeScene(t);
    const second = look(scene.root);
    const { made, points } = deps(scene);
    const outcome = await beginRun(await requestRestore(scene), made);
    assert.deepEqual([outcome.kind, outcome.exit, outcome.health], ['committed', 0, 'none']);
    assert.ok(points.includes('between the renames'));
    assert.equal(readFileSync(join(scene.root, 'sub/file'), 'utf8'), 'first');
    const first = look(scene.root);
    const [left] = leftovers(scene.place, 'dev');
    assert.deepEqual(left?.paths, [`${scene.root}.pre-restore.20260116T103001Z`]);
    assert.equal((await beginRun(requestUndo(scene), deps(scene).made)).kind, 'committed');
    assert.deepEqual(look(scene.root), second);
    assert.equal((await beginRun(requestUndo(scene), deps(scene).made)).kind, 'committed');
    assert.deepEqual(look(scene.root), first);
  });

  for (const exclude of [[], ['sub/stays']]) {
    const where = exclude.length > 0 ? ', where a folder stays' : '';
    // Each try there has tar look at the folders several times.
    const step = exclude.length > 0 ? 4 : 1;
    it(`that dies at any point, and again while it is resumed, ends whole${where}`, async (t) => {
      const scene = await makeScene(t, exclude);
      await beginRun(await requestRestore(scene), deps(scene).made);
      // An undo has every step but the staging, so that each point is tried within a moment.
      const ends: string[] = [];
      for (const way of ['forward', 'back'] as const) {
        for (let diesAt = 0; diesAt === 0 || ends.at(-1) !== 'lived'; diesAt += step)
          ends.push(await dieInUndo(scene, diesAt, way));
      }
      const count = (end: string) => ends.filter((each) => each === end).length;
      assert.deepEqual([count('not begun'), count('lived')], [2, 2]);
      assert.ok(count('committed') > 15 / step && count('taken back') > 5 / step, ends.join());
    });
  }

  it('once on its way back goes there, also when asked for the other way', async (t) => {
    const scene = await makeScene(t);
    const second = look(scene.root);
    const folder = await requestRestore(scene);
    const { points } = deps(scene);
    const dying = deps(scene);
    const stop = {
      ...dying.made,
      pause: (point: string) => {
        points.push(point);
        if (points.includes('between the renames')) throw new Crash(point);
      },
    };
    assert.equal(await attempt(beginRun(folder, stop)), undefined);
    assert.throws(() => lstatSync(scene.root));
    assert.equal(await attempt(resumeRun(folder, 'back', deps(scene, 2).made)), undefined);
    const outcome = await resumeRun(folder, 'forward', deps(scene).made);
    assert.deepEqual([outcome.kind, outcome.exit], ['taken back', 0]);
    assert.deepEqual(look(scene.root), second);
    assert.deepEqual(
      readdirSync(scene.home).filter((name) => name.startsWith('.gaia-stage-')),
      [],
    );
  });

  it('that has ended is not done again', async (t) => {
    const scene = await makeScene(t);
    const folder = await requestRestore(scene, { plan_hash: 'another' });
    const { kind, exit, says } = await beginRun(folder, deps(scene).made);
    const journal = readFileSync(journalOf(folder), 'utf8');
    for (const way of ['forward', 'back'] as const) {
      const again = await resumeRun(folder, way, deps(scene).made);
      assert.deepEqual([again.kind, again.exit, again.says], [kind, exit, says]);
    }
    assert.equal(readFileSync(journalOf(folder), 'utf8'), journal);
  });

  it('that dies while it takes back what failed ends as failed', async (t) => {
    const scene = await makeScene(t);
    const second = look(scene.root);
    writeFileSync(`${scene.root}.pre-restore.20260116T103001Z`, 'of somebody else');
    const folder = await requestRestore(scene);
    const { made } = deps(scene);
    const dying = {
      ...made,
      pause(point: string) {
        if (point === 'after take back begin') throw new Crash(point);
      },
    };
    assert.equal(await attempt(beginRun(folder, dying)), undefined);
    const outcome = await resumeRun(folder, 'forward', made);
    assert.deepEqual([outcome.kind, outcome.exit], ['taken back', 10]);
    assert.match(outcome.says, /where something is already/);
    assert.deepEqual(look(scene.root), second);
  });

  it('takes back by itself what it cannot finish', async (t) => {
    const scene = await makeScene(t);
    const second = look(scene.root);
    writeFileSync(`${scene.root}.pre-restore.20260116T103001Z`, 'of somebody else');
    const outcome = await beginRun(await requestRestore(scene), deps(scene).made);
    assert.deepEqual([outcome.kind, outcome.exit], ['taken back', 10]);
    assert.match(outcome.says, /where something is already/);
    assert.deepEqual(look(scene.root), second);
    assert.equal(readFileSync(`${scene.root}.pre-restore.20260116T103001Z`, 'utf8'), 'of somebody else');
  });

  it('refuses what was not confirmed, and touches nothing', async (t) => {
    const scene = await makeScene(t);
    const second = look(scene.root);
    for (const more of [{ plan_hash: 'another' }, { only: 'goes' }]) {
      const outcome = await beginRun(await requestRestore(scene, more), deps(scene).made);
      assert.deepEqual([outcome.kind, outcome.exit], ['refused', 6], JSON.stringify(more));
    }
    const damaged = await requestRestore(scene);
    const bytes = readFileSync(scene.file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(scene.file, bytes);
    const outcome = await beginRun(damaged, deps(scene).made);
    assert.deepEqual([outcome.kind, outcome.exit], ['refused', 7], outcome.says);
    assert.deepEqual(look(scene.root), second);
    assert.deepEqual(
      readdirSync(scene.home).filter((name) => name.startsWith('.gaia-stage-')),
      [],
    );
  });

  it('undoes nothing while files are open for writing that it would put aside', async (t) => {
    const scene = await makeScene(t);
    await beginRun(await requestRestore(scene), deps(scene).made);
    const restored = look(scene.root);
    const fd = openSync(join(scene.root, 'sub/file'), 'a');
    t.after(() => closeSync(fd));
    const seen = { ...deps(scene).made, ownPids: new Set<number>() };
    const outcome = await beginRun(requestUndo(scene), seen);
    assert.deepEqual([outcome.kind, outcome.exit], ['refused', 6]);
    assert.match(outcome.says, /sub\/file for writing/);
    assert.deepEqual(look(scene.root), restored);
    const ignoring = request(scene, { kind: 'undo', undoes: undoable(scene.place, 'dev').id, ignore_open: true });
    assert.equal((await beginRun(ignoring, seen)).kind, 'committed');
  });

  it('restores what a unit has open, once that has let go of it', async (t) => {
    const made = await makeScene(t);
    const scene = { ...made, target: { ...made.target, units: [{ name: 'web.service', user: null }] } };
    const folder = await requestRestore(scene);
    let fd: number | undefined = openSync(join(scene.root, 'sub/file'), 'a');
    const letGo = () => {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    };
    t.after(letGo);
    const services = (stops: boolean): Services => ({
      ...quiet,
      isEmpty: false,
      async stop() {
        if (stops) letGo();
        return 'stopped';
      },
    });
    const seen = (stops: boolean) => ({ ...deps(scene, undefined, services(stops)).made, ownPids: new Set<number>() });
    const refused = await beginRun(folder, seen(false));
    assert.deepEqual([refused.kind, refused.exit], ['refused', 6]);
    assert.match(refused.says, /meanwhile/);
    assert.equal((await beginRun(await requestRestore(scene), seen(true))).kind, 'committed');
  });

  it('starts again what it stopped, however it ends', async (t) => {
    const scene = await makeScene(t);
    const calls: string[] = [];
    const services = (fails: boolean): Services => ({
      ...quiet,
      async stop() {
        calls.push('stop');
        if (fails) throw new Error('half of them do not stop');
        return 'stopped';
      },
      async start() {
        calls.push('start');
        return 'started';
      },
    });
    const refused = await beginRun(await requestRestore(scene), deps(scene, undefined, services(true)).made);
    assert.deepEqual([refused.kind, calls.splice(0)], ['refused', ['stop', 'start']]);
    const folder = await requestRestore(scene);
    const { points, made } = deps(scene, undefined, services(false));
    const dying = {
      ...made,
      pause: (point: string) => {
        points.push(point);
        if (points.includes('after quiesce done')) throw new Crash();
      },
    };
    assert.equal(await attempt(beginRun(folder, dying)), undefined);
    const back = await resumeRun(folder, 'back', made);
    assert.deepEqual([back.kind, calls.splice(0)], ['taken back', ['stop', 'start']]);
    const done = await beginRun(await requestRestore(scene), deps(scene, undefined, services(false)).made);
    assert.deepEqual([done.kind, calls.splice(0)], ['committed', ['stop', 'start']]);
  });

  it('cannot be undone once what it put aside was removed', async (t) => {
    const scene = await makeScene(t);
    await beginRun(await requestRestore(scene), deps(scene).made);
    for (const left of leftovers(scene.place, 'dev')) await removeLeftover(left);
    assert.deepEqual(leftovers(scene.place), []);
    assert.throws(() => undoable(scene.place, 'dev'), { code: 'not-found', message: /not there any more/ });
    assert.throws(() => undoable(scene.place, 'prod'), { code: 'not-found', message: /Nothing was restored/ });
  });

  it('brings back a target that is not there at all, and goes by its journal alone', async (t) => {
    const scene = await makeScene(t);
    rmSync(scene.root, { recursive: true });
    const folder = await requestRestore(scene);
    assert.equal((await beginRun(folder, deps(scene).made)).kind, 'committed');
    assert.equal(readFileSync(join(scene.root, 'goes'), 'utf8'), 'first');
    assert.deepEqual(leftovers(scene.place), []);
    const steps = readFileSync(journalOf(folder), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).step);
    assert.deepEqual(
      [...new Set(steps)],
      ['lock', 'preflight', 'stage', 'compare', 'quiesce', 'swap', 'start', 'health', 'commit', 'end'],
    );
  });
});
