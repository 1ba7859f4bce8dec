import { Exit } from '../../base/exit.ts';
import { makeLog } from '../../base/log.ts';
import type { Command } from '../command.ts';
import { answerCode } from '../two-factor/answer-code.ts';

/** gaia __code — judges one code for the control bot, and says how: a line comes in, and a line goes out. */
export const code: Command = {
  name: '__code',
  summary: 'Judge a code for the control bot',
  usage: '',
  words: [0, 0],
  flags: {},
  details: ['Asked by the control bot of leveredge, which may not read the secret; not meant to be typed.'],
  example: 'gaia 2fa enroll',
  exits: ['0 whatever it says'],
  hidden: true,
  async run({ around, config }) {
    const { clock, home } = around;
    const line = await around.lineOfInput();
    // Under its unit that is the journal; a code is in none of it.
    const log = makeLog((each) => around.say(each.trimEnd()), clock);
    const answer = answerCode(line, { config, home, now: clock(), log });
    return { exit: Exit.ok, raw: `${JSON.stringify(answer)}\n` };
  },
};
