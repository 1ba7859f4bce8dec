import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import type { Event } from '../../events/event.ts';
import { holdsCode, looksLikeCode, type SentCode } from './codes.ts';
import { openJournal } from './journal.ts';
import { askForCode, hearCode, type StepUpDeps, takesCode } from './step-up.ts';

const question = {
  ...{ id: 'q1', source_agent: 'EVENT-BUS', human_state: 'open', human_fallback: 'no', payload_hash: 'h' },
  ...{ human_question: 'Roll prod back?', human_options: ['yes', 'no'], details: { step_up: 'code' } },
} as unknown as Event;
const minute = 60_000;
const olga = { chat: 1, name: undefined };
const bert = { chat: 2, name: undefined };

/** A bot with a journal of its own, a bus that may be away, and somebody who judges codes as told. */
function stand(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'leveredge-step-up-'));
  const on: {
    nowMs: number;
    isAway: boolean;
    isFull: boolean;
    isJudging: boolean;
    right: string;
    afterwards?: () => void;
  } = {
    ...{ nowMs: 1_800_000_000_000, isAway: false, isFull: false, isJudging: true, right: '123456' },
  };
  const journal = openJournal(join(folder, 'bot.db'), () => on.nowMs);
  t.after(() => {
    journal.close();
    rmSync(folder, { recursive: true });
  });
  const judged: SentCode[] = [];
  const refused: object[] = [];
  const answered: { response: string; proof?: string | null | undefined }[] = [];
  const deps = {
    ...{ journal, person: 'olga', clock: () => on.nowMs, onRefused: (code: object) => void refused.push(code) },
    client: {
      async event() {
        if (on.isAway) throw new Fault('unreachable', 'No bus.');
        return question;
      },
      async respond(_: string, answer: { response: string; proof?: string | null }) {
        if (on.isAway) throw new Fault('unreachable', 'No bus.');
        if (on.isFull) throw new Fault('storage-full', 'The disk is full.');
        answered.push(answer);
        return answer;
      },
    },
    codes: {
      async ready() {
        if (!on.isJudging) throw new Fault('unavailable', 'GAIA cannot be asked.', { hint: 'Look.' });
        return { kind: 'ready', entry: 'Approvals' } as const;
      },
      async judge(sent: SentCode) {
        judged.push(sent);
        if (sent.code !== on.right) return { kind: 'refused', says: ['Wrong.'] } as const;
        on.afterwards?.();
        return { kind: 'right', proof: 'proven', says: [] } as const;
      },
    },
  } as unknown as StepUpDeps;
  const hear = async (text: string, answers?: { message: number; text: string }, who = olga) => {
    const reply = await hearCode(deps, { text, message: 9, answers, sentMs: on.nowMs }, who);
    reply?.also?.(journal);
    return reply?.lines.map(({ html }) => html).join('\n');
  };
  return Object.assign(on, {
    ...{ journal, judged, answered, refused, hear },
    tap: async (who = olga) => (await askForCode(deps, question, 'yes', who)).text,
    said: () => journal.next().map(({ shown }) => shown.html),
  });
}

describe('a yes that waits for its code', () => {
  it('is of approvals of the bus alone that say so, and of no answer that changes nothing', () => {
    assert.ok(takesCode(question, 'yes') && !takesCode(question, 'no'));
    for (const other of [{ source_agent: 'HADES' }, { details: null }, { details: {} }, { human_state: 'answered' }])
      assert.ok(!takesCode({ ...question, ...other } as Event, 'yes'), JSON.stringify(other));
  });

  it('knows a code from a sentence', () => {
    for (const code of ['123456', '123 456', '7K2QX-M4DPA', '7k2qxm4dpa', 'abcde-fghij', ' 7K2QX M4DPA '])
      assert.ok(looksLikeCode(code), code);
    for (const words of ['check aegis', 'everything', '12345', '1234567', '/status', 'yes', '', '12 34 56'])
      assert.ok(!looksLikeCode(words), words);
  });

  it('finds a code among words, and takes no id and no name of a backup for one', () => {
    for (const text of ['the code is 7K2QX-M4DPA', 'code: 123456', '/respond q1 yes 123 456', '(7k2qx-m4dpa)'])
      assert.ok(holdsCode(text), text);
    const id = 'event-bus-ca9226ca4a9186441e8e24c3605079c6ad74f4cb';
    for (const text of [
      'prod-2026-11-29-154521.tar.zst',
      id,
      'say hello-world',
      'drill server1234',
      'drill prod1',
      '12345',
    ])
      assert.ok(!holdsCode(text), text);
  });

  it('is decided with the proof of its code, for that question and that person', async (t) => {
    const on = stand(t);
    assert.equal(await on.tap(), 'Now your code.');
    assert.match(on.said()[0] ?? '', /Roll prod back\?[\s\S]*code of your authenticator \(its entry Approvals\)/);
    assert.equal(await on.hear('111111'), 'Wrong.');
    assert.deepEqual(on.refused, [{ user: 1, message: 9, question: 'q1' }]);
    assert.equal(await on.hear('123456'), 'Stored: yes');
    const { code: _, ...asked } = on.judged[1] as SentCode;
    assert.deepEqual(asked, { question: 'q1', payload_hash: 'h', person: 'olga', sent_ms: on.nowMs });
    assert.deepEqual([on.answered.length, on.answered[0]?.proof], [1, 'proven']);
    assert.equal(await on.hear('123456'), 'Nothing waits for a code of yours; it was not looked at.');
  });

  it('needs no second code where the bus is away just when the first was right', async (t) => {
    const on = stand(t);
    await on.tap();
    on.afterwards = () => {
      on.isAway = true;
    };
    assert.match((await on.hear('123456')) ?? '', /^Your code was right, but the bus does not answer/);
    on.isAway = false;
    on.nowMs += 6 * minute;
    assert.equal(await on.tap(), 'Stored: yes');
    assert.equal(on.judged.length, 1);
    assert.equal(on.answered[0]?.proof, 'proven');
  });

  it('needs none either where the bus has no room just then', async (t) => {
    const on = stand(t);
    await on.tap();
    on.isFull = true;
    assert.match((await on.hear('123456')) ?? '', /^Your code was right, and not stored yet/);
    on.isFull = false;
    assert.equal(await on.tap(), 'Stored: yes');
    assert.equal(on.judged.length, 1);
  });

  it('waits on, whatever becomes of that of somebody else', async (t) => {
    const on = stand(t);
    await on.tap();
    on.nowMs += 4 * minute;
    assert.equal(await on.tap(bert), 'Now your code.');
    on.nowMs += 2 * minute;
    assert.match((await on.hear('123456')) ?? '', /^That was more than 5 minutes/);
    assert.equal(await on.hear('123456', undefined, bert), 'Stored: yes');
  });

  it('is asked for anew when the proof is too old, and when the clock was set back', async (t) => {
    const on = stand(t);
    await on.tap();
    on.nowMs -= 60 * minute;
    assert.match((await on.hear('123456')) ?? '', /^That was more than 5 minutes/);
    assert.equal(await on.tap(), 'Now your code.');
    on.afterwards = () => {
      on.isAway = true;
    };
    await on.hear('123456');
    on.isAway = false;
    on.nowMs += 11 * minute;
    assert.equal(await on.tap(), 'Now your code.');
    assert.equal(on.answered.length, 0);
  });

  it('is not asked for where nobody judges, and says how else it can be answered', async (t) => {
    const on = stand(t);
    on.isJudging = false;
    assert.match(await on.tap(), /^Not decided/);
    assert.match(on.said()[0] ?? '', /GAIA cannot be asked\.\nLook\.\n.*leveredge answer q1 yes/);
    assert.equal(on.journal.awaitedCode(1), undefined);
  });

  it('is for the question whose message it answers, also where the journal knows nothing of that message', async (t) => {
    const on = stand(t);
    await on.tap();
    assert.match((await on.hear('123456', { message: 7, text: 'Roll dev back? q2' })) ?? '', /another message/);
    assert.equal(on.judged.length, 0);
    assert.equal(await on.hear('123456', { message: 8, text: 'Roll prod back?\nq1' }), 'Stored: yes');
  });

  it('leaves everything else that is said to whoever else hears it', async (t) => {
    const on = stand(t);
    await on.tap();
    for (const words of ['/status', 'check system health', 'everything']) assert.equal(await on.hear(words), undefined);
    assert.equal(on.judged.length, 0);
  });
});
