import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Client, makeClient } from '../../src/client/client.ts';
import { type Bus, inProcess, leveredge, start, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

/** Tokens at the command line: made on the file, found by the commands, shown once. */
describe('the token of the command line', () => {
  let bus: Bus;
  // Made here: what a `before` hands to `after` is done when that `before` ends.
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home, ['--port', '0', '--auth', 'required']);
  });
  after(() => bus.stop());

  const at = (...args: string[]) => leveredge([...args, '--home', home]);
  const made = async (name: string, ...args: string[]) => {
    const file = join(home, `${name}-${Math.random()}.token`);
    const { exit, stderr } = await at('token', 'create', name, ...args, '--file', file);
    assert.equal(exit, 0, stderr);
    return file;
  };

  it('is the owner’s where the bus runs on the home, and nobody else is sent it', async (t) => {
    assert.equal((await at('events')).exit, 0);
    assert.equal((await at('events', '--url', `${bus.url}/`)).exit, 0);
    const without = await leveredge(['events', '--url', bus.url], { LEVEREDGE_HOME: temporaryFolder(t) });
    assert.equal(without.exit, 3);
    assert.match(without.stderr, /This call needs a token, and none was sent/);
    assert.match(without.stderr, /LEVEREDGE_TOKEN_FILE[\s\S]*leveredge token create/);
    const seen: unknown[] = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('{}');
    });
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    await at('events', '--url', `http://127.0.0.1:${port}`);
    await leveredge(['events', '--home', home], { LEVEREDGE_PORT: String(port) });
    assert.deepEqual(seen, [undefined, undefined]);
  });

  it('is the one in the file that the environment names', async () => {
    const file = await made('AEGIS', '--kind', 'agent', '--scope', 'publish:workflow_*');
    const env = { LEVEREDGE_TOKEN_FILE: file };
    const published = await leveredge(['publish', 'workflow_created', '--source', 'AEGIS', '--url', bus.url], env);
    assert.equal(published.exit, 0, published.stderr);
    const asCli = await leveredge(['publish', 'workflow_created', '--url', bus.url], env);
    assert.equal(asCli.exit, 3);
    assert.match(asCli.stderr, /cannot act in the name of "CLI"[\s\S]*Give --source "AEGIS"/);
    const reads = await leveredge(['events', '--url', bus.url], env);
    assert.match(reads.stderr, /it has no scope read/);
  });

  it('claims and acknowledges with the scope for that alone', async () => {
    await at('subscriptions', 'add', 'TAKER', 'take_this');
    const published = (await at('publish', 'take_this', '--quiet')).stdout.trim();
    const env = { LEVEREDGE_TOKEN_FILE: await made('TAKER', '--kind', 'agent', '--scope', 'ack') };
    const claimed = await leveredge(['claim', 'TAKER', '--url', bus.url], env);
    assert.match(claimed.stderr, /leveredge ack \d+-\d+ TAKER --lease \d+/);
    const done = await leveredge(['ack', published, 'TAKER', '--url', bus.url], env);
    assert.deepEqual([done.exit, done.stderr], [0, '']);
    assert.equal((await leveredge(['ack', published, 'OTHER', '--url', bus.url], env)).exit, 3);
  });

  it('suggests commands that find the bus and the token of a home that was named', async () => {
    await at('publish', 'take_this', '--quiet');
    const claimed = await at('claim', 'TAKER');
    const done = claimed.stderr.match(/^Done: (?:npx )?leveredge (.*)$/m)?.[1] ?? '';
    assert.match(done, /^ack \S+ TAKER --lease \d+ --home /);
    assert.equal((await leveredge(done.split(' '))).exit, 0);
  });

  it('is refused from a file that others can read, or that holds none', async () => {
    const file = await made('AEGIS', '--kind', 'agent', '--scope', 'read');
    const secret = readFileSync(file, 'utf8').trim();
    chmodSync(file, 0o640);
    const lax = await leveredge(['events', '--url', bus.url], { LEVEREDGE_TOKEN_FILE: file });
    assert.equal(lax.exit, 3);
    assert.match(lax.stderr, /can be read by other users[\s\S]*chmod 600/);
    chmodSync(file, 0o600);
    for (const [text, says] of [
      ['', /There is no token in/],
      [`${secret}\nand more`, /is none: it must be lev_/],
      [`${secret}\u0000`, /is none: it must be lev_/],
    ] as const) {
      writeFileSync(file, text);
      const { exit, stderr } = await leveredge(['events', '--url', bus.url, '--json'], { LEVEREDGE_TOKEN_FILE: file });
      assert.equal(exit, 2);
      assert.match(stderr, says);
      assert.ok(!stderr.includes(secret));
    }
    rmSync(file);
    assert.match(
      (await leveredge(['events', '--url', bus.url], { LEVEREDGE_TOKEN_FILE: file })).stderr,
      /There is no token in/,
    );
  });

  it('is shown once, or written for its owner alone', async () => {
    const { stdout, stderr } = await at('token', 'create', 'N8N', '--kind', 'tool', '--scope', 'publish');
    assert.match(stdout, /^lev_[0-9A-Za-z]{40}\n$/);
    assert.match(
      stderr,
      /only time it is shown[\s\S]*acts as N8N \(tool\) and may: publish:\*\.[\s\S]*until it is revoked/,
    );
    const secret = stdout.trim();
    for (const args of [
      ['token', 'list'],
      ['token', 'list', '--json'],
      ['doctor', '--json'],
    ])
      assert.ok(!(await at(...args)).stdout.includes(secret));
    const filed = await at('token', 'create', 'N8N', '--kind', 'tool', '--scope', 'read', '--file');
    assert.equal(filed.stdout.trim(), join(home, 'shared/credentials/N8N.token'));
    assert.equal(statSync(filed.stdout.trim()).mode & 0o777, 0o600);
    assert.match(readFileSync(filed.stdout.trim(), 'utf8'), /^lev_[0-9A-Za-z]{40}\n$/);
    const again = await at('token', 'create', 'N8N', '--kind', 'tool', '--scope', 'read', '--file');
    assert.equal(again.exit, 6);
    const listed = JSON.parse((await at('token', 'list', '--json')).stdout).tokens;
    assert.equal(
      listed.filter(({ name }: { name: string }) => name === 'N8N').length,
      2,
      'nothing is made for a taken file',
    );
    const asJson = ['token', 'create', 'X', '--kind', 'tool', '--scope', 'read', '--json'];
    assert.equal((await at(...asJson)).exit, 2, 'not into JSON');
    const json = await at(...asJson, '--file', join(home, 'x.token'), '--expires', '90d', '--per-minute', '60');
    const { state, expires_at, per_minute, file } = JSON.parse(json.stdout);
    assert.deepEqual([state, per_minute, file], ['good', 60, join(home, 'x.token')]);
    assert.ok(Math.abs(Date.parse(expires_at) - Date.now() - 90 * 86_400_000) < 60_000);
    assert.ok(!json.stdout.includes(readFileSync(join(home, 'x.token'), 'utf8').trim()));
  });

  it('says what is wrong with a token that is asked for', async () => {
    const wrong: [args: string[], says: RegExp][] = [
      [
        ['A', '--kind', 'agent', '--scope', 'everything'],
        /the 1st --scope is no scope; there are publish:PATTERN, call:PATTERN, read/,
      ],
      [['A', '--kind', 'agent', '--scope', 'approve'], /--scope has approve, which is for persons alone/],
      [['A', '--kind', 'tool', '--scope', 'approve:code'], /--scope has approve, which is for persons alone/],
      [['EVENT-BUS', '--kind', 'agent', '--scope', 'read'], /the name is the bus’ own name/],
      [['A', '--kind', 'robot', '--scope', 'read'], /Allowed choices are agent, person, tool/],
      [['A', '--kind', 'agent'], /'--scope <scope>' not specified/],
      [['A', '--kind', 'agent', '--scope', 'read', '--expires', '90'], /a time such as 12h, 90d or 1y/],
      [['../x', '--kind', 'agent', '--scope', 'read', '--file'], /makes no good name of a file/],
    ];
    const cli = inProcess(bus.url);
    for (const [args, says] of wrong) {
      const { exit, stderr } = await cli('token', 'create', ...args);
      assert.equal(exit, 2, args.join(' '));
      assert.match(stderr.replaceAll(/\s+/g, ' '), says);
    }
  });

  it('is revoked at once, by id or by name', async () => {
    const files = [
      await made('ROT', '--kind', 'tool', '--scope', 'read'),
      await made('ROT', '--kind', 'tool', '--scope', 'read'),
    ];
    const works = async (file: string) =>
      (await leveredge(['events', '--url', bus.url], { LEVEREDGE_TOKEN_FILE: file })).exit === 0;
    const { tokens } = JSON.parse((await at('token', 'list', '--json')).stdout);
    const [first] = tokens.filter(({ name }: { name: string }) => name === 'ROT');
    assert.deepEqual(await Promise.all(files.map(works)), [true, true]);
    const { exit, stdout } = await at('token', 'revoke', first.id);
    assert.deepEqual([exit, stdout], [0, `${first.id} of ROT is revoked\n`]);
    assert.deepEqual(await Promise.all(files.map(works)), [false, true]);
    assert.equal((await at('token', 'revoke', 'ROT')).exit, 0);
    assert.deepEqual(await Promise.all(files.map(works)), [false, false]);
    assert.equal((await at('token', 'revoke', 'ROT')).exit, 5);
  });

  it('tells the doctor that it is refused', async (t) => {
    const other = temporaryFolder(t);
    const second = await startBus(other);
    t.after(() => second.stop());
    await leveredge(['token', 'revoke', userInfo().username, '--home', other]);
    const { exit, stdout } = await leveredge(['doctor', '--home', other]);
    assert.equal(exit, 1);
    assert.match(stdout, /the bus at \S+ refuses the token: This token was revoked/);
    chmodSync(join(other, 'shared/credentials/owner.token'), 0o644);
    const lax = await leveredge(['doctor', '--home', other]);
    assert.equal(lax.exit, 1);
    assert.match(lax.stdout.replaceAll(/\s+/g, ' '), /owner\.token can be read by other users.*chmod 600/);
  });
});

describe('the owner’s token', () => {
  it('lets an approval be given, with the hash of the question that was read', async (t) => {
    const home = temporaryFolder(t);
    const owner = join(home, 'shared/credentials/owner.token');
    const bus = await startBus(home);
    t.after(() => bus.stop());
    const client = makeClient({ url: bus.url, token: readFileSync(owner, 'utf8').trim() });
    const question = { source_agent: 'ME', action: 'may_i', requires_human: true, payload_hash: 'sha256:1' };
    const { id } = await client.publish({ ...question, human_question: 'May I?' });
    let sent: unknown;
    const connect = (url: string, token?: string) => {
      const real = makeClient({ url, token });
      return {
        ...real,
        respond(of, body) {
          sent = body;
          return real.respond(of, body);
        },
      } as Client;
    };
    const approval = { response: 'yes', via: 'cli', reason: undefined, payload_hash: 'sha256:1' };
    const anonymous = await inProcess(bus.url, undefined, connect)('answer', id, 'yes');
    assert.equal(anonymous.exit, 3);
    assert.match(anonymous.stderr, /only a person with a token may answer it/);
    assert.deepEqual(sent, { ...approval, responder: 'berta' });
    const asOwner = inProcess(bus.url, undefined, connect, owner);
    assert.match((await asOwner('answer', id, 'yes', '--as', 'berta')).stderr, /approves in no other name.*"berta"/);
    assert.equal((await asOwner('answer', id, 'yes')).exit, 0);
    assert.deepEqual(sent, { ...approval, responder: undefined });
    assert.equal((await client.event(id)).human_responded_by, userInfo().username);
  });

  it('is made at the first start alone', async (t) => {
    const home = temporaryFolder(t);
    const file = join(home, 'shared/credentials/owner.token');
    const starts = async () => {
      const bus = start(['bus', '--port', '0', '--home', home]);
      await bus.says('stdout', /Ctrl-C stops it/);
      bus.child.kill('SIGTERM');
      return (await bus.ended).stdout;
    };
    const said = await starts();
    assert.ok(said.includes(`The owner's token lies in ${file}\n`), said);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(join(home, 'shared/credentials')).mode & 0o777, 0o700);
    const secret = readFileSync(file, 'utf8').trim();
    assert.ok(!said.includes(secret));
    const { tokens } = JSON.parse((await leveredge(['token', 'list', '--json', '--home', home])).stdout);
    assert.equal(tokens.length, 1);
    const { name, kind, scopes, expires_at } = tokens[0];
    assert.deepEqual(
      [name, kind, scopes, expires_at],
      [userInfo().username, 'person', ['admin', 'approve', 'answer'], null],
    );
    rmSync(file);
    assert.ok(!(await starts()).includes('owner'));
    assert.ok(!existsSync(file), 'what was deleted stays deleted');
    // Another database in the home of an owner who has a token: the token stays as it is.
    writeFileSync(file, `${secret}\n`, { mode: 0o600 });
    rmSync(join(home, 'control-plane'), { recursive: true });
    await starts();
    assert.equal(readFileSync(file, 'utf8').trim(), secret);
    const later = JSON.parse((await leveredge(['token', 'list', '--json', '--home', home])).stdout).tokens;
    assert.deepEqual([later.length, later[0].name], [1, userInfo().username]);
  });

  it('that cannot be written is no reason not to run, and is said', async (t) => {
    const home = temporaryFolder(t);
    writeFileSync(join(home, 'shared'), 'a file where a folder must be');
    const bus = start(['bus', '--port', '0', '--home', home]);
    await bus.says('stdout', /The owner has no token yet: .*owner\.token cannot be written/);
    bus.child.kill('SIGTERM');
    assert.equal((await bus.ended).exit, 0);
  });

  it('can be made before the first start', async (t) => {
    const home = temporaryFolder(t);
    const file = join(home, 'own.token');
    const made = await leveredge([
      'token',
      'create',
      'ada',
      '--kind',
      'person',
      '--scope',
      'admin',
      '--home',
      home,
      '--file',
      file,
    ]);
    assert.equal(made.exit, 0, made.stderr);
    const bus = await startBus(home, ['--port', '0', '--auth', 'required']);
    t.after(() => bus.stop());
    const client: Client = makeClient({ url: bus.url, token: readFileSync(file, 'utf8').trim() });
    assert.equal((await client.events()).count, 0);
  });
});
