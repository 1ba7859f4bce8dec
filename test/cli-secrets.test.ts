import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Surroundings } from '../src/channels/cli/door.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { callStand } from './calls.fixtures.ts';
import { inProcess, temporaryFolder } from './cli-run.fixtures.ts';
import { vault, vaultCapabilities, vaultScopes, whereItStands } from './vault.fixtures.ts';

const value = 'hunter2-and-more';

describe('a secret on the command line', { timeout: 60_000 }, () => {
  const on = callStand();
  const folder = temporaryFolder({ after });
  let agent: Client;
  let token: string;
  before(async () => {
    agent = await on.as('VAULT', 'agent', ...vaultScopes);
    token = join(folder, 'anna.token');
    const { secret } = await tokenFor(on.bus, { name: 'anna', kind: 'person', scopes: ['read', 'approve', 'call:*'] });
    writeFileSync(token, secret, { mode: 0o600 });
  });

  const file = (text: string, mode = 0o600) => {
    const path = join(folder, `${crypto.randomUUID()}.secret`);
    writeFileSync(path, text, { mode });
    return path;
  };
  const seat = (more: Partial<Surroundings> = {}, columns?: number) =>
    inProcess(on.bus.url, { is: columns !== undefined, columns: columns ?? 80 }, undefined, token, {
      capabilities: vaultCapabilities,
      ...more,
    });
  async function* piped(text: string) {
    yield text.slice(0, 3);
    yield text.slice(3);
  }

  it('comes from a file, from standard input or from the terminal, without the end of its line', async (t) => {
    const { kept } = await vault(t, agent);
    const ways: [Partial<Surroundings>, string[]][] = [
      [{}, ['--value-file', file(`${value}\n`)]],
      [{ readText: () => piped(`${value}\r\n`) }, ['--value-file', '-']],
      [{ askSecret: async (prompt) => (prompt === 'value: ' ? value : undefined) }, []],
    ];
    for (const [more, words] of ways) {
      const { exit, stdout, stderr } = await seat(more)('vault', 'put', 'db', ...words);
      assert.deepEqual([exit, stderr], [0, '']);
      assert.ok(!stdout.includes(value));
      assert.equal(kept.get('db'), value);
      kept.clear();
    }
  });

  it('is no word of the command line, and not repeated where it was one', async () => {
    for (const words of [['--value', value], [`--value=${value}`], ['--value']]) {
      const { exit, stdout, stderr } = await seat()('vault', 'put', 'db', ...words);
      assert.deepEqual([exit, stdout], [2, '']);
      assert.match(stderr, /^leveredge: --value takes no word: .*\n {2}Give it with --value-file FILE/);
      assert.ok(!stderr.includes(value), stderr);
    }
    const { exit, stderr } = await seat()('vault', 'put', 'db');
    assert.equal(exit, 2);
    assert.match(stderr, /^leveredge: value is missing\. .*\n {2}Give it with --value-file FILE/);
  });

  it('is refused from a file that others can read, one that is not there, and twice from standard input', async () => {
    for (const [words, code] of [
      [['--value-file', file(value, 0o644)], 3],
      [['--value-file', join(folder, 'none')], 5],
      [['--value-file', '-', '--note-file', '-'], 2],
      [['--value-file', file('\n')], 2],
    ] as const) {
      const { exit, stderr } = await seat()('vault', 'put', 'db', ...words);
      assert.equal(exit, code, stderr);
    }
    const { stderr } = await seat()('vault', 'put', 'db', '--value-file', file('\n'));
    assert.match(stderr, /--value-file must not be empty/);
  });

  it('is printed at a terminal, and into a pipe or as JSON only when that is said', async (t) => {
    await vault(t, agent, new Map([['db', value]]));
    const reveal = (columns: number | undefined, ...words: string[]) =>
      seat({}, columns)('vault', 'reveal', 'db', ...words);
    const seen = await reveal(80);
    assert.match(seen.stdout, new RegExp(`^name: {2}db\nvalue: ${value}$`, 'm'));
    for (const [columns, ...words] of [[undefined], [80, '--json'], [undefined, '--json']] as const) {
      const { exit, stdout, stderr } = await reveal(columns, ...words);
      assert.equal(exit, 0);
      assert.match(stdout, /secret:[\w-]{43}/);
      assert.ok(!stdout.includes(value));
      assert.match(stderr, /^value: secret, and so shown at a terminal only, or with --show-secrets\.$/m);
    }
    assert.match((await reveal(undefined, '--show-secrets')).stdout, new RegExp(`^value\t${value}$`, 'm'));
    assert.deepEqual(JSON.parse((await reveal(undefined, '--show-secrets', '--json')).stdout), { name: 'db', value });
    assert.deepEqual(whereItStands(value, on.bus.home, { log: on.bus.log() }), []);
  });

  it('is told of in the help, in lines of 80 columns', async () => {
    for (const verb of ['put', 'reveal', 'replace']) {
      const { stdout } = await seat()('vault', verb, '--help');
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
      assert.match(stdout, verb === 'reveal' ? /--show-secrets/ : /--value-file <file>/);
      assert.doesNotMatch(stdout, /--value \[/);
    }
  });

  const hasPty = spawnSync('python3', ['-c', 'import pty']).status === 0;
  it('is not shown while it is typed', { skip: !hasPty && 'no python3 with pty here' }, () => {
    const asking = new URL('../src/bin/ask-secret.ts', import.meta.url);
    const script = `const { askSecret } = await import(${JSON.stringify(asking.href)});
      const typed = await askSecret('value: ', new AbortController().signal); console.log('typed ' + typed?.length);`;
    const typing = `import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
said = b''
while b'value: ' not in said: said += os.read(fd, 1000)
os.write(fd, b'${value}\\r')
try:
    while True:
        more = os.read(fd, 1000)
        if not more: break
        said += more
except OSError: pass
sys.stdout.buffer.write(said)`;
    const { stdout } = spawnSync('python3', ['-c', typing, process.execPath, '--input-type=module', '-e', script], {
      ...{ encoding: 'utf8', timeout: 20_000 },
    });
    assert.match(stdout, new RegExp(`^value: \\s*typed ${value.length}\\s*$`));
  });
});

describe('a call whose answer is lost', { timeout: 60_000 }, () => {
  const on = callStand();

  it('is asked for again as the same call, and done once', async (t) => {
    const agent = await on.as('VAULT', 'agent', ...vaultScopes);
    const { secret } = await tokenFor(on.bus, { name: 'ADA', kind: 'tool', scopes: ['read', 'call:*'] });
    let times = 0;
    const run = async () => {
      times++;
      return { name: 'db', length: 1 };
    };
    await vault(t, agent, new Map(), { put: { run } });
    const file = join(temporaryFolder(t), 'x');
    writeFileSync(file, value, { mode: 0o600 });
    let asked = 0;
    const fetcher: typeof fetch = async (to, init) => {
      const answer = await fetch(to, init);
      if (init?.method !== 'POST' || ++asked > 2) return answer;
      throw new TypeError('fetch failed', { cause: Object.assign(new Error('reset'), { code: 'ECONNRESET' }) });
    };
    const said: string[] = [];
    const cli = inProcess(on.bus.url, undefined, (url) => makeClient({ url, token: secret, fetcher }), undefined, {
      ...{ capabilities: vaultCapabilities, say: (line: string) => void said.push(line) },
    });
    const { exit, stderr } = await cli('vault', 'put', 'db', '--value-file', file);
    assert.deepEqual([exit, stderr, times, asked], [0, '', 1, 3]);
    assert.deepEqual(said, ['The connection broke before the bus had answered; asking again for the same call.']);
    const { events } = await on.client.events({ action: 'vault_put_called' });
    assert.equal(events.length, 1);
  });

  it('is not waited for where nothing had been sent', async () => {
    const began = performance.now();
    const cli = inProcess('http://127.0.0.1:9', undefined, undefined, undefined, { capabilities: vaultCapabilities });
    const { exit } = await cli('vault', 'reveal', 'db');
    assert.equal(exit, 4);
    assert.ok(performance.now() - began < 5000);
  });
});
