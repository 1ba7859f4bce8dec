import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chained, noHash } from '../chain.ts';
import { keyIdOf, signCheckpoint } from '../signed-checkpoint.ts';
import { aFact } from '../store.fixtures.ts';
import type { FindingKind } from '../verify-chain.ts';
import { linksOf } from './chain-rows.ts';
import { openSqliteStore } from './open.ts';
import { aLog, changed, key, rechain, verify } from './verify-file.fixtures.ts';

type Case = [name: string, change: string | ((db: DatabaseSync) => void), kind: FindingKind, seq: number];

const noCheckpoints = 'DELETE FROM checkpoints;';
const rest = 'facet_id, at, target, details, tags';
/** What SQLite holds and no double does. */
const tooLarge = '9223372036854775807';
const copyOfLast = `INSERT INTO event_log (seq, id, ${rest}, hash) SELECT 16, 'added', ${rest}, hash`;
const addedAt = (seq: string) => `${copyOfLast.replace('16', seq)} FROM event_log WHERE seq = 15`;

/** What somebody may do to the file, and what must be said of it, with the first event it strikes. */
const cases: Case[] = [
  ['other details', `UPDATE event_log SET details = '{"n":2}' WHERE seq = 3`, 'altered', 3],
  ['details gone', 'UPDATE event_log SET details = NULL WHERE seq = 3', 'altered', 3],
  ['a blank in the details', `UPDATE event_log SET details = replace(details, ':', ': ') WHERE seq = 2`, 'altered', 2],
  ['another id', `UPDATE event_log SET id = 'fact-x' WHERE seq = 1`, 'altered', 1],
  ['another time', 'UPDATE event_log SET at = at + 1 WHERE seq = 4', 'altered', 4],
  ['another target', `UPDATE event_log SET target = 'prod' WHERE seq = 4`, 'altered', 4],
  ['a target moved into the tags', movedIntoTags, 'altered', 4],
  ['a target moved into the time', `UPDATE event_log SET at = at || ',"causation_id":"y"' WHERE seq = 4`, 'altered', 4],
  ['tags that are no list', `UPDATE event_log SET tags = 'x' WHERE seq = 2`, 'altered', 2],
  ['another correlation', `UPDATE event_log SET correlation_id = 'd' WHERE seq = 5`, 'altered', 5],
  ['another cause', `UPDATE event_log SET causation_id = NULL WHERE seq = 5`, 'altered', 5],
  ['another trace', `UPDATE event_log SET traceparent = 'tq' WHERE seq = 5`, 'altered', 5],
  ['another workflow', `UPDATE event_log SET source_workflow_id = 'v' WHERE seq = 5`, 'altered', 5],
  ['another run', `UPDATE event_log SET source_execution_id = 'y' WHERE seq = 5`, 'altered', 5],
  ['another source', `UPDATE facets SET source_agent = 'X' WHERE action = 'acted_1'`, 'altered', 7],
  ['another action', `UPDATE facets SET action = 'x' WHERE action = 'acted_0'`, 'altered', 8],
  [
    'another facet',
    'UPDATE event_log SET facet_id = (SELECT facet_id FROM event_log WHERE seq = 8) WHERE seq = 7',
    'altered',
    7,
  ],
  ['a facet gone', `DELETE FROM facets WHERE action = 'acted_1'`, 'altered', 7],
  ['other hearers', `UPDATE audiences SET hearers = replace(hearers, 'CHRONOS', 'KRONOS')`, 'altered', 1],
  [
    'another priority',
    `UPDATE audiences SET hearers = replace(hearers, '"CHRONOS","queue",1', '"CHRONOS","queue",2')`,
    'altered',
    1,
  ],
  ['other names of hearers', `UPDATE audiences SET agents = replace(agents, 'CHRONOS', 'KRONOS')`, 'altered', 1],
  ['another question', `UPDATE questions SET question = 'Roll prod back?'`, 'altered', 5],
  ['other options', `UPDATE questions SET options = '["yes"]'`, 'altered', 5],
  ['another timeout', 'UPDATE questions SET timeout_minutes = 3', 'altered', 5],
  ['another deadline', 'UPDATE questions SET deadline = deadline + 60000', 'altered', 5],
  ['another fallback', `UPDATE questions SET fallback = 'yes'`, 'altered', 5],
  ['no free text', 'UPDATE questions SET free_text = 0', 'altered', 5],
  ['other answerers', `UPDATE questions SET answerers = '["eve"]'`, 'altered', 5],
  ['another payload', `UPDATE questions SET payload_hash = 'q'`, 'altered', 5],
  ['another rung', `UPDATE questions SET escalation = replace(escalation, 'boss', 'eve')`, 'altered', 5],
  ['a question that asked nobody', 'UPDATE questions SET state = NULL', 'altered', 5],
  ['a question gone', 'DELETE FROM questions', 'altered', 5],
  ['a question added', `INSERT INTO questions (seq, state) VALUES (3, 'open')`, 'altered', 3],
  ['another hash', `UPDATE event_log SET hash = zeroblob(32) WHERE seq = 2`, 'altered', 2],
  [
    'an announcement that no longer says what was before the purge',
    (db) => {
      db.exec(`UPDATE event_log SET details = json_remove(details, '$.follows') WHERE seq = 14; ${noCheckpoints}`);
      rechain(db, 14);
    },
    'altered',
    8,
  ],
  ['bytes that are no UTF-8 and read as what was there', noUtf8, 'altered', 2],
  ['two rows swapped', swapped, 'altered', 2],
  ['a row moved', `UPDATE event_log SET seq = 99 WHERE seq = 7`, 'deleted', 7],
  ['a row deleted', 'DELETE FROM event_log WHERE seq = 7', 'deleted', 7],
  ['the first row deleted', 'DELETE FROM event_log WHERE seq = 1', 'deleted', 1],
  ['the tail cut', 'DELETE FROM event_log WHERE seq = 15', 'deleted', 15],
  [
    'the tail cut, and the head with it',
    `DELETE FROM event_log WHERE seq = 15; UPDATE bus_meta SET value = 14 WHERE name = 'head'`,
    'deleted',
    15,
  ],
  ['all gone', 'DELETE FROM event_log; DELETE FROM purged_runs', 'deleted', 1],
  ['no hash', 'UPDATE event_log SET hash = NULL WHERE seq = 3', 'unchained', 3],
  ['a row added after the end', addedAt('16'), 'unchained', 16],
  [
    'a row added without a hash',
    `${copyOfLast.replace(/hash$/, 'NULL')} FROM event_log WHERE seq = 15; UPDATE bus_meta SET value = 16 WHERE name = 'head'`,
    'unchained',
    16,
  ],
  [
    'a row added with a foreign hash',
    `${copyOfLast} FROM event_log WHERE seq = 15; UPDATE bus_meta SET value = 16 WHERE name = 'head'`,
    'altered',
    16,
  ],
  ['a row before the beginning', `UPDATE event_log SET seq = 0 WHERE seq = 1`, 'unchained', 0],
  ['a row where events were purged', addedAt('9'), 'unchained', 9],
  ['a chain that begins anew', (db) => rechainFromNothing(db, 12), 'unchained', 12],
  ['changed and chained anew', changedAndChained, 'checkpoint-mismatch', 6],
  [
    'changed after the first checkpoint and chained anew',
    (db) => {
      db.exec(`UPDATE event_log SET target = 'x' WHERE seq = 8`);
      rechain(db, 8);
    },
    'altered',
    8,
  ],
  ['changed after the purge and chained anew', chainedAnewAtTheEnd, 'checkpoint-mismatch', 15],
  [
    'a checkpoint with another hash',
    `UPDATE checkpoints SET hash = CASE substr(hash, 1, 1) WHEN 'a' THEN 'b' ELSE 'a' END || substr(hash, 2) WHERE seq = 6`,
    'checkpoint-mismatch',
    6,
  ],
  ['a checkpoint with another time', 'UPDATE checkpoints SET at = at + 1 WHERE seq = 6', 'checkpoint-mismatch', 6],
  ['a checkpoint that was moved', 'UPDATE checkpoints SET seq = 7 WHERE seq = 6', 'checkpoint-mismatch', 7],
  ['a checkpoint of another key', `UPDATE checkpoints SET key_id = 'abc' WHERE seq = 6`, 'checkpoint-mismatch', 6],
  ['a purge that was forged', (db) => purgeForged(db), 'deleted', 3],
  [
    'a purge made longer',
    (db) => {
      db.exec('DELETE FROM event_log WHERE seq = 11');
      db.exec('UPDATE purged_runs SET to_seq = 11');
    },
    'deleted',
    11,
  ],
  ['another hash of a purge', 'UPDATE purged_runs SET hash = zeroblob(32)', 'unchained', 11],
  ['a purge that ends at no number', `UPDATE purged_runs SET to_seq = 'x'`, 'deleted', 11],
  ['a purge that ends before it begins', 'UPDATE purged_runs SET to_seq = 1', 'deleted', 10],
  ['a purge without an end', `UPDATE purged_runs SET to_seq = ${tooLarge}`, 'deleted', 11],
  ['a time beyond all times', `UPDATE event_log SET at = ${tooLarge} WHERE seq = 4`, 'altered', 4],
  ['a deadline beyond all times', `UPDATE questions SET deadline = ${tooLarge}`, 'altered', 5],
  ['a time of delivery beyond all', `UPDATE event_log SET deliver_at = ${tooLarge} WHERE seq = 2`, 'altered', 2],
  ['a row beyond all numbers', `UPDATE event_log SET seq = ${tooLarge} WHERE seq = 7`, 'deleted', 7],
  ['a row added beyond all numbers', addedAt(tooLarge), 'deleted', 16],
  ['a row below all numbers', addedAt(`-${tooLarge}`), 'unchained', Number.MIN_SAFE_INTEGER],
  ['a checkpoint beyond all times', `UPDATE checkpoints SET at = ${tooLarge} WHERE seq = 6`, 'checkpoint-mismatch', 6],
  ['the trace of a purge gone', 'DELETE FROM purged_runs', 'deleted', 9],
  [
    'an announcement of a purge that says more',
    `UPDATE event_log SET details = replace(details, '9-10', '7-10') WHERE seq = 14`,
    'unchained',
    9,
  ],
];

function movedIntoTags(db: DatabaseSync): void {
  db.exec(`UPDATE event_log SET tags = tags || ',"target":"t4"', target = NULL WHERE seq = 4`);
}

function noUtf8(db: DatabaseSync): void {
  const { bytes } = db.prepare('SELECT CAST(details AS BLOB) AS bytes FROM event_log WHERE seq = 2').get() as {
    bytes: Uint8Array;
  };
  const changed = Buffer.from(Buffer.from(bytes).toString('latin1').replace('\xef\xbf\xbd', '\xff'), 'latin1');
  assert.equal(changed.length, bytes.length - 2);
  db.prepare('UPDATE event_log SET details = CAST(? AS TEXT) WHERE seq = 2').run(changed);
}

function swapped(db: DatabaseSync): void {
  db.exec('UPDATE event_log SET seq = 99 WHERE seq = 2; UPDATE event_log SET seq = 2 WHERE seq = 3');
  db.exec('UPDATE event_log SET seq = 3 WHERE seq = 99');
}

function changedAndChained(db: DatabaseSync): void {
  db.exec(`UPDATE event_log SET target = 'prod' WHERE seq = 2`);
  rechain(db, 2);
}

function chainedAnewAtTheEnd(db: DatabaseSync): void {
  db.exec(`UPDATE event_log SET target = 'prod' WHERE seq = 12`);
  rechain(db, 12);
}

/** As somebody would who begins with nothing, and chains all that follows. */
function rechainFromNothing(db: DatabaseSync, from: number): void {
  db.prepare('UPDATE event_log SET hash = ? WHERE seq = ?').run(zeroChained(db, from), from);
  rechain(db, from + 1);
}

function zeroChained(db: DatabaseSync, seq: number): Uint8Array {
  const [link] = linksOf(db)(seq - 1)
    .take(1)
    .toArray();
  if (link?.kind !== 'event') throw new Error('no event there');
  return Buffer.from(chained(noHash, link.envelope as string), 'hex');
}

/** Two events deleted as if retention had purged them, with the hash that makes the next one follow. */
function purgeForged(db: DatabaseSync): void {
  db.exec(
    'INSERT INTO purged_runs SELECT 3, 4, hash FROM event_log WHERE seq = 4; DELETE FROM event_log WHERE seq IN (3, 4)',
  );
}

describe('verifying a database', () => {
  it('finds nothing where nothing was changed, and says what that rests on', async (t) => {
    const log = await aLog(t);
    const expected = { events: 13, purged: 2, head: 15, found: 0, findings: [] };
    assert.deepEqual(verify(log.file), { ...expected, checkpoints: { sound: 2, newest: 15, lost: 0 } });
    const kept = verify(log.file, { checkpoints: log.kept });
    assert.deepEqual(kept.checkpoints, { sound: 2, newest: 15, lost: 0 }, 'one that lies in both counts once');
    const own = verify(log.file, { keys: [], trustsOwnKeys: true });
    assert.equal(own.checkpoints.sound, 2, 'the file names its key');
    const bare = changed(log, 'bare', (db) => db.exec(noCheckpoints));
    assert.deepEqual(verify(bare).checkpoints, { sound: 0, newest: null, lost: 0 });
  });

  it('names each kind of tampering with its first event', async (t) => {
    const log = await aLog(t);
    for (const [n, [name, change, kind, seq]] of cases.entries()) {
      const copy = changed(log, String(n), (db) => (typeof change === 'string' ? db.exec(change) : change(db)));
      const { findings, found } = verify(copy);
      assert.deepEqual([findings[0]?.kind, findings[0]?.seq], [kind, seq], `${name}: ${JSON.stringify(findings)}`);
      assert.ok(found > 0);
    }
  });

  it('verifies nothing that does not say where it ends', async (t) => {
    const log = await aLog(t);
    for (const [n, change] of [`DELETE FROM bus_meta`, `UPDATE bus_meta SET value = ${tooLarge}`].entries()) {
      const file = changed(log, `head-${n}`, (db) => db.exec(`${change} WHERE name = 'head'`));
      assert.throws(() => verify(file), { name: 'Fault', code: 'damaged' });
    }
  });

  it('says one thing of one change', async (t) => {
    const log = await aLog(t);
    for (const change of [
      `UPDATE event_log SET details = '{}' WHERE seq = 3`,
      'UPDATE event_log SET hash = zeroblob(32) WHERE seq = 3',
      'UPDATE event_log SET hash = NULL WHERE seq = 3',
      'DELETE FROM event_log WHERE seq = 3',
    ]) {
      const { findings } = verify(changed(log, String(change.length), (db) => db.exec(change)));
      assert.equal(findings.length, 1, `${change}: ${JSON.stringify(findings)}`);
    }
  });

  it('finds with a checkpoint kept elsewhere what the file alone does not show', async (t) => {
    const log = await aLog(t);
    const cut = changed(log, 'cut', (db) =>
      db.exec(
        `${noCheckpoints} DELETE FROM event_log WHERE seq > 12; UPDATE bus_meta SET value = 12 WHERE name = 'head'`,
      ),
    );
    const [gone] = verify(cut).findings;
    assert.deepEqual([gone?.kind, gone?.seq], ['deleted', 9], 'the announcement of the purge went too');
    const kept = verify(cut, { checkpoints: log.kept });
    assert.ok(kept.findings.some(({ kind, seq }) => kind === 'deleted' && seq === 13));
    const anew = changed(log, 'anew', (db) => {
      db.exec(noCheckpoints);
      chainedAnewAtTheEnd(db);
    });
    assert.deepEqual(verify(anew).findings, [], 'without a checkpoint nobody can tell');
    const [first] = verify(anew, { checkpoints: log.kept }).findings;
    assert.deepEqual([first?.kind, first?.seq], ['checkpoint-mismatch', 15]);
  });

  it('takes no key from the file when one is given', async (t) => {
    const log = await aLog(t);
    const other = generateKeyPairSync('ed25519');
    const forged = changed(log, 'forged', (db) => {
      chainedAnewAtTheEnd(db);
      db.exec(noCheckpoints);
      const { hash } = db.prepare('SELECT lower(hex(hash)) AS hash FROM event_log WHERE seq = 15').get() as {
        hash: string;
      };
      const key_id = keyIdOf(other.publicKey);
      const made = signCheckpoint({ seq: 15, hash, at: 5, epoch: 'x', key_id }, other.privateKey);
      db.prepare('INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)').run(15, hash, 5, 'x', key_id, made.signature);
    });
    const [first] = verify(forged).findings;
    assert.deepEqual([first?.kind, first?.seq], ['checkpoint-mismatch', 15]);
    assert.match(first?.says ?? '', /unknown key/);
    assert.equal(verify(forged, { keys: [key.publicKey, other.publicKey] }).found, 0);
  });

  it('lets a restore explain the checkpoints of what it lost, and nothing else', async (t) => {
    const log = await aLog(t);
    const [first, last] = log.kept as [(typeof log.kept)[0], (typeof log.kept)[0]];
    const unsigned = { ...first, seq: 40, hash: 'f'.repeat(64) };
    const later = signCheckpoint(unsigned, key.privateKey);
    const note = { noteId: 'n', backup: null, backup_taken_at: null, restored_at: null };
    const store = await openSqliteStore({ file: log.file, clock: Date.now, restored: note });
    await store.close();
    assert.deepEqual(verify(log.file, { checkpoints: [last, later] }).checkpoints, { sound: 2, newest: 15, lost: 1 });
    // The same backup put back twice: of the life in between nothing is left, nor of its end.
    const between = signCheckpoint({ ...unsigned, epoch: 'between' }, key.privateKey);
    assert.deepEqual(verify(log.file, { checkpoints: [between] }).checkpoints, { sound: 2, newest: 15, lost: 1 });
    const other = signCheckpoint({ ...unsigned, epoch: 'other', at: Date.now() + 60_000 }, key.privateKey);
    const { findings } = verify(log.file, { checkpoints: [other] });
    assert.deepEqual([findings[0]?.kind, findings[0]?.seq], ['deleted', 17]);
  });

  it('finds any change of a single bit in what an event says', async (t) => {
    const log = await aLog(t);
    const columns: [table: string, column: string][] = [
      ...['id', 'at', 'target', 'details', 'tags', 'hash'].map((column) => ['event_log', column] as [string, string]),
      ...['source_workflow_id', 'source_execution_id', 'correlation_id', 'causation_id', 'traceparent'].map(
        (column) => ['event_log', column] as [string, string],
      ),
      ...['source_agent', 'action'].map((column) => ['facets', column] as [string, string]),
      ...['hearers', 'agents'].map((column) => ['audiences', column] as [string, string]),
      ...[
        'question',
        'options',
        'timeout_minutes',
        'fallback',
        'free_text',
        'answerers',
        'payload_hash',
        'deadline',
      ].map((column) => ['questions', column] as [string, string]),
    ];
    let run = 0;
    fc.assert(
      fc.property(fc.constantFrom(...columns), fc.nat(), fc.nat(), ([table, column], pick, bit) => {
        let did = '';
        const copy = changed(log, `bit-${run++ % 4}`, (db) => {
          did = flip(db, table, column, pick, bit);
        });
        assert.ok(did === '' || verify(copy).found > 0, `${table}.${column}: ${did}`);
      }),
      { numRuns: 150 },
    );
  });

  it('finds nothing after any publishing and purging in any order', async (t) => {
    const { file } = await aLog(t);
    const purges = fc.array(fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 12 }), { maxLength: 6 });
    const store = await openSqliteStore({ file, clock: Date.now });
    t.after(() => store.close());
    await fc.assert(
      fc.asyncProperty(purges, async (each) => {
        for (const seqs of each) {
          for (let n = 0; n < 3; n++) await store.publish(aFact());
          await store.purge([...new Set(seqs)].toSorted((a, b) => a - b));
        }
        const { findings } = verify(file);
        assert.deepEqual(findings, []);
      }),
      { numRuns: 25 },
    );
  });

  it('refuses what is no database of ours, or none at all', async (t) => {
    const { file } = await aLog(t);
    assert.throws(() => verify(`${file}-none`), { code: 'not-found' });
    const older = changed({ file, kept: [] }, 'older', (db) => db.exec('PRAGMA user_version = 1'));
    assert.throws(() => verify(older), { code: 'unavailable', message: /older schema 1/ });
  });
});

/** Flips one bit of one value that some event uses. Returns what it did, or nothing where there is no value. */
function flip(db: DatabaseSync, table: string, column: string, pick: number, bit: number): string {
  const used = {
    event_log: '1',
    questions: '1',
    facets: 'facet_id IN (SELECT facet_id FROM event_log)',
    audiences: 'audience_id IN (SELECT f.audience_id FROM facets f JOIN event_log e USING (facet_id))',
  }[table];
  const rows = db
    .prepare(
      `SELECT rowid AS rid, typeof(${column}) AS type, CAST(${column} AS BLOB) AS bytes, ${column} AS value FROM ${table} WHERE ${used} AND ${column} IS NOT NULL`,
    )
    .all();
  const row = rows[pick % Math.max(1, rows.length)];
  if (!row) return '';
  const put = (value: string, bound: Uint8Array | number) =>
    db.prepare(`UPDATE OR REPLACE ${table} SET ${column} = ${value} WHERE rowid = ?`).run(bound, row.rid as number);
  if (row.type === 'integer' || row.type === 'real') {
    const value = row.value as number;
    const other = value + 2 ** (bit % 20) * (bit % 2 ? 1 : -1);
    put('?', other);
    return `${value} to ${other}`;
  }
  const bytes = Buffer.from(row.bytes as Uint8Array);
  const at = bit % (bytes.length * 8);
  bytes[at >> 3] = (bytes[at >> 3] as number) ^ (1 << (at & 7));
  put(row.type === 'text' ? 'CAST(? AS TEXT)' : '?', bytes);
  return `bit ${at} of ${row.rid}`;
}
