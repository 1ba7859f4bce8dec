import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Fault } from '../../src/base/fault.ts';
import type { Resolution } from '../../src/events/answer.ts';
import { start } from '../cli-run.fixtures.ts';
import {
  announce,
  asideOf,
  asked,
  assertBroken,
  assertWhole,
  breakTarget,
  brokenDeploy,
  happened,
  hasCome,
  makeStory,
  makeStoryInTime,
  questionOf,
  type Story,
  saidTwice,
  through,
  trail,
  wholeTrail,
} from './story.fixtures.ts';

const hourMs = 3_600_000;
const has = (program: string) => spawnSync(program, ['--version']).status === 0;

/** The deployment failed and was rolled back, all of it once, and the target is as it was. */
async function assertRolledBack(story: Story): Promise<void> {
  assert.deepEqual(await trail(story), wholeTrail);
  assertWhole(story.stand);
  assert.equal(asideOf(story.stand).length, 1);
}

async function assertUntouched(story: Story, ...end: string[]): Promise<void> {
  assert.deepEqual(await trail(story), [...wholeTrail.slice(0, 5), ...end]);
  assertBroken(story.stand);
  assert.deepEqual(asideOf(story.stand), []);
}

describe('a deployment that breaks its target', { timeout: 240_000, concurrency: 3 }, () => {
  it('is backed up before, rolled back when a person says so, and told from its beginning to its end', async (t) => {
    const story = await makeStory(t, { agents: ['chronos', 'hades', 'atlas'] });
    const { client, stand } = story;
    await brokenDeploy(story, 'deploy-1');
    const { call, question, yes } = await asked(story, 'deploy-1-failed');
    assertBroken(stand);
    const { human_question } = await client.event(question);
    assert.match(human_question ?? '', /^Roll dev back to dev-\S+\?\n/);
    const anna = await story.person('anna');
    await anna.respond(question, yes);
    const { status, result, approval } = await through(story, call);
    assert.deepEqual([status, approval?.response, approval?.responded_by], ['done', 'yes', 'anna']);
    await assertRolledBack(story);
    const backup = await hasCome(story, 'backup_completed', 'deploy-1');
    assert.deepEqual([result?.outcome, result?.backup], ['committed', backup.details?.backup]);
    const events = await happened(story);
    const causes = events.map(({ causation_id }) => causation_id);
    const causedBy = [null, 'deploy-1', 'deploy-1', 'deploy-1-failed', call, question, call, call, call];
    assert.deepEqual(causes, causedBy);
    const ofMatter = events.filter(({ source_agent }) => source_agent !== 'GAIA').slice(1);
    assert.deepEqual([...new Set(ofMatter.map(({ correlation_id }) => correlation_id))], ['deploy-1']);

    for (const id of ['deploy-1', question, events[7]?.id as string]) {
      const { exit, stdout, stderr } = await story.leveredge('atlas', 'trace', id, '--json');
      assert.equal(exit, 0, stderr);
      const told = JSON.parse(stdout) as Told;
      assert.deepEqual([told.matter, told.is_whole], ['deploy-1', true], id);
      assert.deepEqual(
        told.trace.map(({ source_agent, action }) => `${source_agent} ${action}`),
        wholeTrail,
      );
      assert.deepEqual(
        told.trace.map(({ depth }) => depth),
        [0, 1, 1, 2, 3, 4, 3, 3, 3],
      );
    }
    const { exit, stdout } = await story.leveredge('atlas', 'trace', 'deploy-1');
    assert.equal(exit, 0);
    const lines = stdout
      .split('\n')
      .filter((line) => wholeTrail.some((each) => line.includes(each.split(' ')[1] ?? '')));
    assert.equal(lines.length, wholeTrail.length, stdout);
    assert.match(stdout, /Roll dev back to \S+\? yes, by anna/);
  });

  it('is rolled back by an answer on the command line, with the owner’s token of the home', async (t) => {
    const story = await makeStory(t);
    await brokenDeploy(story, 'deploy-1');
    const { call, question } = await asked(story, 'deploy-1-failed');
    const { exit, stdout, stderr } = await story.leveredge('answer', question, 'yes');
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /is answered: yes/);
    assert.equal((await through(story, call)).status, 'done');
    await assertRolledBack(story);
    const again = await story.leveredge('answer', question, 'no');
    assert.equal(again.exit, 6);
    assert.match(again.stderr, /decided already: \S+ answered "yes" via cli/);
    await assertRolledBack(story);
  });

  it('is rolled back by an answer of curl, and of nobody without a person’s token', {
    skip: !has('curl') && 'no curl here',
  }, async (t) => {
    const story = await makeStory(t);
    await brokenDeploy(story, 'deploy-1');
    const { call, question, yes } = await asked(story, 'deploy-1-failed');
    const { secret } = await story.person('anna');
    const curl = async (body: object, ...more: string[]) => {
      const words = ['-sS', '-w', '\n%{http_code}', '-H', 'content-type: application/json', ...more];
      const url = `${story.url}/events/${question}/respond`;
      const { stdout } = await start([...words, '-d', JSON.stringify(body), url], {}, ['curl']).ended;
      return Number(stdout.split('\n').at(-1));
    };
    const token = ['-H', `authorization: Bearer ${secret}`];
    assert.ok([401, 403].includes(await curl(yes)));
    assert.equal(await curl({ response: 'yes' }, ...token), 422);
    // Another hash is of something else than what is asked.
    const other = { ...yes, payload_hash: 'f'.repeat(64) };
    assert.equal(await curl(other, ...token), 409);
    assert.equal((await story.client.callState(call)).status, 'pending_approval');
    await assertUntouched(story);
    assert.equal(await curl(yes, ...token), 200);
    assert.equal((await through(story, call)).status, 'done');
    await assertRolledBack(story);
  });

  it('is left as it is after a no', async (t) => {
    const story = await makeStory(t);
    await brokenDeploy(story, 'deploy-1');
    const { call, question, yes } = await asked(story, 'deploy-1-failed');
    await (await story.person('anna')).respond(question, { ...yes, response: 'no' });
    assert.equal((await through(story, call)).status, 'refused');
    // A second one is asked anew, and what is done then is done after everything before.
    await story.client.publish({ source_agent: 'ARGUS', action: 'health_check_failed', target: 'dev', id: 'sick' });
    await asked(story, 'sick');
    const repeated = [
      'ARGUS health_check_failed',
      'EVENT-BUS hades_rollback_called',
      'EVENT-BUS hades_rollback_approval',
    ];
    await assertUntouched(story, 'EVENT-BUS human_responded', ...repeated);
  });

  it('is left as it is when nobody answers within the hour', async (t) => {
    const story = await makeStoryInTime(t);
    await brokenDeploy(story, 'deploy-1');
    const { call, question, yes } = await asked(story, 'deploy-1-failed');
    await story.advance(hourMs - 60_000);
    assert.equal((await story.client.callState(call)).status, 'pending_approval');
    await story.advance(61_000);
    const { status, approval } = await through(story, call);
    assert.deepEqual([status, approval?.response, approval?.responded_by], ['refused', 'no', null]);
    const { human_state, human_response } = await story.client.event(question);
    assert.deepEqual([human_state, human_response], ['timed_out', 'no']);
    const timedOut = await hasCome(story, 'human_timed_out', question);
    assert.equal(timedOut.details?.response, 'no');
    const late = (await story.person('anna')).respond(question, yes);
    await assert.rejects(late, { code: 'already-resolved' });
    await assertUntouched(story, 'EVENT-BUS human_timed_out');
  });

  it('is decided by exactly one of two people and the deadline, whoever comes first', async (t) => {
    const story = await makeStoryInTime(t);
    const { client, stand } = story;
    const who = { anna: await story.person('anna'), berta: await story.person('berta') };
    await announce(story, 'deploy-1');
    await hasCome(story, 'backup_completed', 'deploy-1');
    let restores = 0;
    // Where the hour is over while GAIA restores, what HADES holds is lost to it, and comes again.
    for (const order of ['clock:0 anna berta', 'anna berta clock:3', 'anna berta clock:300', 'berta anna clock:300']) {
      breakTarget(stand);
      const { id } = await client.callCapability('hades.rollback', { target: 'dev' }, { waitSeconds: 0 });
      const { question, yes } = await questionOf(story, id);
      for (const one of Object.values(who)) await one.health();
      const fate = { anna: 'yes', berta: 'no' };
      const answers = order.split(' ').map(async (each) => {
        const [name, afterMs] = each.split(':');
        if (name === 'clock') {
          await pause(Number(afterMs));
          return void (await story.advance(hourMs + 1000));
        }
        const one = name as 'anna' | 'berta';
        return who[one].respond(question, { ...yes, response: fate[one] }).catch((fault: Fault) => fault);
      });
      const told = (await Promise.all(answers)).filter((each) => each !== undefined);
      const { status, approval } = await through(story, id);
      const by = approval?.responded_by ?? null;
      const losers = told.filter((each) => each instanceof Fault);
      assert.equal(losers.length, by === null ? 2 : 1, order);
      for (const { code, extra } of losers) {
        const { responded_by, response } = extra.resolution as Resolution;
        assert.deepEqual([code, responded_by, response], ['already-resolved', by, approval?.response], order);
      }
      assert.equal(approval?.response, by === null ? 'no' : fate[by as 'anna' | 'berta']);
      assert.equal(status, approval?.response === 'yes' ? 'done' : 'refused', order);
      if (status === 'done') {
        restores++;
        assertWhole(stand);
      } else assertBroken(stand);
      assert.equal(asideOf(stand).length, restores, order);
    }
    const ends = (await trail(story)).filter((each) => each === 'GAIA restore_completed');
    assert.equal(ends.length, restores);
    assert.deepEqual(await saidTwice(story), []);
  });

  it('is left as it is when what would be done is not what was asked any more', async (t) => {
    const story = await makeStory(t);
    const { stand } = story;
    await brokenDeploy(story, 'deploy-1');
    const { call, question, yes } = await asked(story, 'deploy-1-failed');
    appendFileSync(stand.config, '      exclude: [ notes ]\n');
    await (await story.person('anna')).respond(question, yes);
    const { status, error } = await through(story, call);
    assert.deepEqual([status, error?.code], ['failed', 'conflict']);
    assert.match(error?.message ?? '', /^The plan is \w+ now, and not /);
    await assertUntouched(story, 'EVENT-BUS human_responded', 'HADES hades_rollback_returned');
  });

  it('has an agent in Python hear of the restore and say what it thinks of it', {
    skip: !has('python3') && 'no python3 here',
  }, async (t) => {
    const story = await makeStory(t, { agents: ['chronos', 'hades', 'atlas'] });
    const file = join(story.stand.home, 'auditor.py');
    writeFileSync(file, auditor);
    const python = start([file], { LEVEREDGE_URL: story.url }, ['python3']);
    t.after(() => python.child.kill('SIGKILL'));
    await python.says('stdout', /^hears$/);
    await brokenDeploy(story, 'deploy-1');
    const { call, question, yes } = await asked(story, 'deploy-1-failed');
    await (await story.person('anna')).respond(question, yes);
    assert.equal((await through(story, call)).status, 'done');
    const { exit, stderr } = await python.ended;
    assert.equal(exit, 0, stderr);
    const { id } = await hasCome(story, 'restore_completed', call);
    const passed = await hasCome(story, 'audit_passed', id);
    for (const from of ['deploy-1', passed.id]) {
      const { stdout } = await story.leveredge('atlas', 'trace', from, '--json');
      const { trace, matter } = JSON.parse(stdout) as Told;
      assert.equal(matter, 'deploy-1', from);
      const last = trace.find(({ action }) => action === 'audit_passed');
      assert.deepEqual([last?.source_agent, last?.depth, last?.says], ['AUDITOR', 4, 'as it was']);
      assert.equal(trace.length, wholeTrail.length + 1);
    }
  });
});

type Told = {
  matter: string;
  is_whole: boolean;
  trace: { id: string; source_agent: string; action: string; depth: number; says: string | null }[];
};

/** Claims one delivery, answers it with an event of its own, acknowledges it and ends. */
const auditor = `
import json, os, urllib.request

def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    url = os.environ["LEVEREDGE_URL"] + path
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)

call("POST", "/subscriptions", {"agent_name": "AUDITOR", "action_pattern": "restore_completed"})
print("hears", flush=True)
for turn in range(20):
    inbox = call("POST", "/agents/AUDITOR/deliveries:claim", {"wait_seconds": 5})
    for delivery in inbox["deliveries"]:
        event = delivery["event"]
        call("POST", "/events", {"id": "audit-of-" + event["id"], "source_agent": "AUDITOR", "action": "audit_passed",
             "target": event["target"], "causation_id": event["id"], "details": {"says": "as it was"}})
        call("POST", "/agents/AUDITOR/deliveries/" + delivery["id"] + ":ack", {"lease": delivery["lease"]})
        raise SystemExit(0)
raise SystemExit("heard nothing")
`;
