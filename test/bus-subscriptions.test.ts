import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { type Caller, callerOf, type Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess, temporaryHome } from './bus-server.fixtures.ts';

describe('subscriptions over HTTP', () => {
  let bus: BusProcess;
  let call: Caller;
  before(async () => {
    bus = await startBusProcess();
    call = await callerOf(bus);
  });
  after(() => bus.stop());

  const add = (subscription: Record<string, unknown>) =>
    call.post('/subscriptions', { agent_name: 'SUB', ...subscription });
  const hearers = async (action: string): Promise<string[]> =>
    (await call.get(`/explain?action=${action}`)).body.hearers.map((one: Wire) => one.agent);

  it('can be added, with defaults, and are heard from then on', async () => {
    const { status, body, headers } = await add({ action_pattern: 'new_*' });
    assert.equal(status, 201);
    assert.equal(headers.get('location'), `/subscriptions/${body.id}`);
    assert.equal(body.agent_name, 'SUB');
    assert.equal(body.action_pattern, 'new_*');
    assert.equal(body.priority, 5);
    assert.equal(body.mode, 'queue');
    assert.equal(body.enabled, true);
    assert.deepEqual(body.except, []);
    assert.equal(body.origin, 'operator');
    assert.equal(body.deleted_at, null);
    assert.ok((await call.publish({ action: 'new_thing' })).subscribed_agents.includes('SUB'));
    assert.deepEqual((await call.get('/subscriptions?agent=SUB')).body, {
      subscriptions: [body],
      count: 1,
      next: null,
    });
  });

  it('can be read one by one where the answer says, also when deleted', async () => {
    const added = await add({ action_pattern: 'one_*' });
    const where = added.headers.get('location') as string;
    assert.deepEqual((await call.get(where)).body, added.body);
    await call.delete(where);
    const { body } = await call.get(where);
    assert.equal(typeof body.deleted_at, 'string');
    assert.equal(body.enabled, false);
    assert.equal((await call.get('/subscriptions/nothing')).status, 404);
  });

  it('are listed in pages, by either name of the agent', async () => {
    for (const n of [3, 1, 2]) await add({ agent_name: 'PAGED', action_pattern: `p${n}`, priority: n });
    const patterns: string[] = [];
    let after = '';
    do {
      const { body } = await call.get(`/subscriptions?agent_name=PAGED&limit=2&after=${after}`);
      patterns.push(...body.subscriptions.map((one: Wire) => one.action_pattern));
      after = body.next ?? '';
    } while (after !== '');
    assert.deepEqual(patterns, ['p1', 'p2', 'p3']);
    for (const query of ['limit=0', 'limit=-1', 'limit=1001', 'after=nowhere', 'agent=A&agent_name=B'])
      assert.equal((await call.get(`/subscriptions?${query}`)).status, 422, query);
  });

  it('follow the table when its owner edits it in the sqlite3 shell', async (t) => {
    const shell = new DatabaseSync(bus.databaseFile);
    t.after(() => shell.close());
    shell.exec("INSERT INTO agent_subscriptions (agent_name, action_pattern, priority) VALUES ('SHELL', 'by_hand', 2)");
    assert.deepEqual(await hearers('by_hand'), ['SHELL', 'ARIA', 'ATHENA']);
    assert.deepEqual((await call.publish({ action: 'by_hand' })).subscribed_agents, ['SHELL', 'ARIA', 'ATHENA']);
    shell.exec("UPDATE agent_subscriptions SET enabled = 0 WHERE agent_name = 'SHELL'");
    assert.deepEqual((await call.publish({ action: 'by_hand' })).subscribed_agents, ['ARIA', 'ATHENA']);
    const { body } = await call.get('/subscriptions?agent=SHELL');
    assert.match(body.subscriptions[0].created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    for (const broken of [
      'priority = 11',
      "mode = 'both'",
      "except_patterns = 'foo_*'",
      "except_patterns = '{}'",
      'enabled = 2',
    ])
      assert.throws(() => shell.exec(`UPDATE agent_subscriptions SET ${broken}`), /CHECK/, broken);
    assert.equal(
      shell.prepare('SELECT count(*) AS n FROM agent_subscriptions WHERE deleted_at IS NOT NULL AND enabled = 1').get()
        ?.n,
      0,
    );
  });

  it('are not added twice; the 409 carries the one that is there', async () => {
    const first = await add({ action_pattern: 'twice' });
    const again = await add({ action_pattern: 'twice', priority: 1 });
    assert.equal(again.status, 409);
    assert.deepEqual(again.body.subscription, first.body);
    const own = await add({ action_pattern: 'twice', priority: 1, only_if_new: true });
    assert.equal(own.status, 200);
    assert.deepEqual(own.body, first.body);
  });

  it('can be changed, disabled and excepted', async () => {
    const { body } = await add({ action_pattern: 'change_*' });
    const path = `/subscriptions/${body.id}`;
    const changed = await call.patch(path, { priority: 1, mode: 'tail', except: ['change_noise'] });
    assert.equal(changed.status, 200);
    assert.equal(changed.body.priority, 1);
    assert.equal(changed.body.mode, 'tail');
    assert.ok(!(await hearers('change_noise')).includes('SUB'));
    assert.ok((await hearers('change_signal')).includes('SUB'));
    await call.patch(path, { enabled: false });
    assert.ok(!(await hearers('change_signal')).includes('SUB'));
    const { silent } = (await call.get('/explain?action=change_signal')).body;
    assert.ok(silent.some((one: Wire) => one.agent === 'SUB' && one.because === 'disabled'));
    const nothing = await call.patch(path, { priorty: 2 });
    assert.equal(nothing.status, 422);
    assert.equal((await call.patch(path, { priority: 11 })).status, 422);
    assert.equal((await call.patch('/subscriptions/nothing', { priority: 1 })).status, 404);
  });

  it('stay deleted over a restart, also a default, until the operator adds them again', async (t) => {
    const home = temporaryHome(t);
    let own = await startBusProcess({ home }, t);
    let its = await callerOf(own);
    const chronos = async (query = '') =>
      (await its.get(`/subscriptions?agent=CHRONOS${query}`)).body.subscriptions as Wire[];
    const victim = (await chronos()).find((one) => one.action_pattern === 'build_started');
    const path = `/subscriptions/${victim.id}`;
    const deleted = await its.delete(path);
    assert.equal(deleted.status, 200);
    assert.notEqual(deleted.body.deleted_at, null);
    assert.equal((await its.delete(path)).status, 200);
    await own.stop();
    own = await startBusProcess({ home }, t);
    its = await callerOf(own);
    const pattern = (one: Wire) => one.action_pattern === 'build_started';
    assert.ok(!(await chronos()).some(pattern));
    assert.ok((await chronos('&deleted=true')).some(pattern));
    const body = { agent_name: 'CHRONOS', action_pattern: 'build_started' };
    const agents = await its.post('/subscriptions', { ...body, only_if_new: true });
    assert.equal(agents.status, 200);
    assert.notEqual(agents.body.deleted_at, null);
    assert.equal((await its.post('/subscriptions', body)).status, 201);
    assert.ok((await chronos()).some(pattern));
    assert.equal((await its.delete('/subscriptions/nothing')).status, 404);
    await own.stop();
  });

  it('GET /explain tells who would hear an action, by which pattern, at what priority', async () => {
    const { body } = await call.get('/explain?action=backup_completed');
    const hermes = body.hearers.find((one: Wire) => one.agent === 'HERMES');
    assert.equal(hermes.priority, 5);
    assert.deepEqual([hermes.pattern, ...hermes.also].sort(), ['*_completed', 'backup_completed']);
    assert.equal(body.requires_human, false);
    const question = (await call.get('/explain?action=any&requires_human=yes')).body;
    const heard = question.hearers.find((one: Wire) => one.agent === 'HERMES');
    assert.equal(heard.heard_as, 'human_input_required');
    assert.equal((await call.get('/explain')).status, 422);
  });
});
