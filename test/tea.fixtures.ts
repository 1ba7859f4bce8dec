import { z } from 'zod';
import { type Agent, done, type Handler } from '../src/agents/agent.ts';
import { callsOf } from '../src/agents/calls.ts';
import { makeRunner } from '../src/agents/runner.ts';
import { systemClock } from '../src/base/clock.ts';
import type { JsonObject } from '../src/base/json.ts';
import type { Client } from '../src/client/client.ts';
import type { Capability } from '../src/events/capability.ts';

const cup = z.strictObject({ target: z.string('must be a string').min(1), cups: z.int().min(1).max(9).default(1) });
const made = z.object({ cups: z.number(), for: z.string() });
const example = { target: 'dev' };

/** What an agent TEA offers: one capability of each risk. */
export const teaCapabilities: readonly Capability[] = [
  { name: 'tea.look', summary: 'Look into the pot', risk: 'read', input: cup, output: made, example },
  { name: 'tea.brew', summary: 'Brew tea', risk: 'write', input: cup, output: made, example },
  {
    name: 'tea.spill',
    summary: 'Spill the tea',
    risk: 'destructive',
    input: cup,
    output: made,
    example,
    stepUp: ({ target }) => target === 'urn',
    question: ({ target, cups }) => `Spill ${cups} of ${target}?`,
  },
];

/** What an agent ADA has, for tests of who may do what in its name. */
export const adaCapabilities: readonly Capability[] = teaCapabilities.map((each) => ({
  ...each,
  name: each.name.replace('tea.', 'ada.'),
}));

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };

type Did = { what: string; args: JsonObject; call: string };

/** TEA as a process would run it: over HTTP, until the test ends or it is stopped. */
export async function tea(
  t: { after(end: () => unknown): void },
  client: Client,
  changed: Partial<Record<'look' | 'brew' | 'spill', Handler>> = {},
) {
  const did: Did[] = [];
  const doing = (what: string): Handler['run'] => {
    return async (args, { id, askedBy }) => {
      did.push({ what, args, call: id });
      return { cups: args.cups as number, for: askedBy.name ?? 'somebody' };
    };
  };
  const offers = {
    'tea.look': { run: doing('look') },
    'tea.brew': { run: doing('brew') },
    'tea.spill': {
      // What is approved is what was prepared.
      prepare: async (args: JsonObject) => ({ arguments: { ...args, cups: 7 }, says: ['There are 7.'] }),
      run: doing('spill'),
    },
    ...Object.fromEntries(Object.entries(changed).map(([verb, handler]) => [`tea.${verb}`, handler])),
  };
  const agent: Agent = { name: 'TEA', port: 0, hears: {}, longestMs: 60_000, react: async () => done(), offers };
  const calls = callsOf(agent, teaCapabilities, client) as Agent;
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const options = { leaseSeconds: 2, graceMs: 0, log: quiet, clock: systemClock, stop: stop.signal };
  const ended = makeRunner(calls, client, { ...options, onReady: ready.resolve }).run();
  const stopped = async () => {
    stop.abort();
    await ended;
  };
  t.after(stopped);
  await Promise.race([ready.promise, ended]);
  return { did, stop: stopped };
}
