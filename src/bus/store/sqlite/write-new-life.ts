import { randomBytes } from 'node:crypto';
import { rfc3339 } from '../../../base/clock.ts';
import { busActions, busAgent } from '../../../events/event.ts';
import type { NewLife, Restored } from '../store.ts';
import type { Ledger } from './ledger.ts';
import type { EventWriter } from './write-event.ts';

/**
 * Begins a new life of a log that was put back from a backup: another epoch, so that bookmarks of before are refused, and
 * an event that says what is lost. Once for each note: its id is remembered in the same transaction.
 */
export function lifeBeginnerOf(ledger: Ledger, events: EventWriter): (restored: Restored) => NewLife {
  const { db } = ledger;
  const read = (name: string) => db.prepare('SELECT value FROM bus_meta WHERE name = ?').get(name)?.value;
  const put = db.prepare('INSERT OR REPLACE INTO bus_meta (name, value) VALUES (?, ?)');
  const last = db.prepare('SELECT max(at) AS at FROM (SELECT at FROM event_log ORDER BY seq DESC LIMIT 1)');
  return ({ noteId, ...note }) => {
    const previous = String(read('epoch'));
    if (read('restored_note') === noteId) return { kind: 'begun-before', epoch: previous };
    let epoch = previous;
    while (epoch === previous) epoch = randomBytes(4).toString('hex');
    const lastAt = last.get()?.at as number | null;
    const details = {
      ...note,
      epoch,
      previous_epoch: previous,
      head: ledger.committed.head,
      last_event_at: lastAt === null ? null : rfc3339(lastAt),
      lost_seconds: lostSeconds(note, lastAt),
    };
    put.run('epoch', epoch);
    put.run('restored_note', noteId);
    events.announce({ source_agent: busAgent, action: busActions.busRestored, details: JSON.stringify(details) });
    return { kind: 'begun', epoch };
  };
}

/** From the backup, or from the last event in it where that is not known, to the restore; null where neither is. */
function lostSeconds({ backup_taken_at, restored_at }: Omit<Restored, 'noteId'>, lastAt: number | null): number | null {
  const takenAt = Date.parse(backup_taken_at ?? '');
  const lost = (Date.parse(restored_at ?? '') - (Number.isNaN(takenAt) ? (lastAt ?? Number.NaN) : takenAt)) / 1000;
  return Number.isNaN(lost) ? null : Math.max(0, Math.round(lost));
}
