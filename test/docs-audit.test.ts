import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it, type TestContext } from 'node:test';
import { openSqliteStore } from '../src/bus/store/sqlite/open.ts';
import { temporaryFolder } from './cli-run.fixtures.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/audit.md'), 'utf8');
const plain = (of: 'HADES' | 'N8N') => ({
  source_agent: of,
  action: 'grüße_"x"',
  details: { n: 1.5, ü: '\u0001\u2028' },
});

async function aDatabase(t: TestContext): Promise<string> {
  const file = join(temporaryFolder(t), 'events.db');
  const store = await openSqliteStore({ file, clock: Date.now });
  for (let n = 0; n < 20; n++) await store.publish({ ...plain('N8N'), target: `t\t"\\${n}`, tags: ['b', 'a'] });
  const asked = { requires_human: true, human_question: 'Nun?', human_options: ['ja', 'nein'], free_text: true };
  const more = { human_timeout_minutes: 2.25, answerers: ['Zoë'], payload_hash: 'p', human_fallback: 'nein' };
  const escalation = [
    { after_minutes: 1, notify: ['a'] },
    { after_minutes: 1.5, notify: ['b'] },
  ];
  await store.publish({ ...plain('HADES'), ...asked, ...more, escalation, id: 'q', correlation_id: 'c' });
  await store.publish({ source_agent: 'HADES', action: 'asked', human_timeout_minutes: 0, requires_human: true });
  await store.answer('q', { response: 'ja', responder: 'Zoë', via: 'cli', payloadHash: 'p', mayApprove: true });
  await store.close();
  return file;
}

/** docs/audit.md once more, by somebody who has not seen the bus' own code. */
function verified(file: string): number {
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db
    .prepare(
      `SELECT e.*, f.source_agent, f.action, a.hearers, q.state, q.question, q.options, q.timeout_minutes, q.fallback, q.free_text,
         q.answerers, q.payload_hash, q.deadline, q.escalation
       FROM event_log e JOIN facets f USING (facet_id) JOIN audiences a USING (audience_id) LEFT JOIN questions q USING (seq)
       ORDER BY e.seq`,
    )
    .all();
  db.close();
  const lists = ['answerers', 'options', 'tags', 'hearers'];
  const never = ['facet_id', 'hash', 'details', 'state', 'free_text', 'escalation', ...lists];
  const sha256 = (text: string) => createHash('sha256').update(text, 'utf8').digest('hex');
  let last = '0'.repeat(64);
  for (const row of rows) {
    const envelope: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(row))
      if (value !== null && !never.includes(name)) envelope[name] = value;
    for (const name of lists) if (row[name] !== null) envelope[name] = JSON.parse(row[name] as string);
    if (row.details !== null) envelope.details_sha256 = sha256(row.details as string);
    if (row.escalation)
      envelope.escalation = JSON.parse(row.escalation as string).map((rung: Record<string, unknown>) => ({
        after_minutes: rung.after_minutes,
        notify: rung.notify,
      }));
    if (row.free_text) envelope.free_text = true;
    if (row.state) envelope.requires_human = true;
    const inOrder = Object.fromEntries(Object.entries(envelope).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    last = sha256(last + JSON.stringify(inOrder));
    assert.equal(Buffer.from(row.hash as Uint8Array).toString('hex'), last, `event ${row.seq}`);
  }
  return rows.length;
}

describe('docs/audit.md', () => {
  it('defines the chain such that others can compute it', async (t) => {
    assert.equal(verified(await aDatabase(t)), 24);
  });

  const hasPython = spawnSync('python3', ['--version']).status === 0;
  it('has a program that verifies it', { skip: !hasPython && 'there is no python3' }, async (t) => {
    const file = await aDatabase(t);
    const program = join(temporaryFolder(t), 'verify.py');
    writeFileSync(program, /```python\n([\s\S]*?)```/.exec(page)?.[1] ?? '');
    const verify = () => spawnSync('python3', [program, file], { encoding: 'utf8', timeout: 20_000 });
    const sound = verify();
    assert.match(sound.stdout, /^sound, and ends with [0-9a-f]{64}\n$/, sound.stderr);
    const db = new DatabaseSync(file);
    db.exec(`UPDATE event_log SET target = 'other' WHERE seq = 7`);
    db.close();
    assert.deepEqual([verify().status, verify().stderr], [1, 'event 7 is not what the bus stored\n']);
  });
});
