import { busActions, busAgent } from '../../../events/event.ts';
import type { Checkpoint } from '../signed-checkpoint.ts';
import type { AuditKey, KeyNoted } from '../store.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

/** Keeps a signed checkpoint. False when the chain is another there by now, or one is kept for this event already. */
export function checkpointAdderOf({ db }: Ledger): (checkpoint: Checkpoint) => boolean {
  const isThere = db.prepare('SELECT 1 FROM event_log WHERE seq = ? AND lower(hex(hash)) = ?');
  const add = db.prepare(
    'INSERT OR IGNORE INTO checkpoints (seq, hash, at, epoch, key_id, signature) VALUES (?, ?, ?, ?, ?, ?)',
  );
  return ({ seq, hash, at, epoch, key_id, signature }) =>
    isThere.get(seq, hash) !== undefined && add.run(seq, hash, at, epoch, key_id, signature).changes === 1;
}

/** Remembers which key signs from now on. The first one is no news; another one is an event. */
export function keyNoterOf({ db }: Ledger, events: EventWriter): (key: AuditKey) => KeyNoted {
  const read = db.prepare("SELECT value FROM bus_meta WHERE name = 'audit_key'");
  const put = db.prepare("INSERT OR REPLACE INTO bus_meta (name, value) VALUES ('audit_key', ?)");
  return (key) => {
    const text = read.get()?.value as string | undefined;
    const before = text === undefined ? undefined : (JSON.parse(text) as AuditKey);
    if (before?.key_id === key.key_id) return 'same';
    put.run(JSON.stringify(key));
    if (!before) return 'first';
    const details = { ...key, previous_key_id: before.key_id, previous_public_key: before.public_key };
    events.announce({ source_agent: busAgent, action: busActions.auditKeyChanged, details: JSON.stringify(details) });
    return 'changed';
  };
}
