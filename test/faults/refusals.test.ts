import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { Exit } from '../../src/base/exit.ts';
import { type Exited, runBusToItsEnd, startBus } from '../crash/bus-process.ts';
import { call } from '../crash/call.ts';

const pageBytes = 4096;

type Filled = { home: string; file: string; ids: string[] };

/** A home with a database of some hundred pages, made by a bus that has stopped. */
async function homeWithEvents(t: TestContext, { count = 400, bytes = 1_000 } = {}): Promise<Filled> {
  const home = mkdtempSync(join(tmpdir(), 'faults-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const bus = await startBus({ home });
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const details = detailsOf(i, bytes);
    const reply = await call(bus.url, 'POST', '/events', { source_agent: 'A', action: 'deploy_started', details });
    assert.equal(reply?.status, 201);
    ids.push((reply.body as { id: string }).id);
  }
  const stopped = await bus.kill('SIGTERM');
  assert.equal(stopped.code, 0, stopped.output);
  return { home, file: join(home, 'control-plane/event-bus/events.db'), ids };
}

/** Different from page to page, so that one event cannot pass for another. */
function detailsOf(i: number, bytes: number): { i: number; text: string } {
  return { i, text: `${1000 + i} `.repeat(bytes / 5) };
}

function overwrite(file: string, at: number, bytes: number): void {
  const handle = openSync(file, 'r+');
  writeSync(handle, Buffer.alloc(bytes, 0xa5), 0, bytes, at);
  closeSync(handle);
}

const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** A refusal is one a person can act on: what, on which file, and what to do. */
function assertRefusal({ code, output }: Exited, exit: number, ...says: RegExp[]): void {
  assert.equal(code, exit, output);
  for (const expected of says) assert.match(output, expected);
  assert.doesNotMatch(output, /^\s+at .*\(.*:\d+:\d+\)/m, 'a stack trace is no sentence');
}

describe('a damaged database', () => {
  it('with its header overwritten is refused and left as it is', { timeout: 60_000 }, async (t) => {
    const { home, file } = await homeWithEvents(t);
    overwrite(file, 0, 100);
    const before = digest(file);
    assertRefusal(
      await runBusToItsEnd({ home }),
      Exit.damaged,
      /events\.db/,
      /damaged|not an? .*database|corrupt/i,
      /backup|restore|newest copy/i,
    );
    assert.equal(digest(file), before, 'the file was changed');
  });

  it('with its schema page overwritten behind the header is refused and left as it is', {
    timeout: 60_000,
  }, async (t) => {
    const { home, file } = await homeWithEvents(t);
    overwrite(file, 100, pageBytes - 100);
    const before = digest(file);
    assertRefusal(await runBusToItsEnd({ home }), Exit.damaged, /events\.db/, /backup|restore|newest copy/i);
    assert.equal(digest(file), before, 'the file was changed');
  });

  it('with pages in the middle overwritten is refused and left as it is', {
    timeout: 60_000,
  }, async (t) => {
    const { home, file } = await homeWithEvents(t);
    const middle = Math.floor(statSync(file).size / pageBytes / 2) * pageBytes;
    overwrite(file, middle, 40 * pageBytes);
    const before = digest(file);
    assertRefusal(await runBusToItsEnd({ home }), Exit.damaged, /events\.db/, /backup|restore|newest copy/i);
    assert.equal(digest(file), before, 'the file was changed');
  });

  it('cut off in the middle is refused and left as it is', { timeout: 60_000 }, async (t) => {
    const { home, file } = await homeWithEvents(t);
    const whole = readFileSync(file);
    rmSync(file);
    const handle = openSync(file, 'w');
    writeSync(handle, whole.subarray(0, whole.length >> 1));
    closeSync(handle);
    const before = digest(file);
    assertRefusal(await runBusToItsEnd({ home }), Exit.damaged, /events\.db/, /backup|restore|newest copy/i);
    assert.equal(digest(file), before, 'the file was changed');
  });
});

describe('a damaged database too large to be read whole at each start', () => {
  it('is served where it is sound, and says so where it is not', { timeout: 120_000 }, async (t) => {
    const { home, file, ids } = await homeWithEvents(t, { count: 360, bytes: 200_000 });
    assert.ok(statSync(file).size > 65 * 2 ** 20);
    overwrite(file, (statSync(file).size >> 1) & -pageBytes, 400 * pageBytes);
    const bus = await startBus({ home });
    t.after(() => bus.kill('SIGKILL'));
    let damaged = 0;
    for (const [i, id] of ids.entries()) {
      const reply = await call(bus.url, 'GET', `/events/${id}`);
      assert.ok(reply, `the bus ended:\n${bus.output()}`);
      const body = reply.body as { details?: unknown; type?: string; detail?: string };
      if (reply.status === 200) assert.deepEqual(body.details, detailsOf(i, 200_000), 'it invented something');
      else {
        damaged += 1;
        assert.equal(body.type, 'urn:leveredge:problem:damaged', JSON.stringify(body));
        assert.match(body.detail ?? '', /damaged/);
      }
    }
    assert.ok(damaged > 0 && damaged < ids.length, `${damaged} of ${ids.length} could not be read`);
  });
});

describe('a home that is not ours to touch', () => {
  it('with a newer schema is refused and left as it is', { timeout: 60_000 }, async (t) => {
    const { home, file } = await homeWithEvents(t);
    const db = new DatabaseSync(file);
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
    db.exec(`PRAGMA user_version = ${version + 900}`);
    db.close();
    const before = digest(file);
    assertRefusal(
      await runBusToItsEnd({ home }),
      Exit.conflict,
      /events\.db/,
      /newer/i,
      /update|upgrade|install|newer (version|LeverEdge)/i,
    );
    assert.equal(digest(file), before, 'the file was changed');
  });

  it('with a bus on it already is refused, and names that bus', { timeout: 60_000 }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'faults-'));
    const bus = await startBus({ home });
    t.after(async () => {
      await bus.kill('SIGKILL');
      rmSync(home, { recursive: true, force: true });
    });
    assertRefusal(await runBusToItsEnd({ home }), Exit.conflict, new RegExp(String(bus.pid)));
    const reply = await call(bus.url, 'POST', '/events', { source_agent: 'A', action: 'b' });
    assert.equal(reply?.status, 201, 'the first bus goes on');
  });
});

describe('a taken port', () => {
  it('is refused before anything is made in the home', { timeout: 60_000 }, async (t) => {
    const home = mkdtempSync(join(tmpdir(), 'faults-'));
    const other = createServer((_request, response) => response.end('somebody else')).listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    t.after(() => {
      other.close();
      rmSync(home, { recursive: true, force: true });
    });
    const { port } = other.address() as AddressInfo;
    assertRefusal(
      await runBusToItsEnd({ home, port }),
      Exit.conflict,
      new RegExp(String(port)),
      /--port|LEVEREDGE_PORT/,
    );
    const file = join(home, 'control-plane/event-bus/events.db');
    assert.equal(statSync(file, { throwIfNoEntry: false }), undefined, 'a database was made');
  });
});
