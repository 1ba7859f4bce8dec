import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { commands } from '../../src/gaia/commands.ts';
import { helpOf, overview } from '../../src/gaia/help.ts';
import { gaiaLauncher, makeStand, run } from './gaia.fixtures.ts';

/** As whoever runs the tests; owners are theirs, so no root is needed. */
describe('gaia, as a person or a script uses it', { timeout: 120_000 }, () => {
  it('goes from a backup to a restore and back, with one JSON document each', async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    const made = await stand.json(0, 'backup', 'dev');
    assert.equal(made.state, 'sound');
    assert.deepEqual(made.databases, ['events']);
    const listed = (await stand.json(0, 'list')) as { backups: Record<string, unknown>[] };
    assert.equal(listed.backups.length, 1);
    assert.equal(listed.backups[0]?.name, made.name);
    assert.equal(listed.backups[0]?.state, 'sound');
    assert.equal((await stand.json(0, 'verify', 'latest')).state, 'sound');
    assert.equal((await stand.json(0, 'verify', String(made.name), '--deep')).state, 'sound');
    const plan = await stand.json(0, 'plan', 'dev');
    assert.deepEqual(plan.replaces, [stand.root]);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const restored = await stand.json(0, 'restore', 'dev', '--yes', '--plan', String(plan.hash));
    assert.deepEqual([restored.outcome, restored.health], ['committed', 'none']);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
    const status = (await stand.json(0, 'status')) as {
      runs: { state: string }[];
      interrupted: unknown[];
      holder: unknown;
    };
    assert.deepEqual([status.runs.map(({ state }) => state), status.interrupted, status.holder], [['ended'], [], null]);
    assert.equal((await stand.json(0, 'undo', 'dev', '--yes')).outcome, 'committed');
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    assert.equal((await stand.gaia('resume')).exit, 5);
    const pruned = (await stand.json(0, 'prune', '--dry-run')) as { decisions: { keep: boolean; reasons: string[] }[] };
    assert.deepEqual(
      pruned.decisions.map(({ keep }) => keep),
      [true],
    );
    assert.ok(pruned.decisions[0]?.reasons.includes('the newest'));
    assert.equal((await stand.json(0, 'pin', String(made.name))).pinned, true);
    assert.equal((await stand.json(0, 'health')).healthy, true);
    assert.equal((await stand.json(0, 'doctor')).well, true);
    assert.match((await stand.gaia('runbook')).stdout, /^#!\/bin\/sh\n/);
  });

  it('does nothing without a confirmation', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    for (const words of [['restore', 'dev'], ['restore', 'full'], ['prune']]) {
      const { exit, stderr } = await stand.gaia(...words);
      assert.equal(exit, 2, stderr);
      assert.match(stderr, /--yes/);
    }
    const other = await stand.gaia('restore', 'dev', '--yes', '--plan', '0123456789abcdef');
    assert.equal(other.exit, 6, other.stderr);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    assert.equal(existsSync(join(stand.backups, '.gaia', 'runs')), false);
  });

  it('restores what is gone altogether, as on a bare machine', async (t) => {
    const stand = makeStand(t);
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    rmSync(stand.root, { recursive: true });
    assert.equal((await stand.gaia('restore', 'dev', '--yes')).exit, 9);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });

  const refusals: [words: string[], exit: number, says: RegExp][] = [
    [['erase'], 2, /no command erase/],
    [['verfy'], 2, /Did you mean gaia verify/],
    [['list', '--targte', 'dev'], 2, /Did you mean --target/],
    [['list', 'dev'], 2, /takes no "dev"/],
    [['verify'], 2, /needs more words/],
    [['backup', 'stage'], 5, /no target stage/],
    [['verify', 'none'], 5, /No backup is called none/],
    [['restore', 'dev', '--yes'], 5, /no backup of dev/],
    [['restore', 'full', '--yes'], 5, /no sound backup of dev/],
    [['undo', 'dev', '--yes'], 5, /Nothing was restored/],
    [['runbook'], 5, /no backup/],
  ];
  it('refuses with a sentence, and an exit code that a script may rely on', async (t) => {
    const stand = makeStand(t);
    for (const [words, exit, says] of refusals) {
      const ended = await stand.gaia(...words);
      assert.equal(ended.exit, exit, `${words.join(' ')}: ${ended.stderr}`);
      assert.match(ended.stderr, says);
      assert.equal(ended.stdout, '');
      const asJson = await stand.gaia(...words, '--json');
      const { error } = JSON.parse(asJson.stderr.trim().split('\n').at(-1) as string);
      assert.equal(typeof error.message, 'string');
      assert.equal(asJson.exit, exit);
    }
  });

  it('says where it looked for its configuration, and every mistake in it', async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'gaia-'));
    t.after(() => rmSync(home, { recursive: true }));
    const at = (file?: string) =>
      run(process.execPath, [gaiaLauncher, 'list'], { LEVEREDGE_HOME: home, ...(file ? { GAIA_CONFIG: file } : {}) });
    const missing = await at();
    assert.equal(missing.exit, 5);
    assert.match(missing.stderr, /gaia\/config\.yaml/);
    const file = join(home, 'c.yaml');
    writeFileSync(file, 'restore_targets:\n  data-plane:\n    dev:\n      root: /\n    Prod: {}\n');
    const wrong = await at(file);
    assert.equal(wrong.exit, 2);
    assert.match(wrong.stderr, /line 4: .*the whole machine/);
    assert.match(wrong.stderr, /line 5/);
  });

  it('explains each command within 80 columns, with an example', () => {
    for (const text of [overview(), ...commands.map(helpOf)])
      for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
    for (const command of commands) assert.match(helpOf(command), /\nExample:\n {2}gaia /);
  });
});
