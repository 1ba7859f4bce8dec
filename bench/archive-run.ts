// node bench/archive-run.ts backup|verify|restore[-sealed|-restic] HOME [PORT]: one run of ours in a process of its own, so that its memory can
// be told. The sealed ones are encrypted to a key that is made at the first.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { isOwnArchive } from '../src/recovery/archive/manifest-file.ts';
import { knownKey } from '../src/recovery/archive/sign.ts';
import { verifyArchive } from '../src/recovery/archive/verify-archive.ts';
import { makeBackup } from '../src/recovery/backup/make-backup.ts';
import { identityText, newAgeKey, readIdentities, recipientOf } from '../src/recovery/encryption/age-key.ts';
import { unlockOf } from '../src/recovery/encryption/unlock.ts';
import type { Place } from '../src/recovery/place.ts';
import { beginRun } from '../src/recovery/restore/engine.ts';
import { openBackup } from '../src/recovery/restore/open-backup.ts';
import { planRestore } from '../src/recovery/restore/plan.ts';
import { readJournal } from '../src/recovery/run/journal.ts';
import { journalOf, makeRun, newRunId, stampOf } from '../src/recovery/run/run-folder.ts';
import type { Target } from '../src/recovery/target.ts';

const [word, home, port] = process.argv.slice(2) as [string, string, string | undefined];
const isSealed = word.endsWith('-sealed');
const isRestic = word.endsWith('-restic');
const what = word.replace(/-(sealed|restic)$/, '');
const backups = join(home, isSealed ? 'sealed' : isRestic ? 'pointers' : 'backups');
const place: Place = {
  home,
  configFile: join(home, 'config.yaml'),
  backups,
  state: join(backups, '.gaia'),
  signingKey: join(home, 'signing.key'),
  publicKey: join(home, 'signing.pub'),
  identity: join(home, 'identity'),
};
const tree = { name: 'data', root: join(home, 'data'), exclude: [], mounts: { include: [], exclude: [] } };
/** A database of a server on the loopback, where its port is given. */
const postgres = {
  ...{ name: 'app', database: 'app', user: 'bench', passwordFile: null },
  reach: { kind: 'url' as const, parameters: { host: '127.0.0.1', port: port ?? '' } },
};
const target: Target = {
  ...{ name: 'bench', trees: [tree], databases: [], health: 'none' },
  ...(port === undefined ? {} : { postgres: [postgres] }),
  ...(isSealed ? { encryptTo: [await ownRecipient()] } : {}),
  ...(isRestic ? { restic: engine() } : {}),
};
const result: { ms?: number; writtenMs?: number; bytes?: number; gapMs?: number } = {};
if (what === 'backup') await backup();
else if (what === 'verify') await verify();
else await restore();
// From the start of the process on, as for the others.
result.ms = performance.now();
console.log(JSON.stringify({ ...result, maxRssMib: process.resourceUsage().maxRSS / 1024 }));

function engine(): NonNullable<Target['restic']> {
  const passwordFile = join(home, 'password');
  if (!existsSync(passwordFile)) writeFileSync(passwordFile, 'bench', { mode: 0o600 });
  return { repository: join(home, 'engine'), passwordFile, environmentFile: null, readBack: true, active: true };
}

async function ownRecipient(): Promise<string> {
  const file = join(home, 'identity');
  if (!existsSync(file)) writeFileSync(file, identityText(await newAgeKey(), ''), { mode: 0o600 });
  return recipientOf(readIdentities(file)[0] as string);
}

async function backup(): Promise<void> {
  const { manifest, kind } = await makeBackup({
    target,
    place,
    reason: 'manual',
    set: null,
    tool: 'bench',
    host: { name: 'bench', kernel: '', os: '' },
    previousManifest: null,
    clock: systemClock,
    progress: ({ phase }) => {
      if (phase === 'read back') result.writtenMs ??= performance.now();
    },
  });
  if (kind !== 'sound') throw new Error(manifest.degraded.join('\n'));
  result.bytes = manifest.snapshot?.added_bytes ?? manifest.archive.bytes;
}

function newest(): string {
  const folder = join(backups, 'bench');
  const names = readdirSync(folder).filter((name) => isOwnArchive(name));
  return join(folder, names.sort().at(-1) as string);
}

async function verify(): Promise<void> {
  const verdict = await verifyArchive(newest(), { known: knownKey(place.publicKey), unlock: unlockOf(place) });
  if (verdict.kind !== 'sound') throw new Error(JSON.stringify(verdict));
}

/** Into the place of `out`, which is made anew. */
async function restore(): Promise<void> {
  const file = newest();
  const known = knownKey(place.publicKey);
  const now = Date.now();
  const run = { id: newRunId(now), stamp: stampOf(now) };
  const into = { ...target, trees: [{ ...tree, root: join(home, 'out') }] };
  const open = await openBackup(file, known, { unlock: unlockOf(place), restic: target.restic, place });
  if (open.kind !== 'own') throw new Error('no archive of ours');
  const ownPids = new Set([process.pid]);
  const { plan } = planRestore(open, { target: into, only: null, ignoreOpen: false, run, uid: 0, ownPids });
  await open.close();
  const { name, created_at } = plan.backup;
  const folder = makeRun(place, {
    id: run.id,
    kind: 'restore',
    target: into,
    place,
    backup: { file, name, created_at, manifest_sha256: open.signed.sha256 },
    only: null,
    undoes: null,
    plan_hash: plan.hash,
    ignore_open: false,
    created_at: new Date(now).toISOString(),
    tool: 'bench',
  });
  const deps = { place, clock: systemClock, known, uid: 0, ownPids, pause: () => undefined, progress: () => undefined };
  const outcome = await beginRun(folder, deps);
  if (outcome.kind !== 'committed') throw new Error(outcome.says);
  const swapped = readJournal(journalOf(folder)).find(({ step, state }) => step === 'swap' && state === 'done');
  result.gapMs = swapped?.facts.longest_gap_ms as number;
}
