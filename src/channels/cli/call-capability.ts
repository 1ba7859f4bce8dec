import { randomUUID } from 'node:crypto';
import { Exit, type ExitCode, isFaultCode } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import { mayHaveArrived } from '../../client/call.ts';
import { findQuestion } from '../../client/find-event.ts';
import { patiently } from '../../client/patience.ts';
import { type Call, type Capability, calledAction } from '../../events/capability.ts';
import { secretMembers } from '../../events/secret.ts';
import { withWinner } from './answer.ts';
import { command as commandFor } from './as-typed.ts';
import type { Conclusion } from './conclusion.ts';
import type { Door } from './door.ts';
import { callFromDisk } from './else-from-disk.ts';
import { showResult } from './result-table.ts';
import { shownResult } from './secret-options.ts';

/** The longest that one request waits. */
const waitSeconds = 50;
/** What is destructive is prepared first, which takes a moment. */
const prepareSeconds = 10;

/** How long a bus that went away in the middle of a call is waited for: it may be started anew. */
const restartMs = 30_000;

/** How a call is typed: what is waited for, and shown. */
export type How = { wait: boolean; showSecrets: boolean };

/** Calls a capability as who sits here, and waits for its end; for a person's decision too, where it needs one. */
export async function callCapability(
  door: Door,
  capability: Capability,
  args: JsonObject,
  how: How,
): Promise<Conclusion> {
  const { client, signal } = door;
  const { wait } = how;
  let state: Call | undefined;
  try {
    // Of what is destructive this ends with the question.
    const first = capability.risk === 'destructive' ? prepareSeconds : wait ? waitSeconds : 0;
    const once = { via: 'cli', waitSeconds: first, signal, idempotencyKey: randomUUID() };
    const whole = capability.name === 'atlas.respond' ? await asRead(door, capability, args) : args;
    state = await begun(door, capability, () => client.callCapability(capability.name, whole, once));
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
    if (state === undefined && isAway(error)) {
      const result = await callFromDisk(door, capability, args);
      if (result !== undefined) return { exit: Exit.ok, ...showResult(door, capability, result), json: result };
    }
    throw error instanceof Fault ? asHere(withWinner(error), capability, door, state) : error;
  }
}

/** An answer to the question as it is now: an approval says by its hash what was read. */
async function asRead({ client }: Door, { input }: Capability, args: JsonObject): Promise<JsonObject> {
  if (!input.safeParse(args).success) return args;
  try {
    const { id: question, payload_hash } = await findQuestion(client, String(args.question));
    return { ...(payload_hash === null ? {} : { payload_hash }), ...args, question };
  } catch (error) {
    // Why it cannot be answered is the bus' to say, which also knows who may.
    if (error instanceof Fault && error.code === 'not-found') return args;
    throw error;
  }
}

/** No bus, and so no call. */
const isAway = (error: unknown) =>
  error instanceof Fault && error.code === 'unreachable' && error.extra.may_have_begun === undefined;

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
  const isGone = isAway(fault) && withoutBus !== undefined && extra.call === undefined;
  // In a checkout gaia is found as leveredge is.
  const before = program === 'npx leveredge' && withoutBus?.startsWith('gaia ') ? 'npx ' : '';
  const hint = isGone
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
