import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Agent, done, type Handler } from '../src/agents/agent.ts';
import { callsOf } from '../src/agents/calls.ts';
import { makeRunner } from '../src/agents/runner.ts';
import { systemClock } from '../src/base/clock.ts';
import { makeLog } from '../src/base/log.ts';
import { type Client, makeClient } from '../src/client/client.ts';
import type { Capability } from '../src/events/capability.ts';
import { secret } from '../src/events/secret.ts';

const name = z.string('must be a string').min(1, 'must not be empty').max(200);
const value = secret(
  z.string('must be a string').min(1, 'must not be empty').max(2000, 'must be at most 2000 characters'),
);

/** What an agent VAULT offers: it takes secrets, gives them, and destroys with them. */
export const vaultCapabilities: readonly Capability[] = [
  {
    name: 'vault.put',
    summary: 'Keep a secret',
    risk: 'write',
    input: z.strictObject({
      target: name.optional(),
      name,
      value: value.describe('What is kept'),
      note: value.optional(),
    }),
    output: z.object({ name: z.string(), length: z.number() }),
    example: { name: 'db', value: 'correct horse' },
  },
  {
    name: 'vault.reveal',
    summary: 'Show a secret',
    risk: 'write',
    input: z.strictObject({ name }),
    output: z.object({ name: z.string(), value }),
    example: { name: 'db' },
  },
  {
    name: 'vault.replace',
    summary: 'Replace a secret by another, when a person approves',
    risk: 'destructive',
    input: z.strictObject({ name, value }),
    output: z.object({ name: z.string(), value: value.optional() }),
    example: { name: 'db', value: 'correct horse' },
    question: (args) => `Replace ${args.name} by ${args.value}?`,
  },
];

type Verb = 'put' | 'reveal' | 'replace';
export const vaultScopes = ['publish:vault_*', 'ack:self', 'read'];

/** VAULT as a process would run it, until the test ends or it is stopped. What it keeps is handed in, as a disk would be. */
export async function vault(
  t: Pick<TestContext, 'after'>,
  client: Client,
  kept = new Map<string, string>(),
  changed: Partial<Record<Verb, Handler>> = {},
) {
  let log = '';
  const put: Handler = {
    async run(args) {
      kept.set(args.name as string, args.value as string);
      return { name: args.name as string, length: (args.value as string).length };
    },
    says: (result, args) => [{ action: 'vault_changed', target: null, details: { result, args } }],
  };
  const offers: Record<string, Handler> = {
    'vault.put': put,
    'vault.reveal': {
      run: async (args) => ({ name: args.name as string, value: kept.get(args.name as string) ?? 'nothing' }),
    },
    'vault.replace': {
      prepare: async (args) => ({ arguments: args, says: [`It would be ${args.value}.`] }),
      async run(args) {
        const before = kept.get(args.name as string);
        kept.set(args.name as string, args.value as string);
        return { name: args.name as string, ...(before === undefined ? {} : { value: before }) };
      },
    },
    ...Object.fromEntries(Object.entries(changed).map(([verb, handler]) => [`vault.${verb}`, handler])),
  };
  const agent: Agent = { name: 'VAULT', port: 0, hears: {}, longestMs: 60_000, react: async () => done(), offers };
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const into = makeLog((line) => {
    log += line;
  }, systemClock);
  const options = { leaseSeconds: 2, graceMs: 0, log: into, clock: systemClock, stop: stop.signal };
  const calls = callsOf(agent, vaultCapabilities, client) as Agent;
  const ended = makeRunner(calls, client, { ...options, onReady: ready.resolve }).run();
  const stopped = async () => {
    stop.abort();
    await ended;
  };
  t.after(stopped);
  await Promise.race([ready.promise, ended]);
  return { kept, log: () => log, stop: stopped };
}

/** How a value may be written somewhere. */
const formsOf = (of: string) => [
  of,
  JSON.stringify(of).slice(1, -1),
  encodeURIComponent(of.toWellFormed()),
  Buffer.from(of).toString('base64').replace(/=+$/, ''),
  Buffer.from(of).toString('hex'),
];

/** Where a value stands among these texts and in all files of a folder, the database and its log among them. */
export function whereItStands(of: string, folder: string, texts: Readonly<Record<string, string>>): string[] {
  const forms = formsOf(of);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return [
    ...files.filter((file) => {
      const bytes = readFileSync(file);
      return forms.some((form) => bytes.includes(form));
    }),
    ...Object.entries(texts).flatMap(([where, text]) => (forms.some((form) => text.includes(form)) ? [where] : [])),
  ];
}

/** All that the stream of events says, from the oldest on. */
export async function streamOf(url: string) {
  const stop = new AbortController();
  const response = await fetch(`${url}/events/stream?from=start`, { signal: stop.signal });
  let text = '';
  const read = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  return {
    text: () => text,
    async until(said: string) {
      for (let n = 0; !text.includes(said); n++) {
        if (n > 1000) throw new Error(`the stream never said ${said}`);
        await pause(5);
      }
    },
    async end() {
      stop.abort();
      await read;
    },
  };
}

/** VAULT as a process of its own, which takes a call, says so, and never comes to an end with it. */
async function main(): Promise<void> {
  const { VAULT_URL: url = '', VAULT_TOKEN: token } = process.env;
  const run = async () => {
    process.stdout.write('began\n');
    return new Promise<never>(() => undefined);
  };
  await vault({ after: () => undefined }, makeClient({ url, token }), new Map(), { put: { run } });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
