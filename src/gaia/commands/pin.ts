import { rmSync, writeFileSync } from 'node:fs';
import { Exit } from '../../base/exit.ts';
import { findBackup, pinOf } from '../../recovery/catalog/catalog.ts';
import { diskFault } from '../../recovery/disk.ts';
import type { Call, Command, Conclusion } from '../command.ts';

const shared = {
  usage: 'BACKUP',
  words: [1, 1] as const,
  flags: {},
  exits: ['0 done', '5 no such backup'],
};

/** gaia pin — retention never removes this one. */
export const pin: Command = {
  ...shared,
  name: 'pin',
  summary: 'Keep a backup for ever, whatever retention says',
  details: ['A file ….pinned beside the archive says so, and survives the loss of everything else.'],
  example: 'gaia pin dev-2026-01-16-103000',
  run: async (call) => mark(call, true),
};

/** gaia unpin — retention decides about it again. */
export const unpin: Command = {
  ...shared,
  name: 'unpin',
  summary: 'Let retention decide about a pinned backup again',
  details: [],
  example: 'gaia unpin dev-2026-01-16-103000',
  run: async (call) => mark(call, false),
};

function mark(call: Call, pinned: boolean): Conclusion {
  const { place, targets } = call.config();
  const backup = findBackup(
    place,
    targets.map(({ name }) => name),
    call.words[0] as string,
  );
  try {
    for (const file of backup.files)
      if (pinned) writeFileSync(pinOf(file), '', { mode: 0o600 });
      else rmSync(pinOf(file), { force: true });
  } catch (error) {
    throw diskFault(error, place.backups);
  }
  return {
    exit: Exit.ok,
    lines: [`${backup.name} is ${pinned ? 'pinned' : 'not pinned any more'}.`],
    json: { name: backup.name, pinned },
  };
}
