import { readFileSync } from 'node:fs';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import { filesBeside } from '../../recovery/archive/manifest-file.ts';
import { anyByHandScript, byHandScript, oldByHandScript } from '../../recovery/backup/by-hand.ts';
import { type Backup, findBackup } from '../../recovery/catalog/catalog.ts';
import type { Place } from '../../recovery/place.ts';
import type { Target } from '../../recovery/target.ts';
import type { Call, Command } from '../command.ts';
import { targetNamed } from '../targets.ts';

/** gaia runbook — how to restore a backup by hand, without this program. */
export const runbook: Command = {
  name: 'runbook',
  summary: 'Print the exact commands that restore a backup by hand',
  usage: '[BACKUP|latest] [--target T]',
  words: [0, 1],
  flags: { target: { value: 'T', says: 'whose latest backup' } },
  details: [
    'A script for sh that needs zstd, GNU tar and sqlite3 only (age for one that is encrypted, pg_restore for PostgreSQL, openssl for the signature if it is there). It moves what is there aside and removes nothing. Print it, or keep it with your recovery kit.',
    'Without a name it is the newest sound one; where none can be found, a script for any.',
  ],
  example: 'gaia runbook latest --target prod > restore-prod.sh',
  exits: ['0 printed', '5 no such backup'],
  async run(call) {
    const found = backupOf(call);
    if (found === undefined) {
      const script = `${anyByHandScript().join('\n')}\n`;
      return {
        exit: Exit.ok,
        raw: script,
        json: { name: null, script },
        notes: ['There is no backup to be found, so this is for any: it says what it must be told.'],
      };
    }
    const { place, targets } = call.config();
    const script = `${scriptOf(found, place, targets).join('\n')}\n`;
    return { exit: Exit.ok, raw: script, json: { name: found.name, script } };
  },
};

/** Undefined where none was named and none can be found, as on a machine that has lost its configuration. */
function backupOf({ words, flags, config }: Call): Backup | undefined {
  const [wanted] = words;
  try {
    const all = config().targets;
    const names =
      flags.target === undefined ? all.map(({ name }) => name) : [targetNamed(config(), String(flags.target)).name];
    return findBackup(config().place, names, wanted ?? 'latest');
  } catch (error) {
    const isNothing = wanted === undefined && flags.target === undefined && flags.config === undefined;
    if (isNothing && error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}

function scriptOf({ manifest, file, target }: Backup, place: Place, targets: readonly Target[]): string[] {
  if (manifest === undefined) {
    const root = targets.find(({ name }) => name === target)?.trees[0]?.root ?? '/path/of/the/target';
    return oldByHandScript({ archive: file, target, root });
  }
  // What stands for it here is that script already.
  if (manifest.snapshot !== undefined) return readFileSync(file, 'utf8').trimEnd().split('\n');
  const beside = filesBeside(file);
  return [
    '#!/bin/sh',
    ...byHandScript({
      archive: file,
      target: manifest.target,
      created: manifest.created_at,
      trees: manifest.trees,
      databases: manifest.databases,
      postgres: manifest.postgres,
      checks: [
        `echo "${manifest.archive.sha256}  $ARCHIVE" | sha256sum -c --quiet -`,
        `if command -v openssl >/dev/null && [ -e ${shellWord(place.publicKey)} ]; then`,
        `  openssl pkeyutl -verify -rawin -pubin -inkey ${shellWord(place.publicKey)} -sigfile ${shellWord(beside.signature)} -in ${shellWord(beside.manifest)}`,
        'fi',
      ],
    }),
  ];
}
