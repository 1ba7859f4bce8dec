import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Fault } from '../src/base/fault.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { payloadHash, returnedId } from '../src/events/capability.ts';
import type { Draft } from '../src/events/draft.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { inProcess, temporaryFolder } from './cli-run.fixtures.ts';

const respond = 'atlas.respond';
const hash = payloadHash({ capability: 'x', arguments: {}, asked_by: { kind: 'anonymous', name: null } });

/** No agent runs here: the bus does it itself. */
describe('atlas.respond', { timeout: 60_000 }, () => {
  let bus: BusProcess;
  let client: Client;
  const folder = temporaryFolder({ after });
  let asked = 0;

  async function ask(more: Partial<Draft> = {}): Promise<string> {
    const question = { requires_human: true, human_question: 'Shall we?', human_options: ['yes', 'no'] };
    const id = `question-${asked++}-${process.pid}`;
    const receipt = await client.publish({ id, source_agent: 'HEPHAESTUS', action: 'may_i', ...question, ...more });
    return receipt.id;
  }
  const token = async (name: string, kind: 'agent' | 'person' | 'tool', ...scopes: string[]) =>
    (await tokenFor(bus, { name, kind, scopes })).secret;
  const as = async (...who: Parameters<typeof token>) => makeClient({ url: bus.url, token: await token(...who) });
  async function cliOf(...who: Parameters<typeof token>) {
    const file = join(folder, `${who[0]}-${asked++}.token`);
    writeFileSync(file, await token(...who), { mode: 0o600 });
    return inProcess(bus.url, undefined, undefined, file);
  }
  const anna = () => as('anna', 'person', 'read', 'answer', 'call:atlas.*');

  before(async () => {
    bus = await startBusProcess({ aheadMs: 1 });
    client = makeClient({ url: bus.url });
  });
  after(() => bus.stop());

  it('answers as whoever calls, through the door that they came by, and both are events of the matter', async () => {
    const question = await ask({ target: 'dev', correlation_id: 'deploy-7' });
    const answer = { question, answer: 'yes', reason: 'It is late.' };
    const call = await (await anna()).callCapability(respond, answer, { via: 'telegram' });
    const { responded_at, ...result } = call.result as Record<string, string>;
    assert.deepEqual(result, { question, answer: 'yes', responded_by: 'anna', responded_via: 'telegram' });
    const { human_response, human_responded_by, human_responded_via, human_responded_at } =
      await client.event(question);
    assert.deepEqual([human_response, human_responded_by], ['yes', 'anna']);
    assert.deepEqual([human_responded_via, human_responded_at], ['telegram', responded_at]);
    const [told] = (await client.events({ action: 'human_responded', limit: 1 })).events;
    assert.deepEqual([told?.causation_id, told?.details?.reason], [question, 'It is late.']);
    const asked = await client.event(call.id);
    assert.deepEqual([asked.source_agent, asked.action], ['EVENT-BUS', 'atlas_respond_called']);
    assert.deepEqual([asked.causation_id, asked.correlation_id], [question, 'deploy-7']);
    assert.deepEqual(asked.details?.asked_by, { kind: 'person', name: 'anna' });
    const returned = await client.event(returnedId(respond, call.id));
    assert.deepEqual([returned.source_agent, returned.causation_id], ['EVENT-BUS', call.id]);
    assert.deepEqual(await client.callState(call.id), call);
  });

  it('is a command: by the beginning of an id, with the hash of an approval as it was read', async () => {
    const cli = await cliOf('berta', 'person', 'read', 'approve', 'call:atlas.respond');
    const plain = await ask({ id: `plain-${process.pid}` });
    const { exit, stdout, stderr } = await cli('atlas', 'respond', 'plain-', 'no', '--reason', 'Not now.');
    assert.deepEqual([exit, stderr], [0, '']);
    assert.match(stdout, new RegExp(`^question\t${plain}\nanswer\tno\nresponded_by\tberta\nresponded_via\tcli\n`));
    const approval = await ask({ payload_hash: hash });
    assert.equal((await cli('atlas', 'respond', approval, 'yes')).exit, 0);
    assert.equal((await client.event(approval)).human_responded_by, 'berta');
    const said = await ask({ id: `said-${process.pid}` });
    assert.equal((await cli('atlas', 'answer said- yes')).exit, 0);
    assert.equal((await client.event(said)).human_response, 'yes');
  });

  it('takes the beginning of the id of an open question, and says when that is none or not enough', async () => {
    const one = await ask({ id: `pre-1-${process.pid}` });
    const other = await ask({ id: `pre-2-${process.pid}` });
    const call = (question: string) => client.callCapability(respond, { question, answer: 'yes' });
    await assert.rejects(call('pre-'), { code: 'usage', message: new RegExp(`beginning of 2 ids: ${one}, ${other}`) });
    await assert.rejects(call('nothing-'), { code: 'not-found', message: 'No question has the id nothing-.' });
    assert.equal((await call('pre-1')).result?.question, one);
    await assert.rejects(call('pre-1'), { code: 'already-resolved' });
    await assert.rejects(call(one), { code: 'already-resolved' });
  });

  it('refuses as the direct answer does, in the same words, and leaves the question as it is', async () => {
    const tool = await as('bot', 'tool', 'read', 'approve', 'call:*');
    const hephaestus = await as('HEPHAESTUS', 'agent', 'read', 'answer', 'call:*');
    const [person, approver] = [await anna(), await as('carla', 'person', 'read', 'approve', 'call:*')];
    const cases: [who: Client, question: Partial<Draft>, answer: string, code: string, given?: string][] = [
      [person, {}, 'maybe', 'invalid'],
      [person, { answerers: ['dora'] }, 'yes', 'forbidden'],
      [hephaestus, {}, 'yes', 'forbidden'],
      [person, { human_timeout_minutes: 0, human_fallback: 'no' }, 'yes', 'already-resolved'],
      [person, { requires_human: false, human_question: null, human_options: null }, 'yes', 'asks-nothing'],
      [client, { payload_hash: hash }, 'yes', 'forbidden', hash],
      [tool, { payload_hash: hash }, 'yes', 'forbidden', hash],
      [person, { payload_hash: hash }, 'yes', 'forbidden', hash],
      [approver, { payload_hash: hash }, 'yes', 'invalid'],
      [approver, { payload_hash: hash }, 'yes', 'conflict', `${hash.slice(1)}0`],
    ];
    for (const [who, asking, response, code, payload_hash] of cases) {
      const question = await ask(asking);
      const was = await client.event(question);
      const direct = await who.respond(question, { response, payload_hash }).catch((fault: Fault) => fault);
      const called = await who
        .callCapability(respond, { question, answer: response, ...(payload_hash && { payload_hash }) })
        .catch((fault: Fault) => fault);
      assert.ok(direct instanceof Error && called instanceof Error, code);
      assert.deepEqual([called.code, called.message], [code, direct.message]);
      const { call, ...extra } = called.extra;
      assert.deepEqual(extra, direct.extra);
      assert.equal((await client.callState(String(call))).status, 'failed');
      assert.deepEqual(await client.event(question), was);
    }
  });

  it('keeps why also with leveredge answer', async () => {
    const question = await ask();
    const cli = await cliOf('gerda', 'person', 'read', 'answer');
    const { exit, stderr } = await cli('answer', question, 'no', '--reason', 'Too early.');
    assert.deepEqual([exit, stderr], [0, '']);
    const [told] = (await client.events({ action: 'human_responded', limit: 1 })).events;
    assert.deepEqual([told?.causation_id, told?.details?.reason], [question, 'Too early.']);
  });

  it('tells the one who comes late who was first, when and where', async () => {
    const question = await ask();
    await client.respond(question, { response: 'no', responder: 'dora', via: 'telegram' });
    const cli = await cliOf('emma', 'person', 'read', 'answer', 'call:atlas.respond');
    const { exit, stderr } = await cli('atlas', 'respond', question, 'yes');
    assert.equal(exit, 6);
    assert.match(stderr, /decided already: dora answered "no" via telegram at \d{4}-.*Z\./);
  });

  it('needs the right to answer beside that to call, and the deadline counts', async () => {
    const question = await ask({ human_timeout_minutes: 5 });
    const newest = (await client.events({ limit: 1 })).events[0]?.id;
    for (const scopes of [
      ['read', 'call:atlas.respond'],
      ['read', 'answer'],
    ]) {
      const call = (await as('fred', 'person', ...scopes)).callCapability(respond, { question, answer: 'yes' });
      await assert.rejects(call, { code: 'forbidden' });
    }
    assert.equal((await client.events({ limit: 1 })).events[0]?.id, newest, 'nothing was called');
    await bus.advance(5 * 60_000);
    await assert.rejects(client.callCapability(respond, { question, answer: 'yes' }), { code: 'already-resolved' });
  });

  it('is one answer however often the same is asked for with its key', async () => {
    const question = await ask({ id: `once-${process.pid}` });
    const who = await anna();
    const start = question.slice(0, -1);
    const call = () => who.callCapability(respond, { question: start, answer: 'yes' }, { idempotencyKey: question });
    const [one, two] = await Promise.all([call(), call()]);
    assert.deepEqual([one.status, two], ['done', one]);
    assert.deepEqual(await call(), one);
    const told = (await client.events({ action: 'atlas_respond_returned', limit: 3 })).events;
    assert.equal(told.filter(({ causation_id }) => causation_id === one.id).length, 1);
  });

  it('lets exactly one of many win', async () => {
    const question = await ask();
    const calls = ['yes', 'no', 'yes', 'no'].map((answer) => client.callCapability(respond, { question, answer }));
    const ends = await Promise.allSettled(calls);
    assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const end of ends) if (end.status === 'rejected') assert.equal(end.reason.code, 'already-resolved');
  });
});
