import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeStand, run, type Stand } from './gaia.fixtures.ts';

type Result = { name: string; target: string; state: string; set: string; error?: { code: string } };

/** A stand with a second target, `prod`. */
function twoTargets(t: Parameters<typeof makeStand>[0]): Stand & { prod: string } {
  const stand = makeStand(t);
  const prod = join(stand.home, 'data-plane', 'prod');
  mkdirSync(prod);
  writeFileSync(join(prod, 'notes'), 'the first of prod\n');
  writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}    prod: { root: ${prod} }\n`);
  return { ...stand, prod };
}

describe('everything at once', { timeout: 60_000 }, () => {
  it('is one set, restored in the order prod, dev, and undone target by target', async (t) => {
    const stand = twoTargets(t);
    const { results } = (await stand.json(0, 'backup', 'full', '--reason', 'pre-change')) as { results: Result[] };
    assert.deepEqual(
      results.map(({ target, state }) => [target, state]),
      [
        ['prod', 'sound'],
        ['dev', 'sound'],
      ],
    );
    const set = results[0]?.set as string;
    assert.match(set, /^[0-9a-f]{16}$/);
    const listed = (await stand.json(0, 'list')) as { backups: { set: string; why_made: string }[] };
    assert.deepEqual(
      listed.backups.map(({ set, why_made }) => [set, why_made]),
      [
        [set, 'pre-change'],
        [set, 'pre-change'],
      ],
    );
    writeFileSync(join(stand.prod, 'notes'), 'changed\n');
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const restored = (await stand.json(9, 'restore', 'full', '--backup', set, '--yes')) as { results: Result[] };
    assert.deepEqual(
      restored.results.map(({ target }) => target),
      ['prod', 'dev'],
    );
    assert.equal(readFileSync(join(stand.prod, 'notes'), 'utf8'), 'the first of prod\n');
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    assert.equal((await stand.gaia('undo', '--yes')).exit, 2, 'which of the two must be said');
    assert.equal((await stand.gaia('undo', 'prod', '--yes')).exit, 9);
    assert.equal(readFileSync(join(stand.prod, 'notes'), 'utf8'), 'changed\n');
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });

  it('backs up what it can when one target cannot be, and exits 9', async (t) => {
    const stand = twoTargets(t);
    rmSync(stand.prod, { recursive: true });
    const { results } = (await stand.json(9, 'backup', 'full')) as { results: Result[] };
    assert.deepEqual(results.map(({ target, state, error }) => [target, state, error?.code]).sort(), [
      ['dev', 'sound', undefined],
      ['prod', 'failed', 'not-found'],
    ]);
    const { exit, stdout } = await stand.gaia('backup', 'full');
    assert.equal(exit, 9);
    assert.match(stdout, /prod: FAILED\. .*\n/);
  });

  it('touches nothing while a target has no backup, unless that is said', async (t) => {
    const stand = twoTargets(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const refused = await stand.gaia('restore', 'full', '--yes');
    assert.equal(refused.exit, 5);
    assert.match(refused.stderr, /no sound backup of prod\.\n.*--skip-missing/);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    assert.equal((await stand.gaia('verify', 'latest')).exit, 5);
    assert.match((await stand.gaia('verify', 'latest')).stdout, /There is no backup of prod/);
    assert.equal((await stand.gaia('restore', 'full', '--yes', '--skip-missing')).exit, 9);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });

  it('says what was restored, what was not, and what was not tried, when one fails after another', async (t) => {
    const stand = twoTargets(t);
    const third = join(stand.home, 'data-plane', 'third');
    mkdirSync(third);
    writeFileSync(stand.config, `${readFileSync(stand.config, 'utf8')}    third: { root: ${third} }\n`);
    assert.equal((await stand.gaia('backup', 'full')).exit, 0);
    const folder = join(stand.backups, 'dev');
    const archive = join(folder, readdirSync(folder).find((name) => name.endsWith('.tar.zst')) as string);
    const bytes = readFileSync(archive);
    bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
    writeFileSync(archive, bytes);
    writeFileSync(join(stand.prod, 'notes'), 'changed\n');
    const { exit, stdout, stderr } = await stand.gaia('restore', 'full', '--yes', '--json');
    assert.equal(exit, 9, stderr);
    const { results, not_tried } = JSON.parse(stdout) as { results: Result[]; not_tried: string[] };
    assert.deepEqual(
      results.map(({ target }) => target),
      ['prod', 'dev'],
    );
    assert.deepEqual(not_tried, ['third']);
    assert.match(stderr, /1 of 3 targets are restored[\s\S]*Not tried, since dev failed: third\..*gaia restore third/);
    assert.equal(readFileSync(join(stand.prod, 'notes'), 'utf8'), 'the first of prod\n');
  });

  it('takes an archive of an older tool where a target has nothing else, as a restore of it alone does', async (t) => {
    const stand = twoTargets(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    const old = join(stand.backups, 'prod');
    mkdirSync(old);
    const file = join(old, 'prod_20250116_103000.tar.gz');
    assert.equal((await run('tar', ['-C', stand.prod, '-czf', file, '.'])).exit, 0);
    writeFileSync(join(stand.prod, 'notes'), 'changed\n');
    assert.equal((await stand.gaia('restore', 'full', '--yes')).exit, 9);
    assert.equal(readFileSync(join(stand.prod, 'notes'), 'utf8'), 'the first of prod\n');
  });

  it('wants a set, and neither a file nor a part', async (t) => {
    const stand = twoTargets(t);
    assert.equal((await stand.gaia('backup', 'full')).exit, 0);
    assert.equal((await stand.gaia('restore', 'full', '--backup', '/a/file.tar.zst', '--yes')).exit, 2);
    assert.equal((await stand.gaia('restore', 'full', '--only', 'db', '--yes')).exit, 2);
    const none = await stand.gaia('restore', 'full', '--backup', 'ffff', '--yes');
    assert.equal(none.exit, 5);
    assert.match(none.stderr, /The newest is [0-9a-f]{16}/);
    const [archive] = readdirSync(join(stand.backups, 'prod')).filter((name) => name.endsWith('.tar.zst'));
    renameSync(join(stand.backups, 'prod', archive as string), join(stand.home, archive as string));
    assert.equal((await stand.gaia('restore', 'full', '--backup', 'latest', '--yes')).exit, 5);
  });
});
