import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { GrammyError } from 'grammy';
import { openJournal } from './journal.ts';
import { makeOutbox } from './outbox.ts';
import { usualPace } from './pace.ts';

const owner = 7;

function journalIn(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-outbox-'));
  const journal = openJournal(join(folder, 'bot.db'), () => 1_700_000_000_000);
  t.after(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });
  return journal;
}

describe('the outbox of the control bot', () => {
  it('sends nothing twice while the disk is full, and goes on when there is room', async (t) => {
    const journal = journalIn(t);
    for (const id of ['one', 'two']) journal.say({ id, chat: owner, shown: { html: id, keys: [] } });
    const stop = new AbortController();
    const sent: string[] = [];
    let refusals = 0;
    const outbox = makeOutbox({
      journal: {
        ...journal,
        together(write) {
          if (refusals++ < 5) throw new Error('database or disk is full');
          return journal.together(write);
        },
      },
      sender: {
        async send({ id }) {
          sent.push(id);
          return sent.length;
        },
        remove: async () => undefined,
        edit: async () => assert.fail('nothing is changed'),
      },
      pace: usualPace,
      log: { info() {}, warn() {}, error() {} },
      clock: () => 1_700_000_000_000,
      signal: stop.signal,
      // It looks for something to do when all is sent.
      async sleep() {
        if (sent.length === 2 && journal.waiting() === 0) stop.abort();
      },
    });
    await outbox.run();
    assert.deepEqual(sent, ['one', 'two']);
    assert.equal(refusals, 7);
  });

  it('says of what it may not take away that it is still there, and nothing of what is gone', async (t) => {
    const journal = journalIn(t);
    const refused: Record<number, string> = {
      1: "Bad Request: message can't be deleted for everyone",
      2: 'Bad Request: message to delete not found',
    };
    for (const edits of [1, 2])
      journal.say({ id: `forget ${edits}`, chat: owner, shown: { html: '', keys: [] }, edits });
    const stop = new AbortController();
    const sent: string[] = [];
    const errors: string[] = [];
    const outbox = makeOutbox({
      journal,
      sender: {
        async send({ shown }) {
          return sent.push(shown.html);
        },
        async remove({ edits }) {
          const description = refused[edits as number] as string;
          throw new GrammyError('Call failed', { ok: false, error_code: 400, description }, 'deleteMessage', {});
        },
        edit: async () => assert.fail('nothing is changed'),
      },
      pace: usualPace,
      log: { info() {}, warn() {}, error: (text) => void errors.push(text) },
      clock: () => 1_700_000_000_000,
      signal: stop.signal,
      async sleep() {
        stop.abort();
      },
    });
    await outbox.run();
    assert.deepEqual([sent.length, errors.length, journal.waiting()], [1, 1, 0]);
    assert.match(sent[0] ?? '', /Delete it yourself/);
  });
});
