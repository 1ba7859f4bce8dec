import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Around } from '../../src/gaia/command.ts';
import { run } from '../../src/gaia/program.ts';
import { gaiaLauncher, makeStand } from './gaia.fixtures.ts';

const home = mkdtempSync(join(tmpdir(), 'confirm-'));
const root = join(home, 'dev');
const config = join(home, 'config.yaml');
after(() => rmSync(home, { recursive: true }));

type Person = { terminal: boolean; types?: string | undefined; pressesCtrlC?: true };

/** Runs a command with somebody (or nobody) at the terminal; runs are done in this process. */
async function withPerson({ terminal, types, pressesCtrlC }: Person, ...argv: string[]) {
  const said: string[] = [];
  const asked: string[] = [];
  const controller = new AbortController();
  const around: Around = {
    version: '1.2.3',
    nodeVersion: '26.0.0',
    clock: Date.now,
    program: undefined,
    uid: process.getuid?.() ?? 0,
    ownPids: new Set([process.pid]),
    host: { name: 'host', kernel: 'kernel', os: 'os' },
    home,
    configFile: config,
    terminal: { in: terminal, out: terminal, err: terminal, columns: 200 },
    color: false,
    signal: controller.signal,
    say: (line) => said.push(line),
    sketch: () => undefined,
    show: () => undefined,
    ask: (question) => {
      asked.push(question);
      if (pressesCtrlC) controller.abort();
      return Promise.resolve(pressesCtrlC ? undefined : types);
    },
    startDetached: () => Promise.reject(new Error('nothing is started here')),
    endGroup: () => undefined,
    isConfined: true,
    confine: () => assert.fail('nothing is confined here'),
    startsWith: [],
    credentials: undefined,
    telegramRoot: undefined,
    pause: () => undefined,
    fetchStatus: () => Promise.resolve(200),
    lineOfInput: () => Promise.resolve(''),
  };
  const here = ['restore', 'undo'].includes(argv[0] as string) ? ['--here'] : [];
  return { ...(await run([...argv, ...here], around)), said, asked };
}

const notes = () => readFileSync(join(root, 'notes'), 'utf8');

describe('before something is replaced, a person', { timeout: 60_000 }, () => {
  before(async () => {
    mkdirSync(root);
    writeFileSync(join(root, 'notes'), 'first');
    writeFileSync(
      config,
      `backup_locations: { local: ${join(home, 'backups')} }\nrestore_targets: { data-plane: { dev: { root: ${root}, health: none } } }\n`,
    );
    assert.equal((await withPerson({ terminal: false }, 'backup', 'dev')).exit, 0);
    writeFileSync(join(root, 'notes'), 'second');
  });

  const refusals: [who: string, person: Person, argv: string[], exit: number, says: RegExp][] = [
    [
      'nobody',
      { terminal: false, types: 'RESTORE DEV' },
      ['restore', 'dev'],
      2,
      /Without a terminal nobody can confirm/,
    ],
    ['nobody', { terminal: false, types: 'RESTORE EVERYTHING' }, ['restore', 'full'], 2, /--yes/],
    ['nobody', { terminal: false, types: 'PRUNE' }, ['prune'], 2, /--yes/],
    [
      'somebody who types small letters',
      { terminal: true, types: 'restore dev' },
      ['restore', 'dev'],
      2,
      /not RESTORE DEV/,
    ],
    [
      'somebody who types another target',
      { terminal: true, types: 'RESTORE PROD' },
      ['restore', 'dev'],
      2,
      /not RESTORE DEV/,
    ],
    [
      'somebody who types one target for all',
      { terminal: true, types: 'RESTORE DEV' },
      ['restore', 'full'],
      2,
      /not RESTORE EVERYTHING/,
    ],
    [
      'somebody who types all for one target',
      { terminal: true, types: 'RESTORE EVERYTHING' },
      ['restore', 'dev'],
      2,
      /not RESTORE DEV/,
    ],
    ['somebody who says yes', { terminal: true, types: 'yes' }, ['restore', 'dev'], 2, /not RESTORE DEV/],
    ['somebody who presses Enter', { terminal: true, types: '' }, ['restore', 'dev'], 2, /not RESTORE DEV/],
    ['somebody who ends the input', { terminal: true }, ['restore', 'dev'], 2, /Nothing was done/],
    [
      'somebody who presses Ctrl-C',
      { terminal: true, pressesCtrlC: true },
      ['restore', 'dev'],
      130,
      /Nothing was done: interrupted/,
    ],
    ['somebody who types a word only', { terminal: true, types: 'PRUNED' }, ['prune'], 2, /Nothing was done/],
  ];
  for (const [who, person, argv, exit, says] of refusals)
    it(`${argv.join(' ')}: ${who} changes nothing, exit ${exit}`, async () => {
      const ended = await withPerson(person, ...argv);
      assert.equal(ended.exit, exit, ended.stderr);
      assert.match(ended.stderr, says);
      assert.equal(notes(), 'second');
      assert.equal(ended.asked.length, person.terminal ? 1 : 0);
    });

  it('is shown the plan, asked for the phrase, and gets what was shown; the same for undo', async () => {
    const restored = await withPerson({ terminal: true, types: 'RESTORE DEV' }, 'restore', 'dev');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.deepEqual(restored.asked, ['Type RESTORE DEV to go on: ']);
    const shown = restored.said.join('\n');
    for (const part of ['Restore dev from dev-', `Replaces:  ${root}`, 'What is there now is put aside', 'Plan: '])
      assert.ok(shown.includes(part), `${part} is not in\n${shown}`);
    assert.equal(notes(), 'first');
    const wrong = await withPerson({ terminal: true, types: 'UNDO PROD' }, 'undo', 'dev');
    assert.equal(wrong.exit, 2);
    assert.equal(notes(), 'first');
    const interrupted = await withPerson({ terminal: true, pressesCtrlC: true }, 'undo', 'dev');
    assert.equal(interrupted.exit, 130);
    const undone = await withPerson({ terminal: true, types: 'UNDO DEV' }, 'undo', 'dev');
    assert.equal(undone.exit, 0, undone.stderr);
    assert.equal(notes(), 'second');
  });

  it('is not asked with --yes', async () => {
    const { exit, asked } = await withPerson({ terminal: false }, 'restore', 'dev', '--yes');
    assert.equal(exit, 0);
    assert.deepEqual(asked, []);
    assert.equal(notes(), 'first');
  });

  it('who confirmed a plan gets no other', async () => {
    const shown = await withPerson({ terminal: false }, 'plan', 'dev', '--json');
    const { hash } = JSON.parse(shown.stdout) as { hash: string };
    const other = await withPerson({ terminal: false }, 'restore', 'dev', '--yes', '--plan', 'feedbeef');
    assert.equal(other.exit, 6);
    assert.match(other.stderr, new RegExp(`The plan is ${hash} now`));
    assert.equal((await withPerson({ terminal: false }, 'restore', 'dev', '--yes', '--plan', hash)).exit, 0);
  });
});

describe('at a real terminal', { timeout: 60_000 }, () => {
  const skip = existsSync('/usr/bin/script') ? false : 'there is no script(1) that gives a terminal';

  /** GAIA below `script`, which gives it a terminal, with somebody who answers the question. */
  function atTerminal(
    args: readonly string[],
    answer: string,
    folder: string,
  ): Promise<{ exit: number | null; screen: string }> {
    const words = [process.execPath, gaiaLauncher, ...args].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', words, '/dev/null'], {
      env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', TERM: 'xterm', LEVEREDGE_HOME: folder },
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: 30_000,
    });
    let screen = '';
    let answered = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text;
      if (answered || !screen.includes('to go on: ')) return;
      answered = true;
      child.stdin.write(answer);
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (exit) => resolve({ exit, screen }));
    });
  }

  it('Ctrl-C at the question ends with 130, Ctrl-D with 2, and nothing done; the phrase restores', {
    skip,
  }, async (t) => {
    const stand = makeStand(t, { more: 'health: none' });
    assert.equal((await stand.gaia('backup', 'dev')).exit, 0);
    writeFileSync(join(stand.root, 'notes'), 'changed\n');
    const args = ['restore', 'dev', '--config', stand.config];
    const interrupted = await atTerminal(args, '\x03', stand.home);
    assert.equal(interrupted.exit, 130, interrupted.screen);
    assert.match(interrupted.screen, /Nothing was done: interrupted/);
    const ended = await atTerminal(args, '\x04', stand.home);
    assert.equal(ended.exit, 2, ended.screen);
    assert.match(ended.screen, /Nothing was done/);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'changed\n');
    const restored = await atTerminal(args, 'RESTORE DEV\r', stand.home);
    assert.equal(restored.exit, 0, restored.screen);
    assert.match(restored.screen, /The backup is in its place/);
    assert.equal(readFileSync(join(stand.root, 'notes'), 'utf8'), 'the first state\n');
  });
});
