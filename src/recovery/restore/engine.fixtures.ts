import assert from 'node:assert/strict';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { knownKey } from '../archive/sign.ts';
import { makeBackup } from '../backup/make-backup.ts';
import type { Place } from '../place.ts';
import { makeRun, newRunId, type RunRequest, stampOf } from '../run/run-folder.ts';
import type { Outcome } from '../run/status.ts';
import type { Target } from '../target.ts';
import type { EngineDeps } from './engine.ts';
import { openBackup } from './open-backup.ts';
import { planRestore } from './plan.ts';
import type { Services } from './services.ts';
import { undoable } from './undo.ts';

const firstMs = Date.UTC(2026, 0, 16, 10, 30, 0);
/** In memory where there is such a place: a thousand lines of journals are brought to the disk here, one by one. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const ownPids = new Set([process.pid]);
const uid = process.getuid?.() ?? 0;

export class Crash extends Error {}

export type Scene = Awaited<ReturnType<typeof makeScene>>;

/** A target with a backup of its first state, and its second state in place. */
export async function makeScene(t: TestContext, exclude: string[] = []) {
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
export function look(folder: string, path = ''): string[] {
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
export function deps({ place, runs }: Scene, diesAt = Number.POSITIVE_INFINITY, services?: Services) {
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

export function request(scene: Scene, more: Partial<RunRequest>): string {
  const { place, target, runs } = scene;
  const nowMs = firstMs + ++runs.count * 1000;
  return makeRun(place, {
    ...{ id: newRunId(nowMs), kind: 'restore', target, place, backup: null, only: null, undoes: null, plan_hash: '' },
    ...{ ignore_open: false, created_at: new Date(nowMs).toISOString(), tool: 'test', ...more },
  });
}

export async function requestRestore(scene: Scene, more: Partial<RunRequest> = {}): Promise<string> {
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

export const requestUndo = (scene: Scene) =>
  request(scene, { kind: 'undo', undoes: undoable(scene.place, 'dev').id, only: null });

/** Services that are not there. */
export const quiet: Services = {
  isEmpty: true,
  look: async () => ({ projects: [] }),
  stop: async () => 'stopped',
  start: async () => 'started',
  startOne: async () => undefined,
  stopOne: async () => undefined,
  complaint: async () => undefined,
  lastLines: async () => ['web | exception'],
};

/** One process; undefined when it died. */
export async function attempt(act: Promise<Outcome>): Promise<Outcome | undefined> {
  try {
    return await act;
  } catch (error) {
    if (error instanceof Crash) return undefined;
    throw error;
  }
}
