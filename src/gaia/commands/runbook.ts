import { Exit } from '../../base/exit.ts';
import { shellWord } from '../../base/shell-word.ts';
import { filesBeside } from '../../recovery/archive/manifest-file.ts';
import { byHandScript, oldByHandScript } from '../../recovery/backup/by-hand.ts';
import { findBackup } from '../../recovery/catalog/catalog.ts';
import type { Command } from '../command.ts';

/** gaia runbook — how to restore a backup by hand, without this program. */
export const runbook: Command = {
  name: 'runbook',
  summary: 'Print the exact commands that restore a backup by hand',
  usage: '[BACKUP|latest] [--target T]',
  words: [0, 1],
  flags: { target: { value: 'T', says: 'whose latest backup' } },
  details: [
    'A script for sh that needs zstd, GNU tar and sqlite3 only (and openssl for the signature, if it is there). It moves what is there aside and removes nothing. Print it, or keep it with your recovery kit.',
  ],
  example: 'gaia runbook latest --target prod > restore-prod.sh',
  exits: ['0 printed', '5 no such backup'],
  async run({ words, flags, config }) {
    const { place, targets } = config();
    const names = flags.target === undefined ? targets.map(({ name }) => name) : [String(flags.target)];
    const backup = findBackup(place, names, words[0] ?? 'latest');
    const { manifest, file } = backup;
    if (manifest === undefined) {
      const root = targets.find(({ name }) => name === backup.target)?.trees[0]?.root ?? '/path/of/the/target';
      const lines = oldByHandScript({ archive: file, target: backup.target, root });
      return { exit: Exit.ok, raw: `${lines.join('\n')}\n`, json: { name: backup.name, script: lines.join('\n') } };
    }
    const beside = filesBeside(file);
    const lines = [
      '#!/bin/sh',
      ...byHandScript({
        archive: file,
        target: manifest.target,
        created: manifest.created_at,
        trees: manifest.trees,
        databases: manifest.databases,
        checks: [
          `echo "${manifest.archive.sha256}  $ARCHIVE" | sha256sum -c --quiet -`,
          `if command -v openssl >/dev/null && [ -e ${shellWord(place.publicKey)} ]; then`,
          `  openssl pkeyutl -verify -rawin -pubin -inkey ${shellWord(place.publicKey)} -sigfile ${shellWord(beside.signature)} -in ${shellWord(beside.manifest)}`,
          'fi',
        ],
      }),
    ];
    return { exit: Exit.ok, raw: `${lines.join('\n')}\n`, json: { name: backup.name, script: lines.join('\n') } };
  },
};
