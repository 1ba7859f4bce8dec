import { Exit } from '../../base/exit.ts';
import { type Backup, listBackups } from '../../recovery/catalog/catalog.ts';
import { showBytes, showTime } from '../amounts.ts';
import type { Command } from '../command.ts';
import { targetNamed } from '../targets.ts';

/** gaia list — what backups there are. Exit 0, also when there are none. */
export const list: Command = {
  name: 'list',
  summary: 'Show the backups there are, newest first',
  usage: '[--target T]',
  words: [0, 0],
  flags: { target: { value: 'T', says: 'those of one target only' } },
  details: [
    'sound: it was read back whole after it was written. degraded: something changed or could not be read while it was made.',
    'unverified: made by an older tool, so nothing says what it should hold. damaged and incomplete ones are never taken by themselves.',
  ],
  example: 'gaia list --target prod',
  exits: ['0 listed', '2 a mistake in the configuration', '5 no such target or no configuration'],
  async run({ around, flags, config }) {
    const { place, targets } = config();
    const names =
      flags.target === undefined ? targets.map(({ name }) => name) : [targetNamed(config(), String(flags.target)).name];
    const backups = listBackups(place, names);
    const json = { backups: backups.map(jsonOf) };
    if (backups.length === 0)
      return {
        exit: Exit.ok,
        json,
        notes: [
          `There are no backups of ${names.join(', ')} in ${place.backups} yet. Make one: gaia backup ${names[0] ?? 'TARGET'}`,
        ],
      };
    return {
      exit: Exit.ok,
      json,
      table: {
        columns: [
          { head: 'BACKUP' },
          { head: 'TAKEN (UTC)' },
          { head: 'AGE', align: 'right' },
          { head: 'SIZE', align: 'right' },
          { head: 'STATE', least: 8 },
        ],
        rows: backups.map((backup) => [
          backup.name,
          showTime(backup.atMs),
          shortAge(around.clock() - backup.atMs),
          showBytes(backup.bytes),
          stateOf(backup),
        ]),
      },
    };
  },
};

function shortAge(ms: number): string {
  const hours = ms / 3_600_000;
  if (ms < 0) return 'future';
  if (hours < 1) return `${Math.round(ms / 60_000)} min`;
  return hours < 48 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} d`;
}

/** What is known of a backup, in a few words. */
export function stateOf({ kind, bucket, pinned, verified, reason, manifest }: Backup): string {
  const proven = verified?.drilled_at === undefined ? '' : `, proven on ${verified.drilled_at.slice(0, 10)}`;
  const why = kind === 'sound' || reason === undefined ? '' : `: ${reason}`;
  const part = manifest?.contents === undefined ? '' : ', databases only';
  return `${kind}${part}${bucket ? `, ${bucket}` : ''}${pinned ? ', pinned' : ''}${proven}${why}`;
}

function jsonOf({ name, target, file, bucket, kind, reason, atMs, bytes, pinned, manifest, verified }: Backup) {
  return {
    name,
    target,
    path: file,
    bucket,
    state: kind,
    reason: reason ?? null,
    created_at: new Date(atMs).toISOString(),
    bytes,
    files: manifest?.totals.files ?? null,
    pinned,
    set: manifest?.set ?? null,
    contents: manifest?.contents ?? 'all',
    why_made: manifest?.reason ?? null,
    verified_at: verified?.at ?? null,
    drilled_at: verified?.drilled_at ?? null,
  };
}
