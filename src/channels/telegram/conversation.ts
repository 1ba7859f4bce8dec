import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import { calledAs, readSentence } from '../../capabilities/sentence/read-sentence.ts';
import type { Client } from '../../client/client.ts';
import type { Call, Capability } from '../../events/capability.ts';
import type { PendingQuestion } from '../../events/event.ts';
import { answerWith, isAway } from './answer.ts';
import { endOfCall, faultLines } from './call-lines.ts';
import { holdsCode } from './codes.ts';
import type { Commands, OwnCommand } from './commands.ts';
import { sayQuestion } from './follow-bus.ts';
import type { Key } from './journal.ts';
import { html, type Markup } from './markup.ts';
import { keyOf, mayAnswer } from './question-message.ts';
import type { Reply } from './reply.ts';
import { silence, silenceLines, unsilence } from './silence.ts';
import { readSilence, type SilenceWanted } from './silence-words.ts';
import { askForCode, hearCode, type SentText, type StepUpDeps, takesCode, without } from './step-up.ts';

export type Talking = StepUpDeps & {
  client: Client;
  commands: Commands;
  capabilities: readonly Capability[];
};

/** One message: `key` is the same when it comes again, so that what it asks for is done once. `name`: of whom, where there are several. */
export type Heard = SentText & { chat: number; name: string | undefined; key: string };

const readSeconds = 10;
/** What changes something may take minutes; its end is told when it comes. */
const writeSeconds = 2;
const maxShown = 20;
const maxTargets = 12;

/** What a person's message comes to. @throws Fault when the bus is away or refuses it */
export async function converse(talking: Talking, heard: Heard): Promise<Reply> {
  const { commands, capabilities } = talking;
  const reading = readSentence(heard.text, capabilities);
  // `drill prod1` has the form of a backup code.
  const isSentence = reading.kind === 'call' && heard.answers === undefined;
  const ofCode = isSentence ? undefined : await hearCode(talking, heard, heard);
  if (ofCode !== undefined) return ofCode;
  if (heard.text.startsWith('/')) {
    const read = commands.read(heard.text);
    if (read.kind === 'own') return ownCommand(talking, read.command, read.rest, heard);
    if (read.kind === 'unknown') return { lines: [html`${read.says}`, html`/help says what there is.`] };
    if (read.kind === 'call') return done(talking, read.capability, read.arguments, heard);
    const keys = read.missing === 'target' ? await targetKeys(talking, read.capability, heard) : [];
    return { lines: [html`Which ${read.missing}? <code>${read.usage}</code>`], keys };
  }
  if (reading.kind === 'call') return done(talking, reading.capability, reading.arguments, heard);
  // It would be said again.
  if (holdsCode(heard.text)) return without(heard, heard);
  const near = reading.nearest.map(({ phrase }) => html`• ${phrase}`);
  return {
    lines: [
      html`${reading.says}`,
      ...(near.length > 0 ? [html`Near it:`, ...near] : [html`/help says what there is.`]),
    ],
  };
}

/** An answer is given here, in whatever words it comes: it may take a code. */
async function done(talking: Talking, capability: Capability, args: JsonObject, heard: Heard): Promise<Reply> {
  if (capability.name !== 'atlas.respond') return call(talking, capability, args, heard);
  const { question, answer, reason } = args as { question: string; answer: string; reason?: string };
  return respond(talking, heard, { prefix: question, text: answer, reason });
}

/** A call with the rights of the person, once however often the message comes. @throws Fault */
export async function call(
  { client, capabilities }: Pick<Talking, 'client' | 'capabilities'>,
  capability: Capability,
  args: JsonObject,
  { chat, key }: Pick<Heard, 'chat' | 'key'>,
): Promise<Reply> {
  const isRead = capability.risk === 'read';
  let state: Call;
  try {
    state = await client.callCapability(capability.name, args, {
      via: 'telegram',
      waitSeconds: isRead ? readSeconds : writeSeconds,
      idempotencyKey: key,
    });
  } catch (error) {
    if (error instanceof Fault && !isAway(error)) return { lines: faultLines(error) };
    throw error;
  }
  const end = endOfCall(capabilities, state);
  if (end !== undefined) return { lines: end };
  const is = html`▶️ <code>${calledAs(capability, args)}</code>`;
  const then =
    capability.risk === 'destructive'
      ? html`Nothing is done before somebody says yes. The question comes by itself.`
      : html`It goes on; what comes of it I shall say.`;
  return { lines: [is, then], also: (journal) => journal.addCall(state.id, chat) };
}

/** A button for each target that has backups. */
async function targetKeys({ client }: Talking, capability: Capability, { key }: Heard): Promise<Key[]> {
  try {
    const { result } = await client.callCapability(
      'chronos.list',
      {},
      {
        via: 'telegram',
        waitSeconds: readSeconds,
        idempotencyKey: `${key}-targets`,
      },
    );
    const backups = (result?.backups ?? []) as { target: string }[];
    const targets = [...new Set(backups.map(({ target }) => target))].slice(0, maxTargets);
    return targets
      .map((target) => ({ text: target, data: callData(capability.name, target) }))
      .filter(({ data }) => Buffer.byteLength(data) <= 64);
  } catch (error) {
    if (error instanceof Fault) return []; // The usage is said all the same.
    throw error;
  }
}

/** What a tap on a target sends: what is called with it. */
const callData = (capability: string, target: string) => `c:${capability}:${target}`;

/** The call that a tap on a target means; undefined for other buttons. */
export function readCallData(
  data: string,
  capabilities: readonly Capability[],
): { capability: Capability; arguments: JsonObject } | undefined {
  const [, name, target] = /^c:([a-z_.]+):(.+)$/s.exec(data) ?? [];
  const capability = capabilities.find((each) => each.name === name);
  return capability && target !== undefined ? { capability, arguments: { target } } : undefined;
}

async function ownCommand(talking: Talking, command: OwnCommand, rest: string, heard: Heard): Promise<Reply> {
  switch (command) {
    case 'start':
    case 'help':
      return { lines: helpLines(talking.commands) };
    case 'pending':
      return pending(talking, heard);
    case 'respond':
      return respond(talking, heard, answerIn(/^(\S+)\s+([\s\S]+)$/.exec(rest)));
    case 'silence':
      return silenced(talking, heard, rest);
    case 'approve':
      return respond(talking, heard, answerIn(/^(\S+)()$/.exec(rest)));
  }
}

const helpLines = ({ menu }: Commands): Markup[] => [
  html`<b>LeverEdge</b> — what I understand:`,
  ...menu.map(({ command, description }) => html`/${command} — ${description}`),
  html``,
  html`Plain sentences too, such as “check system health” or “back dev up”.`,
];

async function openOnes({ client, person }: Talking): Promise<PendingQuestion[]> {
  const { pending } = await client.pending({ limit: 200 });
  return pending.filter((question) => mayAnswer(question, person));
}

/** Shows every open question again, with its buttons, at the end of the chat. */
async function pending(talking: Talking, { chat, key }: Heard): Promise<Reply> {
  const open = await openOnes(talking);
  if (open.length === 0) return { lines: [html`No question waits for you.`] };
  const shown = open.slice(0, maxShown);
  const more = open.length - shown.length;
  const lines = [
    html`${open.length === 1 ? 'One question waits' : `${open.length} questions wait`} for you${more > 0 ? `; the ${maxShown} most urgent:` : ':'}`,
  ];
  return {
    lines,
    also(journal) {
      for (const question of shown) {
        journal.putQuestion({ id: question.id, key: keyOf(question.id) });
        sayQuestion(journal, question, [chat], `again ${key}`, talking.clock());
      }
    },
  };
}

/** What is told unasked is held back from now on, or is no more. */
function silenced({ journal, clock }: Talking, { chat }: Heard, rest: string): Reply {
  const read = readSilence(rest);
  if (read.kind === 'wrong') return { lines: [html`${read.says}`] };
  return { lines: [], doing: () => silencing(journal, chat, read, clock()) };
}

function silencing(journal: StepUpDeps['journal'], chat: number, read: SilenceWanted, now: number): Markup[] {
  if (read.kind === 'show') {
    const lines = silenceLines(journal, chat, now);
    return lines.length > 0 ? lines : [html`Nothing is silent. /silence 2h, or /silence dev 30m.`];
  }
  if (read.kind === 'off')
    return unsilence(journal, chat, read.about) ?? [html`That is not silent. /silence says what is.`];
  const refused = silence(journal, chat, read.about ?? '', read.forMs, now);
  if (refused !== undefined) return [html`${refused}`];
  return [...silenceLines(journal, chat, now), html`Questions come all the same. /silence off ends it before.`];
}

type Words = { prefix: string; text: string; reason?: string | undefined };

const answerIn = (parts: RegExpExecArray | null): Words => ({ prefix: parts?.[1] ?? '', text: parts?.[2] ?? '' });

async function respond(talking: Talking, heard: Heard, { prefix, text, reason }: Words): Promise<Reply> {
  if (prefix === '')
    return without(heard, heard, html`Say it like this: <code>/respond ID ANSWER</code>, or <code>/approve ID</code>.`);
  const fitting = (await openOnes(talking)).filter(({ id }) => id === prefix || id.startsWith(prefix));
  const exact = fitting.find(({ id }) => id === prefix) ?? (fitting.length === 1 ? fitting[0] : undefined);
  if (exact === undefined)
    return {
      lines: [
        fitting.length > 1
          ? html`${fitting.length} open questions begin with ${prefix}; give more of the id.`
          : html`No open question begins with ${prefix}. /pending shows what is open.`,
      ],
    };
  const answer = text === '' ? 'yes' : optionNamed(exact, text);
  const event = await talking.client.event(exact.id);
  // What it asks for is said by itself.
  if (takesCode(event, answer)) {
    // Before a code is asked for: one that is given for no answer would be used up.
    const options = event.human_options ?? [];
    if (!options.includes(answer)) return without(heard, heard, html`It can be answered with: ${options.join(', ')}.`);
    const { text: asks } = await askForCode(talking, event, answer, heard);
    return { lines: [html`${asks}`] };
  }
  const { text: says } = await answerWith(talking.client, exact, answer, { by: heard.name, reason });
  return { lines: [html`${says}`] };
}

/** An option may be typed in other letters; any other text is taken as it stands, and judged by the bus. */
function optionNamed({ human_options: options }: PendingQuestion, text: string): string {
  return options?.find((option) => option.toLowerCase() === text.trim().toLowerCase()) ?? text.trim();
}
