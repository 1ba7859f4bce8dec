import { Exit } from '../../base/exit.ts';
import type { Command } from '../command.ts';
import { unlockGuard } from '../two-factor/guard.ts';

/** gaia unlock — lets codes be tried again after too many wrong ones. */
export const unlock: Command = {
  name: 'unlock',
  summary: 'Let codes from the phone be tried again after ten wrong ones',
  usage: '',
  words: [0, 0],
  flags: {},
  details: [
    'Somebody tried codes that were wrong. Before you unlock, see that it was you: gaia status, journalctl -u gaia-runner. If the phone is lost: gaia 2fa enroll --replace.',
  ],
  example: 'gaia unlock',
  exits: ['0 unlocked, or there was nothing to unlock'],
  isApart: true,
  async run({ config }) {
    const failures = unlockGuard(config().place);
    return {
      exit: Exit.ok,
      lines: [failures === 0 ? 'Nothing was locked.' : `Unlocked. There were ${failures} wrong codes in a row.`],
      json: { failures },
    };
  },
};
