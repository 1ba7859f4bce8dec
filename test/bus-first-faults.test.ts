import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, it } from 'node:test';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess, temporaryHome } from './bus-server.fixtures.ts';

/** What the first implementation got wrong. Each must stay right. */
describe('the faults of the first implementation', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess();
    call = await callerOf(bus);
  });
  after(() => bus.stop());

  const hearers = async (action: string): Promise<string[]> =>
    (await call.get(`/explain?action=${encodeURIComponent(action)}`)).body.hearers.map((one: Wire) => one.agent);
  const listen = (agent_name: string, action_pattern: string) =>
    call.post('/subscriptions', { agent_name, action_pattern });
  const heardBy = async (agent: string): Promise<string[]> =>
    (await call.get(`/agents/${encodeURIComponent(agent)}/events`)).body.events.map((one: Wire) => one.action);

  it('an underscore in a pattern is an underscore', async () => {
    assert.ok(!(await hearers('unfailed')).includes('HADES'));
    assert.ok((await hearers('backup_failed')).includes('HADES'));
    assert.ok(!(await call.publish({ action: 'unfailed' })).subscribed_agents.includes('HADES'));
  });

  it('case counts in a pattern', async () => {
    assert.ok(!(await hearers('BACKUP_FAILED')).includes('HADES'));
  });

  it('a star in the middle of a pattern matches', async () => {
    await listen('MIDDLE', 'a_*_z');
    const { id, subscribed_agents } = await call.publish({ action: 'a_b_c_z' });
    assert.ok(subscribed_agents.includes('MIDDLE'));
    assert.equal((await call.get('/agents/MIDDLE/events')).body.events[0].id, id);
    assert.ok(!(await hearers('a_z')).includes('MIDDLE'));
  });

  it('an agent may have any letters in its name, and none of them means anything', async () => {
    for (const agent of ['é', 'a"b', '%', '_', "o'b", 'a/b', '100%25', '日本', 'x'.repeat(200), '😀'.repeat(100)]) {
      await listen(agent, `to_${agent.slice(0, 20)}`);
      await call.publish({ action: `to_${agent.slice(0, 20)}` });
      assert.deepEqual(await heardBy(agent), [`to_${agent.slice(0, 20)}`], agent);
    }
    await call.publish({ action: 'for_nobody_in_particular' });
    assert.deepEqual(await heardBy('%'), ['to_%']);
  });

  it('the inbox is looked up by the whole name, not found inside another', async () => {
    await listen('INBOX', 'inbox_test');
    await call.publish({ action: 'inbox_test' });
    assert.deepEqual(await heardBy('INBOX'), ['inbox_test']);
    for (const other of ['INBO', 'NBOX', 'inbox', 'INBOX"', '%INBOX%', 'IN_OX'])
      assert.deepEqual(await heardBy(other), []);
  });

  it('NaN and 1e400 are refused, and no list is broken by them', async () => {
    for (const [number, status] of [
      ['NaN', 400],
      ['Infinity', 400],
      ['1e400', 422],
      ['-1e400', 422],
    ] as const) {
      const sent = await call.post('/events', `{"source_agent":"N","action":"n","details":{"x":${number}}}`);
      assert.equal(sent.status, status, number);
    }
    assert.equal((await call.get('/events?source_agent=N')).body.count, 0);
    assert.equal((await call.get('/events')).status, 200);
    assert.equal((await call.get('/agents/ATHENA/events')).status, 200);
  });

  it('an integer beyond 2^53 that would change is refused, one that survives is kept', async () => {
    const send = (n: string) => call.post('/events', `{"source_agent":"N","action":"n","details":{"n":${n}}}`);
    const refused = await send('9007199254740993');
    assert.equal(refused.status, 422);
    assert.match(refused.body.detail, /send it as a string/);
    const kept = await send('9007199254740991');
    assert.equal((await call.get(`/events/${kept.body.id}`)).body.details.n, 9007199254740991);
  });

  it('what was published within one second keeps its order', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) ids.push((await call.publish({ action: 'ordered' })).id);
    const listed = (await call.get('/events?action=ordered')).body.events;
    assert.deepEqual(
      listed.map((one: Wire) => one.id),
      ids.toReversed(),
    );
    const times = listed.map((one: Wire) => one.timestamp);
    assert.deepEqual(times, [...times].sort().reverse());
    for (const one of times) assert.match(one, /\.\d{3}Z$/);
  });

  it('details of {} come back as {}, and every way to read shows the same event', async () => {
    await listen('SAME', 'same_everywhere');
    const { id } = await call.publish({
      action: 'same_everywhere',
      details: {},
      requires_human: true,
      human_options: ['a'],
    });
    const one = (await call.get(`/events/${id}`)).body;
    assert.deepEqual(one.details, {});
    assert.deepEqual(one.human_options, ['a']);
    assert.deepEqual((await call.get('/events?action=same_everywhere')).body.events, [one]);
    assert.deepEqual((await call.get('/agents/SAME/events')).body.events, [one]);
    const open = (await call.get('/events/pending/human')).body.pending.find((question: Wire) => question.id === id);
    for (const field of Object.keys(open)) assert.deepEqual(open[field], one[field], field);
  });

  it('two simultaneous acknowledgements are both kept', async () => {
    const { id } = await call.publish({});
    const agents = Array.from({ length: 16 }, (_, i) => `AGENT-${i}`);
    await Promise.all(agents.map((agent) => call.post(`/events/${id}/acknowledge?agent=${agent}`)));
    const { acknowledged_by } = (await call.get(`/events/${id}`)).body;
    assert.deepEqual(Object.keys(acknowledged_by).sort(), agents.sort());
  });

  it('a later answer does not overwrite the first, and the responder is kept', async () => {
    const { id } = await call.publish({ requires_human: true });
    await call.post(`/events/${id}/respond`, { response: 'yes', responder: 'ada', via: 'telegram' });
    const later = await call.post(`/events/${id}/respond`, { response: 'no', responder: 'bob' });
    assert.equal(later.status, 409);
    assert.equal(later.body.type, 'urn:leveredge:problem:already-resolved');
    assert.match(later.body.detail, /answered with "yes" by "ada" through telegram at 20/);
    assert.equal(later.body.resolution.response, 'yes');
    const event = (await call.get(`/events/${id}`)).body;
    assert.equal(event.human_response, 'yes');
    assert.equal(event.human_responded_by, 'ada');
    assert.equal(event.human_responded_via, 'telegram');
  });

  it('of 16 simultaneous answers one wins', async () => {
    const { id } = await call.publish({ requires_human: true });
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => call.post(`/events/${id}/respond`, { response: `answer ${i}` })),
    );
    const won = answers.filter(({ status }) => status === 200);
    assert.equal(won.length, 1);
    assert.equal(answers.filter(({ status }) => status === 409).length, 15);
    const kept = (await call.get(`/events/${id}`)).body.human_response;
    assert.equal(kept, won[0]?.body.response);
    for (const { status, body } of answers) if (status === 409) assert.equal(body.resolution.response, kept);
  });

  it('an answer must be one of the options, unless free text is allowed', async () => {
    const options = { requires_human: true, human_options: ['yes', 'no'] };
    const strict = await call.publish(options);
    const refused = await call.post(`/events/${strict.id}/respond`, { response: 'maybe' });
    assert.equal(refused.status, 422);
    assert.match(refused.body.detail, /"yes", "no"/);
    assert.deepEqual(refused.body.options, ['yes', 'no']);
    assert.equal((await call.post(`/events/${strict.id}/respond`, { response: 'no' })).status, 200);
    const free = await call.publish({ ...options, free_text: true });
    assert.equal((await call.post(`/events/${free.id}/respond`, { response: 'maybe' })).status, 200);
  });

  it('after the deadline no answer is taken', async () => {
    const { id, timeout_at, timestamp } = await call.publish({ requires_human: true, human_timeout_minutes: 0 });
    assert.equal(timeout_at, timestamp);
    const late = await call.post(`/events/${id}/respond`, { response: 'yes' });
    assert.equal(late.status, 409);
    assert.equal(late.body.resolution.state, 'timed_out');
    assert.equal(late.body.resolution.response, null);
    assert.match(late.body.detail, /ran out of time/);
  });

  it('at the deadline the fallback is applied, the status becomes timeout, and an event says so', async () => {
    const asked = { requires_human: true, human_timeout_minutes: 0, human_fallback: 'no' };
    const { id } = await call.publish(asked);
    const { body } = await call.get(`/events/${id}?wait=5`);
    assert.equal(body.status, 'timeout');
    assert.equal(body.human_state, 'timed_out');
    assert.equal(body.human_response, 'no');
    assert.notEqual(body.human_responded_at, null);
    const told = (await call.get('/events?action=human_timed_out')).body.events[0];
    assert.equal(told.causation_id ?? told.details?.event_id ?? told.target, id);
  });

  it('the default subscriptions are there once, also after two more starts', async (t) => {
    const home = temporaryHome(t);
    const counts: number[] = [];
    for (let start = 0; start < 3; start++) {
      const own = await startBusProcess({ home }, t);
      const { body } = await (await callerOf(own)).get('/subscriptions');
      counts.push(body.count);
      const pairs = body.subscriptions.map((one: Wire) => `${one.agent_name} ${one.action_pattern}`);
      assert.equal(new Set(pairs).size, pairs.length);
      await own.stop();
    }
    assert.ok((counts[0] as number) > 25);
    assert.deepEqual(counts, [counts[0], counts[0], counts[0]]);
  });

  it('sending the same event again is safe, and its id is nobody else’s', async () => {
    const draft = { id: 'build-17', action: 'built', details: { n: 1 } };
    const first = await call.publish(draft);
    const again = await call.post('/events', { source_agent: 'A', ...draft });
    assert.equal(again.status, 200);
    assert.deepEqual(again.body, { ...first, duplicate: true });
    const other = await call.post('/events', { source_agent: 'B', ...draft });
    assert.equal(other.status, 409);
    assert.equal(other.body.type, 'urn:leveredge:problem:conflict');
    assert.match(other.body.detail, /"build-17" already names another event, published by "A"/);
    assert.equal((await call.get('/events?action=built')).body.count, 1);
  });

  it('lists and bodies have limits', async () => {
    for (const limit of ['0', '-1', '1001', 'abc', '1.5', '1e2', '٣'])
      for (const path of ['/events', '/agents/A/events', '/events/pending/human']) {
        const { status, body } = await call.get(`${path}?limit=${encodeURIComponent(limit)}`);
        assert.equal(status, 422, `${path} ${limit}`);
        assert.equal(body.errors[0].pointer, 'limit');
      }
    const large = await call.post('/events', { source_agent: 'A', action: 'a', details: { x: 'x'.repeat(270_000) } });
    assert.equal(large.status, 413);
    assert.match(large.body.detail, /256 KiB/);
  });

  it('nobody else’s address reaches it: it is bound to loopback alone', async (t) => {
    const outer = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4');
    if (!outer) return t.skip('this machine has no address but loopback');
    const outcome = await new Promise<string>((resolve) => {
      const socket = connect({ host: outer.address, port: bus.port, timeout: 2000 });
      socket.once('connect', () => resolve('connected'));
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.once('timeout', () => resolve('timeout'));
      socket.once('close', () => socket.destroy());
    });
    assert.equal(outcome, 'ECONNREFUSED');
    await assert.rejects(startBusProcess({ host: '0.0.0.0' }), /0\.0\.0\.0.*callers must have tokens/);
  });

  it('nobody answers its own question, and a wrong token is not taken', async () => {
    const { id } = await call.publish({ source_agent: 'ASKER', requires_human: true });
    const own = await call.post(`/events/${id}/respond`, { response: 'yes', responder: 'ASKER' });
    assert.equal(own.status, 403);
    assert.match(own.body.detail, /"ASKER" asked this question and cannot answer it/);
    const tokened = await call.post('/events', { source_agent: 'A', action: 'a' }, { authorization: 'Bearer x' });
    assert.equal(tokened.status, 401);
    assert.match(tokened.body.detail, /knows no such token/);
  });
});
