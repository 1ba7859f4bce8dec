import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { makeClient } from '../../src/client/client.ts';
import { type BusProcess, startBusProcess } from '../bus-server.fixtures.ts';
import { leveredge, start, temporaryFolder } from '../cli-run.fixtures.ts';

const event = (fields: object = {}) => JSON.stringify({ source_agent: 'A', action: 'happened', ...fields });

describe('leveredge publish --batch', () => {
  let bus: BusProcess;
  before(async () => {
    bus = await startBusProcess();
  });
  after(() => bus.stop());
  const head = async () => (await makeClient({ url: bus.url }).health()).head;
  const newest = async (limit: number) => (await makeClient({ url: bus.url }).events({ limit })).events.toReversed();
  const fromStdin = (text: string, ...args: string[]) => {
    const { child, ended } = start(['publish', '--batch', '-', '--url', bus.url, ...args]);
    child.stdin.end(text);
    return ended;
  };
  const fileOf = (t: TestContext, text: string | Uint8Array) => {
    const file = join(temporaryFolder(t), 'events');
    writeFileSync(file, text);
    return file;
  };

  it('publishes JSON lines from a file, in their order, and prints an id a line', async (t) => {
    const file = fileOf(
      t,
      `${event({ target: '1' })}\r\n\n  ${event({ target: '2', id: 'own' })}\n${event({ target: '3' })}`,
    );
    const { exit, stdout, stderr } = await leveredge(['publish', '--batch', file, '--url', bus.url]);
    assert.equal(exit, 0, stderr);
    const events = await newest(3);
    assert.deepEqual(
      events.map(({ target }) => target),
      ['1', '2', '3'],
    );
    assert.deepEqual(
      stdout.trim().split('\n'),
      events.map(({ id }) => id),
    );
    assert.equal(stderr, '3 stored, 0 stored before, 0 refused.\n');
  });

  it('publishes a JSON list from standard input, and names the source of those that name none', async () => {
    const { exit, stderr } = await fromStdin(`\n [${event({ target: 'a' })},\n{"action":"bare"}]`, '--source', 'SHELL');
    assert.equal(exit, 0, stderr);
    assert.deepEqual(
      (await newest(2)).map(({ source_agent }) => source_agent),
      ['A', 'SHELL'],
    );
  });

  it('says of each line that was refused why, publishes the others, and exits with 9', async () => {
    await fromStdin(event({ id: 'taken' }));
    const before = await head();
    const lines = [
      event(),
      '{"action":',
      '7',
      event({ tags: [1] }),
      '{"source_agent":"A"}',
      event({ id: 'taken', target: 'x' }),
    ];
    const { exit, stdout, stderr } = await fromStdin(
      [...lines, event({ n: 12345678901234567890n.toString() }), event({ taget: 1 })].join('\n'),
    );
    assert.equal(exit, 9);
    assert.equal(stdout.trim().split('\n').length, 3);
    assert.match(stderr, /^line 2: This is not valid JSON: /m);
    assert.match(stderr, /^line 3: the event must be a JSON object\.$/m);
    assert.match(stderr, /^line 4: \/tags\/0 must be a string\.$/m);
    assert.match(stderr, /^line 5: \/action is missing\.$/m);
    assert.match(stderr, /^line 6: The id "taken" already names another event, published by "A"\.$/m);
    assert.match(stderr, /^Warning: line 8: \/taget is no field .* did you mean target\?\.?$/m);
    assert.match(stderr, /^3 stored, 0 stored before, 5 refused\.$/m);
    assert.equal(await head(), (before ?? 0) + 3);
  });

  it('exits with 2 when nothing makes sense, and when there is nothing', async (t) => {
    assert.equal((await fromStdin('{}\n{}')).exit, 2);
    assert.match((await fromStdin(' \n\n')).stderr, /nothing to publish/);
    assert.equal((await fromStdin('[]')).exit, 2);
    assert.equal((await fromStdin('[1')).exit, 2);
    const missing = await leveredge(['publish', '--batch', '/nowhere/x', '--url', bus.url]);
    assert.equal(missing.exit, 5);
    const latin = await leveredge([
      'publish',
      '--batch',
      fileOf(t, Buffer.from('{"a":"\xfc"}', 'latin1')),
      '--url',
      bus.url,
    ]);
    assert.equal(latin.exit, 2);
    assert.match(latin.stderr, /it is no UTF-8/);
    const long = await fromStdin(`"${'x'.repeat(1024 * 1024 + 1)}"`);
    assert.match(long.stderr, /Line 1 is longer than 1 MiB/);
  });

  it('gives programs a line for each event', async () => {
    const { stdout, stderr } = await fromStdin(`${event()}\n{}`, '--json');
    const [first, second] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(first.place, 'line 1');
    assert.equal(first.status, 'created');
    assert.equal(second.place, 'line 2');
    assert.equal(second.status, 'refused');
    assert.equal(second.error.status, 422);
    assert.match(stderr, /1 stored/);
  });

  it('rehearses, and stores nothing', async () => {
    const before = await head();
    const { exit, stdout, stderr } = await fromStdin(`${event()}\n{"source_agent":7}\n{"action":"b"}`, '--dry-run');
    assert.equal(exit, 9);
    assert.equal(stdout, '');
    assert.match(stderr, /line 2: \/source_agent must be a string; \/action is missing\./);
    assert.match(stderr, /dry run\. 2 would be stored, 1 refused\./);
    assert.equal(await head(), before);
  });

  it('takes nothing beside it that each event says for itself, and one event still needs its action', async () => {
    for (const [args, says] of [
      [['an_action', '--batch', '-'], /the action has no place/],
      [['--batch', '-', '--target', 'x'], /--target has no place/],
      [['--source', 'A'], /missing required argument 'action'/],
    ] as const) {
      const { child, ended } = start(['publish', ...args, '--url', bus.url]);
      child.stdin.end('');
      const { exit, stderr } = await ended;
      assert.equal(exit, 2);
      assert.match(stderr, says);
    }
  });

  it('publishes thousands, each once, though connections break after the bus has stored what they carried', async (t) => {
    let calls = 0;
    const keys = new Set<string>();
    const flaky = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const headers = Object.fromEntries(
        Object.entries(request.headers).filter(([name]) => /^content-type$|^idempotency/.test(name)),
      ) as Record<string, string>;
      keys.add(headers['idempotency-key'] as string);
      const answer = await fetch(bus.url + request.url, { method: 'POST', headers, body: Buffer.concat(chunks) });
      const text = await answer.text();
      if (calls++ % 2 === 0) request.socket.destroy();
      else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
    });
    await new Promise<void>((ready) => flaky.listen(0, '127.0.0.1', ready));
    t.after(() => flaky.close().closeAllConnections());
    const before = await head();
    const { child, ended } = start([
      ...['publish', '--batch', '-'],
      ...['--url', `http://127.0.0.1:${(flaky.address() as AddressInfo).port}`],
    ]);
    child.stdin.end(Array.from({ length: 1200 }, (_, i) => event({ target: `${i}` })).join('\n'));
    const { exit, stdout, stderr } = await ended;
    assert.equal(exit, 0, stderr);
    assert.equal(calls, 6, 'three calls, each sent twice');
    assert.equal(keys.size, 3);
    assert.equal(await head(), (before ?? 0) + 1200);
    assert.equal(new Set(stdout.trim().split('\n')).size, 1200);
    const targets = (await newest(1000)).map(({ target }) => Number(target));
    assert.deepEqual(
      targets,
      Array.from({ length: 1000 }, (_, i) => i + 200),
    );
    assert.match(stderr, /Trying again/);
  });

  it('says how far it came when the bus can store no more', async (t) => {
    let calls = 0;
    const filling = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const results = (JSON.parse(Buffer.concat(chunks).toString()) as object[]).map((_, i) => ({
        status: 'created',
        id: `${calls}-${i}`,
      }));
      const stored = { results, created: results.length, duplicates: 0, refused: 0 };
      if (++calls < 3) response.end(JSON.stringify(stored));
      else response.writeHead(507).end('{"type":"urn:leveredge:problem:storage-full","detail":"The disk is full."}');
    });
    await new Promise<void>((ready) => filling.listen(0, '127.0.0.1', ready));
    t.after(() => filling.close().closeAllConnections());
    const url = `http://127.0.0.1:${(filling.address() as AddressInfo).port}`;
    const file = fileOf(t, `\n${Array.from({ length: 1200 }, () => event()).join('\n')}`);
    const { exit, stderr } = await leveredge(['publish', '--batch', file, '--url', url]);
    assert.equal(exit, 1);
    assert.equal(calls, 3);
    assert.match(stderr, /The disk is full\.\n.*What stands before line 1002 was dealt with; go on from there\./s);
  });
});
