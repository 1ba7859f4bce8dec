import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Client } from '../../client/client.ts';
import type { Event } from '../../events/event.ts';
import { openJournal } from './journal.ts';
import { dataOf, keyOf } from './question-message.ts';
import { answerTap } from './tap.ts';

function journalIn(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-tap-'));
  const journal = openJournal(join(folder, 'bot.db'), () => 1_700_000_000_000);
  t.after(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });
  return journal;
}

describe('a tap on a button', () => {
  it('answers the question below which it stands, also where another is called as that one’s buttons are', async (t) => {
    const journal = journalIn(t);
    const approval = `event_bus-${'0123456789'.repeat(4)}`;
    const foisted = keyOf(approval);
    for (const id of [foisted, approval]) journal.putQuestion({ id, key: keyOf(id) });
    journal.closeQuestion(foisted, 'over');
    const answered: string[] = [];
    const client = {
      event: async (id: string) => ({ id, human_options: ['yes', 'no'], payload_hash: null }) as unknown as Event,
      async respond(id: string, { response }: { response: string }) {
        answered.push(id);
        return { response };
      },
    } as unknown as Pick<Client, 'event' | 'respond'>;
    const codes = { ready: () => assert.fail('no code is wanted'), judge: () => assert.fail('no code is sent') };
    const deps = { client, journal, codes, person: 'olga', clock: () => 0, onRefused: () => undefined };
    for (const id of [approval, foisted]) await answerTap(deps, dataOf(keyOf(id), 0), { chat: 1, name: undefined });
    assert.deepEqual(answered, [approval, foisted]);
    assert.equal(journal.question(approval)?.outcome, null);
    assert.equal(journal.question(foisted)?.outcome, 'over');
  });
});
