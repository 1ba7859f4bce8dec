import { Exit } from '../../base/exit.ts';
import { busLines } from '../bus-words.ts';
import type { Command } from '../command.ts';
import { deliverWaiting } from '../tell-bus.ts';

/** gaia deliver — sends what waits for the bus, as other commands do at their end. */
export const deliver: Command = {
  name: 'deliver',
  summary: 'Send the bus what waits for it',
  usage: '',
  words: [0, 0],
  flags: {},
  details: [
    'What GAIA could not tell the bus, because it was away, waits on the disk. Each backup, restore, drill and the like takes it along, and CHRONOS does so each minute; this does nothing else.',
  ],
  example: 'gaia deliver',
  exits: ['0 nothing waits any more', '9 some of it still waits, or was refused'],
  async run(call) {
    const config = call.config();
    await deliverWaiting(config, call.around);
    const { lines, json } = busLines(config);
    return {
      exit: lines.length > 0 ? Exit.partial : Exit.ok,
      lines: lines.length > 0 ? lines : ['Nothing waits for the bus.'],
      json,
    };
  },
};
