import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { displayWidth } from '../src/base/display-width.ts';
import type { Rendered } from '../src/channels/cli/render.ts';
import { type Bus, inProcess, startBus, temporaryFolder } from './cli-run.fixtures.ts';

describe('the command line, about deliveries', () => {
  let bus: Bus;
  let cli: (...args: string[]) => Promise<Rendered>;
  let onTerminal: (...args: string[]) => Promise<Rendered>;
  let n = 0;
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home);
    cli = inProcess(bus.url);
    onTerminal = inProcess(bus.url, { is: true, columns: 80 });
  });
  after(() => bus.stop());

  const json = async (...args: string[]) => JSON.parse((await cli(...args, '--json')).stdout);
  /** An agent of its own, to which so many events are owed. */
  async function anAgent(owed: number): Promise<string> {
    const agent = `AGENT-${++n}`;
    await cli('subscriptions', 'add', agent, `work_${n}`);
    for (let i = 0; i < owed; i++) await cli('publish', `work_${n}`, '-t', `${i}`);
    return agent;
  }
  async function deadLetter(agent: string, ...options: string[]): Promise<string> {
    const [{ id, lease }] = (await json('claim', agent)).deliveries;
    assert.equal((await cli('nack', agent, id, lease, '--dead', ...options)).exit, 0);
    return id;
  }

  it('claims, and tells how to settle it', async () => {
    const agent = await anAgent(3);
    const { exit, stdout, stderr } = await cli('claim', agent, '--max', '2', '--lease', '600');
    assert.equal(exit, 0);
    const rows = stdout.trimEnd().split('\n');
    assert.equal(rows.length, 2);
    const [id, lease, until, attempt, event, action, target] = (rows[0] ?? '').split('\t');
    assert.deepEqual([attempt, action, target], ['1', `work_${n}`, '0']);
    assert.ok(Date.parse(until as string) - Date.now() > 500_000);
    const [done, notDone] = stderr.trimEnd().split('\n');
    assert.match(done ?? '', new RegExp(`^Done: (npx )?leveredge ack ID ${agent} --lease LEASE --url http`));
    assert.match(notDone ?? '', new RegExp(`^Not done: (npx )?leveredge nack ${agent} ID LEASE --url http`));
    const wrong = await cli('ack', id as string, agent, '--lease', '1');
    assert.equal(wrong.exit, 6, 'another lease settles nothing');
    assert.ok(event);
    assert.equal((await cli('ack', id as string, agent, '--lease', lease as string)).exit, 0);
    assert.equal((await cli('ack', id as string, agent, '--lease', lease as string)).exit, 0, 'safe to repeat');
    const late = await cli('nack', agent, id as string, lease as string);
    assert.equal(late.exit, 6);
    assert.match(late.stderr, /it was acknowledged/);
    const shown = await onTerminal('claim', agent);
    assert.match(
      shown.stderr.replaceAll('\n', ' '),
      new RegExp(`nack ${agent} +\\d+-\\d+ +\\d+ `),
      'one can be pasted whole',
    );
    for (const line of shown.stdout.split('\n')) assert.ok(displayWidth(line) <= 80, line);
    assert.match(shown.stdout, /^ID +LEASE/);
  });

  it('says when nothing is ready, and waits for it if asked to', async () => {
    const agent = await anAgent(0);
    const empty = await cli('claim', agent);
    assert.deepEqual([empty.exit, empty.stdout, empty.stderr], [0, '', `Nothing is ready for ${agent}.\n`]);
    const waiting = json('claim', agent, '--wait', '20');
    await cli('publish', `work_${n}`);
    assert.equal((await waiting).count, 1);
  });

  it('gives back, later or at once or for good', async () => {
    const agent = await anAgent(1);
    const [{ id, lease }] = (await json('claim', agent)).deliveries;
    const deferred = await cli('nack', agent, id, lease, '--delay', '0.05');
    assert.match(deferred.stdout, new RegExp(`^${id} of ${agent} is ready again at 20.*Z\n$`));
    const [again] = (await json('claim', agent, '--wait', '20')).deliveries;
    assert.equal((await json('nack', agent, id, again.lease, '--delay', '0')).status, 'ready');
    const dead = await deadLetter(agent, '--reason', 'no such host');
    const { dead_letters } = await json('dead-letters', '--agent', agent);
    assert.deepEqual([dead_letters.length, dead_letters[0].id, dead_letters[0].error], [1, dead, 'no such host']);
    assert.equal((await cli('nack', agent, '1-99', lease)).exit, 5);
  });

  it('shows dead letters, in pages and on a terminal', async () => {
    assert.deepEqual((await cli('dead-letters', '--agent', 'NOBODY')).stderr, 'There are no dead letters.\n');
    const agent = await anAgent(3);
    const ids = [
      await deadLetter(agent, '--reason', 'x'.repeat(200)),
      await deadLetter(agent),
      await deadLetter(agent),
    ];
    const first = await cli('dead-letters', '--agent', agent, '-n', '2');
    assert.deepEqual(
      first.stdout
        .trimEnd()
        .split('\n')
        .map((row) => row.split('\t').slice(1, 3)),
      [
        [agent, ids[2]],
        [agent, ids[1]],
      ],
    );
    const after = /add --after (\S+)/.exec(first.stderr)?.[1] as string;
    const second = await cli('dead-letters', 'list', '--agent', agent, '--after', after);
    assert.match(second.stdout, new RegExp(`\t${ids[0]}\twork_${n}\t0\t1\trejected\tx{200}\n$`));
    const shown = (await onTerminal('dead-letters')).stdout;
    for (const line of shown.split('\n')) assert.ok(displayWidth(line) <= 80, line);
  });

  it('redrives one or all, and discards', async () => {
    const agent = await anAgent(4);
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) ids.push(await deadLetter(agent));
    const [one, two] = ids as [string, string];
    assert.equal((await cli('dead-letters', 'redrive', agent, one)).stdout, `${one} is ready again for ${agent}\n`);
    assert.equal((await cli('dead-letters', 'redrive', agent, one)).exit, 5);
    assert.equal((await cli('dead-letters', 'discard', agent, two)).stdout, `${two} of ${agent} is discarded\n`);
    assert.equal((await cli('dead-letters', 'discard', agent, two)).exit, 5);
    assert.deepEqual(await json('dead-letters', 'redrive', '--all', '--agent', agent), { redriven: 2 });
    const all = await cli('dead-letters', 'redrive', '--all');
    assert.match(all.stdout, /^\d+ dead letters? (is|are) ready again\n$/);
    assert.equal((await json('claim', agent, '-n', '9')).count, 3);
    for (const wrong of [[], [agent], ['--agent', agent], ['--all', agent, one]]) {
      const { exit, stderr } = await cli('dead-letters', 'redrive', ...wrong);
      assert.deepEqual([exit, /Name one dead letter/.test(stderr)], [2, true], `${wrong}`);
    }
    const typo = await cli('dead-letters', 'redrve');
    assert.equal(typo.exit, 2);
    assert.match(typo.stderr, /Did you mean redrive/);
  });

  it('publishes for later, and names the option that is wrong', async () => {
    const agent = await anAgent(0);
    const at = new Date(Date.now() + 3_600_000).toISOString();
    const id = (await cli('publish', `work_${n}`, '--deliver-at', at)).stdout.trim();
    assert.equal((await json('events', id)).deliver_at, at);
    assert.equal((await json('claim', agent)).count, 0);
    for (const [args, option] of [
      [['publish', 'x', '--deliver-at', 'soon'], '--deliver-at'],
      [['claim', agent, '--max', '101'], '--max'],
      [['claim', agent, '--lease', '9999'], '--lease'],
      [['claim', agent, '--wait', '51'], '--wait'],
      [['nack', agent, '1-1', '1', '--delay', '9999999'], '--delay'],
    ] as const) {
      const { exit, stderr } = await cli(...args);
      assert.deepEqual([exit, stderr.includes(option)], [2, true], stderr);
    }
  });
});
