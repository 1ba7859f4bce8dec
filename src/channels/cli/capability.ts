import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { z } from 'zod';
import { Exit, type ExitCode, isFaultCode } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { Json, JsonObject } from '../../base/json.ts';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import { mayHaveArrived } from '../../client/call.ts';
import { patiently } from '../../client/patience.ts';
import { type Call, type Capability, calledAction, ownerOf } from '../../events/capability.ts';
import { secretMembers } from '../../events/secret.ts';
import { command as commandFor } from './as-typed.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { wholeNumber } from './option-values.ts';
import { showResult } from './result-table.ts';
import { addSecretOptions, shownResult } from './secret-options.ts';

/** The longest that one request waits. */
const waitSeconds = 50;
/** What is destructive is prepared first, which takes a moment. */
const prepareSeconds = 10;

/** How long a bus that went away in the middle of a call is waited for: it may be started anew. */
const restartMs = 30_000;

type Options = Record<string, Json | undefined> & { wait: boolean; showSecrets?: boolean };

/** How a call is typed: what is waited for, and shown. */
type How = { wait: boolean; showSecrets: boolean };

/** leveredge atlas, chronos, hades … — what an agent can do, one command for each of its capabilities. */
export function agentCommands(capabilities: readonly Capability[], concludes: Concluding): Command[] {
  return [...new Set(capabilities.map(({ name }) => ownerOf(name)))].map((agent) => {
    const own = capabilities.filter(({ name }) => ownerOf(name) === agent);
    const verbs = own.map(({ name }) => verbOf(name)).join(', ');
    const command = new Command(agent.toLowerCase()).description(`Ask ${agent}: ${verbs}`);
    for (const each of own) command.addCommand(commandOf(each, concludes));
    return command;
  });
}

const verbOf = (capability: string) => capability.slice(capability.indexOf('.') + 1);

type Property = { type?: string; description?: string };

/** What must be given stands after the name; what may be left out is an option. */
function commandOf(capability: Capability, concludes: Concluding): Command {
  const { name, summary, input, output, risk } = capability;
  const command = new Command(verbOf(name)).description(summary);
  const { properties = {}, required = [] } = z.toJSONSchema(input, { io: 'input' }) as {
    properties?: Record<string, Property>;
    required?: string[];
  };
  const secrets = addSecretOptions(command, capability, required);
  const placed = required.filter((key) => !secrets.members.includes(key));
  for (const key of placed) command.argument(`<${key}>`, properties[key]?.description ?? '');
  for (const [key, { type, description = '' }] of Object.entries(properties)) {
    if (required.includes(key) || secrets.members.includes(key)) continue;
    const option = new Option(`--${key} <${type === 'integer' ? 'n' : key}>`, lowered(description));
    command.addOption(type === 'integer' ? option.argParser(wholeNumber) : option);
  }
  command.option(
    '--no-wait',
    risk === 'destructive' ? 'do not wait for the person who decides' : 'do not wait for its end',
  );
  if (secretMembers(output).length > 0)
    command.option('--show-secrets', 'print what is secret of the result also into a file or a pipe, and as JSON');
  return command.action(
    concludes(async (door, ...typed: unknown[]) => {
      const { wait, showSecrets = false, ...options } = typed.at(-2) as Options;
      const given = Object.fromEntries(placed.map((key, at) => [key, typed[at] as Json]));
      const isChosen = (key: string) => key in properties && !secrets.members.includes(key);
      const chosen = Object.entries(options).filter(([key, value]) => isChosen(key) && value !== undefined);
      const args = { ...given, ...Object.fromEntries(chosen), ...(await secrets.read(door, options)) } as JsonObject;
      return call(door, capability, args, { wait, showSecrets });
    }),
  );
}

const lowered = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);

async function call(door: Door, capability: Capability, args: JsonObject, how: How): Promise<Conclusion> {
  const { client, signal } = door;
  const { wait } = how;
  let state: Call | undefined;
  try {
    // Of what is destructive this ends with the question.
    const first = capability.risk === 'destructive' ? prepareSeconds : wait ? waitSeconds : 0;
    const once = { via: 'cli', waitSeconds: first, signal, idempotencyKey: randomUUID() };
    state = await begun(door, capability, () => client.callCapability(capability.name, args, once));
    const again = patiently({ signal });
    let isTold = false;
    while (wait && (state.status === 'running' || state.status === 'pending_approval')) {
      const now: Call = state;
      const { id, approval } = now;
      if (approval !== null && !isTold) {
        for (const line of asksLines(door, now)) door.say(line);
        isTold = true;
      }
      const untilAsked = capability.risk === 'destructive' && approval === null;
      const waiting = { waitSeconds: untilAsked ? prepareSeconds : waitSeconds, signal };
      state = await again<Call>(restartMs, () => client.callState(id, waiting));
    }
    return await concluded(door, capability, state, how);
  } catch (error) {
    if (signal.aborted && state !== undefined) return interrupted(door, state);
    throw error instanceof Fault ? asHere(error, capability, door, state) : error;
  }
}

/** A lost answer does not say whether the call has begun. Asked for again under its key it is the same call, and not a second one. */
async function begun(door: Door, { name }: Capability, begin: () => Promise<Call>): Promise<Call> {
  try {
    return await begin();
  } catch (error) {
    if (!mayHaveArrived(error)) throw error;
    door.say('The connection broke before the bus had answered; asking again for the same call.');
    return patiently({ signal: door.signal })(restartMs, begin).catch((again: unknown) => {
      if (!(again instanceof Fault) || again.code !== 'unreachable') throw again;
      throw new Fault('unreachable', `${again.message} The call may have begun all the same.`, {
        hint: `Look before you call again: ${commandFor(door, `events --action ${calledAction(name)}`)}`,
        cause: again,
        extra: { may_have_begun: true },
      });
    });
  }
}

/** Who waits no more has taken nothing back. */
function interrupted(door: Door, { id }: Call): Conclusion {
  const message = `Interrupted. The call ${id} goes on.`;
  const hint = whatCame(door, id);
  return {
    exit: Exit.interrupted,
    error: { code: 'interrupted', message, hint, call: id },
    notes: [message, `  ${hint}`],
  };
}

const whatCame = (door: Door, id: string) => `What comes of it: ${commandFor(door, `atlas trace ${id}`)}`;

/** With what to type: the words of this command for its arguments, and what tells the same when no bus answers. */
function asHere(fault: Fault, { input, withoutBus }: Capability, { program }: Door, begun: Call | undefined): Fault {
  const { code, cause } = fault;
  const extra = begun === undefined ? fault.extra : { call: begun.id, ...fault.extra };
  const required = Object.entries(input.shape).filter(([, schema]) => !schema.safeParse(undefined).success);
  const typed = (key: string) => {
    if (secretMembers(input).includes(key)) return `--${key}-file`;
    return required.some(([each]) => each === key) ? `<${key}>` : `--${key}`;
  };
  const mistakes = fault.mistakes.map(({ pointer, detail }) => ({
    pointer: /^\/\w+$/.test(pointer) ? typed(pointer.slice(1)) : pointer,
    detail,
  }));
  const message = fault.mistakes.reduce(
    (said, { pointer, detail }, at) =>
      said.replace(`${pointer} ${detail}`, () => `${mistakes[at]?.pointer} ${mistakes[at]?.detail}`),
    fault.message,
  );
  // With a call it goes on, or it is something else that its agent could not reach.
  const isAway =
    code === 'unreachable' &&
    withoutBus !== undefined &&
    extra.call === undefined &&
    extra.may_have_begun === undefined;
  // In a checkout gaia is found as leveredge is.
  const before = program === 'npx leveredge' && withoutBus?.startsWith('gaia ') ? 'npx ' : '';
  const hint = isAway
    ? `Without the bus: ${before}${withoutBus}`
    : fault.hint?.replace(/\b[a-z]+\.[a-z]+\b/g, asCommand);
  return new Fault(code, message, { hint, mistakes, extra, cause });
}

const asCommand = (word: string) =>
  allCapabilities.some(({ name }) => name === word) ? `leveredge ${word.replace('.', ' ')}` : word;

function asksLines(door: Door, { approval }: Call): string[] {
  if (approval === null) return [];
  return [
    ...approval.question.split('\n'),
    `Whoever may approve it answers: ${commandFor(door, `answer ${approval.id} yes`)}`,
  ];
}

const codeOf = (code: string) => (isFaultCode(code) ? code : 'internal');

/** Done, or not, and why; what still goes on is done in part. */
const exits: Readonly<Record<Call['status'], ExitCode>> = {
  done: Exit.ok,
  failed: Exit.failed,
  refused: Exit.partial,
  running: Exit.partial,
  pending_approval: Exit.partial,
};

async function concluded(door: Door, capability: Capability, state: Call, how: How): Promise<Conclusion> {
  const { status, approval, error, result, id } = state;
  const exit = exits[status];
  if (error !== null) throw new Fault(codeOf(error.code), error.message, { hint: error.hint, extra: { call: id } });
  if (status === 'refused') {
    const by = approval?.responded_by;
    const said = approval?.response ?? null;
    const why = !by ? 'nobody said yes in time' : said === null ? `${by} took the question back` : `${by} said ${said}`;
    return { exit, json: state, notes: [`Nothing was done: ${why}.`] };
  }
  if (result === null)
    return {
      exit,
      json: state,
      lines: [id],
      notes: approval === null ? [`It goes on. ${whatCame(door, id)}`] : asksLines(door, state),
    };
  const { result: shown, notes } = await shownResult(door, capability, { id, result }, how.showSecrets);
  return { exit, ...showResult(door, capability, shown), json: shown, notes };
}
