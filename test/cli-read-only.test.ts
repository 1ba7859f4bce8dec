import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { agentNames } from '../src/channels/cli/door.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { inProcess, temporaryFolder } from './cli-run.fixtures.ts';

type Cli = ReturnType<typeof inProcess>;

/**
 * Every command, with what follows it. `refused`: it changes something at the bus. `reads`: it does not. `here`: it works on this
 * machine, in its own user's name, and the bus has no say in it.
 */
type Entry = { kind: 'refused' | 'reads'; words: readonly string[] } | { kind: 'here' };
const here: Entry = { kind: 'here' };
const reads = (...words: string[]): Entry => ({ kind: 'reads', words });
const refused = (...words: string[]): Entry => ({ kind: 'refused', words });

/** What capabilities are is told in capability-doors.test.ts, for each of them. */
const ofAgents: readonly string[] = agentNames;

function entries({ event, question, subscription, letter }: Seeded): Record<string, Entry> {
  return {
    ...{ up: here, bus: here, agent: here, backup: here, init: here, doctor: here, completion: here, help: here },
    ...{ 'token create': here, 'token list': here, 'token revoke': here, 'audit verify': here, 'audit key': here },
    // The bot shows the bus tokens of its own, and who answers through it is tried in telegram-bot.test.ts.
    ...{ 'telegram setup': here, 'telegram bot': here, 'fake-telegram': here },
    // Has no end; its stream needs `read`, as every route is tried in bus-tokens.test.ts.
    tail: here,
    agents: reads(),
    events: reads(),
    pending: reads(),
    inbox: reads('CHRONOS'),
    explain: reads('deploy_started'),
    'subscriptions list': reads(),
    'dead-letters list': reads(),
    publish: refused('deploy_started', '--source', 'READER'),
    ask: refused('May I?', '--source', 'READER'),
    answer: refused(question, 'yes'),
    cancel: refused(question),
    ack: refused(event, 'CHRONOS'),
    claim: refused('CHRONOS'),
    nack: refused('CHRONOS', letter, 'a lease'),
    'subscriptions add': refused('READER', '*'),
    'subscriptions change': refused(subscription, '--priority', '9'),
    'subscriptions enable': refused(subscription),
    'subscriptions disable': refused(subscription),
    'subscriptions delete': refused(subscription),
    'dead-letters redrive': refused('CHRONOS', letter),
    'dead-letters discard': refused('CHRONOS', letter),
    'audit checkpoint': refused(),
    retention: refused(),
  };
}

type Seeded = { event: string; question: string; subscription: string; letter: string };

/** Something of each kind that could be changed. */
async function seed(client: Client): Promise<Seeded> {
  const publish = async (more: object = {}) =>
    (await client.publish({ source_agent: 'ME', action: 'deploy_started', target: 'dev', ...more })).id;
  await publish();
  const { deliveries } = await client.claim('CHRONOS');
  const [{ id: letter, lease } = assert.fail('nothing was claimed')] = deliveries;
  await client.nackDelivery({ agent: 'CHRONOS', id: letter, lease }, { reason: 'no', dead: true });
  const question = await publish({ action: 'may_i', requires_human: true, human_options: ['yes', 'no'] });
  const { id: subscription } = await client.addSubscription({ agent_name: 'ADA', action_pattern: 'x_*', priority: 3 });
  return { event: await publish(), question, subscription, letter };
}

async function stateOf(client: Client, { event, question }: Seeded): Promise<unknown> {
  return {
    newest: (await client.events({ limit: 1 })).events[0]?.id,
    event: (await client.event(event)).status,
    question: (await client.event(question)).human_state,
    subscriptions: await client.subscriptions({}),
    letters: (await client.deadLetters()).dead_letters.map(({ id }) => id),
    deliveries: (await client.agents()).map(({ agent, deliveries }) => [agent, deliveries]),
  };
}

/** The names below `Commands:` of a help. */
async function namesIn(cli: Cli, ...words: string[]): Promise<string[]> {
  const { stdout } = await cli(...words, '--help');
  const [, list = ''] = stdout.split(/^Commands:$/m);
  return [...list.matchAll(/^ {2}([a-z][a-z-]*)\b/gm)].map(([, name]) => name as string);
}

describe('the command line of somebody whose token only reads', { timeout: 60_000 }, () => {
  let bus: BusProcess;
  let cli: Cli;
  let client: Client;
  let seeded: Seeded;
  const folder = temporaryFolder({ after });
  before(async () => {
    // Without a rule there is nothing that could be purged.
    bus = await startBusProcess({ yaml: "bus: { retention: [ { actions: 'deploy_*', max_age_days: 90 } ] }" });
    client = makeClient({ url: bus.url });
    const { secret } = await tokenFor(bus, { name: 'READER', kind: 'tool', scopes: ['read'] });
    const file = join(folder, 'token');
    writeFileSync(file, secret, { mode: 0o600 });
    cli = inProcess(bus.url, undefined, undefined, file);
    seeded = await seed(client);
  });
  after(() => bus.stop());

  it('is refused whatever changes something at the bus, reads the rest, and nothing has changed then', async () => {
    const before = await stateOf(client, seeded);
    for (const [command, entry] of Object.entries(entries(seeded))) {
      if (entry.kind === 'here') continue;
      const { exit, stderr } = await cli(...command.split(' '), ...entry.words, '--json');
      assert.equal(exit, entry.kind === 'reads' ? 0 : 3, `${command}: ${stderr}`);
      if (entry.kind === 'refused') assert.equal(JSON.parse(stderr).error.code, 'forbidden', `${command}: ${stderr}`);
    }
    assert.deepEqual(await stateOf(client, seeded), before);
  });

  it('is told here of every command that there is', async () => {
    const names = (await namesIn(cli)).filter((name) => !ofAgents.includes(name));
    assert.ok(names.length > 20);
    const known = Object.keys(entries(seeded));
    for (const name of names) {
      const below = name === 'help' ? [] : (await namesIn(cli, name)).filter((each) => each !== 'help');
      for (const each of below.length === 0 ? [name] : below.map((word) => `${name} ${word}`))
        assert.ok(known.includes(each), `say in this file whether ${each} changes something`);
    }
  });
});
