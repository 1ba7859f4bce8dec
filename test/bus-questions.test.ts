import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../src/base/clock.ts';
import { openSqliteStore } from '../src/bus/store/sqlite/open.ts';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess, temporaryHome } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';

describe('questions over HTTP', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess({ worker: true });
    call = await callerOf(bus);
  });
  after(() => bus.stop());

  const ask = (draft: Record<string, unknown> = {}) =>
    call.publish({ source_agent: 'ASKER', requires_human: true, ...draft });

  it('wait returns at the answer', async () => {
    const { id } = await ask();
    const waiting = call.get(`/events/${id}?wait=30`);
    await untilWaiting();
    await call.post(`/events/${id}/respond`, { response: 'yes' });
    const { status, body } = await waiting;
    assert.equal(status, 200);
    assert.equal(body.human_response, 'yes');
  });

  it('wait returns at the cancellation and at the deadline', async () => {
    const cancelled = await ask();
    const waiting = call.get(`/events/${cancelled.id}?wait=30`);
    await untilWaiting();
    await call.post(`/events/${cancelled.id}:cancel`, { cancelled_by: 'ASKER' });
    assert.equal((await waiting).body.human_state, 'cancelled');
    const timed = await ask({ human_timeout_minutes: 0.002 });
    assert.equal((await call.get(`/events/${timed.id}?wait=30`)).body.human_state, 'timed_out');
  });

  it('wait returns the open event when the time is over, and can be asked again', async () => {
    const { id } = await ask();
    const { body } = await call.get(`/events/${id}?wait=1`);
    assert.equal(body.human_state, 'open');
    await call.post(`/events/${id}/respond`, { response: 'yes' });
    assert.equal((await call.get(`/events/${id}?wait=50`)).body.human_state, 'answered');
  });

  it('wait returns at once for what is no open question', async () => {
    const { id } = await call.publish({});
    assert.equal((await call.get(`/events/${id}?wait=50`)).status, 200);
    assert.equal((await call.get('/events/nothing?wait=50')).status, 404);
  });

  it('an answer may say why, and the event that tells of it says so', async () => {
    const { id } = await ask();
    const { status, body } = await call.post(`/events/${id}/respond`, { response: 'yes', reason: 'It is late.' });
    assert.deepEqual([status, body.warnings], [200, undefined]);
    const [told] = (await call.get('/events?action=human_responded&limit=1')).body.events;
    assert.deepEqual([told.causation_id, told.details.reason], [id, 'It is late.']);
    const other = await ask();
    const wrong = await call.post(`/events/${other.id}/respond`, { response: 'yes', reason: 7 });
    assert.equal(wrong.status, 422);
  });

  it('wait is 0 to 50', async () => {
    const { id } = await call.publish({});
    for (const wait of ['51', '-1', 'x', '1.5'])
      assert.equal((await call.get(`/events/${id}?wait=${wait}`)).status, 422, wait);
  });

  it('many wait for one answer and all get it; those who go away leave nothing behind', async () => {
    const { id } = await ask();
    const waiting = Array.from({ length: 50 }, () => call.get(`/events/${id}?wait=30`));
    const gone = new AbortController();
    const left = Array.from({ length: 20 }, () => fetch(`${bus.url}/events/${id}?wait=30`, { signal: gone.signal }));
    await untilWaiting();
    gone.abort();
    assert.ok((await Promise.allSettled(left)).every(({ status }) => status === 'rejected'));
    await call.post(`/events/${id}/respond`, { response: 'all' });
    for (const { body } of await Promise.all(waiting)) assert.equal(body.human_response, 'all');
  });

  it('only the asker cancels; then nobody answers', async () => {
    const { id } = await ask();
    const other = await call.post(`/events/${id}:cancel`, { cancelled_by: 'OTHER' });
    assert.equal(other.status, 403);
    assert.match(other.body.detail, /"ASKER" asked it/);
    const done = await call.post(`/events/${id}:cancel`, { cancelled_by: 'ASKER', reason: 'changed my mind' });
    assert.equal(done.status, 200);
    assert.equal(done.body.status, 'cancelled');
    assert.equal(done.body.resolution.state, 'cancelled');
    assert.equal((await call.get(`/events/${id}`)).body.status, 'failed');
    const late = await call.post(`/events/${id}/respond`, { response: 'yes' });
    assert.equal(late.status, 409);
    assert.match(late.body.detail, /was cancelled by "ASKER" through http/);
    assert.equal((await call.post(`/events/${id}:cancel`, { cancelled_by: 'ASKER' })).status, 409);
    assert.equal((await call.post('/events/nothing:cancel', { cancelled_by: 'ASKER' })).status, 404);
    const plain = await call.publish({});
    assert.equal((await call.post(`/events/${plain.id}:cancel`, { cancelled_by: 'A' })).status, 400);
  });

  it('a channel says that it has shown the question', async () => {
    const { id } = await ask();
    assert.deepEqual((await call.post(`/events/${id}:shown`, { via: 'telegram' })).body, { status: 'noted' });
    assert.equal((await call.post(`/events/${id}:shown`, { via: 'cli' })).status, 200);
    assert.equal((await call.get(`/events/${id}`)).body.human_notified, true);
    assert.equal((await call.post('/events/nothing:shown', { via: 'cli' })).status, 404);
    const plain = await call.publish({});
    assert.equal((await call.post(`/events/${plain.id}:shown`, { via: 'cli' })).status, 400);
    assert.equal((await call.post(`/events/${id}:shown`, {})).status, 422);
  });

  it('only named answerers answer', async () => {
    const { id } = await ask({ answerers: ['ada', 'bob'] });
    const refused = await call.post(`/events/${id}/respond`, { response: 'yes' });
    assert.equal(refused.status, 403);
    assert.match(refused.body.hint, /"ada", "bob"/);
    assert.equal((await call.post(`/events/${id}/respond`, { response: 'yes', responder: 'bob' })).status, 200);
  });

  it('an approval of something else is void', async () => {
    const { id } = await ask({ payload_hash: 'sha256:1' });
    const { headers } = await tokenFor(bus, { name: 'berta', kind: 'person', scopes: ['approve'] });
    const approve = (payload_hash?: string) =>
      call.post(`/events/${id}/respond`, { response: 'yes', payload_hash }, headers);
    const wrong = await approve('sha256:2');
    assert.equal(wrong.status, 409);
    assert.equal(wrong.body.type, 'urn:leveredge:problem:conflict');
    const silent = await approve();
    assert.equal(silent.status, 422);
    assert.deepEqual(silent.body.errors, [{ pointer: '/payload_hash', detail: 'is missing' }]);
    assert.equal((await approve('sha256:1')).status, 200);
    const { events } = (await call.get('/events?action=human_responded&limit=1000')).body;
    const { details } = events.find((one: Wire) => one.details.event_id === id);
    const { payload_hash, answered_payload_hash, responded_by } = details;
    assert.deepEqual([payload_hash, answered_payload_hash, responded_by], ['sha256:1', 'sha256:1', 'berta']);
  });

  it('an empty list of options comes back as one, and any answer will do', async () => {
    const { id } = await ask({ human_options: [], escalation: [] });
    const { human_options, escalation } = (await call.get(`/events/${id}`)).body;
    assert.deepEqual([human_options, escalation], [[], []]);
    assert.equal((await call.post(`/events/${id}/respond`, { response: 'anything' })).status, 200);
  });

  it('an id may hold any visible ASCII, also a colon, a slash and a verb of the API', async () => {
    for (const id of ['a:b', 'a/b', 'a:cancel', '%41', 'a?b#c', ':shown', '..%2F', '"', '__proto__']) {
      const path = `/events/${encodeURIComponent(id)}`;
      await ask({ id });
      assert.equal((await call.get(path)).body.id, id);
      assert.equal((await call.post(`${path}/acknowledge?agent=X`)).status, 200, id);
      assert.equal((await call.post(`${path}:shown`, { via: 'x' })).status, 200, id);
      assert.equal((await call.post(`${path}/respond`, { response: 'yes' })).status, 200, id);
      assert.equal((await call.post(`${path}:cancel`, { cancelled_by: 'ASKER' })).status, 409, id);
    }
  });

  it('an id that is taken over from the first implementation may be anything', async (t) => {
    const home = temporaryHome(t);
    const file = join(home, 'control-plane', 'event-bus', 'events.db');
    const store = await openSqliteStore({ file, clock: systemClock });
    const ids = [
      'pending',

      'é',
      'a b',
      ' ',
      '.',
      '..',
      '\n',
      '\u0001',
      '😀',
      'x'.repeat(300),
      'pending/human',
    ];
    for (const id of ids) await store.publish({ id, source_agent: 'OLD', action: 'asked', requires_human: true });
    await store.close();
    const old = await startBusProcess({ home }, t);
    const own = await callerOf(old);
    for (const id of ids) {
      // fetch would take a dot segment out of the path, however it is written, where no verb follows it.
      const path = `/events/${encodeURIComponent(id)}`;
      if (!id.startsWith('.')) {
        // Of this one only the path alone means something else now.
        if (id !== 'stream') assert.equal((await own.get(path)).body.id, id);
        assert.equal((await own.post(`${path}/acknowledge?agent=X`)).status, 200, id);
      }
      assert.equal((await own.post(`${path}:shown`, { via: 'x' })).status, 200, id);
      if (!id.startsWith('.')) assert.equal((await own.post(`${path}/respond`, { response: 'yes' })).status, 200, id);
      const cancelled = await own.post(`${path}:cancel`, { cancelled_by: 'OLD' });
      assert.equal(cancelled.status, id.startsWith('.') ? 200 : 409, id);
    }
    for (const path of ['/events/stream2', '/events/%C3%A8', '/events/a%20c', `/events/${'y'.repeat(300)}`]) {
      assert.equal((await own.get(path)).status, 404, path);
      assert.equal((await own.post(`${path}/respond`, { response: 'yes' })).status, 404, path);
      assert.equal((await own.post(`${path}:cancel`, { cancelled_by: 'OLD' })).status, 404, path);
      assert.equal((await own.post(`${path}:shown`, { via: 'x' })).status, 404, path);
      assert.equal((await own.post(`${path}/acknowledge?agent=X`)).status, 404, path);
    }
    await old.stop();
  });

  it('the rungs of an escalation are told once', async () => {
    const { id } = await ask({ human_timeout_minutes: 60, escalation: [{ after_minutes: 0, notify: ['boss'] }] });
    let event: Wire;
    for (let i = 0; i < 500; i++) {
      event = (await call.get(`/events/${id}`)).body;
      if (event.escalation[0].fired_at !== null) break;
    }
    assert.notEqual(event.escalation[0].fired_at, null);
    assert.ok(event.updated_at >= event.escalation[0].fired_at, 'the event has changed');
    const told = (await call.get('/events?action=human_escalated&limit=1000')).body.events;
    assert.equal(told.filter((one: Wire) => JSON.stringify(one).includes(id)).length, 1);
  });

  it('the fallback also comes when the bus was down at the deadline', async (t) => {
    const home = temporaryHome(t);
    const first = await startBusProcess({ home }, t);
    const draft = { requires_human: true, human_timeout_minutes: 0.005, human_fallback: 'no' };
    const { id, timeout_at } = await (await callerOf(first)).publish(draft);
    await first.kill();
    const pause = Date.parse(timeout_at) - Date.now();
    if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause + 5));
    const second = await startBusProcess({ home }, t);
    const { body } = await (await callerOf(second)).get(`/events/${id}`);
    assert.equal(body.human_state, 'timed_out');
    assert.equal(body.human_response, 'no');
    await second.stop();
  });

  /** A wait is in progress once a later request on the same process has been answered. */
  async function untilWaiting(): Promise<void> {
    for (let i = 0; i < 3; i++) await call.get('/health');
  }
});
