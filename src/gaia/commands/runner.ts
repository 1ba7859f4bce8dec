import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { type Log, makeLog } from '../../base/log.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { readConfig } from '../../recovery/config/read-config.ts';
import { type Lock, takeLock } from '../../recovery/run/lock.ts';
import type { Call, Command, Conclusion } from '../command.ts';
import { authorizedUsers } from '../emergency/authorized-users.ts';
import type { CallMaker } from '../emergency/carry-out.ts';
import { operationsIn } from '../emergency/operation.ts';
import { openPhone, type Phone } from '../emergency/phone.ts';
import { repliesIn } from '../emergency/replies.ts';
import { makeSpool, spoolIn } from '../emergency/spool.ts';
import { runnerUnit, unitPlace } from '../emergency/units.ts';
import { readEnrolment } from '../two-factor/enrolment.ts';

const tickMs = 250;
/** After a fault of ours or of the disk. */
const afterFaultMs = 5_000;

/** gaia runner — does what the emergency bot forwards, once a code has confirmed it. Runs until it is ended. */
export const runner: Command = {
  name: 'runner',
  summary: 'Do what the emergency bot forwards, once a code confirms it',
  usage: '[--unit | --prepare]',
  words: [0, 0],
  flags: {
    prepare: { says: 'make the folders where it meets the bot, and end' },
    unit: { says: 'print the unit for systemd instead (gaia-runner.service)' },
  },
  details: [
    'The bot can only ask. This process alone reads the second factor, finds the exact backup, judges the code, and starts the restore, which then runs in a process of its own. It takes a fixed list of things, with the name of a target as the only word.',
    'It runs as root, because a restore gives files to their owners and stops what works on them. Ended at any moment it goes on where it was when it is started again; nothing is done twice.',
  ],
  example: 'gaia runner',
  exits: [
    '0 ended by a signal',
    '2 a mistake in the configuration',
    '3 others can read a secret',
    '6 another one runs',
  ],
  async run(call) {
    if (call.flags.unit === true)
      return { exit: Exit.ok, raw: runnerUnit(unitPlace(call.around.startsWith, call.around.home, call.config())) };
    if (call.flags.prepare === true) return prepare(call);
    const { phone, log, close } = openRunner(call);
    try {
      await follow(phone, call.around.signal, log);
      return { exit: Exit.ok };
    } finally {
      close();
    }
  },
};

/** So that the unit of the bot, which begins after this one, finds what it may write to. */
function prepare({ around, config }: Call): Conclusion {
  const odd = makeSpool(spoolIn(config().emergency.spool), around.uid);
  return { exit: Exit.ok, ...(odd === undefined ? {} : { notes: [odd] }) };
}

/** Everything that the runner needs, and the runner, which does nothing yet. @throws Fault as the command ends with */
export function openRunner(call: Call): { phone: Phone; log: Log; close(): void } {
  const { around } = call;
  const { place, emergency } = call.config();
  const log = makeLog((line) => around.say(line.trimEnd()), around.clock);
  const spool = spoolIn(emergency.spool);
  const odd = makeSpool(spool, around.uid);
  for (const says of [...(odd === undefined ? [] : [odd]), ...notReady(emergency)]) log.warn(says);
  const lock = takeOwnLock(call);
  const phone = openPhone({
    ...{ spool, operations: operationsIn(place, log), replies: repliesIn(spool, around.clock), log },
    ...{ callFor: callsOf(call), users: () => authorizedUsers(configOf(call).emergency) },
    ...{ clock: around.clock, endGroup: around.endGroup, signal: around.signal, pause: around.pause },
  });
  log.info('the runner waits for what the bot forwards', { spool: spool.folder });
  return { phone, log, close: () => lock.release() };
}

async function follow(phone: Phone, signal: AbortSignal, log: Log): Promise<void> {
  while (!signal.aborted) {
    let waitMs = tickMs;
    try {
      await phone.tick();
    } catch (error) {
      log.error('the runner could not go on for a moment', { because: reasonOf(error) });
      waitMs = afterFaultMs;
    }
    await pause(waitMs, undefined, { signal }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }
}

/** What keeps it from being of use; it runs all the same, and says so to whoever asks. @throws Fault `forbidden` */
function notReady(emergency: RecoveryConfig['emergency']): string[] {
  const isEnrolled = () => {
    if (readEnrolment(emergency) !== undefined) return;
    throw new Fault('not-found', 'No second factor is set up yet: gaia 2fa enroll');
  };
  return [isEnrolled, () => authorizedUsers(emergency)].flatMap((look) => {
    try {
      look();
      return [];
    } catch (error) {
      // A secret that is damaged keeps nobody from asking for a backup, or from hearing what is wrong.
      if (error instanceof Fault && ['not-found', 'damaged'].includes(error.code)) return [error.message];
      throw error;
    }
  });
}

/** Two of them would both do what is asked. */
function takeOwnLock({ config, around }: Call): Lock {
  try {
    return takeLock({ state: join(config().place.state, 'emergency') }, 'runner', around.clock);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'locked') throw error;
    throw new Fault('conflict', 'Another runner works for these backups already.', {
      hint: 'See: systemctl status gaia-runner',
      cause: error,
    });
  }
}

const configOf = ({ flags, around }: Call) =>
  readConfig((flags.config as string | undefined) ?? around.configFile, around.home);

/** As if somebody typed a command, with nobody at a terminal; the configuration is as it is now. */
function callsOf(call: Call): CallMaker {
  return (words, flags, watch) => {
    let config: RecoveryConfig | undefined;
    const nobody = { in: false, out: false, err: false, columns: 80 };
    const say = watch?.say ?? (() => undefined);
    const signal = watch?.signal ?? call.around.signal;
    return {
      around: { ...call.around, terminal: nobody, color: false, signal, say, sketch: () => undefined },
      words,
      flags: { ...flags, config: call.flags.config },
      json: false,
      progress: watch?.progress ?? (() => undefined),
      config() {
        config ??= configOf(call);
        return config;
      },
    };
  };
}
