import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../../recovery/archive/manifest-file.ts';
import { syncFolder } from '../../recovery/disk.ts';
import type { Place } from '../../recovery/place.ts';
import { findCode, isBackupCode } from './backup-codes.ts';
import { approvals, type Enrolment, type FactorFiles, fingerprintOf, readEnrolment, secretFor } from './enrolment.ts';
import { alone } from './guard-lock.ts';
import { judgeCode } from './totp.ts';

/**
 * What must not come back with a restore, so it lies beside the journals and not beside the secret: the last step of which a
 * code was taken, backup codes that were used, wrong tries, and which secret is the newest.
 */
type GuardState = {
  format: 1;
  /** Fingerprint of the secret that was enrolled last; null where nobody knows, as on a machine that was made anew. */
  enrolled: string | null;
  last_step: number;
  failures: number;
  locked_until_ms: number;
  used_codes: readonly string[];
};

export type Verdict =
  | { kind: 'right'; by: 'code' }
  | { kind: 'right'; by: 'backup code'; left: number }
  | { kind: 'wrong'; failures: number; untilMs: number | undefined; forGood: boolean }
  | { kind: 'used' }
  | { kind: 'locked'; untilMs: number | undefined }
  /** No second factor, or one that is not to be trusted. */
  | { kind: 'no factor'; says: string };

/** Wrong tries, and for how long nothing is tried then; beyond the last for ever. */
const locks = [
  { from: 5, ms: 15 * 60_000 },
  { from: 3, ms: 60_000 },
] as const;
const lockedFrom = 10;

const fresh: GuardState = { format: 1, enrolled: null, last_step: 0, failures: 0, locked_until_ms: 0, used_codes: [] };

const folderOf = ({ state }: Pick<Place, 'state'>) => join(state, 'emergency');
const fileOf = (place: Pick<Place, 'state'>) => join(folderOf(place), 'guard.json');

/**
 * Judges a code that somebody sent. A try is written down as a wrong one before it is looked at, and a right one as used before
 * this returns: whatever is killed when, no code counts twice and no try is free.
 * @param what it is to confirm: a target, or `full`
 * @throws Fault `damaged` when nobody knows what was used, `forbidden` when others can read the secret, the system's error
 */
export function tryCode(
  place: Pick<Place, 'state'>,
  files: FactorFiles,
  typed: string,
  nowMs: number,
  what = approvals,
): Verdict {
  const enrolment = readEnrolment(files);
  const unfit = whyUnfit(place, enrolment);
  if (enrolment === undefined || unfit !== undefined) return { kind: 'no factor', says: unfit ?? '' };
  const secret = secretFor(enrolment, what);
  if (secret === undefined) return { kind: 'no factor', says: noEntryFor(what) };
  makeFolder(folderOf(place), 0o700);
  return alone(folderOf(place), () => tried(place, { ...enrolment, secret }, typed, nowMs));
}

/** Why no code of this secret can be right; undefined when nothing speaks against it. @throws Fault `damaged` */
export function whyUnfit(place: Pick<Place, 'state'>, enrolment: Enrolment | undefined): string | undefined {
  if (enrolment === undefined) return 'No second factor is set up. On the server: gaia 2fa enroll';
  const { enrolled } = readGuard(place);
  if (enrolled === null || enrolled === enrolment.fingerprint) return undefined;
  return 'The secret here is not the one that was enrolled last: an older one came back with a restore. On the server: gaia 2fa enroll --replace';
}

function tried(place: Pick<Place, 'state'>, enrolment: Enrolment, typed: string, nowMs: number): Verdict {
  const state = readGuard(place);
  if (state.failures >= lockedFrom) return { kind: 'locked', untilMs: undefined };
  if (nowMs < state.locked_until_ms) return { kind: 'locked', untilMs: state.locked_until_ms };
  const failures = state.failures + 1;
  const untilMs = lockAfter(failures, nowMs);
  write(place, { ...state, failures, locked_until_ms: untilMs ?? 0 });
  const judged = judge(enrolment, state, typed, nowMs);
  if (judged === undefined) return { kind: 'wrong', failures, untilMs, forGood: failures >= lockedFrom };
  // A code that was used before helps nobody to find another.
  write(place, judged.next ?? state);
  return judged.verdict;
}

/** Where a target came into the configuration after the codes. */
const noEntryFor = (what: string) =>
  `The authenticator has no entry for ${what}. On the server: gaia 2fa enroll --each --replace`;

type Found = { verdict: Verdict; next?: GuardState };

function judge(
  { secret, codes, fingerprint }: Enrolment,
  state: GuardState,
  typed: string,
  nowMs: number,
): Found | undefined {
  const unlocked = { failures: 0, locked_until_ms: 0 };
  if (/^\d{6}$/.test(typed)) {
    const judged = judgeCode(secret, typed, nowMs, state.last_step);
    if (judged.kind === 'wrong') return undefined;
    if (judged.kind === 'used') return { verdict: { kind: 'used' } };
    return {
      verdict: { kind: 'right', by: 'code' },
      next: { ...state, ...unlocked, enrolled: fingerprint, last_step: judged.step },
    };
  }
  const hash = isBackupCode(typed) ? findCode(codes, typed) : undefined;
  if (hash === undefined) return undefined;
  if (state.used_codes.includes(hash)) return { verdict: { kind: 'used' } };
  const used_codes = [...state.used_codes, hash];
  const left = codes.hashes.filter((each) => !used_codes.includes(each)).length;
  return { verdict: { kind: 'right', by: 'backup code', left }, next: { ...state, ...unlocked, used_codes } };
}

function lockAfter(failures: number, nowMs: number): number | undefined {
  if (failures >= lockedFrom) return undefined;
  const lock = locks.find(({ from }) => failures >= from);
  return lock === undefined ? undefined : nowMs + lock.ms;
}

/** From now on codes of this secret count, and that of the step it was proven with does not. On disk when it returns. */
export function beginGuard(place: Pick<Place, 'state'>, secret: Uint8Array, step: number): void {
  makeFolder(folderOf(place), 0o700);
  alone(folderOf(place), () => write(place, { ...fresh, enrolled: fingerprintOf(secret), last_step: step }));
}

/** Lets codes be tried again. Answers how many wrong ones there were. @throws the system's error */
export function unlockGuard(place: Pick<Place, 'state'>): number {
  if (!existsSync(fileOf(place))) return 0;
  return alone(folderOf(place), () => {
    const state = readGuard(place);
    if (state.failures > 0 || state.locked_until_ms > 0) write(place, { ...state, failures: 0, locked_until_ms: 0 });
    return state.failures;
  });
}

/** What `gaia doctor` and the phone say of it. @throws Fault `damaged` */
export function guardOf(place: Pick<Place, 'state'>): { failures: number; isLocked: boolean; enrolled: string | null } {
  const { failures, enrolled } = readGuard(place);
  return { failures, isLocked: failures >= lockedFrom, enrolled };
}

function readGuard(place: Pick<Place, 'state'>): GuardState {
  const file = fileOf(place);
  if (!existsSync(file)) return fresh;
  const state = parse(readFileSync(file, 'utf8'));
  if (state !== undefined) return state;
  throw new Fault('damaged', `${file} is damaged, so nobody knows which codes were used.`, {
    hint: 'Make a new second factor, which begins it anew: gaia 2fa enroll --replace',
  });
}

function parse(text: string): GuardState | undefined {
  try {
    const state = JSON.parse(text) as GuardState;
    const numbers = [state.last_step, state.failures, state.locked_until_ms];
    const isNamed = state.enrolled === null || typeof state.enrolled === 'string';
    return numbers.every(Number.isSafeInteger) && isNamed && Array.isArray(state.used_codes) ? state : undefined;
  } catch {
    return undefined; // No JSON.
  }
}

function write(place: Pick<Place, 'state'>, state: GuardState): void {
  makeFolder(folderOf(place), 0o700);
  writeWhole(fileOf(place), Buffer.from(`${JSON.stringify(state)}\n`));
  syncFolder(folderOf(place));
}
