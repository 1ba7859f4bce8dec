import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import type { Fault, FaultCode } from '../src/base/fault.ts';
import { callerOf } from './bus-caller.fixtures.ts';
import { startBusProcess, temporaryHome } from './bus-server.fixtures.ts';

type Said = { code: FaultCode; message: string; hint: string; extra: Record<string, unknown> };

async function refusal(options: Parameters<typeof startBusProcess>[0]): Promise<Said> {
  const outcome = await startBusProcess(options).then(
    (bus) => bus.stop().then(() => undefined),
    (error) => error as Said,
  );
  assert.ok(outcome, 'the bus started');
  return outcome;
}

async function listening(t: TestContext, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('a log without its database', () => {
  it('is refused and kept, with both ways out', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    await (await callerOf(first)).publish({});
    await first.kill();
    renameSync(first.databaseFile, `${first.databaseFile}.away`);
    const size = statSync(`${first.databaseFile}-wal`).size;
    await assert.rejects(startBusProcess({ home }, t), {
      code: 'damaged',
      message: /is missing, but its log .*-wal is there/,
    });
    assert.equal(statSync(`${first.databaseFile}-wal`).size, size);
    assert.equal(existsSync(first.databaseFile), false);
    renameSync(`${first.databaseFile}.away`, first.databaseFile);
    const again = await startBusProcess({ home }, t);
    assert.equal((await (await callerOf(again)).get('/health')).body.head, 1);
    await again.stop();
  });
});

describe('starting', () => {
  it('refuses a port that another program holds, before it touches the home', async (t) => {
    const port = await listening(
      t,
      createServer((_, response) => response.end('hello')),
    );
    const home = temporaryHome(t);
    const { code, message, hint } = await refusal({ home, port });
    assert.equal(code, 'port-taken');
    assert.match(message, new RegExp(`Port ${port} on 127.0.0.1 is taken by another program`));
    assert.match(hint, /ss -ltnp/);
    assert.ok(!existsSync(join(home, 'control-plane')));
  });

  it('says that it is another bus that holds the port', async (t) => {
    const first = await startBusProcess({}, t);
    const { code, message } = await refusal({ home: temporaryHome(t), port: first.port });
    assert.equal(code, 'port-taken');
    assert.match(message, /an event bus runs there already \(version 0\.0\.0-test\)/);
  });

  it('refuses a second bus on the same home, naming the first; a killed one leaves nothing to clear away', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    const { code, message, extra } = await refusal({ home });
    assert.equal(code, 'locked');
    assert.match(message, new RegExp(`process ${first.pid}, ${first.url}`));
    assert.equal(extra.pid, first.pid);
    assert.equal((await fetch(`${first.url}/health`)).status, 200);
    await first.kill();
    const second = await startBusProcess({ home }, t);
    const announced = JSON.parse(readFileSync(join(dirname(second.databaseFile), 'bus.json'), 'utf8'));
    assert.equal(announced.pid, second.pid);
    assert.equal(announced.url, second.url);
    assert.ok(Date.parse(announced.started) > 0);
    await second.stop();
    assert.ok(!existsSync(join(dirname(second.databaseFile), 'bus.json')));
  });

  it('refuses a database that is damaged, and one that is newer than the program', async (t) => {
    const home = temporaryHome(t);
    const { stop, databaseFile } = await startBusProcess({ home }, t);
    await stop();
    const sound = readFileSync(databaseFile);
    for (const end of ['-wal', '-shm']) rmSync(databaseFile + end, { force: true });
    writeFileSync(databaseFile, Buffer.from('this is no database, whatever its name says '.repeat(100)));
    const damaged = await refusal({ home });
    assert.equal(damaged.code, 'damaged');
    assert.ok(damaged.message.includes(databaseFile), damaged.message);
    writeFileSync(databaseFile, sound);
    const db = new DatabaseSync(databaseFile);
    db.exec('PRAGMA user_version = 9999');
    db.close();
    const newer = await refusal({ home });
    assert.equal(newer.code, 'newer-schema');
  });

  it('refuses a home that cannot be written', async (t) => {
    const home = temporaryHome(t);
    writeFileSync(join(home, 'control-plane'), 'a file where a folder must be');
    const { code, message, hint } = await refusal({ home });
    assert.equal(code, 'usage');
    assert.match(message, /cannot be used/);
    assert.match(hint, /--home/);
    chmodSync(join(home, 'control-plane'), 0o600);
  });

  it('refuses to listen where other machines could reach it', async (t) => {
    for (const host of ['0.0.0.0', '::']) {
      const { code, message } = await refusal({ home: temporaryHome(t), host });
      assert.equal(code, 'usage');
      assert.match(message, /callers must have tokens: set auth to required/);
    }
  });

  it('listens on localhost, 127.0.0.2 and, where there is one, ::1', async (t) => {
    for (const host of ['localhost', '127.0.0.2', '::1']) {
      const outcome = await startBusProcess({ home: temporaryHome(t), host }, t).catch((error: Fault) => error);
      if (outcome instanceof Error) {
        assert.equal(host, '::1');
        assert.match(outcome.message, /cannot listen/);
        continue;
      }
      assert.equal((await fetch(`${outcome.url}/health`)).status, 200);
      await outcome.stop();
    }
  });
});

describe('stopping', () => {
  it('ends while callers wait, connections idle and senders dawdle; who waits gets the event as it is', async (t) => {
    const bus = await startBusProcess({ worker: true }, t);
    const { id } = await (await callerOf(bus)).publish({ requires_human: true });
    const idle = connect({ host: '127.0.0.1', port: bus.port });
    idle.on('error', () => undefined);
    await new Promise((resolve) => idle.once('connect', resolve));
    const waiting = fetch(`${bus.url}/events/${id}?wait=50`);
    for (let i = 0; i < 3; i++) await fetch(`${bus.url}/health`);
    const started = performance.now();
    const stopped = bus.stop();
    const answer = (await (await waiting).json()) as { human_state: string };
    assert.equal(answer.human_state, 'open');
    assert.equal(await stopped, 0);
    assert.ok(performance.now() - started < 5000);
    idle.destroy();
  });

  it('finishes what was being published: every answer given is in the database', async (t) => {
    const home = temporaryHome(t);
    const bus = await startBusProcess({ home, worker: true }, t);
    const acknowledged: string[] = [];
    const publishing = Array.from({ length: 8 }, async (_, lane) => {
      for (let i = 0; i < 10_000; i++) {
        const body = JSON.stringify({ source_agent: `LANE-${lane}`, action: 'stopping', id: `${lane}-${i}` });
        const response = await fetch(`${bus.url}/events`, { method: 'POST', body }).catch(
          () => undefined /* refused: it is stopping */,
        );
        if (!response?.ok) return;
        acknowledged.push(((await response.json()) as { id: string }).id);
        if (acknowledged.length === 100) void bus.stop();
      }
    });
    await Promise.all(publishing);
    assert.equal(await bus.stop(), 0);
    assert.equal(bus.log(), '');
    const again = await startBusProcess({ home }, t);
    for (const id of acknowledged) assert.equal((await fetch(`${again.url}/events/${id}`)).status, 200, id);
    await again.stop();
  });
});
