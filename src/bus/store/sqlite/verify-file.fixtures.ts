import { generateKeyPairSync } from 'node:crypto';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { TestContext } from 'node:test';
import { chained, noHash } from '../chain.ts';
import { type Checkpoint, keyIdOf, publicKeyText, signCheckpoint } from '../signed-checkpoint.ts';
import { aFact, anAnswer, aQuestion, stored, tempFolder, testClock } from '../store.fixtures.ts';
import type { Store } from '../store.ts';
import type { Verdict } from '../verify-chain.ts';
import { linksOf } from './chain-rows.ts';
import { openSqliteStore } from './open.ts';
import { type VerifyFile, verifyFile } from './verify-file.ts';

const pair = generateKeyPairSync('ed25519');
export const key = { ...pair, keyId: keyIdOf(pair.publicKey) };

/** A finished log to tamper with: 15 events, of which 9 and 10 were purged, with checkpoints at 6 and at the end. */
export type Log = { file: string; kept: Checkpoint[] };

export async function aLog(t: TestContext): Promise<Log> {
  const file = join(tempFolder(t), 'events.db');
  const clock = testClock();
  clock.tick = 1;
  const store = await openSqliteStore({ file, clock: clock.read });
  await store.noteAuditKey({ key_id: key.keyId, public_key: publicKeyText(key.publicKey) });
  for (let n = 1; n <= 4; n++)
    await stored(
      store,
      aFact({ id: `fact-${n}`, target: `t${n}`, details: { n, text: 'Grüße \ufffd' }, tags: ['a', 'b'] }),
    );
  const asked = {
    ...{ human_timeout_minutes: 2.5, human_fallback: 'no', free_text: true, answerers: ['boss', 'damon'] },
    ...{ payload_hash: 'p', correlation_id: 'c', causation_id: 'fact-1', traceparent: 'tp', source_workflow_id: 'w' },
    ...{ source_execution_id: 'x', escalation: [{ after_minutes: 1, notify: ['boss'] }] },
  };
  await stored(store, aQuestion({ id: 'question', ...asked }));
  await store.answer('question', anAnswer({ payloadHash: 'p' }));
  await sign(store);
  for (let n = 7; n <= 13; n++) await stored(store, aFact({ id: `fact-${n}`, action: `acted_${n % 2}` }));
  await store.purge([9, 10]);
  await stored(store, aFact({ id: 'last' }));
  const last = await sign(store);
  const kept = [...(await store.checkpoints(0, 10))];
  await store.close();
  if (last.seq !== 15) throw new Error(`the log ends at ${last.seq}`);
  return { file, kept };
}

async function sign(store: Store): Promise<Checkpoint> {
  const { seq, hash } = await store.chainEnd();
  const unsigned = { seq, hash: hash as string, at: 1_768_559_400_000, epoch: store.epoch, key_id: key.keyId };
  const checkpoint = signCheckpoint(unsigned, key.privateKey);
  await store.addCheckpoint(checkpoint);
  return checkpoint;
}

/** A copy of the log that somebody changed. */
export function changed(log: Log, name: string, change: (db: DatabaseSync) => void): string {
  const copy = `${log.file}-${name}`;
  cpSync(log.file, copy);
  const db = new DatabaseSync(copy);
  change(db);
  db.close();
  return copy;
}

/** Makes the chain anew from an event on, as somebody would who knows how it is made. */
export function rechain(db: DatabaseSync, from: number): void {
  const put = db.prepare('UPDATE event_log SET hash = ? WHERE seq = ?');
  const links = [...linksOf(db)(-1)];
  let previous = noHash;
  for (const link of links) {
    if (link.kind === 'event' && link.seq >= from) {
      previous = chained(previous, link.envelope as string);
      put.run(Buffer.from(previous, 'hex'), link.seq);
    } else previous = link.hash as string;
  }
}

export function verify(file: string, fields: Partial<VerifyFile> = {}): Verdict {
  const progress = () => undefined;
  return verifyFile({ file, checkpoints: [], keys: [key.publicKey], trustsOwnKeys: false, progress, ...fields });
}
