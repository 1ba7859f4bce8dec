import { Command, Option } from 'commander';
import { z } from 'zod';
import { Exit, type ExitCode } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { Json, JsonObject } from '../../base/json.ts';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import type { CallState } from '../../client/client.ts';
import { type Capability, ownerOf } from '../../events/capability.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { wholeNumber } from './option-values.ts';
import { resultLines, resultTable } from './result-table.ts';

/** The longest that one request waits. */
const waitSeconds = 50;

type Options = Record<string, Json | undefined> & { wait: boolean };

/** leveredge atlas, chronos, hades … — what an agent can do, one command for each of its capabilities. */
export const agentCommands: readonly ((concludes: Concluding) => Command)[] = [
  ...new Set(allCapabilities.map(({ name }) => ownerOf(name))),
].map((agent) => (concludes) => agentCommand(agent.toLowerCase(), concludes));

/** The commands of one agent, which is named in small letters. */
export function agentCommand(name: string, concludes: Concluding): Command {
  const agent = name.toUpperCase();
  const command = new Command(name).description(`Ask ${agent}: ${verbsOf(agent).join(', ')}`);
  for (const each of allCapabilities.filter(({ name }) => ownerOf(name) === agent))
    command.addCommand(commandOf(each, concludes));
  return command;
}

const verbOf = (capability: string) => capability.slice(capability.indexOf('.') + 1);
const verbsOf = (agent: string) =>
  allCapabilities.filter(({ name }) => ownerOf(name) === agent).map(({ name }) => verbOf(name));

type Property = { type?: string; description?: string };

/** What must be given stands after the name; what may be left out is an option. */
function commandOf(capability: Capability, concludes: Concluding): Command {
  const { name, summary, input, risk } = capability;
  const command = new Command(verbOf(name)).description(summary);
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: 'input' }) as {
    properties?: Record<string, Property>;
    required?: string[];
  };
  for (const key of required) command.argument(`<${key}>`, properties[key]?.description ?? '');
  for (const [key, { type, description = '' }] of Object.entries(properties)) {
    if (required.includes(key)) continue;
    const option = new Option(`--${key} <${type === 'integer' ? 'n' : key}>`, lowered(description));
    command.addOption(type === 'integer' ? option.argParser(wholeNumber) : option);
  }
  command.option(
    '--no-wait',
    risk === 'destructive' ? 'do not wait for the person who decides' : 'do not wait for its end',
  );
  return command.action(
    concludes((door, ...typed: unknown[]) => {
      const { wait, ...options } = typed.at(-2) as Options;
      const given = Object.fromEntries(required.map((key, at) => [key, typed[at] as Json]));
      const chosen = Object.entries(options).filter(([key, value]) => key in properties && value !== undefined);
      return call(door, capability, { ...given, ...Object.fromEntries(chosen) } as JsonObject, wait);
    }),
  );
}

const lowered = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

async function call(door: Door, capability: Capability, args: JsonObject, wait: boolean): Promise<Conclusion> {
  const { client, signal } = door;
  try {
    const options = { via: 'cli', waitSeconds: wait ? waitSeconds : 0, signal };
    let state = await client.callCapability(capability.name, args, options);
    // What is destructive is prepared first, which takes a moment.
    if (!wait && capability.risk === 'destructive' && state.status === 'running')
      state = await client.callState(state.id, { waitSeconds: 10, signal });
    let isTold = false;
    while (wait && (state.status === 'running' || state.status === 'pending_approval')) {
      if (state.approval !== null && !isTold) {
        for (const line of asksLines(door, state)) door.say(line);
        isTold = true;
      }
      state = await client.callState(state.id, { waitSeconds, signal });
    }
    return concluded(door, capability, state);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'unreachable' || capability.withoutBus === undefined) throw error;
    throw new Fault(error.code, error.message, {
      hint: `Without the bus: ${capability.withoutBus}`,
      extra: error.extra,
    });
  }
}

function asksLines({ program }: Door, { approval }: CallState): string[] {
  if (approval === null) return [];
  return [...approval.question.split('\n'), `Whoever may approve it answers: ${program} answer ${approval.id} yes`];
}

/** Done, or not, and why; what still goes on is done in part. */
const exits: Readonly<Record<CallState['status'], ExitCode>> = {
  done: Exit.ok,
  failed: Exit.failed,
  refused: Exit.partial,
  running: Exit.partial,
  pending_approval: Exit.partial,
};

function concluded(door: Door, capability: Capability, state: CallState): Conclusion {
  const { status, approval, error, result, id } = state;
  const exit = exits[status];
  if (error !== null) throw new Fault(error.code as Fault['code'], error.message, { hint: error.hint });
  if (status === 'refused') {
    const by = approval?.responded_by;
    const why = by ? `${by} said ${approval?.response}` : 'nobody said yes in time';
    return { exit, json: state, notes: [`Nothing was done: ${why}.`] };
  }
  if (result === null)
    return { exit, json: state, lines: [id], notes: approval === null ? ['It goes on.'] : asksLines(door, state) };
  return { exit, lines: resultLines(door, result), ...resultTable(door, capability, result), json: result };
}
