import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Caller, callerOf } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** The API that an existing fleet speaks: every path and field of the first implementation, from another process. */
describe('the compatible API', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess();
    call = await callerOf(bus);
  });
  after(() => bus.stop());

  it('GET /health says that the bus is alive', async () => {
    const before = (await call.get('/health')).body;
    assert.equal(before.status, 'healthy');
    assert.equal(before.service, 'event-bus');
    assert.equal(before.port, bus.port);
    assert.equal(before.version, '0.0.0-test');
    await call.publish({ action: 'workflow_created' });
    await call.publish({ requires_human: true });
    const { body } = await call.get('/health');
    assert.equal(body.head, before.head + 2);
    assert.equal(body.open_questions, before.open_questions + 1);
    // AEGIS for the first, HERMES for the question; ATHENA and ARIA hear by tail, ARIA the question by queue.
    assert.ok(body.open_deliveries >= before.open_deliveries + 2);
    assert.ok(body.database_bytes > 0);
    assert.ok(body.uptime_seconds >= 0);
  });

  it('POST /events stores an event and says who hears it', async () => {
    const { status, body, headers } = await call.post('/events', { source_agent: 'A', action: 'credential_expiring' });
    assert.equal(status, 201);
    assert.equal(body.status, 'created');
    assert.match(body.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.deepEqual(body.subscribed_agents, ['AEGIS', 'HERMES', 'ARIA', 'ATHENA']);
    assert.match(body.timestamp, time);
    assert.equal(headers.get('location'), `/events/${body.id}`);
    assert.equal('timeout_at' in body, false);
    assert.equal('warnings' in body, false);
    assert.equal((await call.get(`/events/${body.id}`)).body.bookmark, body.bookmark);
  });

  it('POST /events takes every field of the first implementation, and GET /events/{id} reads each back', async () => {
    const draft = {
      source_agent: 'HEPHAESTUS',
      action: 'deploy_requested',
      target: 'prod',
      details: { version: '1.4.2', nested: [1, { a: null }] },
      source_workflow_id: 'wf-1',
      source_execution_id: 'ex-1',
      requires_human: true,
      human_question: 'Deploy?',
      human_options: ['yes', 'no'],
      human_timeout_minutes: 30,
      human_fallback: 'no',
    };
    const published = await call.publish(draft);
    const { body } = await call.get(`/events/${published.id}`);
    for (const [field, value] of Object.entries(draft)) assert.deepEqual(body[field], value, field);
    assert.equal(body.id, published.id);
    assert.equal(body.timestamp, published.timestamp);
    assert.equal(body.human_response, null);
    assert.equal(body.human_responded_at, null);
    assert.equal(body.human_notified, false);
    assert.deepEqual(body.subscribed_agents, published.subscribed_agents);
    assert.deepEqual(body.acknowledged_by, {});
    assert.equal(body.status, 'pending');
    assert.match(body.created_at, time);
    assert.match(body.updated_at, time);
    assert.equal(Date.parse(body.timeout_at) - Date.parse(body.timestamp), 30 * 60_000);
    assert.equal(published.timeout_at, body.timeout_at);
  });

  it('POST /events fills what is left out with null', async () => {
    const { id } = await call.publish({});
    const { body } = await call.get(`/events/${id}`);
    for (const field of [
      ...['source_workflow_id', 'source_execution_id', 'target', 'details', 'human_question', 'human_options'],
      ...['human_timeout_minutes', 'human_fallback', 'human_response', 'human_responded_at', 'timeout_at'],
    ])
      assert.equal(body[field], null, field);
    assert.equal(body.requires_human, false);
    assert.equal(body.human_notified, false);
  });

  it('POST /events without a Content-Type, or with what curl -d sends, is taken as JSON', async () => {
    for (const type of ['application/x-www-form-urlencoded', 'text/plain;charset=UTF-8', 'application/vnd.x+json'])
      assert.equal(
        (await call.post('/events', { source_agent: 'A', action: type }, { 'content-type': type })).status,
        201,
      );
    const bare = await fetch(`${bus.url}/events`, {
      method: 'POST',
      body: new Blob([JSON.stringify({ source_agent: 'A', action: 'bare' })]),
    });
    assert.equal(bare.status, 201);
  });

  it('GET /events lists newest first, 50 unless told otherwise, and pages by bookmark', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 60; i++) ids.unshift((await call.publish({ action: 'listed' })).id);
    const first = (await call.get('/events?action=listed')).body;
    assert.equal(first.count, 50);
    assert.deepEqual(
      first.events.map((event: { id: string }) => event.id),
      ids.slice(0, 50),
    );
    const second = (await call.get(`/events?action=listed&before=${first.next}`)).body;
    assert.deepEqual(
      second.events.map((event: { id: string }) => event.id),
      ids.slice(50),
    );
    assert.equal(second.next, null);
    assert.equal((await call.get('/events?limit=3')).body.events.length, 3);
  });

  it('GET /events filters exactly by source_agent, action and status; an empty filter is none', async () => {
    await call.publish({ source_agent: 'ONE', action: 'filter_a' });
    await call.publish({ source_agent: 'ONE', action: 'filter_b' });
    await call.publish({ source_agent: 'TWO', action: 'filter_a' });
    const count = async (query: string) => (await call.get(`/events?${query}`)).body.count;
    assert.equal(await count('source_agent=ONE'), 2);
    assert.equal(await count('action=filter_a'), 2);
    assert.equal(await count('source_agent=ONE&action=filter_a'), 1);
    assert.equal(await count('source_agent=one'), 0);
    assert.equal(await count('action=filter%25'), 0);
    assert.equal(await count('action=filter_a&status=pending'), 2);
    assert.equal(await count('action=filter_a&status=completed'), 0);
    assert.equal(await count('limit=2&source_agent=&action=&status='), 2);
  });

  it('GET /events/{id} answers 404 for an event that is not there', async () => {
    const { status, body } = await call.get('/events/nothing');
    assert.equal(status, 404);
    assert.equal(body.type, 'urn:leveredge:problem:not-found');
    assert.match(body.detail, /no event with the id "nothing"/);
  });

  it('POST /events/{id}/acknowledge notes the agent, is repeatable, and settles the event when all have', async () => {
    const { id } = await call.publish({ action: 'workflow_deployed' });
    const first = await call.post(`/events/${id}/acknowledge?agent=ALOY`);
    assert.equal(first.status, 200);
    assert.equal(first.body.status, 'acknowledged');
    assert.equal(first.body.agent, 'ALOY');
    const again = await call.post(`/events/${id}/acknowledge?agent=ALOY`, '{not json');
    assert.deepEqual(again.body, first.body);
    const { body } = await call.get(`/events/${id}`);
    assert.deepEqual(Object.keys(body.acknowledged_by), ['ALOY']);
    assert.equal(body.acknowledged_by.ALOY, first.body.acknowledged_at);
    assert.equal(body.status, 'acknowledged');
    assert.equal((await call.post('/events/nothing/acknowledge?agent=ALOY')).status, 404);
    const nobody = await call.post(`/events/${id}/acknowledge`);
    assert.equal(nobody.status, 422);
    assert.deepEqual(nobody.body.errors, [{ pointer: 'agent', detail: 'is missing' }]);
  });

  it('POST /events/{id}/respond stores a person’s answer', async () => {
    const { id } = await call.publish({ requires_human: true });
    const { status, body } = await call.post(`/events/${id}/respond`, { response: 'yes' });
    assert.equal(status, 200);
    assert.equal(body.status, 'responded');
    assert.equal(body.response, 'yes');
    assert.equal(body.responder, 'human');
    assert.equal(body.via, 'http');
    const event = (await call.get(`/events/${id}`)).body;
    assert.equal(event.human_response, 'yes');
    assert.equal(event.human_responded_by, 'human');
    assert.equal(event.human_responded_at, body.responded_at);
    assert.equal(event.human_state, 'answered');
    assert.equal(event.status, 'completed');
    assert.equal((await call.post('/events/nothing/respond', { response: 'yes' })).status, 404);
    const plain = await call.publish({});
    const refused = await call.post(`/events/${plain.id}/respond`, { response: 'yes' });
    assert.equal(refused.status, 400);
    assert.equal(refused.body.type, 'urn:leveredge:problem:asks-nothing');
  });

  it('GET /events/pending/human lists open questions, soonest deadline first, each with timeout_at', async () => {
    const ask = (human_timeout_minutes: number | null, human_question: string) =>
      call.publish({ source_agent: 'PENDER', requires_human: true, human_timeout_minutes, human_question });
    const never = await ask(null, 'never');
    const late = await ask(20_000, 'late');
    const soon = await ask(10_000, 'soon');
    const open = async () => {
      const { body } = await call.get('/events/pending/human');
      assert.equal(body.count, body.pending.length);
      return body.pending.filter((one: { source_agent: string }) => one.source_agent === 'PENDER');
    };
    const pending = await open();
    assert.deepEqual(
      pending.map((one: { id: string }) => one.id),
      [soon.id, late.id, never.id],
    );
    assert.equal(pending[0].timeout_at, soon.timeout_at);
    assert.equal(pending[0].human_question, 'soon');
    assert.equal(pending[0].human_timeout_minutes, 10_000);
    assert.equal(pending[2].timeout_at, null);
    for (const field of ['action', 'human_options', 'human_fallback', 'timestamp'])
      assert.ok(field in pending[0], field);
    await call.post(`/events/${late.id}/respond`, { response: 'done' });
    assert.equal((await open()).length, 2);
    const pages: string[] = [];
    let after = '';
    for (let i = 0; i < 20; i++) {
      const { body } = await call.get(`/events/pending/human?limit=1&after=${after}`);
      pages.push(...body.pending.map((one: { id: string }) => one.id));
      if (body.next === null) break;
      after = body.next;
    }
    assert.deepEqual(
      pages,
      (await call.get('/events/pending/human')).body.pending.map((one: { id: string }) => one.id),
    );
  });

  it('GET /agents/{agent}/events is the inbox, by queue and by tail', async () => {
    const heard = await call.publish({ action: 'container_deployed' });
    for (const agent of ['AEGIS', 'ATHENA']) {
      const { body } = await call.get(`/agents/${agent}/events`);
      assert.equal(body.agent, agent);
      assert.equal(body.count, body.events.length);
      assert.equal(body.events[0].id, heard.id);
      assert.deepEqual(body.events[0], (await call.get(`/events/${heard.id}`)).body);
      await call.post(`/events/${heard.id}/acknowledge?agent=${agent}`);
      const open = (await call.get(`/agents/${agent}/events?unacknowledged_only=true`)).body;
      assert.ok(!open.events.some((event: { id: string }) => event.id === heard.id), agent);
      assert.equal((await call.get(`/agents/${agent}/events?unacknowledged_only=False`)).body.events[0].id, heard.id);
    }
    for (let i = 0; i < 25; i++) await call.publish({ action: 'container_deployed' });
    const page = (await call.get('/agents/AEGIS/events')).body;
    assert.equal(page.count, 20);
    const rest = (await call.get(`/agents/AEGIS/events?before=${page.next}&limit=1000`)).body;
    assert.ok(rest.events.some((event: { id: string }) => event.id === heard.id));
    assert.deepEqual((await call.get('/agents/NOBODY/events')).body, {
      agent: 'NOBODY',
      events: [],
      count: 0,
      next: null,
    });
  });
});
