import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { rfc3339 } from '../../base/clock.ts';
import type { Place } from '../place.ts';
import { deliver } from './deliver.ts';
import type { OutboxEvent } from './event.ts';
import { outboxState, putIntoOutbox, waitingIn } from './outbox.ts';

const clock = () => 1_760_000_000_000;

function makePlace(t: TestContext): Place {
  const home = mkdtempSync(join(tmpdir(), 'outbox-'));
  t.after(() => rmSync(home, { recursive: true }));
  const at = (name: string) => join(home, name);
  return {
    ...{ home, configFile: at('config.yaml'), backups: home, state: at('.gaia') },
    ...{ signingKey: at('key'), publicKey: at('pub') },
  };
}

/** The n-th event, n seconds after the first. */
const event = (n: number): OutboxEvent => ({
  id: `gaia-${n}`,
  source_agent: 'GAIA',
  action: 'backup_completed',
  target: 'dev',
  details: { happened_at: rfc3339(clock() + n * 1000) },
});

const idsIn = (place: Place) => [...waitingIn(place)].map((each) => each.event?.id);

/** What answers at a port; with it how often it was asked. */
async function server(t: TestContext, answer: RequestListener) {
  const asked: string[] = [];
  const listening = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => {
      body += part;
    });
    request.on('end', () => {
      asked.push(JSON.parse(body).id);
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  t.after(() => {
    listening.close();
    listening.closeAllConnections();
  });
  await new Promise((resolve) => listening.once('listening', resolve));
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
  return { asked, setting: { url, tokenFile: null } };
}

describe('the outbox', () => {
  it('keeps events in the order in which they happened, each once, for its owner alone', (t) => {
    const place = makePlace(t);
    for (const n of [3, 1, 2, 1]) putIntoOutbox(place, event(n));
    assert.deepEqual(idsIn(place), ['gaia-1', 'gaia-2', 'gaia-3']);
    const { folder } = outboxState(place);
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  });

  it('drops the oldest when there are too many, and counts them', (t) => {
    const place = makePlace(t);
    for (let n = 0; n < 8; n++) putIntoOutbox(place, event(n), 5);
    assert.deepEqual(idsIn(place), ['gaia-3', 'gaia-4', 'gaia-5', 'gaia-6', 'gaia-7']);
    assert.deepEqual([outboxState(place).waiting, outboxState(place).dropped], [5, 3]);
  });
});

describe('a delivery', () => {
  const cases: [
    says: string,
    status: number,
    body: string,
    waiting: number,
    refused: number,
    why: RegExp | undefined,
  ][] = [
    ['takes out what was stored', 201, '{"id":"gaia-1"}', 0, 0, undefined],
    ['takes out what was stored before', 200, '{"id":"gaia-1","duplicate":true}', 0, 0, undefined],
    ['sets aside what makes no sense', 422, '{"detail":"No."}', 0, 2, undefined],
    ['sets aside what is another’s', 409, '{"detail":"Taken."}', 0, 2, undefined],
    ['keeps all without a token', 401, '{"detail":"A token is needed."}', 2, 0, /401: A token is needed\.$/],
    ['keeps all with a token that may not', 403, '{"detail":"No."}', 2, 0, /403: No\.$/],
    ['keeps all while the bus is busy', 429, '{"detail":"Later."}', 2, 0, /429: Later\.$/],
    ['keeps all while the bus is ill', 503, '{"detail":"Ill."}', 2, 0, /503: Ill\.$/],
    ['keeps all when a web server answers', 200, '<html>', 2, 0, /200, and not as a bus does$/],
    ['keeps all when something else answers', 201, '{"ok":true}', 2, 0, /201, and not as a bus does$/],
    ['keeps all when a bus is not there', 404, '{"detail":"Not found"}', 2, 0, /404: Not found$/],
    ['keeps all when another complains', 400, 'plain HTTP to an HTTPS port', 2, 0, /400, and not as a bus does$/],
    ['follows nobody elsewhere', 307, '', 2, 0, /307, and not as a bus does$/],
    ['reads no endless answer', 200, `{"id":"${'x'.repeat(100_000)}"}`, 2, 0, /200, and not as a bus does$/],
  ];
  for (const [says, status, body, waiting, refused, why] of cases)
    it(says, async (t) => {
      const place = makePlace(t);
      const { asked, setting } = await server(t, (_, response) =>
        response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end(body),
      );
      for (const n of [2, 1]) putIntoOutbox(place, event(n));
      await deliver(place, { setting, clock });
      assert.deepEqual(asked, waiting === 0 ? ['gaia-1', 'gaia-2'] : ['gaia-1']);
      const state = outboxState(place);
      assert.deepEqual([state.waiting, state.refused], [waiting, refused]);
      if (why === undefined) assert.equal(state.why, undefined);
      else assert.match(state.why ?? '', why);
    });

  it('says beside what was set aside why', async (t) => {
    const place = makePlace(t);
    const { setting } = await server(t, (_, response) => response.writeHead(422).end('{"detail":"No."}'));
    putIntoOutbox(place, event(1));
    await deliver(place, { setting, clock });
    const folder = join(outboxState(place).folder, 'refused');
    const [name] = readdirSync(folder);
    assert.deepEqual(JSON.parse(readFileSync(join(folder, name as string), 'utf8')), {
      event: event(1),
      refusal: { at: rfc3339(clock()), status: 422, says: 'No.' },
    });
  });

  it('is not kept up by a file that is no event', async (t) => {
    const place = makePlace(t);
    const { asked, setting } = await server(t, (_, response) => response.writeHead(201).end('{"id":"gaia-1"}'));
    putIntoOutbox(place, event(1));
    writeFileSync(join(outboxState(place).folder, '0.json'), '{"id":');
    await deliver(place, { setting, clock });
    assert.deepEqual(asked, ['gaia-1']);
    assert.deepEqual([outboxState(place).waiting, outboxState(place).refused], [0, 1]);
  });

  it('goes on later where a bus went away', async (t) => {
    const place = makePlace(t);
    let isThere = true;
    const { asked, setting } = await server(t, (request, response) => {
      if (isThere) response.writeHead(201).end('{"id":"x"}');
      else request.socket.destroy();
      isThere = false;
    });
    for (const n of [1, 2, 3]) putIntoOutbox(place, event(n));
    await deliver(place, { setting, clock });
    assert.deepEqual(idsIn(place), ['gaia-2', 'gaia-3']);
    assert.match(outboxState(place).why ?? '', /does not answer \(ECONNRESET\)/);
    assert.deepEqual(asked, ['gaia-1', 'gaia-2']);
  });

  it('sends nothing where no bus is known, and tells why where a token cannot be read', async (t) => {
    const place = makePlace(t);
    const { asked, setting } = await server(t, () => assert.fail('nothing may be sent'));
    putIntoOutbox(place, event(1));
    for (const each of ['home', 'none'] as const) await deliver(place, { setting: each, clock });
    assert.deepEqual([outboxState(place).waiting, outboxState(place).why], [1, undefined]);
    const tokenFile = join(place.home, 'token');
    await deliver(place, { setting: { ...setting, tokenFile }, clock });
    assert.match(outboxState(place).why ?? '', /^There is no token in .*token, which bus\.token_file names/);
    writeFileSync(tokenFile, 'lev_x\n', { mode: 0o644 });
    await deliver(place, { setting: { ...setting, tokenFile }, clock });
    assert.match(outboxState(place).why ?? '', /can be read by other users/);
    assert.deepEqual(asked, []);
  });
});
