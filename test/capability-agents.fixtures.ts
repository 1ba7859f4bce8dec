import type { TestContext } from 'node:test';
import { z } from 'zod';
import { type Agent, done, type Handler } from '../src/agents/agent.ts';
import { callsOf } from '../src/agents/calls.ts';
import { makeRunner } from '../src/agents/runner.ts';
import { systemClock } from '../src/base/clock.ts';
import type { Json, JsonObject } from '../src/base/json.ts';
import { allCapabilities } from '../src/capabilities/all-capabilities.ts';
import type { Client } from '../src/client/client.ts';
import { type Capability, ownerOf } from '../src/events/capability.ts';
import { teaCapabilities } from './tea.fixtures.ts';

/** Everything that a door may show: also that of an agent whom nobody thought of when the doors were made. */
export const everyCapability: readonly Capability[] = [...allCapabilities, ...teaCapabilities];

type Shape = {
  type?: string | readonly string[];
  properties?: Record<string, Shape>;
  items?: Shape;
  anyOf?: readonly Shape[];
};

function something({ type, properties = {}, items = {}, anyOf }: Shape, name: string): Json {
  if (anyOf !== undefined) return something(anyOf[0] as Shape, name);
  if (type === 'array') return [something(items, `${name} 1`), something(items, `${name} 2`)];
  if (type === 'object')
    return Object.fromEntries(Object.entries(properties).map(([key, each]) => [key, something(each, key)]));
  const one = Array.isArray(type) ? type[0] : type;
  return ({ string: `some ${name}`, boolean: true } as Record<string, Json>)[one] ?? 3;
}

/** A result that its schema accepts, with something in each member. */
export function someResult({ output }: Capability): JsonObject {
  return something(z.toJSONSchema(output) as Shape, '') as JsonObject;
}

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
type End = (name: string) => JsonObject | Promise<JsonObject>;

/** All agents as processes would run them, over HTTP, until the test ends. What comes of a call is `end`'s to say. */
export async function startAgents(t: { after: TestContext['after'] }, client: Client, end: End): Promise<void> {
  const handlerOf = ({ name, risk }: Capability): Handler => ({
    ...(risk === 'destructive'
      ? { prepare: async (args: JsonObject) => ({ arguments: args, says: ['So says its agent.'] }) }
      : {}),
    run: async () => end(name),
  });
  const owners = [...new Set(everyCapability.map(({ name }) => ownerOf(name)))];
  await Promise.all(
    owners.map((owner) => {
      const own = everyCapability.filter(({ name, doneBy }) => ownerOf(name) === owner && doneBy === undefined);
      const offers = Object.fromEntries(own.map((each) => [each.name, handlerOf(each)]));
      const agent: Agent = { name: owner, port: 0, hears: {}, longestMs: 60_000, react: async () => done(), offers };
      return startCalls(t, client, agent);
    }),
  );
}

async function startCalls(t: { after: TestContext['after'] }, client: Client, agent: Agent): Promise<void> {
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const options = { leaseSeconds: 2, graceMs: 0, log: quiet, clock: systemClock, stop: stop.signal };
  const calls = callsOf(agent, everyCapability, client) as Agent;
  const ended = makeRunner(calls, client, { ...options, onReady: ready.resolve }).run();
  t.after(async () => {
    stop.abort();
    await ended;
  });
  await Promise.race([ready.promise, ended]);
}

/** Answers the approvals that come up, as this person, until the test ends. */
export async function startApprover(
  t: { after: TestContext['after'] },
  person: Client,
  response: () => string = () => 'yes',
): Promise<void> {
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const work = (async () => {
    for await (const event of person.follow({ signal: stop.signal, onConnected: ready.resolve })) {
      if (event.payload_hash === null || event.human_state !== 'open') continue;
      await person.respond(event.id, { response: response(), payload_hash: event.payload_hash });
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  t.after(async () => {
    stop.abort();
    await work;
  });
  await Promise.race([ready.promise, work]);
}
