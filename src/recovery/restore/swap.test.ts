import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { bytePathOf } from '../byte-path.ts';
import { identityAt, isSame } from './identity.ts';
import { swapIn, takeBack } from './swap.ts';
import type { Unit } from './units.ts';

/** What a unit is made of: a folder or a file that is replaced, one that is added, one that goes. */
const kinds = ['folder', 'file', 'added', 'gone'] as const;
type Kind = (typeof kinds)[number];
type Way = 'in' | 'back';

class Crash extends Error {}

type Scene = { base: string; units: Unit[]; kinds: readonly Kind[]; intruders: string[] };

/** Live things with their old contents, and staged ones with the new, named after their place in the list. */
function makeScene(base: string, wanted: readonly Kind[]): Scene {
  for (const name of ['live', 'stage']) mkdirSync(join(base, name), { recursive: true });
  const units = wanted.map((kind, i): Unit => {
    const [live, stage, aside] = [
      join(base, 'live', `${i}`),
      join(base, 'stage', `${i}`),
      join(base, 'aside/in', `${i}`),
    ];
    if (kind !== 'added') put(live, kind, 'old');
    if (kind !== 'gone') put(stage, kind, 'new');
    const at = { live: bytePathOf(live), stage: bytePathOf(stage), aside: bytePathOf(aside) };
    return { ...at, old: identityAt(at.live), new: identityAt(at.stage) };
  });
  return { base, units, kinds: wanted, intruders: [] };
}

function put(path: string, kind: Kind, text: string): void {
  if (kind === 'folder') mkdirSync(path);
  writeFileSync(kind === 'folder' ? join(path, 'text') : path, text);
}

/** `old`, `new` or another text; undefined when nothing is there. */
function at(path: string, kind: Kind): string | undefined {
  if (!existsSync(path)) return undefined;
  return readFileSync(kind === 'folder' ? join(path, 'text') : path, 'utf8');
}

/** One process that swaps or takes back, and dies after so many renames. */
function attempt({ units, intruders }: Scene, way: Way, diesAfter = Number.POSITIVE_INFINITY, sameBoot = true): void {
  let left = diesAfter;
  const options = {
    id: 'run',
    sameBoot,
    onIntruder: (_: string, moved: string) => intruders.push(moved),
    pause() {
      if (left-- <= 0) throw new Crash();
    },
  };
  try {
    if (way === 'in') swapIn(units, options);
    else takeBack(units, options);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
}

/** All units are in one state, and nothing of the other one is lost. */
function requireWhole({ base, kinds: each }: Scene, way: Way): void {
  for (const [i, kind] of each.entries()) {
    const found = ['live', 'stage', 'aside/in'].map((folder) => at(join(base, folder, `${i}`), kind));
    const hasOld = kind !== 'added' ? 'old' : undefined;
    const hasNew = kind !== 'gone' ? 'new' : undefined;
    const wanted = way === 'in' ? [hasNew, undefined, hasOld] : [hasOld, hasNew, undefined];
    assert.deepEqual(found, wanted, `unit ${i} (${kind})`);
  }
}

function statesOf({ base, kinds: each }: Scene): (string | undefined)[] {
  return each.map((kind, i) => at(join(base, 'live', `${i}`), kind));
}

function emptyFolder(t: TestContext): string {
  const base = mkdtempSync(join(tmpdir(), 'swap-'));
  t.after(() => rmSync(base, { recursive: true }));
  return base;
}

describe('a swap', () => {
  it('that dies after any rename is finished, or taken back, by whoever comes next', (t) => {
    const base = emptyFolder(t);
    // Each of four units has two renames at most, so that the last of these deaths comes after all of them.
    for (const way of ['in', 'back'] as const)
      for (let n = 0; n <= 8; n++) {
        const scene = makeScene(join(base, `${way}-${n}`), kinds);
        attempt(scene, 'in', n);
        attempt(scene, way);
        requireWhole(scene, way);
        attempt(scene, way);
        requireWhole(scene, way);
      }
  });

  it('is whole after any number of deaths on the way there and back, also across reboots', (t) => {
    const base = emptyFolder(t);
    const deaths = fc.array(
      fc.record({ way: fc.constantFrom<Way>('in', 'back'), after: fc.nat(9), sameBoot: fc.boolean() }),
      {
        maxLength: 6,
      },
    );
    const scenes = fc.array(fc.constantFrom(...kinds), { minLength: 1, maxLength: 5 });
    let n = 0;
    fc.assert(
      fc.property(scenes, deaths, fc.constantFrom<Way>('in', 'back'), (wanted, dying, last) => {
        const scene = makeScene(join(base, `${n++}`), wanted);
        for (const { way, after, sameBoot } of dying) attempt(scene, way, after, sameBoot);
        attempt(scene, last);
        requireWhole(scene, last);
        assert.deepEqual(scene.intruders, []);
      }),
      { numRuns: 50 },
    );
  });

  it('moves what somebody made at a live path meanwhile to the side, and keeps it', (t) => {
    const base = emptyFolder(t);
    for (const way of ['in', 'back'] as const)
      for (const kind of kinds) {
        const scene = makeScene(join(base, `${way}-${kind}`), [kind]);
        const live = join(scene.base, 'live/0');
        attempt(scene, 'in', 0);
        // An added file is in its place after one rename; its owner replaces it.
        if (existsSync(live)) continue;
        put(live, 'folder', 'of a service');
        attempt(scene, way);
        requireWhole(scene, way);
        assert.deepEqual(scene.intruders, [`${live}.gaia-intruder-run`]);
        assert.equal(readFileSync(join(`${live}.gaia-intruder-run`, 'text'), 'utf8'), 'of a service');
      }
  });

  it('gives each of several intruders a name of its own', (t) => {
    const scene = makeScene(emptyFolder(t), ['folder']);
    const live = join(scene.base, 'live/0');
    attempt(scene, 'in', 0);
    put(live, 'file', 'first');
    writeFileSync(`${live}.gaia-intruder-run`, 'somebody had this name before');
    attempt(scene, 'in');
    requireWhole(scene, 'in');
    assert.deepEqual(readdirSync(join(scene.base, 'live')).sort(), [
      '0',
      '0.gaia-intruder-run',
      '0.gaia-intruder-run-2',
    ]);
    assert.equal(readFileSync(`${live}.gaia-intruder-run`, 'utf8'), 'somebody had this name before');
    assert.equal(readFileSync(`${live}.gaia-intruder-run-2`, 'utf8'), 'first');
  });

  it('touches nothing when one staged state of several is gone, and can still be taken back', (t) => {
    for (const gone of [0, 1, 2]) {
      const scene = makeScene(emptyFolder(t), ['folder', 'folder', 'folder']);
      rmSync(join(scene.base, 'stage', `${gone}`), { recursive: true });
      assert.throws(() => attempt(scene, 'in'), { code: 'conflict', message: /neither there nor at/ });
      assert.deepEqual(statesOf(scene), ['old', 'old', 'old']);
      attempt(scene, 'back');
      assert.deepEqual(statesOf(scene), ['old', 'old', 'old']);
    }
  });

  it('leaves the new state whole when one old state of several was taken away', (t) => {
    for (const gone of [0, 1, 2]) {
      const scene = makeScene(emptyFolder(t), ['folder', 'folder', 'folder']);
      attempt(scene, 'in');
      renameSync(join(scene.base, 'aside/in', `${gone}`), join(scene.base, 'taken'));
      assert.throws(() => attempt(scene, 'back'), { code: 'conflict' });
      assert.deepEqual(statesOf(scene), ['new', 'new', 'new']);
    }
  });

  it('knows what it put somewhere by its inode alone after a reboot, which may number devices anew', () => {
    assert.equal(isSame('5:7', '6:7', false), true);
    assert.equal(isSame('5:7', '6:7', true), false);
    assert.equal(isSame('5:7', '5:17', false), false);
    assert.equal(isSame(null, '5:7', false), false);
  });

  it('replaces nothing that lies where the old state would go', (t) => {
    const scene = makeScene(emptyFolder(t), ['file']);
    mkdirSync(join(scene.base, 'aside/in'), { recursive: true });
    writeFileSync(join(scene.base, 'aside/in/0'), 'of somebody else');
    assert.throws(() => attempt(scene, 'in'), { code: 'conflict', message: /where something is already/ });
    assert.equal(at(join(scene.base, 'live/0'), 'file'), 'old');
    assert.equal(at(join(scene.base, 'aside/in/0'), 'file'), 'of somebody else');
  });
});
