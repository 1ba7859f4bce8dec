import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Event } from '../../events/event.ts';
import { openJournal } from './journal.ts';
import { tell } from './notice.ts';

const owner = 7;

function journalIn(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-notice-'));
  const journal = openJournal(join(folder, 'bot.db'), () => 1_700_000_000_000);
  t.after(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });
  return journal;
}

let made = 0;
const event = (action: string) =>
  ({
    ...{ id: `e${made++}`, action, target: 'dev', source_agent: 'CHRONOS', timestamp: '2026-11-29T03:15:00.000Z' },
    details: { says: 'The disk is full.' },
  }) as unknown as Event;

describe('what the control bot tells unasked', () => {
  it('is a count, when 10,000 things happen in a night, and keeps no question and no reply waiting', (t) => {
    const journal = journalIn(t);
    journal.together(() => {
      for (let n = 0; n < 10_000; n++) tell(journal, event(n === 5000 ? 'agent_lost' : 'backup_failed'), owner);
    });
    assert.equal(journal.waiting(), 31);
    journal.say({ id: 'ask', chat: owner, shown: { html: 'A question', keys: [] }, isUrgent: true });
    journal.say({ id: 'reply', chat: owner, shown: { html: 'A reply', keys: [] }, isReply: true });
    const sent: string[] = [];
    for (let [next] = journal.next(); next; [next] = journal.next()) {
      sent.push(next.shown.html);
      journal.sent(next.seq, sent.length);
    }
    assert.deepEqual(sent.slice(0, 2), ['A reply', 'A question']);
    assert.match(sent[2] ?? '', /backup_failed.*\nThe disk is full\./);
    assert.match(sent.at(-1) ?? '', /not told one by one.*\n• 9969 × backup_failed\n• 1 × agent_lost\n\/events$/);
  });

  it('loses count of nothing while the count itself may be under way', (t) => {
    const journal = journalIn(t);
    let told = 0;
    for (let n = 0; n < 150; n++) {
      tell(journal, event('backup_failed'), owner);
      // What Telegram takes just now was read before the next event comes.
      const [sending] = n % 3 === 0 ? journal.next() : [];
      tell(journal, event('backup_failed'), owner);
      if (!sending) continue;
      told += Number(/(\d+) ×/.exec(sending.shown.html)?.[1] ?? 1);
      journal.sent(sending.seq, n);
    }
    for (let [next] = journal.next(); next; [next] = journal.next()) {
      told += Number(/(\d+) ×/.exec(next.shown.html)?.[1] ?? 1);
      journal.sent(next.seq, 1);
    }
    assert.equal(told, 300);
  });

  it('counts no more than some actions apart, whatever they are called', (t) => {
    const journal = journalIn(t);
    journal.together(() => {
      for (let n = 0; n < 200; n++) tell(journal, event(n % 2 ? `<x${n}>`.padEnd(200, 'y') : '__proto__'), owner);
    });
    const folded = journal.get(`folded ${owner}`) ?? '';
    assert.equal(Object.keys((JSON.parse(folded) as { counts: object }).counts).length, 11);
    assert.match(folded, /"others":\d+/);
  });
});
