import { z } from 'zod';
import type { Json, JsonObject } from '../../base/json.ts';
import { nearest } from '../../base/nearest.ts';
import type { Capability } from '../../events/capability.ts';

/** What this bot does itself, because buttons and answers belong to it. */
const own = {
  start: 'Say hello, and what there is',
  help: 'Say what there is',
  pending: 'Show the questions that wait for you',
  respond: 'Answer a question: /respond ID ANSWER',
  approve: 'Say yes to a question: /approve ID',
  silence: 'Hold back what is told unasked: /silence 2h, /silence dev 30m, /silence off',
} as const;
export type OwnCommand = keyof typeof own;

/** Names that people know, beside those made from the capabilities. */
const known: Readonly<Record<string, string>> = {
  status: 'atlas.status',
  agents: 'atlas.agents',
  events: 'atlas.events',
  backup: 'chronos.backup',
  backups: 'chronos.list',
  restore: 'hades.rollback',
  rollback: 'hades.rollback',
};

export type CommandRead =
  | { kind: 'own'; command: OwnCommand; rest: string }
  | { kind: 'call'; capability: Capability; arguments: JsonObject }
  /** An argument that must be given is missing. */
  | { kind: 'lacks'; capability: Capability; command: string; usage: string; missing: string }
  | { kind: 'unknown'; says: string };

export type Commands = {
  read(text: string): CommandRead;
  /** As they are shown in Telegram's menu. */
  menu: { command: string; description: string }[];
};

/** The commands of the bot: its own, and one for each capability. What does not exist is not listed. */
export function commandsOf(capabilities: readonly Capability[]): Commands {
  const byName = new Map<string, Capability>();
  for (const each of capabilities) byName.set(each.name.replace('.', '_'), each);
  const verbs = capabilities.map(({ name }) => verbOf(name));
  const short = capabilities.filter(({ name }) => verbs.filter((verb) => verb === verbOf(name)).length === 1);
  for (const each of short) if (!byName.has(verbOf(each.name))) byName.set(verbOf(each.name), each);
  for (const [command, name] of Object.entries(known)) {
    const capability = capabilities.find((each) => each.name === name);
    if (capability) byName.set(command, capability);
  }
  return {
    read: (text) => readCommand(text, byName),
    menu: [
      ...Object.entries(own)
        .filter(([command]) => command !== 'help')
        .map(([command, description]) => ({ command, description })),
      ...menuOf(byName),
    ],
  };
}

const verbOf = (name: string) => name.slice(name.indexOf('.') + 1);
const isOwn = (command: string): command is OwnCommand => Object.hasOwn(own, command);

/** Each capability once, under its shortest name, and the names that people know. */
function menuOf(byName: ReadonlyMap<string, Capability>): Commands['menu'] {
  const listed = new Map<Capability, string>();
  for (const [command, capability] of byName) {
    const before = listed.get(capability);
    if (!isOwn(command) && (before === undefined || command in known || command.length < before.length))
      listed.set(capability, command);
  }
  return [...listed]
    .filter(([capability]) => !isOwn(verbOf(capability.name)))
    .map(([capability, command]) => ({ command, description: capability.summary.slice(0, 256) }));
}

function readCommand(text: string, byName: ReadonlyMap<string, Capability>): CommandRead {
  const [, typed = '', rest = ''] = /^\/([A-Za-z0-9_]+)(?:@\w+)?\s*([\s\S]*)$/.exec(text) ?? [];
  const command = typed.toLowerCase();
  if (isOwn(command)) return { kind: 'own', command, rest: rest.trim() };
  const capability = byName.get(command);
  if (capability) return argumentsOf(capability, command, rest);
  const near = nearest(command, [...byName.keys(), ...Object.keys(own)]);
  return { kind: 'unknown', says: `There is no /${command}.${near === undefined ? '' : ` Did you mean /${near}?`}` };
}

type Property = { type?: string };

/** What must be given stands in order; what may be left out is `name=value`. The last that must be given takes all words. */
function argumentsOf(capability: Capability, command: string, rest: string): CommandRead {
  const { properties = {}, required = [] } = z.toJSONSchema(capability.input, { io: 'input' }) as {
    properties?: Record<string, Property>;
    required?: string[];
  };
  const optional = Object.keys(properties).filter((key) => !required.includes(key));
  const args: JsonObject = {};
  const words: string[] = [];
  for (const word of rest.split(/\s+/).filter(Boolean)) {
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(word) ?? [];
    if (optional.includes(key)) args[key] = valued(properties[key], value);
    else words.push(word);
  }
  // `/backups dev`: with nothing that must be given, one word alone is the first that may be.
  if (required.length === 0 && words.length === 1 && optional[0] !== undefined && args[optional[0]] === undefined) {
    const first = optional.includes('target') ? 'target' : optional[0];
    args[first] = valued(properties[first], words[0] as string);
  }
  for (const [at, key] of required.entries()) {
    const value = at === required.length - 1 ? words.slice(at).join(' ') : (words[at] ?? '');
    if (value === '')
      return { kind: 'lacks', capability, command, missing: key, usage: usageOf(command, required, optional) };
    args[key] = valued(properties[key], value);
  }
  return { kind: 'call', capability, arguments: args };
}

const usageOf = (command: string, required: readonly string[], optional: readonly string[]) =>
  [`/${command}`, ...required.map((key) => key.toUpperCase()), ...optional.map((key) => `[${key}=…]`)].join(' ');

function valued(property: Property | undefined, text: string): Json {
  return property?.type === 'integer' && /^\d{1,15}$/.test(text) ? Number(text) : text;
}
