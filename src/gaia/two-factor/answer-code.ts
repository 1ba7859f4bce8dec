import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault, reasonOf } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import type { Log } from '../../base/log.ts';
import { signStatement } from '../../base/signed-statement.ts';
import { loadSigner } from '../../recovery/archive/sign.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { diskFault } from '../../recovery/disk.ts';
import { clockProblem } from '../emergency/phone-clock.ts';
import { refusedCode } from '../emergency/phone-words.ts';
import { approvals, entryOf, readEnrolment } from './enrolment.ts';
import { guardOf, tryCode, whyUnfit } from './guard.ts';

/** What the control bot asks, as it stands in the one line: whether a code could count at all, or whether this one does. */
type Asked = { asks: 'ready' } | ({ asks: 'judge' } & ToJudge);
type ToJudge = {
  code: string;
  /** The approval that it is for, as the bus names it, and the hash of what was shown. */
  question: string;
  payload_hash: string;
  /** As whom the bot answers. */
  person: string;
  /** When Telegram took the message, by its clock. */
  sent_ms: number;
};

/** What is said back. `proof` is for the bus. */
export type CodeAnswer =
  | { kind: 'ready' }
  | { kind: 'right'; proof: string; says: readonly string[] }
  | { kind: 'refused'; says: readonly string[] };

type Deps = { config: () => RecoveryConfig; home: string; now: number; log: Log };

const longest = { code: 40, question: 512, payload_hash: 128, person: 200 } as const;

/** Judges a line of the control bot. What is wrong is an answer too: there is nobody else to tell it to. Never throws. */
export function answerCode(line: string, deps: Deps): CodeAnswer {
  try {
    const asked = askedIn(line);
    const config = deps.config();
    const unfit = whyUnfit(config.place, readEnrolment(config.emergency));
    if (unfit !== undefined) return { kind: 'refused', says: [unfit] };
    return asked.asks === 'ready' ? ready(config) : judge(asked, config, deps);
  } catch (error) {
    deps.log.error('a code could not be judged', { because: reasonOf(error) });
    const fault = diskFault(error, deps.home);
    if (!(fault instanceof Fault)) return { kind: 'refused', says: [`This is a fault of ours: ${reasonOf(error)}`] };
    return { kind: 'refused', says: [fault.message, ...(fault.hint === undefined ? [] : [fault.hint])] };
  }
}

/** @throws Fault `malformed`; what was sent is in no sentence of it */
function askedIn(line: string): Asked {
  let asked: Record<string, unknown> = {};
  try {
    asked = JSON.parse(line) as typeof asked;
  } catch {
    // Its message would quote the line, and that may have a code in it.
    throw new Fault('malformed', 'That is no request.');
  }
  if (asked?.asks === 'ready') return { asks: 'ready' };
  const isText = (Object.entries(longest) as [string, number][]).every(([key, most]) => {
    const value = asked?.[key];
    return typeof value === 'string' && value !== '' && value.length <= most;
  });
  if (asked?.asks === 'judge' && isText && Number.isSafeInteger(asked.sent_ms)) return asked as Asked & ToJudge;
  throw new Fault('malformed', 'That is no request.');
}

function ready({ place }: RecoveryConfig): CodeAnswer {
  if (!guardOf(place).isLocked) return { kind: 'ready' };
  return { kind: 'refused', says: refusedCode({ kind: 'locked', untilMs: undefined }, 0) };
}

function judge(asked: ToJudge, config: RecoveryConfig, { home, now, log }: Deps): CodeAnswer {
  const { code, question, payload_hash, person, sent_ms } = asked;
  const problem = clockProblem(config, sent_ms, now);
  if (problem !== undefined) return { kind: 'refused', says: [problem] };
  // Before the code is used up: whatever keeps it from being proven is said first.
  const signer = loadSigner(config.place);
  showKey(join(home, 'shared', 'credentials', 'gaia-confirms.pub'), readFileSync(config.place.publicKey, 'utf8'));
  const verdict = tryCode(config.place, config.emergency, code.replace(/\s/g, ''), now);
  log.info('a code was tried', { question, person, verdict: verdict.kind });
  const entry = entryOf(config.emergency, { target: approvals });
  if (verdict.kind !== 'right') return { kind: 'refused', says: refusedCode(verdict, now, entry) };
  return {
    kind: 'right',
    proof: signStatement('confirmation', { question, payload_hash, person, at_ms: now }, signer.sign),
    says: verdict.by === 'backup code' ? [`That was a backup code; ${verdict.left} are left.`] : [],
  };
}

/**
 * Where the bus finds the key by which it knows GAIA. The folder is another user's, who may have laid a link there: a new file of
 * a name that nobody knows is put in its place.
 */
function showKey(file: string, text: string): void {
  if (textOf(file) === text) return;
  makeFolder(join(file, '..'), 0o700);
  const beside = `${file}.${randomBytes(8).toString('hex')}`;
  const fd = openSync(beside, 'wx', 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
    chmodSync(beside, 0o644);
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
