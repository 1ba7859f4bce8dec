import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { displayWidth } from '../../base/display-width.ts';
import type { Event } from '../../events/event.ts';
import { eventCells, eventLine } from './event-line.ts';

const nowMs = Date.UTC(2026, 0, 16, 12);
const anEvent = (fields: Partial<Event> = {}): Event =>
  ({
    id: '01a2',
    timestamp: '2026-01-16T10:30:00.000Z',
    source_agent: 'HEPHAESTUS',
    action: 'deploy_started',
    target: 'dev',
    details: null,
    human_question: null,
    human_state: null,
    human_options: null,
    status: 'pending',
    ...fields,
  }) as Event;
const line = (fields: Partial<Event>, columns = 80, color = false) =>
  eventLine(anEvent(fields), { columns, color, nowMs });

describe('an event on one line', () => {
  it('says when, who, what, on what, and a hint of the rest', () => {
    assert.equal(line({}), '10:30:00  HEPHAESTUS    deploy_started            dev');
    assert.equal(
      line({ details: { env: 'dev', n: 3, list: [1, null], on: true } }, 120),
      '10:30:00  HEPHAESTUS    deploy_started            dev  env=dev n=3 list=[1,null] on=true',
    );
    assert.equal(line({ target: null }), '10:30:00  HEPHAESTUS    deploy_started');
    assert.match(line({ timestamp: '2025-12-31T23:59:59.000Z' }), /^2025-12-31 23:59:59 {2}HEPHAESTUS/);
  });

  it('marks a question, and what can be answered', () => {
    const asks = {
      action: 'may_i',
      human_state: 'open',
      human_question: 'Roll back?',
      human_options: ['yes', 'no'],
    } as const;
    assert.match(line({ ...asks, human_options: ['yes', 'no'] }), / {2}dev {2}\? Roll back\? \[yes \/ no\]$/);
    assert.match(line({ human_state: 'open' }), /\? asks a person$/);
  });

  it('is never wider than the terminal, whatever comes', () => {
    const long = 'ein sehr langer Name \u6f22\u5b57\u{1f600} '.repeat(12);
    for (const columns of [20, 30, 60, 79, 80, 200])
      for (const fields of [
        { source_agent: long, action: long, target: long, details: { [long]: long } },
        { source_agent: long, target: null },
        { action: long, human_state: 'open', human_question: long },
        { details: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`key${i}`, i])) },
      ] as Partial<Event>[]) {
        const shown = line(fields, columns, true);
        assert.ok(displayWidth(stripVTControlCharacters(shown)) <= columns, `${columns}: ${shown}`);
      }
  });

  it('colours what failed, and only on demand; hostile text stays text', () => {
    assert.ok(line({ action: 'backup_failed' }, 80, true).includes('\x1b[31mbackup_failed'));
    assert.ok(line({}, 80, true).includes('\x1b[1mdeploy_started'));
    const hostile = {
      source_agent: '\x1b[31m',
      action: 'a\nb',
      target: '\u202ex',
      details: { '\x07': '\x1b]0;x\x07' },
    };
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
    assert.doesNotMatch(line(hostile), /[\u0000-\u001f\u202e]/);
  });

  it('is whole and in columns for a pipe', () => {
    assert.equal(
      eventCells(anEvent({ target: null, action: 'a\tb', human_state: 'open' })),
      '2026-01-16T10:30:00.000Z\t01a2\tHEPHAESTUS\ta\\u0009b\t\tasks',
    );
    assert.match(eventCells(anEvent({ status: 'acknowledged' })), /dev\tacknowledged$/);
  });
});
