import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeStand } from './gaia.fixtures.ts';
import { leaveInterrupted } from './gaia-interrupted.fixtures.ts';

describe('while a restore is interrupted', () => {
  it('each command says so first, with both ways out', async (t) => {
    const stand = makeStand(t);
    const { id } = leaveInterrupted(stand);
    for (const words of [['list'], ['health'], ['prune', '--dry-run']]) {
      const { exit, stderr } = await stand.gaia(...words);
      assert.equal(exit, 0, stderr);
      const [first, finish, back] = stderr.split('\n');
      assert.equal(first, `The restore of dev (${id}) was interrupted at the step stage.`, words.join(' '));
      assert.match(finish as string, /gaia resume$/);
      assert.match(back as string, /gaia resume --back$/);
    }
    assert.doesNotMatch((await stand.gaia('list', '--quiet')).stderr, /interrupted/);
    const asJson = await stand.gaia('list', '--json');
    assert.deepEqual(JSON.parse(asJson.stderr.split('\n')[0] as string), {
      kind: 'interrupted',
      run: id,
      verb: 'restore',
      target: 'dev',
      step: 'stage',
      ways_out: ['gaia resume', 'gaia resume --back'],
    });
  });

  it('nothing is backed up, restored or undone of its target, and it is said once', async (t) => {
    const stand = makeStand(t);
    leaveInterrupted(stand);
    for (const words of [
      ['backup', 'dev'],
      ['backup', 'full'],
      ['restore', 'dev', '--yes'],
      ['undo', 'dev', '--yes'],
    ]) {
      const { exit, stderr } = await stand.gaia(...words);
      assert.equal(exit, 6, `${words.join(' ')}: ${stderr}`);
      assert.equal(stderr.match(/was interrupted/g)?.length, 1, stderr);
      assert.match(stderr, /gaia resume --back/);
    }
  });

  it('status exits 9, doctor 1, and resume --back ends it', async (t) => {
    const stand = makeStand(t);
    const { id } = leaveInterrupted(stand);
    const status = await stand.json(9, 'status');
    assert.deepEqual(
      (status.interrupted as { id: string; state: string }[]).map(({ id, state }) => [id, state]),
      [[id, 'interrupted']],
    );
    assert.match((await stand.gaia('doctor')).stdout, /WRONG {2}runs +the restore of dev .* was interrupted/);
    const back = await stand.json(0, 'resume', '--back');
    assert.equal(back.outcome, 'taken back');
    assert.equal((await stand.gaia('status')).exit, 0);
    assert.equal((await stand.gaia('resume')).exit, 5);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });

  it('a damaged journal keeps nobody from listing backups', async (t) => {
    const stand = makeStand(t);
    const { journal } = leaveInterrupted(stand);
    writeFileSync(journal, readFileSync(journal, 'utf8').replace('"lock"', '"lick"'));
    const { exit, stderr } = await stand.gaia('list');
    assert.equal(exit, 0, stderr);
    assert.match(stderr, /^WARNING: Line 1 of the journal .* is damaged/);
  });
});
