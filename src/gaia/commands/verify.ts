import { statSync } from 'node:fs';
import { relative } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { isOwnArchive, pointerEnd } from '../../recovery/archive/manifest-file.ts';
import { verifyOld } from '../../recovery/archive/old-archive.ts';
import { knownKey } from '../../recovery/archive/sign.ts';
import { verifyArchive } from '../../recovery/archive/verify-archive.ts';
import { type Backup, findBackup } from '../../recovery/catalog/catalog.ts';
import { record, type Verified } from '../../recovery/catalog/records.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { unlockOf } from '../../recovery/encryption/unlock.ts';
import { sentence } from '../../recovery/events/event.ts';
import { verifySnapshot } from '../../recovery/restic/verify-snapshot.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import { showBytes, showCount, showSpan } from '../amounts.ts';
import { causeOf, toldOnceFlag } from '../cause.ts';
import { type Call, type Command, type Conclusion, identityFlag } from '../command.ts';
import { targetNamed } from '../targets.ts';
import { tell } from '../tell-bus.ts';

type Finding = {
  backup: Backup;
  state: Verified['verdict'] | 'incomplete';
  says: string;
  member: string | null;
  ms: number;
};

/** gaia verify — proves that a backup can be read back whole. Exit 0 sound, 7 damaged, 5 no such backup. */
export const verify: Command = {
  name: 'verify',
  summary: 'Prove that a backup can be read back whole',
  usage: 'BACKUP|latest [--target T] [--deep] [--cause EVENT]',
  words: [1, 1],
  flags: {
    target: { value: 'T', says: 'whose backup; latest without it means the newest of each target' },
    deep: { says: 'hash each member anew, as was done when the backup was made' },
    ...toldOnceFlag,
    ...identityFlag,
  },
  details: [
    'Reads everything: signature, SHA-256 of the file, checksum of each frame, form of each member. BACKUP is a name, the beginning of one, or a path.',
    'One in a repository of restic is fetched whole, and restic compares each piece with its digest; --deep checks the structure of the repository too.',
    'One that is encrypted, with no key here that opens it, is compared with the digest in its manifest, and called sealed.',
    'An archive of an older tool can be checked for its form only: gzip, tar, and that nothing in it leads out of its folder.',
  ],
  example: 'gaia verify latest --target prod',
  exits: ['0 sound', '5 no such backup, or a target has none', '7 damaged'],
  delivers: true,
  async run(call) {
    causeOf(call);
    const config = call.config();
    const wanted = call.words[0] as string;
    const all = config.targets.map(({ name }) => name);
    const target = call.flags.target === undefined ? undefined : targetNamed(config, String(call.flags.target)).name;
    const { backups, missing } =
      wanted === 'latest' && target === undefined
        ? latestOfEach(config, all)
        : { backups: [findBackup(config.place, target === undefined ? all : [target], wanted)], missing: [] };
    const findings: Finding[] = [];
    for (const backup of backups) findings.push(await examine(backup, call));
    return concludeAll(findings, missing);
  },
};

function latestOfEach({ place }: RecoveryConfig, names: readonly string[]): { backups: Backup[]; missing: Fault[] } {
  const backups: Backup[] = [];
  const missing: Fault[] = [];
  for (const name of names)
    try {
      backups.push(findBackup(place, [name], 'latest'));
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'not-found') throw error;
      missing.push(error);
    }
  const [first] = missing;
  if (backups.length === 0)
    throw (
      first ?? new Fault('not-found', 'The configuration names no target.', { hint: 'How it looks: docs/recovery.md' })
    );
  return { backups, missing };
}

async function examine(backup: Backup, call: Call): Promise<Finding> {
  const { place } = call.config();
  const began = performance.now();
  const finding = { backup, ...(await look(backup, call)), ms: performance.now() - began };
  // What is outside the folder of backups is nobody's to record, and a disk that cannot be written can still be verified.
  if (!relative(place.backups, backup.file).startsWith('..') && finding.state !== 'incomplete') remember(finding, call);
  tellFinding(finding, call);
  return finding;
}

/** A backup that is not sound is told as a failure, to those who hear of failures. */
function tellFinding({ backup, state, says, ms }: Finding, call: Call): void {
  const bad = isBad({ state });
  tell(call, {
    action: bad ? 'backup_failed' : 'backup_verified',
    target: backup.target,
    details: {
      ...{ kind: 'verify', backup: sentence(backup.name), state, exit: bad ? Exit.damaged : Exit.ok },
      ...{ says: sentence(says), deep: call.flags.deep === true, bytes: backup.bytes, seconds: secondsOf(ms) },
    },
  });
}

const isBad = ({ state }: Pick<Finding, 'state'>) => state === 'damaged' || state === 'incomplete';
const secondsOf = (ms: number) => Number((ms / 1000).toFixed(3));

async function look(backup: Backup, { config, progress, flags }: Call): Promise<Omit<Finding, 'backup' | 'ms'>> {
  if (backup.kind === 'unverified' || !isOwnArchive(backup.name)) {
    const verdict = await verifyOld(backup.file);
    if (verdict.kind === 'damaged') return { state: 'damaged', says: verdict.reason, member: verdict.member ?? null };
    const says = `whole as far as it can be told, in a format that is not verified further: ${showCount(verdict.files, 'file')}, ${showBytes(verdict.bytes)}`;
    return { state: 'unverified-format', says, member: null };
  }
  const { place, targets } = config();
  const reading = { known: knownKey(place.publicKey), progress, deep: flags.deep === true };
  const { restic } = targets.find(({ name }) => name === backup.target) ?? {};
  const verdict = backup.name.endsWith(pointerEnd)
    ? await verifySnapshot(backup.file, { ...reading, restic })
    : await verifyArchive(backup.file, { ...reading, unlock: unlockOf(place) });
  if (verdict.kind === 'no-manifest')
    return {
      state: 'incomplete',
      says: 'there is no manifest beside it, so nobody can say that it is whole',
      member: null,
    };
  if (verdict.kind === 'damaged') return { state: 'damaged', says: verdict.reason, member: verdict.member ?? null };
  const { signature } = verdict;
  const signer =
    signature.kind === 'unknown-signer'
      ? `, signed by the key ${signature.fingerprint}, which this machine does not know`
      : '';
  if (verdict.kind === 'sealed')
    return {
      state: 'sealed',
      says: `sealed: it is the file that was written${signer}; no key here opens it, so nothing in it was read`,
      member: null,
    };
  return {
    state: 'sound',
    says: `sound: ${showCount(verdict.files, 'file')}, ${showBytes(verdict.bytes)}${signer}`,
    member: null,
  };
}

function remember({ backup, state, says }: Finding, { around, config }: Call): void {
  const { place } = config();
  try {
    const lock = takeLock(place, `verify ${backup.name}`, around.clock);
    try {
      const { size, mtimeMs } = statSync(backup.file);
      const verdict = state as Verified['verdict'];
      const before = backup.verified?.drilled_at === undefined ? {} : { drilled_at: backup.verified.drilled_at };
      record(place, relative(place.backups, backup.file), {
        bytes: size,
        mtimeMs: Math.floor(mtimeMs),
        at: rfc3339(around.clock()),
        verdict,
        ...(verdict === 'damaged' ? { reason: says } : before),
      });
    } finally {
      lock.release();
    }
  } catch (error) {
    // Somebody else works on the backups, or they cannot be written: the verdict is given all the same.
    if (!(error instanceof Fault)) throw error;
  }
}

function concludeAll(findings: readonly Finding[], missing: readonly Fault[]): Conclusion {
  const results = findings.map(({ backup, state, says, member, ms }) => ({
    name: backup.name,
    target: backup.target,
    path: backup.file,
    state,
    says,
    member,
    seconds: secondsOf(ms),
  }));
  const bad = findings.some(isBad);
  return {
    // That a target has none at all must not pass unseen because those of the others are sound.
    exit: bad ? Exit.damaged : missing.length > 0 ? Exit.notFound : Exit.ok,
    lines: [
      ...findings.map(
        ({ backup, says, state, ms }) =>
          `${backup.name}: ${state === 'damaged' ? 'DAMAGED. ' : ''}${says} (${showSpan(ms)})`,
      ),
      ...missing.map(({ message }) => message),
    ],
    json: { ...(results.length === 1 ? results[0] : {}), results, missing: missing.map(({ message }) => message) },
    notes: bad ? ['Keep a damaged file, it may be mended; restore an older one: gaia list'] : [],
  };
}
