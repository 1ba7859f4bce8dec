import { z } from 'zod';
import type { JsonObject } from '../../base/json.ts';
import { type Capability, ownerOf } from '../../events/capability.ts';
import { secretMembers } from '../../events/secret.ts';
import type { Word } from './words.ts';

type Part =
  | { kind: 'words'; oneOf: readonly string[]; mayBeLeftOut: boolean }
  | { kind: 'argument'; key: string; isNumber: boolean; isRest: boolean };

/** One way to ask for a capability. `phrase`: as it is shown. */
export type Way = {
  capability: Capability;
  phrase: string;
  parts: readonly Part[];
  isDerived: boolean;
  /** Words that are no names unless they stand in quotes: those of all its phrases. */
  own: ReadonlySet<string>;
};

/** A sentence that is said this way. `vague`: a word in the place of a name that names nothing. */
export type Match = { way: Way; arguments: JsonObject; vague: string | undefined };

/** They stand between names and are none. */
const between: ReadonlySet<string> = new Set(
  'to from of for in on at by with without and or not no but after before if when as than then is are was'.split(' '),
);
const vagueWords: ReadonlySet<string> = new Set(
  'it this that these those them everything anything something nothing all any some one here there again him her'.split(
    ' ',
  ),
);

const known = new WeakMap<Capability, readonly Way[]>();

/**
 * Every way in which a capability may be asked for: its own name with what must be given, and its phrases; with the agent's name
 * before each, or that of ATLAS, who is whom people speak to. What may destroy is asked for with a name in it, or not at all, and what is
 * secret is never said.
 */
export function waysOf(capability: Capability): readonly Way[] {
  const before = known.get(capability);
  if (before !== undefined) return before;
  const { phrases = [], risk } = capability;
  const own = new Set<string>();
  const all = [
    wayOf(capability, derivedFrom(capability), own, true),
    ...phrases.map((each) => wayOf(capability, each, own, false)),
  ];
  const secrets = secretMembers(capability.input);
  const isSaid = ({ parts }: Way) => !parts.some((part) => part.kind === 'argument' && secrets.includes(part.key));
  const isNamed = ({ parts }: Way) => risk !== 'destructive' || parts.some(({ kind }) => kind === 'argument');
  const ways = all.filter((way) => isSaid(way) && isNamed(way));
  known.set(capability, ways);
  return ways;
}

type Schema = { properties?: Record<string, { type?: string }>; required?: string[] };
const schemaOf = ({ input }: Capability) => z.toJSONSchema(input, { io: 'input' }) as Schema;

function derivedFrom(capability: Capability): string {
  const { properties = {}, required = [] } = schemaOf(capability);
  const named = capability.risk === 'destructive' && 'target' in properties ? ['target'] : [];
  const verb = capability.name.slice(capability.name.indexOf('.') + 1).replaceAll('_', ' ');
  return [verb, ...new Set([...required, ...named])].map((each, at) => (at === 0 ? each : `{${each}}`)).join(' ');
}

function wayOf(capability: Capability, written: string, own: Set<string>, isDerived: boolean): Way {
  const { properties = {} } = schemaOf(capability);
  const parts = written.split(' ').map((part): Part => {
    const [, key, dots] = /^\{(\w+)(…)?\}$/.exec(part) ?? [];
    if (key !== undefined)
      return { kind: 'argument', key, isNumber: properties[key]?.type === 'integer', isRest: dots !== undefined };
    const [, inner] = /^\[(.+)\]$/.exec(part) ?? [];
    const oneOf = (inner ?? part).split('|');
    for (const each of oneOf) own.add(each);
    return { kind: 'words', oneOf, mayBeLeftOut: inner !== undefined };
  });
  const shown = parts.flatMap((part) => {
    if (part.kind === 'argument') return [part.key.toUpperCase()];
    return part.mayBeLeftOut ? [] : part.oneOf.slice(0, 1);
  });
  const named: Part = { kind: 'words', oneOf: [ownerOf(capability.name).toLowerCase(), 'atlas'], mayBeLeftOut: true };
  return { capability, phrase: shown.join(' '), parts: [named, ...parts], isDerived, own };
}

/** What is said, where all of the sentence is said this way. */
export function matchOf(way: Way, words: readonly Word[], sentence: string): Match | undefined {
  const { parts } = way;
  function from(part: number, word: number): Omit<Match, 'way'> | undefined {
    const [expected, found] = [parts[part], words[word]];
    if (expected === undefined) return found === undefined ? { arguments: {}, vague: undefined } : undefined;
    if (expected.kind === 'words') {
      const isSaid = found?.plain !== undefined && expected.oneOf.includes(found.plain);
      const rest = isSaid ? from(part + 1, word + 1) : undefined;
      return rest ?? (expected.mayBeLeftOut ? from(part + 1, word) : undefined);
    }
    if (found === undefined) return undefined;
    const { key, isNumber, isRest } = expected;
    if (isRest) return { arguments: { [key]: restOf(words, word, sentence) }, vague: undefined };
    if (!isName(found, isNumber, way.own)) return undefined;
    const rest = from(part + 1, word + 1);
    if (rest === undefined) return undefined;
    const isVague = found.plain !== undefined && vagueWords.has(found.plain);
    const value = isNumber ? Number(found.text) : found.text;
    return { arguments: { [key]: value, ...rest.arguments }, vague: isVague ? found.text : rest.vague };
  }
  const match = from(0, 0);
  return match && { way, ...match };
}

function isName({ text, plain }: Word, isNumber: boolean, own: ReadonlySet<string>): boolean {
  if (text === '') return false;
  if (isNumber) return /^\d{1,9}$/.test(text);
  if (plain === undefined) return true;
  return /[\p{L}\p{N}]/u.test(plain) && !between.has(plain) && !own.has(plain);
}

/** As it was said, with its own signs; a single word without those at its end. */
function restOf(words: readonly Word[], first: number, sentence: string): string {
  const [word, ...others] = words.slice(first) as [Word, ...Word[]];
  return others.length === 0 ? word.text : sentence.slice(word.at).trim();
}
