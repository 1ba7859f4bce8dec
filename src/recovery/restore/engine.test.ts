import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { knownKey } from '../archive/sign.ts';
import { makeBackup } from '../backup/make-backup.ts';
import type { GateResult } from '../health/gate.ts';
import type { Place } from '../place.ts';
import { readJournal } from '../run/journal.ts';
import { journalOf, makeRun, newRunId, type RunRequest, stampOf } from '../run/run-folder.ts';
import { type Outcome, statusOf } from '../run/status.ts';
import type { Target } from '../target.ts';
import { beginRun, type EngineDeps, resumeRun } from './engine.ts';
import { openBackup } from './open-backup.ts';
import { planRestore } from './plan.ts';
import type { Services } from './services.ts';
import { leftovers, removeLeftover, undoable } from './undo.ts';

const firstMs = Date.UTC(2026, 0, 16, 10, 30, 0);
/** In memory where there is such a place: a thousand lines of journals are brought to the disk here, one by one. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const ownPids = new Set([process.pid]);
const uid = process.getuid?.() ?? 0;

class Crash extends Error {}

type Scene = Awaited<ReturnType<typeof makeScene>>;

/** A target with a backup of its first state, and its second state in place. */
async function makeScene(t: TestContext, exclude: string[] = []) {
  const home = mkdtempSync(join(memory, 'engine-'));
  t.after(() => rmSync(home, { recursive: true }));
  const root = join(home, 'dev');
  mkdirSync(join(root, 'sub/stays'), { recursive: true });
  writeFileSync(join(root, 'sub/file'), 'first');
  writeFileSync(join(root, 'goes'), 'first');
  symlinkSync('sub/file', join(root, 'link'));
  const at = (name: string) => join(home, name);
  const place: Place = {
    ...{ home, configFile: at('config.yaml'), backups: at('backups'), state: at('backups/.gaia') },
    ...{ signingKey: at('key'), publicKey: at('key.pub') },
  };
  const tree = { name: 'dev', root, exclude, mounts: { include: [], exclude: [] } };
  const target: Target = { name: 'dev', trees: [tree], databases: [], health: 'none' };
  const { file } = await makeBackup({
    ...{ target, place, reason: 'manual', set: null, clock: () => firstMs, tool: 'test', previousManifest: null },
    host: { name: 'h', kernel: 'k', os: 'o' },
    progress: () => undefined,
  });
  writeFileSync(join(root, 'sub/file'), 'second');
  rmSync(join(root, 'goes'));
  writeFileSync(join(root, 'came'), 'second');
  return { home, root, place, target, file, runs: { count: 0 } };
}

/** Everything below a folder with its attributes; what this run left at the top is left out by `is`. */
function look(folder: string, path = ''): string[] {
  return readdirSync(join(folder, path))
    .sort()
    .flatMap((name) => {
      const below = path === '' ? name : `${path}/${name}`;
      const stats = lstatSync(join(folder, below), { bigint: true });
      const line = `${below} ${stats.mode.toString(8)} ${stats.uid} ${stats.mtimeNs}`;
      if (stats.isDirectory()) return [line, ...look(folder, below)];
      const text = stats.isSymbolicLink()
        ? readlinkSync(join(folder, below))
        : readFileSync(join(folder, below), 'utf8');
      return [`${line} ${text}`];
    });
}

/** Points are counted from 0; a process that is dead reaches none any more. */
function deps({ place, runs }: Scene, diesAt = Number.POSITIVE_INFINITY, services?: Services) {
  const points: string[] = [];
  const made: EngineDeps = {
    ...{ place, uid, ownPids, known: knownKey(place.publicKey), progress: () => undefined },
    clock: () => firstMs + runs.count * 1000,
    ...(services === undefined ? {} : { services }),
    pause(point) {
      if (points.length >= diesAt) throw new Crash(point);
      points.push(point);
    },
  };
  return { made, points };
}

function request(scene: Scene, more: Partial<RunRequest>): string {
  const { place, target, runs } = scene;
  const nowMs = firstMs + ++runs.count * 1000;
  return makeRun(place, {
    ...{ id: newRunId(nowMs), kind: 'restore', target, place, backup: null, only: null, undoes: null, plan_hash: '' },
    ...{ ignore_open: false, created_at: new Date(nowMs).toISOString(), tool: 'test', ...more },
  });
}

async function requestRestore(scene: Scene, more: Partial<RunRequest> = {}): Promise<string> {
  const { target, file, place, runs } = scene;
  const open = await openBackup(file, knownKey(place.publicKey));
  assert.ok(open.kind === 'own');
  const run = { id: 'plan', stamp: stampOf(firstMs + runs.count * 1000) };
  const { plan } = planRestore(open, { target, only: null, ignoreOpen: false, run, uid, ownPids });
  await open.close();
  const { name, created_at } = open.signed.manifest;
  const backup = { file, name, created_at, manifest_sha256: open.signed.sha256 };
  return request(scene, { backup, plan_hash: plan.hash, ...more });
}

const requestUndo = (scene: Scene) =>
  request(scene, { kind: 'undo', undoes: undoable(scene.place, 'dev').id, only: null });

/** Services that are not there. */
const quiet: Services = {
  isEmpty: true,
  look: async () => ({ projects: [] }),
  stop: async () => 'stopped',
  start: async () => 'started',
  lastLines: async () => ['web | exception'],
};

/** One process; undefined when it died. */
async function attempt(act: Promise<Outcome>): Promise<Outcome | undefined> {
  try {
    return await act;
  } catch (error) {
    if (error instanceof Crash) return undefined;
    throw error;
  }
}

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
    for (const left of leftovers(scene.place, 'dev')) removeLeftover(left);
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

  describe('with a health check', () => {
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
});
