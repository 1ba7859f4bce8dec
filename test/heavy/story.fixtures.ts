import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Client, makeClient } from '../../src/client/client.ts';
import { approvalAction } from '../../src/events/capability.ts';
import type { Event } from '../../src/events/event.ts';
import { holderOf } from '../../src/recovery/run/lock.ts';
import { type BusProcess, startBusProcess } from '../bus-server.fixtures.ts';
import { tokenFor } from '../bus-token.fixtures.ts';
import { start } from '../cli-run.fixtures.ts';
import { makeStand, rowsOf, type Stand } from '../recovery/gaia.fixtures.ts';

export type AgentName = 'chronos' | 'hades' | 'atlas';
export type RunningAgent = {
  pid: number;
  kill(): Promise<void>;
  /** What it works on: the event that it has heard, or the call. */
  inHand(): Promise<string | null>;
  /** What it works on for others. */
  callInHand(): Promise<string | null>;
};

/** A bus and agents, each a process of its own, on a home with the target `dev`. All of it ends with its test. */
export type Story = {
  stand: Stand;
  url: string;
  client: Client;
  /** Kills the bus, as a power cut would. */
  killBus(): Promise<void>;
  /** A bus on the same home and port again. */
  startBus(): Promise<void>;
  agent(name: AgentName, env?: Record<string, string>, lease?: string): Promise<RunningAgent>;
  /** A command line of this home: `leveredge …`. */
  leveredge(...words: string[]): ReturnType<typeof start>['ended'];
  /** Somebody with the token of a person who may approve. */
  person(name: string): Promise<Client & { secret: string }>;
};

type Working = { working_on: string | null };

/** Short, so that what a killed agent held comes again soon. */
const shortLease = '2';
const limitMs = 45_000;
const health = 'health: none';

export async function until<T>(what: () => T | undefined | false | Promise<T | undefined | false>, everyMs = 20) {
  for (const began = performance.now(); performance.now() - began < limitMs; await pause(everyMs)) {
    const found = await what();
    if (found !== undefined && found !== false) return found;
  }
  assert.fail(`never came to be: ${what}`);
}

type StoryOptions = { rows?: number; agents?: AgentName[]; schedule?: string };

export async function makeStory(
  t: TestContext,
  { rows = 10, agents = ['chronos', 'hades'], ...more }: StoryOptions = {},
): Promise<Story> {
  const { ends, stand } = makeHome(t, rows, more);
  return begin(stand, ends, agents);
}

/** The same on a home with a target that is there already, and stays. */
export async function storyAt(t: { after(end: () => unknown): void }, stand: Stand, agents: AgentName[]) {
  const ends: Ends = [];
  t.after(() => endAll(ends));
  return begin(stand, ends, agents);
}

type Ends = (() => void | Promise<void>)[];

async function endAll(ends: Ends): Promise<void> {
  for (const end of ends.reverse()) await end();
}

async function begin(stand: Stand, ends: Ends, agents: AgentName[]): Promise<Story> {
  const { home } = stand;
  const run = (port: string) => start(['bus', '--home', home, '--port', port, '--json']);
  let bus = run('0');
  ends.push(() => void bus.child.kill('SIGKILL'));
  const [line] = await bus.says('stdout', /^\{.*\}$/);
  const { url } = JSON.parse(line) as { url: string };
  const story: Story = {
    ...storyOn(stand, url, ends),
    async killBus() {
      bus.child.kill('SIGKILL');
      await bus.ended;
    },
    async startBus() {
      bus = run(new URL(url).port);
      await bus.says('stdout', /^\{.*\}$/);
    },
  };
  await Promise.all(agents.map((name) => story.agent(name)));
  return story;
}

/** The same with a bus whose clock can be moved. */
export async function makeStoryInTime(t: TestContext): Promise<Story & Pick<BusProcess, 'advance'>> {
  const { home, ends, stand } = makeHome(t, 10);
  const bus = await startBusProcess({ home, aheadMs: 1 });
  ends.push(() => bus.kill());
  const never = () => Promise.reject(new Error('this one stays'));
  const story = { ...storyOn(stand, bus.url, ends), killBus: never, startBus: never, advance: bus.advance };
  await Promise.all([story.agent('chronos'), story.agent('hades')]);
  return story;
}

function makeHome(t: TestContext, rows: number, more: Pick<StoryOptions, 'schedule'> = {}) {
  const home = mkdtempSync(join(tmpdir(), 'leveredge-story-'));
  const ends: Ends = [];
  const stand = makeStand(t, { home, rows, more: health, ...more });
  t.after(async () => {
    await endAll(ends);
    // A stopped process would be left for ever.
    const pid = gaiaAtWork(stand);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  return { home, ends, stand };
}

function storyOn(stand: Stand, url: string, ends: Ends) {
  const { home } = stand;
  return {
    stand,
    url,
    client: makeClient({ url }),
    async agent(name: AgentName, env: Record<string, string> = {}, lease = shortLease): Promise<RunningAgent> {
      const words = ['--home', home, '--url', url, '--port', '0', '--lease', lease, '--json'];
      const { child, ended, says } = start(['agent', name, ...words], env);
      const kill = async () => {
        child.kill('SIGKILL');
        await ended;
      };
      ends.push(kill);
      const [line] = await says('stdout', /^\{.*\}$/);
      const { pid, health } = JSON.parse(line) as { pid: number; health: string };
      assert.equal(pid, child.pid);
      const working = async () => {
        const { working_on, calls } = (await (await fetch(health)).json()) as Working & { calls: Working };
        return { event: working_on, call: calls.working_on };
      };
      return {
        pid,
        kill,
        callInHand: async () => (await working()).call,
        inHand: async () => {
          const { event, call } = await working();
          return event ?? call;
        },
      };
    },
    leveredge: (...words: string[]) => start([...words, '--home', home], { NO_COLOR: '1' }).ended,
    async person(name: string) {
      const scopes = ['read', 'approve'];
      const { secret } = await tokenFor({ databaseFile: databaseOf(home) }, { name, kind: 'person', scopes });
      return { ...makeClient({ url, token: secret }), secret };
    },
  };
}

function databaseOf(home: string): string {
  const found = readdirSync(home, { recursive: true, encoding: 'utf8' }).find(
    (name) => name.endsWith('events.db') && !name.startsWith('data-plane'),
  );
  return join(home, found ?? assert.fail('the bus has no database'));
}

/** The process that works on the backups now. */
export function gaiaAtWork({ backups }: Stand): number | undefined {
  return holderOf({ state: join(backups, '.gaia') })?.pid;
}

const publisher = { source_agent: 'HEPHAESTUS', target: 'dev' };

export function announce({ client }: Story, id: string) {
  return client.publish({ ...publisher, action: 'deploy_started', id });
}

/** A deployment is announced, backed up before, breaks what was there and fails. */
export async function brokenDeploy(story: Story, id: string): Promise<void> {
  await announce(story, id);
  await hasCome(story, 'backup_completed', id);
  breakTarget(story.stand);
  await deployFailed(story, id);
}

export function deployFailed({ client }: Story, id: string) {
  return client.publish({
    ...publisher,
    ...{ action: 'deploy_failed', id: `${id}-failed`, causation_id: id, correlation_id: id },
  });
}

export function breakTarget({ root, database }: Stand): void {
  writeFileSync(join(root, 'notes'), 'broken\n');
  rmSync(join(root, 'compose.yml'), { force: true });
  writeFileSync(join(root, 'left by the deployment'), 'x');
  const db = new DatabaseSync(database);
  db.exec('DELETE FROM event WHERE n > 3');
  db.close();
}

export function assertWhole({ root, database }: Stand, rows = 10): void {
  assert.equal(readFileSync(join(root, 'notes'), 'utf8'), 'the first state\n');
  assert.deepEqual(readdirSync(root).sort(), ['compose.yml', 'notes', 'state']);
  assert.equal(rowsOf(database), rows);
}

export function assertBroken({ root, database }: Stand): void {
  assert.equal(readFileSync(join(root, 'notes'), 'utf8'), 'broken\n');
  assert.equal(rowsOf(database), 3);
}

/** What restores have put aside beside the target. */
export function asideOf({ root }: Stand): string[] {
  return readdirSync(dirname(root)).filter((name) => name.startsWith(`${basename(root)}.pre-restore.`));
}

/** Everything on the bus of what happened, the oldest first; reading leaves events too, which are left out. */
export async function happened({ client }: Pick<Story, 'client'>): Promise<Event[]> {
  const { events } = await client.events({ limit: 1000 });
  return events.filter(({ action }) => !/^(atlas|chronos)_\w+_(called|returned)$/.test(action)).reverse();
}

export const trail = async (story: Pick<Story, 'client'>) =>
  (await happened(story)).map(({ source_agent, action }) => `${source_agent} ${action}`);

/** The first event of this action, of this cause if one is named, once it is there. */
export function hasCome(story: Pick<Story, 'client'>, action: string, cause?: string) {
  return until(async () =>
    (await happened(story)).find(
      (each) => each.action === action && (cause === undefined || each.causation_id === cause),
    ),
  );
}

/** The call of a rollback that follows from this event, and the question of it, once it is asked. */
export async function asked(story: Pick<Story, 'client'>, cause: string) {
  const { id } = await hasCome(story, 'hades_rollback_called', cause);
  return { call: id, ...(await questionOf(story, id)) };
}

/** The question of a call, once it is asked, and the yes to just that. */
export async function questionOf(story: Pick<Story, 'client'>, call: string, capability = 'hades.rollback') {
  const { id, payload_hash } = await hasCome(story, approvalAction(capability), call);
  assert.ok(payload_hash);
  return { question: id, yes: { response: 'yes', payload_hash } };
}

/** What became of a call, once it is through. */
export const through = ({ client }: Pick<Story, 'client'>, call: string) =>
  until(async () => {
    const state = await client.callState(call, { waitSeconds: 20 });
    return !['running', 'pending_approval'].includes(state.status) && state;
  }, 100);

/** Said twice of the same cause, which nothing may be. */
export async function saidTwice(story: Pick<Story, 'client'>): Promise<string[]> {
  const consequences = (await happened(story)).filter(({ causation_id }) => causation_id !== null);
  const said = consequences.map(({ action, causation_id }) => `${action} of ${causation_id}`);
  return said.filter((each, at) => said.indexOf(each) !== at);
}

/** The whole of a deployment that failed and was rolled back. */
export const wholeTrail = [
  'HEPHAESTUS deploy_started',
  'CHRONOS backup_completed',
  'HEPHAESTUS deploy_failed',
  'EVENT-BUS hades_rollback_called',
  'EVENT-BUS hades_rollback_approval',
  'EVENT-BUS human_responded',
  'GAIA restore_started',
  'GAIA restore_completed',
  'HADES hades_rollback_returned',
];
