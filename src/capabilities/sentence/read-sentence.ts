import type { JsonObject } from '../../base/json.ts';
import { type Capability, ownerOf } from '../../events/capability.ts';
import { nearestWays } from './nearest.ts';
import { type Match, matchOf, type Way, waysOf } from './way.ts';
import { isAsked, wordsOf } from './words.ts';

/** A longer text is no sentence that says what to do. */
const maxCharacters = 5000;
/** Of a sentence that was not understood so much is said again. */
const maxRepeated = 80;

/** How something may be said: `roll TARGET back`, and what is called then. */
export type Said = { phrase: string; capability: string };

/**
 * What a sentence says. `call`: just this, with the arguments as they were said. Otherwise nothing is to be called: `says` tells a
 * person why, and `nearest` how what they may have meant is said, the best first (perhaps nothing).
 */
export type Reading = { kind: 'call'; capability: Capability; arguments: JsonObject } | Unread;

type Unread = {
  kind: 'none';
  because: 'unknown' | 'ambiguous' | 'vague' | 'asked' | 'invalid';
  says: string;
  nearest: readonly Said[];
};

/**
 * Reads a plain sentence, such as "check system health" or "roll dev back", by a fixed grammar: the names of the capabilities and
 * the phrases in their definitions. Pure, total and without a guess: case, punctuation at the end of words, articles and "please" do not
 * count, everything else does. What may destroy is read only from one of its phrases word for word, with the name of what it is done to.
 *
 * It calls nothing. Every door (the command line, a chat, Telegram) makes the call that it reads, with the rights of whoever spoke:
 *
 *     const reading = readSentence(text, allCapabilities);
 *     if (reading.kind === 'call') await client.callCapability(reading.capability.name, reading.arguments, { via });
 *     else tell(reading.says, reading.nearest);
 *
 * Before a call that is not `read`, a door says what it calls (`calledAs`). Ids and beginnings of ids pass as they are.
 */
export function readSentence(sentence: string, capabilities: readonly Capability[]): Reading {
  if (sentence.length > maxCharacters) return none('unknown', `A sentence has at most ${maxCharacters} characters.`);
  const words = wordsOf(sentence);
  const ways = capabilities.flatMap(waysOf);
  const said = ways.flatMap((way) => matchOf(way, words, sentence) ?? []);
  const clear = said.filter(({ vague }) => vague === undefined);
  const [match, ...others] = differing(clear.length > 0 ? clear : said);
  if (match === undefined) {
    const nearest = nearestWays(words, ways).map((way) => saidOf(way));
    return none('unknown', `${quoted(sentence)} is nothing that can be done.`, nearest);
  }
  if (others.length === 0) return judged(match, isAsked(sentence));
  const meant = [match, ...others];
  const names = meant.map(({ way }) => way.capability.name).join(' or ');
  return none(
    'ambiguous',
    `${quoted(sentence)} can mean ${names}.`,
    meant.map(({ way }) => saidOf(way, true)),
  );
}

/** A call in one line for a person: `hades.rollback target=dev`. */
export function calledAs({ name }: Pick<Capability, 'name'>, args: JsonObject): string {
  const said = Object.entries(args).map(([key, value]) => {
    const text = String(value);
    return `${key}=${/^[\w.:@/+-]+$/.test(text) ? text : JSON.stringify(text)}`;
  });
  return [name, ...said].join(' ');
}

/** How everything that can be said is said, each once. */
export function sayable(capabilities: readonly Capability[]): Said[] {
  return capabilities.flatMap((each) => {
    const ways = waysOf(each);
    const way = ways.find(({ isDerived }) => !isDerived) ?? ways[0];
    return way === undefined ? [] : [saidOf(way)];
  });
}

/** Those that are not the same call. */
function differing(matches: readonly Match[]): Match[] {
  const calls = matches.map((each) => [calledAs(each.way.capability, each.arguments), each] as const);
  return [...new Map(calls).values()];
}

/** What stands in the way of doing what was understood. */
function judged({ way, arguments: args, vague }: Match, isQuestion: boolean): Reading {
  const { capability } = way;
  const nearest = [saidOf(way)];
  if (vague !== undefined)
    return none('vague', `${quoted(vague)} is no name. Say of what; quotes make a name of it.`, nearest);
  const would = `That would be ${calledAs(capability, args)}`;
  // A question mark at the end of an answer belongs to the answer.
  if (isQuestion && capability.risk !== 'read' && !endsWithRest(way))
    return none('asked', `${would}. To have it done, leave out the question mark.`, nearest);
  const { error } = capability.input.safeParse(args);
  if (error === undefined) return { kind: 'call', capability, arguments: args };
  const [wrong] = error.issues;
  return none('invalid', `${would}, but ${wrong?.path.map(String).join('.')} ${wrong?.message}.`, nearest);
}

function endsWithRest({ parts }: Way): boolean {
  const last = parts.at(-1);
  return last?.kind === 'argument' && last.isRest;
}

function none(because: Unread['because'], says: string, nearest: readonly Said[] = []): Unread {
  return { kind: 'none', because, says, nearest };
}

/** With the agent's name before it where that says whose it is. */
function saidOf({ phrase, capability: { name }, isDerived }: Way, isNamed = isDerived): Said {
  return { phrase: isNamed ? `${ownerOf(name).toLowerCase()} ${phrase}` : phrase, capability: name };
}

function quoted(text: string): string {
  const short = text.trim();
  return JSON.stringify(short.length > maxRepeated ? `${short.slice(0, maxRepeated)}…` : short);
}
