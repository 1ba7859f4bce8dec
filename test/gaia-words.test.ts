import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Around } from '../src/gaia/command.ts';
import { commands } from '../src/gaia/commands.ts';
import { run } from '../src/gaia/program.ts';

const columns = 80;

/** A machine without a home, on which nobody sits at a terminal. */
function nowhere(): Around {
  return {
    version: '1.2.3',
    nodeVersion: '26.0.0',
    clock: () => Date.parse('2026-01-16T10:30:00Z'),
    uid: 0,
    ownPids: new Set(),
    program: undefined,
    host: { name: 'host', kernel: 'kernel', os: 'os' },
    home: '/no/home',
    configFile: undefined,
    terminal: { in: false, out: false, err: false, columns },
    color: false,
    signal: new AbortController().signal,
    say: () => undefined,
    sketch: () => undefined,
    show: () => undefined,
    ask: () => Promise.resolve(undefined),
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
}

const call = (...argv: string[]) => run(argv, nowhere());
const shown = commands.filter(({ hidden }) => !hidden);

describe('the help', () => {
  it('names every command once, in no more columns than a terminal has', async () => {
    const { exit, stdout } = await call('help');
    assert.equal(exit, 0);
    for (const { name } of shown)
      assert.equal(stdout.split('\n').filter((line) => line.startsWith(`  ${name} `)).length, 1);
    assert.doesNotMatch(stdout, /__run/);
    assert.deepEqual(await call(), await call('help'));
    assert.deepEqual(await call('--help'), await call('help'));
  });

  for (const { name, flags, example } of commands)
    it(`of ${name} has its options, an example and exit codes, in 80 columns`, async () => {
      const { exit, stdout } = await call('help', name);
      assert.equal(exit, 0);
      for (const flag of [...Object.keys(flags), 'config', 'json', 'quiet'])
        assert.match(stdout, new RegExp(`--${flag}\\b`));
      assert.ok(stdout.includes(`Example:\n  ${example}\n`));
      assert.match(stdout, /\nExit codes: \S/);
      assert.deepEqual(
        stdout.split('\n').filter((line) => line.length > columns),
        [],
      );
      assert.deepEqual(await call(name, '--help'), { exit, stdout, stderr: '' });
    });

  it('gives examples that are command lines of this program', async () => {
    for (const { example, hidden } of commands) {
      const [program, ...words] = (example.split(' > ')[0] as string).split(' ');
      assert.equal(program, 'gaia');
      const { exit, stderr } = await call(...words);
      // Understood, and then there is no configuration; doctor reports that as a finding.
      if (!hidden) assert.ok(exit === 5 || words[0] === 'doctor', `${example}: ${stderr}`);
    }
  });
});

describe('a command line that is not understood', () => {
  const cases: [argv: string[], says: RegExp][] = [
    [['lst'], /There is no command lst\.\n {2}Did you mean gaia list\?/],
    [['conjure'], /There is no command conjure\.\n {2}See: gaia help/],
    [['--jsno'], /No command is given/],
    [['list', '--targt', 'dev'], /There is no option --targt here\.\n {2}Did you mean --target\?/],
    [['list', '--targt=dev'], /Did you mean --target\?/],
    [['list', 'dev'], /gaia list takes no "dev"\.\n {2}Usage: gaia list/],
    [['restore'], /gaia restore needs more words\.\n {2}Usage: gaia restore TARGET/],
    [['restore', 'dev', 'prod'], /takes no "prod"/],
    [['restore', 'dev', '--backup'], /--backup/],
    [['restore', 'dev', '--yes=no'], /--yes/],
    [['list', '--json=1'], /--json/],
    [['undo', 'dev', '-y'], /There is no option -y/],
    [
      ['backup', 'dev', '--reason', 'pre-chance'],
      /not made for the reason "pre-chance"\.\n {2}Did you mean pre-change\?/,
    ],
    [['backup', 'dev', '--reason', 'because'], /Say manual, pre-change or scheduled/],
    [['help', 'lst'], /Did you mean gaia list\?/],
    [['__run', '/x', '--how', 'sideways'], /begin, forward or back/],
  ];
  for (const [argv, says] of cases)
    it(`gaia ${argv.join(' ')}: exit 2, and what was meant`, async () => {
      const { exit, stdout, stderr } = await call(...argv);
      assert.equal(exit, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, says);
      assert.match(stderr, /^gaia: /);
    });

  it('is a JSON document on stderr with --json', async () => {
    const { exit, stdout, stderr } = await call('lst', '--json');
    assert.equal(exit, 2);
    assert.equal(stdout, '');
    assert.deepEqual(JSON.parse(stderr).error, {
      code: 'usage',
      message: 'There is no command lst.',
      hint: 'Did you mean gaia list?',
    });
  });
});

it('takes the configuration before the command too', async () => {
  for (const argv of [
    ['--config', 'none.yaml', 'list'],
    ['list', '--config', 'none.yaml'],
    ['--config=none.yaml', 'list'],
  ]) {
    const { exit, stderr } = await call(...argv);
    assert.equal(exit, 5, stderr);
    assert.match(stderr, /There is no configuration at \S*none\.yaml/);
  }
});

it('says its version, also as JSON', async () => {
  assert.equal((await call('--version')).stdout, '1.2.3\n');
  assert.deepEqual(JSON.parse((await call('--version', '--json')).stdout), { version: '1.2.3' });
});
