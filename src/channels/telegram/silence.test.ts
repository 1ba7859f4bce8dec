import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Event } from '../../events/event.ts';
import { parseHtml } from './fake/html.ts';
import type { Journal } from './journal.ts';
import { isHeldBack, keepSilences, silence, silenceLines, tellEnded, unsilence } from './silence.ts';
import { readSilence } from './silence-words.ts';

const minute = 60_000;
const start = Date.UTC(2026, 10, 29, 14, 0);

/** One chat's notes, and what is said there. */
function chat() {
  const notes = new Map<string, string>();
  const said: string[] = [];
  const journal = {
    get: (name: string) => notes.get(name),
    set: (name: string, value: string) => void notes.set(name, value),
    say: ({ shown }: { shown: { html: string } }) => void said.push(shown.html),
  };
  return {
    ...{ journal, said },
    on: (about: string, minutes: number, at = 0) => silence(journal, 1, about, minutes * minute, start + at * minute),
    hears: (action: string, target: string | null, at = 0) =>
      isHeldBack(journal, { action, target } as Event, 1, start + at * minute),
    passes: (at: number) => tellEnded(journal, [1], start + at * minute),
    shows: (at = 0) => silenceLines(journal, 1, start + at * minute).map(({ html }) => html),
    off: (about?: string) => unsilence(journal, 1, about)?.map(({ html }) => html),
  };
}

describe('a silence', () => {
  it('holds back what it is about, for its time, and tells that in one message', () => {
    const { on, hears, passes, said } = chat();
    on('dev', 30);
    assert.ok(hears('backup_failed', 'dev') && hears('backup_failed', 'dev', 5) && hears('agent_lost', 'dev', 29));
    assert.ok(!hears('backup_failed', 'prod') && !hears('backup_failed', null));
    assert.ok(passes(29) <= minute);
    assert.deepEqual(said, []);
    assert.ok(!hears('backup_failed', 'dev', 30));
    passes(30);
    passes(31);
    assert.equal(said.length, 1);
    assert.match(said[0] ?? '', /about dev is over[\s\S]*• 2 × <b>backup_failed<\/b> · dev, last 2026-11-29 14:05 UTC/);
    assert.match(said[0] ?? '', /• 1 × <b>agent_lost<\/b> · dev, last 2026-11-29 14:29 UTC/);
  });

  it('tells also that there was nothing, and is no longer where the clock was put back', () => {
    const { on, hears, passes, said, shows } = chat();
    on('', 60);
    passes(60);
    assert.match(said[0] ?? '', /is over\.<\/b>\nNothing was held back\./);
    on('', 60, 600);
    assert.ok(hears('x_failed', null, 0));
    assert.match(shows(0)[0] ?? '', /until 2026-11-29 15:00 UTC; held back so far: 1/);
  });

  it('never holds back that somebody reads along, or that the key of the log is another', () => {
    const { on, hears } = chat();
    on('', 60);
    assert.ok(!hears('telegram_other_poller', null) && !hears('audit_key_changed', null));
  });

  it('of a part ends into that of the whole, and is ended by hand as one', () => {
    const { on, hears, passes, said, shows, off } = chat();
    on('', 60);
    on('dev', 10);
    hears('x_failed', 'dev', 1);
    hears('x_failed', 'prod', 2);
    assert.equal(shows().length, 2);
    passes(10);
    assert.match(said[0] ?? '', /about dev is over\.<\/b>\nAll is silent until its time is over\./);
    hears('x_failed', 'dev', 11);
    assert.match(off()?.join('\n') ?? '', /• 2 × <b>x_failed<\/b> · prod|• 2 × <b>x_failed<\/b> · dev/);
    assert.equal(off(), undefined);
    assert.equal(off('dev'), undefined);
  });

  it('is told when there is room again, where the disk was full at its end', async () => {
    const { journal, on, said } = chat();
    on('', 10);
    const stop = new AbortController();
    let refusals = 0;
    await keepSilences({
      journal: {
        ...journal,
        together(write: () => number) {
          if (refusals++ < 3) throw new Error('database or disk is full');
          return write();
        },
      } as unknown as Journal,
      ...{ chats: [1], clock: () => start + 10 * minute, wake: () => undefined, signal: stop.signal },
      log: { info() {}, warn() {}, error() {} },
      async sleep() {
        if (said.length > 0 || refusals > 10) stop.abort();
      },
    });
    assert.match(said[0] ?? '', /The silence is over/);
  });

  it('fits into one message whatever there was, and goes on counting when it is made longer', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 300 });
    fc.assert(
      fc.property(fc.array(fc.tuple(text, fc.option(text)), { maxLength: 80 }), (events) => {
        const { on, hears, passes, said } = chat();
        on('', 30);
        let held = 0;
        for (const [action, target] of events) held += Number(hears(action, target));
        on('', 60);
        passes(60);
        assert.equal(said.length, 1);
        assert.ok(parseHtml(said[0] as string).text.length <= 4096);
        const counts = [...(said[0] as string).matchAll(/^• (\d+) × /gm)].map(([, count]) => Number(count));
        assert.ok(counts.length <= 21 && counts.reduce((sum, each) => sum + each, 0) === held);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the words after /silence', () => {
  it('are a time, a target and a time, off, or nothing', () => {
    const cases: [string, ReturnType<typeof readSilence>][] = [
      ['', { kind: 'show' }],
      ['  2h ', { kind: 'for', about: undefined, forMs: 120 * minute }],
      ['1h30m', { kind: 'for', about: undefined, forMs: 90 * minute }],
      ['2 hours', { kind: 'for', about: undefined, forMs: 120 * minute }],
      ['dev 30m', { kind: 'for', about: 'dev', forMs: 30 * minute }],
      ['dev 45 min', { kind: 'for', about: 'dev', forMs: 45 * minute }],
      ['7D', { kind: 'for', about: undefined, forMs: 7 * 24 * 60 * minute }],
      ['off', { kind: 'off', about: undefined }],
      ['dev OFF', { kind: 'off', about: 'dev' }],
    ];
    for (const [text, read] of cases) assert.deepEqual(readSilence(text), read, text);
  });

  it('are answered with what is wrong with them', () => {
    const cases: [string, RegExp][] = [
      ['dev', /^For how long about dev\? \/silence dev 30m$/],
      ['90', /“90” is no time/],
      ['2x', /“2x” is no time/],
      ['-2h', /“-2h” is no time/],
      ['dev 2 potatoes', /more than a target and a time/],
      ['0m', /A minute is the least/],
      ['8d', /Seven days is the most/],
      ['999999d', /Seven days is the most/],
      ['9999999h', /no time/],
    ];
    for (const [text, says] of cases) {
      const read = readSilence(text);
      assert.ok(read.kind === 'wrong', text);
      assert.match(read.says, says);
    }
  });
});
