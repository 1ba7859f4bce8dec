import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename } from 'node:path';
import { encode, renderUnicodeCompact } from 'uqr';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import type { Call, Command } from '../command.ts';
import { botUnitName, runnerUnitName } from '../emergency/units.ts';
import { requireFree } from '../start-run.ts';
import { newBackupCodes } from '../two-factor/backup-codes.ts';
import { toBase32 } from '../two-factor/base32.ts';
import { approvals, newSecret, readEnrolment, secretFor, writeEnrolment } from '../two-factor/enrolment.ts';
import { beginGuard } from '../two-factor/guard.ts';
import { judgeCode, otpauthUri } from '../two-factor/totp.ts';

const tries = 3;
const border = 2;

/** gaia 2fa enroll — gives a phone the secret that confirms restores. Exit 0 proven, 2 not proven and nothing changed. */
export const twoFactor: Command = {
  name: '2fa',
  summary: 'Set up the codes that confirm a restore by phone',
  usage: 'enroll [--each] [--replace]',
  words: [1, 1],
  flags: {
    each: {
      says: 'an entry of the authenticator for each target, so that a code says what it confirms',
    },
    replace: { says: 'a new secret in the place of the one there is: its codes, and its backup codes, count no more' },
  },
  details: [
    'Shows a secret once, as a QR code for an authenticator, and asks for a code of it. Only then it is kept, and ten backup codes are printed: each counts once, for the day on which the phone with the authenticator is lost.',
    'With --each the authenticator has an entry for dev, for prod, for full and so on, each proven by a code of its own. Then a bot that was broken into cannot show you one question and have your code confirm another.',
    'The secret lies in gaia/.2fa_secret, which only its owner may read. A phone that was stolen knows it: then enroll another with --replace.',
  ],
  example: 'gaia 2fa enroll',
  exits: [
    '0 it is set up',
    '2 no code was right, and nothing was changed',
    '6 it is set up already, or another run works on the backups',
    '130 interrupted',
  ],
  isApart: true,
  async run(call) {
    if (call.words[0] !== 'enroll')
      throw new Fault('usage', `gaia 2fa has no ${call.words[0]}.`, { hint: 'gaia 2fa enroll' });
    const { around } = call;
    const { emergency } = call.config();
    if (!around.terminal.in || !around.terminal.err)
      throw new Fault('usage', 'A secret is shown at a terminal only, and there is none here.', {
        hint: 'Log in to the server, and type: gaia 2fa enroll',
      });
    requireNone(call, emergency);
    // Said before anybody scans something that could not be kept.
    requireFree(call);
    const secret = newSecret();
    const each = call.flags.each === true || hadEach(emergency) ? entriesOf(call.config()) : undefined;
    const step = await provenEntries(call, secret, each);
    if (step === undefined)
      return {
        exit: around.signal.aborted ? Exit.interrupted : Exit.usage,
        notes: [
          'Nothing was changed. If the codes are right on the phone, compare its clock with the one here:',
          `  here it is ${new Date(around.clock()).toISOString().slice(0, 19)} UTC`,
        ],
      };
    const codes = newBackupCodes();
    keep(call, { secret, codes, step, each });
    return {
      exit: Exit.ok,
      lines: [
        'It is set up. Backup codes, each for once, shown now and never again:',
        ...codes.map((code) => `  ${code}`),
        'Write them down, and keep them away from the phone.',
      ],
      json: { enrolled: true, secret_file: emergency.secretFile, entries: each ?? null, backup_codes: codes },
      notes: howToStart(emergency, call.flags.replace === true),
    };
  },
};

/** What is still to be done before a phone can restore. */
function howToStart({ tokenFile, usersFile }: RecoveryConfig['emergency'], replaced: boolean): string[] {
  const missing = [tokenFile, usersFile].filter((file) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0);
  const units = [runnerUnitName, botUnitName].map((name) => basename(name, '.service')).join(' ');
  const start = `  systemctl ${replaced ? 'restart' : 'enable --now'} ${units}`;
  if (missing.length === 0) return ['Start runner and bot with it, as root:', start];
  const still = missing.map((file) => `  ${file}`);
  return ['Still missing, see docs/emergency-bot.md:', ...still, 'Then start runner and bot, as root:', start];
}

/** @throws Fault `conflict` when there is one that nobody said to replace */
function requireNone({ flags }: Call, files: RecoveryConfig['emergency']): void {
  if (flags.replace === true) return;
  if (readEnrolment(files) === undefined) return;
  throw new Fault('conflict', `A second factor is set up already: ${files.secretFile}.`, {
    hint: 'To give another phone a new one, whose codes alone count then: gaia 2fa enroll --replace',
  });
}

/** Whoever has had an entry for each target does not lose that by a replacement. */
function hadEach(files: RecoveryConfig['emergency']): boolean {
  try {
    return readEnrolment(files)?.each !== undefined;
  } catch (error) {
    // Damaged: to be replaced is what mends it.
    if (error instanceof Fault && error.code === 'damaged') return false;
    throw error;
  }
}

/** What there is an entry for, with `--each`. Of one target `full` is asked for as well. */
function entriesOf({ targets }: RecoveryConfig): string[] {
  return [...targets.map(({ name }) => name), 'full', approvals];
}

/** Shows each secret and has it proven; the latest step of a code that was typed, undefined where one was not proven. */
async function provenEntries(
  call: Call,
  secret: Buffer,
  each: readonly string[] | undefined,
): Promise<number | undefined> {
  let latest = 0;
  for (const [n, what] of (each ?? [undefined]).entries()) {
    const of = what === undefined ? secret : secretFor({ secret, each }, what);
    assert(of !== undefined);
    if (what !== undefined) call.around.say(`Entry ${n + 1} of ${each?.length}: ${what}`);
    showSecret(call, toBase32(of), what);
    const step = await provenStep(call, of);
    if (step === undefined) return undefined;
    latest = Math.max(latest, step);
  }
  return latest;
}

function showSecret({ around }: Call, text: string, what?: string): void {
  const uri = otpauthUri(text, what === undefined ? hostname() : `${what} ${hostname()}`);
  const { size } = encode(uri, { border });
  if (size <= around.terminal.columns) around.show(qrLines(uri, around.color).join('\n'));
  else around.say(`This terminal has fewer than ${size} columns, so there is no QR code.`);
  around.say('Scan it with an authenticator (Aegis, 2FAS, Google Authenticator …), or type this key there:');
  around.say(`  ${(text.match(/.{1,4}/g) ?? []).join(' ')}`);
}

/** White on black whatever colours the terminal has, since many cameras take no code the other way round. */
function qrLines(uri: string, color: boolean): string[] {
  const lines = renderUnicodeCompact(uri, { border }).split('\n');
  return color ? lines.map((line) => `\x1b[38;5;231;48;5;16m${line}\x1b[0m`) : lines;
}

/** The step of the code that was typed; undefined when none was right. */
async function provenStep({ around }: Call, secret: Buffer): Promise<number | undefined> {
  for (let n = 1; n <= tries; n++) {
    const typed = await around.ask('The code that it shows now: ');
    if (typed === undefined || around.signal.aborted) return undefined;
    const judged = judgeCode(secret, typed.replace(/\s/g, ''), around.clock(), 0);
    if (judged.kind === 'right') return judged.step;
    around.say(n < tries ? 'That is not the code. Wait for the next one.' : 'That is not the code.');
  }
  return undefined;
}

type Proven = { secret: Buffer; codes: readonly string[]; step: number; each: readonly string[] | undefined };

function keep(call: Call, { secret, codes, step, each }: Proven): void {
  const { place, emergency } = call.config();
  const lock = takeLock(place, '2fa enroll', call.around.clock);
  try {
    // The guard comes between: killed there, no code of either secret counts, and enrolling again mends it.
    writeEnrolment(emergency, secret, codes, () => beginGuard(place, secret, step), each);
  } finally {
    lock.release();
  }
}
