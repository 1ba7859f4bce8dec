import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { Fault } from '../../../base/fault.ts';
import { busActions, busAgent } from '../../../events/event.ts';
import { parseRanges, type SeqRange, unionOf } from '../seq-ranges.ts';
import { type Checkpoint, keyIdOf, publicKeyOf } from '../signed-checkpoint.ts';
import { type Restore, type Verdict, verifyChain } from '../verify-chain.ts';
import { linksOf, readable } from './chain-rows.ts';
import { openUntouched } from './inspect-file.ts';
import { requireOurs } from './read-only.ts';
import { sqliteFault } from './sqlite-fault.ts';

export type VerifyFile = {
  file: string;
  /** Checkpoints that were kept elsewhere, beside those in the file. */
  checkpoints: readonly Checkpoint[];
  keys: readonly KeyObject[];
  /** Whether keys count that the file itself names: whoever changes the file can change them too. */
  trustsOwnKeys: boolean;
  /** Called now and then with how far it is. */
  progress(seq: number, of: number): void;
};

const progressEvery = 50_000;

/**
 * Verifies the audit chain of a database file from one end to the other, beside a running bus (of one moment of it) or on a
 * copy, and changes nothing. Memory grows with the gaps that retention left, not with the events.
 * @throws Fault `not-found`, `damaged` where SQLite cannot read it, and as `openReadOnlyStore`
 */
export function verifyFile({ file, checkpoints, keys, trustsOwnKeys, progress }: VerifyFile): Verdict {
  if (!existsSync(file))
    throw new Fault('not-found', `There is no database at ${file}.`, { hint: 'Name another one with --db.' });
  let db: DatabaseSync | undefined;
  try {
    db = openUntouched(file);
    if (!requireOurs(db, file)) throw new Fault('not-found', `There is nothing in ${file} yet.`);
    // One moment of it, however long this takes.
    db.exec('BEGIN');
    const said = announcementsIn(db);
    const head = headIn(db, file);
    const all = [...keys, ...(trustsOwnKeys ? ownKeys(said.keys, meta(db, 'audit_key')) : [])];
    return verifyChain({
      links: linksOf(db)(Number.NEGATIVE_INFINITY),
      checkpoints: merged(checkpointsIn(db), checkpoints),
      head,
      epoch: String(meta(db, 'epoch')),
      purged: { ranges: unionOf(said.purged), follows: said.follows },
      restores: said.restores,
      keys: new Map(all.map((key) => [keyIdOf(key), key])),
      progress: everySoMany((seq) => progress(seq, head)),
    });
  } catch (error) {
    throw sqliteFault(error, file);
  } finally {
    db?.close();
  }
}

function everySoMany(tell: (seq: number) => void): (seq: number) => void {
  let count = 0;
  return (seq) => {
    if (++count % progressEvery === 0) tell(seq);
  };
}

/** Without it nothing says where the log ends, and any tail could be cut. */
function headIn(db: DatabaseSync, file: string): number {
  const head = Number(meta(db, 'head') ?? Number.NaN);
  if (Number.isSafeInteger(head) && head >= 0) return head;
  throw new Fault('damaged', `${file} does not say which event is its newest: head in bus_meta is no number of one.`);
}

function meta(db: DatabaseSync, name: string): unknown {
  return db.prepare('SELECT CAST(value AS TEXT) AS value FROM bus_meta WHERE name = ?').get(name)?.value;
}

type Announcements = { purged: SeqRange[]; follows: Map<number, string>; restores: Restore[]; keys: unknown[] };

/** What the bus itself said of its log, in events that the chain holds as every other. */
function announcementsIn(db: DatabaseSync): Announcements {
  const rows = db
    .prepare(
      `SELECT ${readable('e.seq')} AS seq, ${readable('e.at')} AS at, f.action, e.details FROM facets f JOIN event_log e USING (facet_id)
       WHERE f.source_agent = ? AND f.action IN (?, ?, ?) ORDER BY e.seq`,
    )
    .iterate(busAgent, busActions.eventsPurged, busActions.busRestored, busActions.auditKeyChanged);
  const said: Announcements = { purged: [], follows: new Map(), restores: [], keys: [] };
  for (const { seq, at, action, details } of rows) {
    const values = objectIn(details);
    if (action === busActions.eventsPurged) notePurge(said, values, seq as number);
    else if (action === busActions.busRestored)
      said.restores.push({ ended: String(values.previous_epoch), head: Number(values.head), at: Number(at) });
    else said.keys.push(values.public_key, values.previous_public_key);
  }
  return said;
}

function notePurge({ purged, follows }: Announcements, values: Record<string, unknown>, seq: number): void {
  const hashes = String(values.follows).split(',');
  for (const [n, range] of parseRanges(String(values.seqs)).entries()) {
    // It can only speak of what was there before it, and the first to speak of an event is right: later ones may be forged.
    if (range[1] >= seq) continue;
    purged.push(range);
    if (!follows.has(range[0])) follows.set(range[0], hashes[n] ?? '');
  }
}

function objectIn(details: unknown): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(String(details));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {}; // Altered; the chain says so.
  }
}

function ownKeys(named: readonly unknown[], noted: unknown): KeyObject[] {
  return [...named, objectIn(noted).public_key].flatMap((text) => {
    try {
      return typeof text === 'string' ? [publicKeyOf(text)] : [];
    } catch {
      return []; // No key; what it would have signed is found unsigned.
    }
  });
}

function* checkpointsIn(db: DatabaseSync): Generator<Checkpoint> {
  const rows = db
    .prepare(`SELECT ${readable('seq')} AS seq, hash, ${readable('at')} AS at, epoch, key_id, signature
     FROM checkpoints ORDER BY checkpoints.seq`)
    .iterate();
  for (const { seq, hash, at, epoch, key_id, signature } of rows)
    yield {
      seq: Number(seq),
      hash: String(hash),
      at: Number(at),
      epoch: String(epoch),
      key_id: String(key_id),
      signature: String(signature),
    };
}

/** By seq, and one that lies in both once. */
function* merged(own: Iterable<Checkpoint>, kept: readonly Checkpoint[]): Generator<Checkpoint> {
  const others = kept.toSorted((a, b) => a.seq - b.seq);
  let at = 0;
  let last: Checkpoint | undefined;
  for (const checkpoint of own) {
    for (; at < others.length && (others[at] as Checkpoint).seq <= checkpoint.seq; at++) {
      const other = others[at] as Checkpoint;
      if (!isSame(other, checkpoint) && !isSame(other, last)) yield other;
      last = other;
    }
    yield checkpoint;
  }
  for (; at < others.length; at++) {
    if (!isSame(others[at] as Checkpoint, last)) yield others[at] as Checkpoint;
    last = others[at];
  }
}

function isSame(a: Checkpoint, b: Checkpoint | undefined): boolean {
  return b !== undefined && a.seq === b.seq && a.signature === b.signature && a.hash === b.hash && a.at === b.at;
}
