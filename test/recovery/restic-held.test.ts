import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { holdSnapshot } from '../../src/recovery/restic/hold-snapshot.ts';
import type { ResticRepository } from '../../src/recovery/restic/repository.ts';
import { makeResticStand, notHere, type ResticStand, until } from './restic.fixtures.ts';

const missing = notHere('restic', 'mkfifo');
if (missing !== undefined) console.log(`NOT RUN: a restic that is held until there is something: no ${missing}`);

const repositoryOf = ({ repository, passwordFile, home }: ResticStand): ResticRepository => ({
  repository,
  passwordFile,
  environmentFile: join(home, 'gaia', 'restic.env'),
  readBack: true,
});

/** A folder that a held restic will take, and what it has left in the repository. */
function standOf(t: TestContext) {
  const stand = makeResticStand(t);
  const list = join(stand.home, 'list');
  mkdirSync(list);
  const gate = join(stand.home, 'gate');
  const held = holdSnapshot(repositoryOf(stand), { paths: [list], tags: ['x'], host: 'here' }, gate);
  const locks = () => readdirSync(join(stand.repository, 'locks'));
  const waits = () => until('restic waits at the gate', () => waitingAt(gate) !== undefined);
  return { stand, list, gate, held, locks, waits };
}

/** The process that has opened a gate, beside us. */
function waitingAt(gate: string): number | undefined {
  const found = readdirSync('/proc').find((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === gate);
    } catch {
      return false; // It has ended meanwhile, or is not ours.
    }
  });
  return found === undefined ? undefined : Number(found);
}

describe('a snapshot that is held', { skip: missing !== undefined }, () => {
  it('is of what the folder holds when it is taken, and not when restic began', async (t) => {
    const { stand, list, gate, held, locks, waits } = standOf(t);
    await waits();
    assert.deepEqual([locks().length, readdirSync(join(stand.repository, 'snapshots'))], [1, []]);
    writeFileSync(join(list, 'FILES.ndjson'), 'late');
    const { id, files } = await held.take();
    assert.equal(files, 1);
    assert.equal(await stand.restic('dump', id, join(list, 'FILES.ndjson')), 'late');
    assert.equal(existsSync(gate), false);
    await held.drop();
  });

  it('is taken at once too, before restic has come to look', async (t) => {
    const { list, held } = standOf(t);
    writeFileSync(join(list, 'one'), '1');
    assert.equal((await held.take()).files, 1);
  });

  it('leaves neither a lock nor a snapshot when it is dropped, at once or later', async (t) => {
    for (const wait of [false, true]) {
      const { stand, held, locks, waits } = standOf(t);
      if (wait) await waits();
      await held.drop();
      await held.drop();
      assert.deepEqual([locks(), readdirSync(join(stand.repository, 'snapshots'))], [[], []]);
    }
  });

  it('is taken by another restic when the one that waited was killed', async (t) => {
    const { stand, list, gate, held, waits } = standOf(t);
    await waits();
    const pid = waitingAt(gate) ?? assert.fail();
    process.kill(pid, 'SIGKILL');
    await until('it is gone', () => !existsSync(`/proc/${pid}/exe`));
    writeFileSync(join(list, 'one'), '1');
    assert.equal((await held.take()).files, 1);
    assert.equal(JSON.parse(await stand.restic('snapshots', '--json')).length, 1);
  });

  it('is fetched over when it was left empty, as of a run that was killed in just that moment', async (t) => {
    const stand = makeResticStand(t);
    await stand.json(0, 'backup', 'dev');
    const empty = join(stand.home, 'list');
    mkdirSync(empty);
    const tags = 'leveredge,leveredge-catalogue,target=dev,backup=dev-2099-01-01-000000.restic';
    await stand.restic('backup', '--tag', tags, empty);
    const name = 'dev-2099-01-01-000000.restic';
    await stand.restic('backup', '--tag', `leveredge,leveredge-whole,target=dev,backup=${name}`, stand.root);
    execFileSync('rm', ['-r', join(stand.backups, 'dev')]);
    const { fetched, orphans } = await stand.json(0, 'repository', 'fetch');
    assert.equal((fetched as unknown[]).length, 1);
    assert.deepEqual(orphans, [name]);
  });
});
