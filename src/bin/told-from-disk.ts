import type { JsonObject } from '../base/json.ts';
import { type OnDisk, openOnDisk } from '../bus/on-disk.ts';
import { allCapabilities } from '../capabilities/all-capabilities.ts';
import { agentNames, type ToldFromDisk } from '../channels/cli/door.ts';
import { type Client, makeClient } from '../client/client.ts';
import { type Capability, ownerOf } from '../events/capability.ts';
import { agentHere } from './agent-here.ts';
import type { Env } from './bus-settings.ts';

type Place = {
  home: string;
  databaseFile: string;
  env: Env;
  version: string;
  /** How a person starts the command line. */
  program: string;
  signal: AbortSignal;
  log(line: string): void;
};

/**
 * What a capability that only reads tells while no bus answers: done in this process by the very code of its agent, on the database file of the
 * home, or on GAIA's catalog. Undefined where there is no database to read.
 * @throws Fault as the agent says it, and as the database is opened
 */
export async function toldFromDisk(
  capability: Capability,
  args: JsonObject,
  place: Place,
): Promise<ToldFromDisk | undefined> {
  const { home, env, signal } = place;
  const name = agentNames.find((each) => each === ownerOf(capability.name).toLowerCase());
  if (name === undefined) return undefined;
  const isOfLog = name === 'atlas';
  const disk = isOfLog ? openOnDisk(place.databaseFile, place.log) : undefined;
  if (isOfLog && disk === undefined) return undefined;
  try {
    const agent = agentHere(name, { client: readerOf(disk, place.version), home, env });
    const call = { id: 'without-a-bus', askedBy: { kind: 'anonymous', name: null } as const, signal };
    const told = await agent.offers?.[capability.name]?.run(args, call);
    if (told === undefined) return undefined;
    const result = capability.output.parse(told) as JsonObject;
    return { result, from: isOfLog ? place.databaseFile : 'GAIA’s catalog', notes: untold(capability, place) };
  } finally {
    await disk?.close();
  }
}

/** A client that reads from disk and knows of nobody alive. */
function readerOf(disk: OnDisk | undefined, version: string): Client {
  const fetcher = disk?.fetcher ?? (() => Promise.reject(new Error('Without the bus nobody is asked.')));
  const client = makeClient({ url: 'http://localhost', fetcher });
  return {
    ...client,
    health: async () => ({ ...(await client.health()), status: 'no bus answers', version, uptime_seconds: 0 }),
    agents: async () =>
      (await client.agents()).map((each) => {
        const isOld = each.state === 'alive' || each.state === 'lost';
        return isOld ? { ...each, state: 'unknown' as 'lost' } : each;
      }),
    capabilities: async () => ({
      capabilities: allCapabilities.map(({ name, summary, risk }) => {
        const schemas = { input: {}, output: {} };
        return { name, agent: ownerOf(name), summary, risk, ...schemas };
      }),
    }),
  };
}

/** What cannot be told without a bus, and what to do about it. */
function untold({ name }: Capability, { program }: Place): string[] {
  if (name === 'atlas.status') return [`Why no bus answers: ${program} doctor`];
  if (name === 'atlas.agents') return [`Who is alive only a running bus knows: ${program} up`];
  return [];
}
