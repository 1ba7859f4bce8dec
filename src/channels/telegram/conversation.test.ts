import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { allCapabilities } from '../../capabilities/all-capabilities.ts';
import type { Event } from '../../events/event.ts';
import { commandsOf } from './commands.ts';
import { converse, type Talking } from './conversation.ts';
import { openJournal } from './journal.ts';

const approval = {
  ...{ id: 'bus-1', source_agent: 'EVENT-BUS', human_state: 'open', human_fallback: 'no', payload_hash: 'h' },
  ...{ human_question: 'Roll prod back?', human_options: ['yes', 'no'], details: { step_up: 'code' }, answerers: null },
} as unknown as Event;

/** Somebody who writes, a bus on which an approval is open that takes a code, and nobody who judges codes. */
function chat(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-conversation-'));
  const file = join(folder, 'bot.db');
  const journal = openJournal(file, () => 1_800_000_000_000);
  t.after(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });
  const called: string[] = [];
  const talking = {
    ...{ journal, person: 'olga', clock: () => 1_800_000_000_000, onRefused: () => undefined },
    ...{ commands: commandsOf(allCapabilities), capabilities: allCapabilities },
    client: {
      pending: async () => ({ pending: [approval] }),
      event: async () => approval,
      respond: async () => assert.fail('nothing is decided'),
      async callCapability(name: string, args: object) {
        called.push(`${name} ${JSON.stringify(args)}`);
        return { id: 'call-1', capability: name, status: 'running', result: null, error: null };
      },
    },
    codes: { ready: async () => ({ kind: 'ready', entry: null }), judge: () => assert.fail('no code is judged') },
  } as unknown as Talking;
  const send = async (text: string, answers?: { message: number; text: string }) => {
    const heard = { text, chat: 1, name: undefined, key: 'k', message: 9, answers, sentMs: 1_800_000_000_000 };
    const reply = await converse(talking, heard);
    reply.also?.(journal);
    return reply.lines.map(({ html }) => html).join('\n');
  };
  const isTakenAway = () => journal.next().some(({ edits, shown }) => edits === 9 && shown.html === '');
  return { send, called, journal, isTakenAway };
}

describe('what is written to the control bot', () => {
  it('is done where it is a sentence, also one that has the form of a backup code', async (t) => {
    const { send, called, journal, isTakenAway } = chat(t);
    await send('drill prod1');
    await send('/approve bus-1');
    await send('drill prod1');
    assert.deepEqual(called, ['chronos.drill {"target":"prod1"}', 'chronos.drill {"target":"prod1"}']);
    assert.ok(!isTakenAway());
    assert.equal(journal.awaitedCode(1)?.question, 'bus-1');
    // As an answer to what asks for the code it is one.
    await assert.rejects(send('drill prod1', { message: 3, text: 'bus-1' }), /no code is judged/);
  });

  it('asks for a code for none but an answer that there is, and keeps what may be one nowhere', async (t) => {
    for (const [text, says] of [
      ['/respond bus-1 maybe', /^It can be answered with: yes, no\.$/],
      ['/respond bus-1 yes 7K2QX-M4DPA', /^It can be answered with: yes, no\.\nA code stands alone/],
      ['answer bus-1 with yes 123456', /^It can be answered with: yes, no\.\nA code stands alone/],
      ['/approve bus-1 123456', /^Say it like this[\s\S]*A code stands alone/],
      ['the code is 7K2QX-M4DPA', /^A code stands alone/],
    ] as const) {
      const { send, journal, isTakenAway } = chat(t);
      assert.match(await send(text), says, text);
      assert.equal(journal.awaitedCode(1), undefined);
      assert.equal(isTakenAway(), text !== '/respond bus-1 maybe', text);
      assert.doesNotMatch(JSON.stringify(journal.next()), /7K2QX|123456/);
    }
  });
});
