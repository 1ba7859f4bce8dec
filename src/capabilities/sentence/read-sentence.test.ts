import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import type { Capability } from '../../events/capability.ts';
import { secret } from '../../events/secret.ts';
import { allCapabilities } from '../all-capabilities.ts';
import { calledAs, type Reading, readSentence, sayable } from './read-sentence.ts';
import { waysOf } from './way.ts';

const read = (sentence: string, among: readonly Capability[] = allCapabilities) => readSentence(sentence, among);
const told = (reading: Reading) =>
  reading.kind === 'call' ? calledAs(reading.capability, reading.arguments) : reading.because;

/** What a person says, and what is called then. */
const sentences: Readonly<Record<string, string>> = {
  'check system health': 'atlas.status',
  'Check the system health.': 'atlas.status',
  'is everything OK?': 'atlas.status',
  'hey, could you check the system health please?': 'atlas.status',
  status: 'atlas.status',
  'who is alive': 'atlas.agents',
  'what is pending': 'atlas.pending',
  "what's pending?": 'atlas.pending',
  'what waits for me': 'atlas.pending',
  'show me the last 5 events': 'atlas.events limit=5',
  'show the last 5 events from HADES': 'atlas.events limit=5 source=HADES',
  'what happened?': 'atlas.events',
  'events from HADES': 'atlas.events source=HADES',
  'what happened after 01a204e2?': 'atlas.trace event=01a204e2',
  'why did 01a204e2-9e86 happen?': 'atlas.trace event=01a204e2-9e86',
  'answer 01a204e2 yes': 'atlas.respond question=01a204e2 answer=yes',
  'Answer 01a204e2 Yes.': 'atlas.respond question=01a204e2 answer=Yes',
  'answer 01a204e2 Not now, but why not the day after?':
    'atlas.respond question=01a204e2 answer="Not now, but why not the day after?"',
  'respond to 01a204e2 "roll back"': 'atlas.respond question=01a204e2 answer="roll back"',
  'list the backups of dev': 'chronos.list target=dev',
  'show all backups': 'chronos.list',
  'show dev backups': 'chronos.list target=dev',
  'back dev up': 'chronos.backup target=dev',
  'Back up dev, please.': 'chronos.backup target=dev',
  'chronos, back up dev': 'chronos.backup target=dev',
  'atlas, back up dev': 'chronos.backup target=dev',
  'verify the newest backup of dev': 'chronos.verify target=dev',
  'test the backup of dev': 'chronos.drill target=dev',
  'prune dev': 'chronos.prune target=dev',
  'what can dev be rolled back to?': 'hades.list target=dev',
  'what would a rollback of dev do?': 'hades.plan target=dev',
  'roll dev back': 'hades.rollback target=dev',
  'ROLL BACK dev!': 'hades.rollback target=dev',
  'show the schedule': 'chronos.schedule',
  'roll back dev to dev-2026-11-29-031500.tar.zst': 'hades.rollback target=dev backup=dev-2026-11-29-031500.tar.zst',
  'events from "the site"': 'atlas.events source="the site"',
  'roll "it" back': 'hades.rollback target=it',
  'rollback dev': 'hades.rollback target=dev',
  'hades rollback dev': 'hades.rollback target=dev',
  'undo the last rollback of dev': 'hades.undo target=dev',
};

describe('a sentence', () => {
  for (const [sentence, call] of Object.entries(sentences))
    it(`says "${sentence}"`, () => assert.equal(told(read(sentence)), call));

  const refused: Readonly<Record<string, [because: string, says: RegExp, nearest: string | undefined]>> = {
    '': ['unknown', /^"" is nothing/, undefined],
    'make me a sandwich': ['unknown', /^"make me a sandwich" is nothing that can be done\.$/, undefined],
    'chek sistem health': ['unknown', /nothing/, 'check system health'],
    list: ['ambiguous', /can mean chronos\.list or hades\.list/, 'chronos list'],
    'show 5000 events': ['invalid', /atlas\.events limit=5000, but limit must be at most 200/, 'show LIMIT events'],
    'roll Dev back': ['invalid', /hades\.rollback target=Dev, but target must be small letters/, 'roll TARGET back'],
    'roll back': ['unknown', /nothing/, 'roll TARGET back'],
    'answer yes': ['unknown', /nothing/, 'answer QUESTION ANSWER'],
    'answer it yes': ['vague', /^"it" is no name/, 'answer QUESTION ANSWER'],
    prune: ['unknown', /nothing/, 'chronos prune TARGET'],
    undo: ['unknown', /nothing/, 'hades undo TARGET'],
    'roll it back': ['vague', /^"it" is no name/, 'roll TARGET back'],
    'roll everything back': ['vague', /^"everything" is no name/, 'roll TARGET back'],
    'back this up': ['vague', /^"this" is no name/, 'back TARGET up'],
    'can you roll dev back?': ['asked', /^That would be hades\.rollback target=dev\. /, 'roll TARGET back'],
    'back dev up?': ['asked', /^That would be chronos\.backup target=dev\. /, 'back TARGET up'],
    "don't roll dev back": ['unknown', /nothing/, 'roll TARGET back'],
    'never roll dev back': ['unknown', /nothing/, 'roll TARGET back'],
    'roll dev and prod back': ['unknown', /nothing/, 'roll TARGET back'],
    'roll back to dev': ['unknown', /nothing/, 'roll TARGET back to BACKUP'],
    'undo rollback': ['unknown', /nothing/, 'undo rollback of TARGET'],
    'roll dev back? please': ['asked', /hades/, 'roll TARGET back'],
    'roll " back': ['unknown', /nothing/, 'roll TARGET back'],
    'hades, back up dev': ['unknown', /nothing/, 'back TARGET up'],
    [`roll ${'x'.repeat(6000)} back`]: ['unknown', /at most 5000 characters/, undefined],
  };
  for (const [sentence, [because, says, nearest]] of Object.entries(refused))
    it(`calls nothing for "${sentence.slice(0, 40)}"`, () => {
      const reading = read(sentence);
      assert.ok(reading.kind === 'none');
      assert.equal(reading.because, because);
      assert.match(reading.says, says);
      assert.equal(reading.nearest[0]?.phrase, nearest);
    });

  it('needs no change here for a new capability: its name is understood, and its phrases', () => {
    const input = z.strictObject({ target: z.string(), cups: z.int().optional() });
    const base = { summary: 'x', input, output: z.object({}), example: {} };
    const hidden = z.strictObject({ target: z.string(), value: secret(z.string()) });
    const tea: Capability[] = [
      { ...base, name: 'tea.keep', risk: 'write', input: hidden, phrases: ['keep {value} for {target}'] },
      { ...base, name: 'tea.brew_strong', risk: 'write', phrases: ['make {cups} cups of tea for {target}'] },
      { ...base, name: 'tea.spill', risk: 'destructive', input: z.strictObject({ target: z.string().optional() }) },
      { ...base, name: 'tea.break', risk: 'destructive', input: z.strictObject({}), phrases: ['break it'] },
    ];
    assert.equal(told(read('Brew strong dev', tea)), 'tea.brew_strong target=dev');
    assert.equal(told(read('make 3 cups of tea for dev', tea)), 'tea.brew_strong cups=3 target=dev');
    assert.equal(told(read('tea spill dev', tea)), 'tea.spill target=dev');
    // What may destroy is said with a name in it, or not at all.
    assert.deepEqual(
      sayable(tea).map(({ capability }) => capability),
      ['tea.brew_strong', 'tea.spill'],
    );
    // What is secret is not said at all.
    assert.equal(told(read('keep dev 123', tea)), 'unknown');
    assert.equal(told(read('keep 123 for dev', tea)), 'unknown');
    for (const each of ['spill', 'break', 'break it', 'tea break']) assert.equal(told(read(each, tea)), 'unknown');
  });
});

describe('the phrases of all capabilities', () => {
  const ways = allCapabilities.flatMap(waysOf);

  it('name arguments that there are, begin with a word, and give what must be given', () => {
    for (const { capability, parts, phrase } of ways) {
      const keys = parts.flatMap((part) => (part.kind === 'argument' ? [part.key] : []));
      for (const key of keys) assert.ok(key in capability.input.shape, `${phrase}: ${key}`);
      for (const [key, schema] of Object.entries(capability.input.shape))
        assert.ok(schema.safeParse(undefined).success || keys.includes(key), `${phrase} gives no ${key}`);
      assert.equal(parts[1]?.kind, 'words', phrase);
      const rest = parts.findIndex((part) => part.kind === 'argument' && part.isRest);
      assert.ok(rest === -1 || rest === parts.length - 1, phrase);
    }
  });

  it('are said each in one way only, but for what two agents call by the same name', () => {
    for (const { phrase, capability, isDerived } of ways) {
      const said = phrase.replace(/[A-Z_]+/g, (key) => (key === 'LIMIT' ? '5' : `some-${key.toLowerCase()}`));
      const reading = read(said);
      if (isDerived && reading.kind === 'none') assert.equal(reading.because, 'ambiguous', said);
      else assert.equal(reading.kind === 'call' && reading.capability.name, capability.name, said);
    }
  });

  it('can be told to a person, one for each capability, and are understood then', () => {
    const all = sayable(allCapabilities);
    assert.deepEqual(
      all.map(({ capability }) => capability),
      allCapabilities.map(({ name }) => name),
    );
    for (const { phrase, capability } of all)
      assert.match(told(read(phrase.replaceAll(/[A-Z]+/g, '7'))), new RegExp(`^${capability}( |$)`));
  });
});

describe('whatever is said', () => {
  const destructive = allCapabilities.filter(({ risk }) => risk === 'destructive');
  const vocabulary = [
    ...new Set(
      allCapabilities
        .flatMap(waysOf)
        .flatMap(({ parts }) => parts.flatMap((part) => (part.kind === 'words' ? part.oneOf : []))),
    ),
  ];
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{2,12}[0-9]$/);
  const word = fc.oneof(fc.constantFrom(...vocabulary), name, fc.constantFrom('it', 'not', 'the', '?', '"', 'please'));
  const unquoted = word.filter((each) => each !== '"');
  const sentence = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.array(word, { maxLength: 8 }).map((words) => words.join(' ')),
  );

  it('is read without a failure, and the same each time', () => {
    fc.assert(
      fc.property(sentence, (text) => {
        assert.deepEqual(read(text), read(text));
      }),
      { numRuns: 2000 },
    );
  });

  it('destroys only by the words of a phrase, all of them and no others, with a name that was said', () => {
    const wordsOf = (way: { parts: ReturnType<typeof waysOf>[number]['parts'] }) =>
      way.parts.flatMap((part) => (part.kind === 'words' && !part.mayBeLeftOut ? [part.oneOf] : []));
    const polite = 'the a an please me my us our now just ok okay atlas hades chronos last'.split(' ');
    fc.assert(
      fc.property(fc.array(unquoted, { maxLength: 6 }), (words) => {
        const reading = read(words.join(' '));
        if (reading.kind !== 'call' || !destructive.includes(reading.capability)) return;
        const values = Object.values(reading.arguments).map(String);
        assert.ok(values.length > 0);
        for (const value of values) assert.ok(words.includes(value), value);
        assert.ok(!words.includes('?'), words.join(' '));
        const others = words.filter((each) => !values.includes(each) && !polite.includes(each));
        const isPhrase = waysOf(reading.capability).some((way) => {
          const wanted = wordsOf(way);
          return wanted.length === others.length && wanted.every((oneOf, at) => oneOf.includes(others[at] as string));
        });
        assert.ok(isPhrase, words.join(' '));
      }),
      { numRuns: 20_000 },
    );
  });

  it('destroys nothing when a word of it is missing, another is there too, or one letter is wrong', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...destructive),
        name,
        fc.nat(),
        fc.nat(),
        fc.constantFrom(...'abcxyz'),
        (one, target, a, b, letter) => {
          const ways = waysOf(one);
          const { phrase } = ways[a % ways.length] as (typeof ways)[number];
          const words = phrase.replace('TARGET', target).replace('BACKUP', `${target}-b`).split(' ');
          const at = b % words.length;
          const of = words[at] as string;
          const isName = of.startsWith(target);
          const changed = [
            words.toSpliced(at, 0, `un${letter}`),
            ...(isName ? [] : [words.with(at, of + letter), words.with(at, letter + of)]),
            words.toSpliced(at, 1),
          ];
          for (const each of changed) {
            const reading = read(each.join(' '));
            if (reading.kind !== 'call') continue;
            // Without its last part a phrase can be another, as "roll dev back to it" is; then it says just that.
            assert.ok(each.length < words.length || reading.capability.risk !== 'destructive', each.join(' '));
            assert.ok(Object.values(reading.arguments).every((value) => each.includes(String(value))));
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('means the same in capitals, with articles, and with signs at its end', () => {
    const said = Object.keys(sentences).filter((each) => !/["A-Z.?!,']/.test(each));
    fc.assert(
      fc.property(
        fc.constantFrom(...said),
        fc.constantFrom('', '.', '!', ' .', '…'),
        fc.boolean(),
        (text, sign, isPolite) => {
          const capital = text.charAt(0).toUpperCase() + text.slice(1);
          assert.equal(told(read(`${isPolite ? 'Please, ' : ''}${capital}${sign}`)), sentences[text]);
        },
      ),
    );
  });
});
