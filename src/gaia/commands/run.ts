import { Fault } from '../../base/fault.ts';
import type { Command } from '../command.ts';
import { runHere } from '../runner.ts';

const ways = ['begin', 'forward', 'back'] as const;

/** gaia __run — the process behind a restore; started by the others. */
export const run: Command = {
  name: '__run',
  summary: 'Do a run that is written down',
  usage: 'FOLDER --how begin|forward|back',
  words: [1, 1],
  flags: { how: { value: 'HOW', says: 'begin, forward or back' } },
  details: ['Started by restore, undo and resume; not meant to be typed.'],
  example: 'gaia resume',
  exits: ['that of the run'],
  hidden: true,
  async run({ around, words, flags }) {
    const how = ways.find((way) => way === flags.how);
    if (how === undefined) throw new Fault('usage', '--how must be begin, forward or back.');
    return { exit: await runHere(around, words[0] as string, how) };
  },
};
