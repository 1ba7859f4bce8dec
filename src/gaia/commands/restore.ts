import { Exit, type ExitCode, exitCodeOf } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { type BackupSet, findSet } from '../../recovery/catalog/backup-set.ts';
import { type Backup, findBackup, listBackups } from '../../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import type { Place } from '../../recovery/place.ts';
import type { Target } from '../../recovery/target.ts';
import { causeFlag } from '../cause.ts';
import { type Call, type Command, type Conclusion, identityFlag } from '../command.ts';
import { confirm } from '../confirm.ts';
import { doneFor } from '../once.ts';
import { type PreparedRestore, prepareRestore, requireNothingInTheWay } from '../prepare-restore.ts';
import { requireFree, startRun } from '../start-run.ts';
import { requireNoInterrupted, targetNamed } from '../targets.ts';
import { planLines } from './plan.ts';

/** gaia restore — puts a backup in the place of what is there, all of it or nothing. */
export const restore: Command = {
  name: 'restore',
  summary: 'Put a backup in the place of what is there, all or nothing',
  usage: 'TARGET|full [--backup B] [--only WHAT] [--yes] [--cause EVENT]',
  words: [1, 1],
  flags: {
    backup: {
      value: 'B',
      says: 'a name, the beginning of one, or a path; for full the id of a set, or latest for the newest whole one; else the newest sound one',
    },
    only: { value: 'WHAT', says: 'db (the databases), files (all but them), or a path of the target' },
    yes: { says: 'do not ask for confirmation' },
    ...identityFlag,
    ...causeFlag,
    plan: { value: 'HASH', says: 'do only what gaia plan showed under this hash' },
    'ignore-open': { says: 'go on though files are open for writing; what is written then is put aside' },
    'skip-missing': { says: 'for full: leave out targets that have no backup' },
    'fresh-server': {
      says: 'put the data folders of database servers aside and load into new ones: for a server that does not start, or cannot hold two of a database',
    },
    here: { says: 'in this process instead of one that outlives a lost connection' },
  },
  details: [
    'Everything is staged beside the live tree and compared first; then it is swapped in by renames. Interrupted anywhere, gaia resume finishes it and gaia resume --back takes it back.',
    'Its units and the services of its compose files are stopped before and started after; when its health is configured, a state that is not well in time is taken back.',
    'With --cause the same asked again does nothing again: what was interrupted is finished, and what was done is told.',
    'What was there before is kept for 72 hours; gaia undo brings it back. What the configuration excludes is not touched.',
  ],
  example: 'gaia restore dev --backup dev-2026-01-16',
  exits: [
    '0 done',
    '1 failed, nothing changed; or the old state is back and not healthy',
    '2 not confirmed',
    '3 only root may; or it is encrypted, and nothing here opens it',
    '4 no Docker or systemd to stop its services with',
    '5 no backup or unit',
    '6 in the way',
    '7 the backup is damaged',
    '9 done, but not proven healthy',
    '10 failed or not healthy, and the old state is back',
  ],
  delivers: true,
  async run(call) {
    const name = call.words[0] as string;
    return name === 'full' ? full(call) : single(call, targetNamed(call.config(), name));
  },
};

async function single(call: Call, target: Target): Promise<Conclusion> {
  const { backup, only, plan: hash } = call.flags as Record<string, string | undefined>;
  const done = await doneFor(call, { kind: 'restore', target: target.name, backup, only, plan: hash });
  if (done !== undefined) return done;
  const prepared = await unlessInterrupted(call, ready(call, target));
  if (prepared === undefined) return interrupted;
  const { plan } = prepared.prepared;
  if (call.flags.plan !== undefined && call.flags.plan !== plan.hash)
    throw new Fault('conflict', `The plan is ${plan.hash} now, and not ${call.flags.plan}.`, {
      hint: `Look at it again: gaia plan ${target.name}`,
    });
  const phrase = `RESTORE ${target.name.toUpperCase()}`;
  if (!(await confirm(call, phrase, planLines(plan, call.around.clock())))) return notConfirmed(phrase, call);
  for (const text of plan.warnings) if (call.flags.yes === true) call.around.say(`WARNING: ${text}`);
  return start(call, prepared);
}

async function ready(call: Call, target: Target, wanted?: string): Promise<PreparedRestore> {
  const { place } = call.config();
  requireFree(call);
  requireNoInterrupted(place, target.name);
  const prepared = await prepareRestore(call, target, wanted);
  requireNothingInTheWay(prepared);
  return prepared;
}

const interrupted: Conclusion = { exit: Exit.interrupted, notes: ['Nothing was done: interrupted.'] };

/** Undefined once Ctrl-C was pressed: what was asked for the backup is ended with it, and says so in words of its own. */
async function unlessInterrupted<T>({ around }: Call, preparing: Promise<T>): Promise<T | undefined> {
  try {
    return await preparing;
  } catch (error) {
    if (around.signal.aborted) return undefined;
    throw error;
  }
}

function start(
  call: Call,
  { target, backup, prepared: { plan }, manifestSha256, id, atMs }: PreparedRestore,
): Promise<Conclusion> {
  return startRun(call, {
    id,
    kind: 'restore',
    target,
    backup: {
      file: backup.file,
      name: backup.name,
      created_at: plan.backup.created_at,
      manifest_sha256: manifestSha256,
    },
    only: plan.only,
    undoes: null,
    plan_hash: plan.hash,
    ignore_open: call.flags['ignore-open'] === true,
    fresh_server: call.flags['fresh-server'] === true,
    atMs,
  });
}

function notConfirmed(phrase: string, { around }: Call): Conclusion {
  const interrupted = around.signal.aborted;
  return {
    exit: interrupted ? Exit.interrupted : Exit.usage,
    notes: [`Nothing was done: ${interrupted ? 'interrupted' : `that was not ${phrase}`}.`],
  };
}

/** Each target is a transaction of its own; all are looked at before the first is touched. */
async function full(call: Call): Promise<Conclusion> {
  const config = call.config();
  if (call.flags.only !== undefined)
    throw new Fault('usage', 'Of everything there is no only.', { hint: 'Name one target.' });
  if (call.flags.cause !== undefined)
    throw new Fault('usage', 'A cause is for one target, and not for full.', { hint: 'Name one target.' });
  const wanted = backupsOfAll(config, call);
  const all: PreparedRestore[] = [];
  for (const { target, backup } of wanted) {
    const prepared = await unlessInterrupted(call, ready(call, target, backup.file));
    if (prepared === undefined) return interrupted;
    all.push(prepared);
  }
  const phrase = 'RESTORE EVERYTHING';
  const shown = all.flatMap(({ prepared: { plan } }) => planLines(plan, call.around.clock()));
  if (!(await confirm(call, phrase, shown))) return notConfirmed(phrase, call);
  const done: Done[] = [];
  for (const { target, backup } of all) {
    const conclusion = await next(call, target, backup, done.length > 0);
    done.push({ target: target.name, conclusion });
    if (!isDone(conclusion.exit)) break;
  }
  return report(
    done,
    all.map(({ target }) => target.name),
  );
}

type Done = { target: string; conclusion: Conclusion };

/** One of several. What keeps a later one from beginning is told beside what was done before it. */
async function next(call: Call, target: Target, backup: Backup, isLater: boolean): Promise<Conclusion> {
  try {
    // Made anew: the one before may have taken the room, and each run has a time of its own.
    return await start(call, await ready(call, target, backup.file));
  } catch (error) {
    if (!isLater || !(error instanceof Fault)) throw error;
    const { code, message, hint } = error;
    return {
      exit: exitCodeOf(code),
      json: { outcome: 'refused', error: { code, message, ...(hint ? { hint } : {}) } },
      wrong: [`${target.name}: ${message}`, ...(hint ? [`  ${hint}`] : [])],
    };
  }
}

const isDone = (exit: ExitCode) => exit === Exit.ok || exit === Exit.partial;

function report(done: readonly Done[], wanted: readonly string[]): Conclusion {
  const worst = done.map(({ conclusion }) => conclusion.exit).find((exit) => !isDone(exit));
  const unproven = done.some(({ conclusion }) => conclusion.exit === Exit.partial);
  const complete = done.filter(({ conclusion }) => isDone(conclusion.exit)).length;
  const untried = wanted.slice(done.length);
  return {
    // A target that failed after another was restored: done in part.
    exit: worst === undefined ? (unproven ? Exit.partial : Exit.ok) : complete > 0 ? Exit.partial : worst,
    lines: done.flatMap(({ target, conclusion }) => [`${target}:`, ...(conclusion.lines ?? [])]),
    wrong: done.flatMap(({ conclusion }) => conclusion.wrong ?? []),
    notes: [
      ...done.flatMap(({ conclusion }) => conclusion.notes ?? []),
      `${complete} of ${wanted.length} targets are restored.`,
      ...(untried.length > 0
        ? [
            `Not tried, since ${done.at(-1)?.target} failed: ${untried.join(', ')}. One by one: gaia restore ${untried[0]}`,
          ]
        : []),
    ],
    delivered: true,
    json: {
      results: done.map(({ target, conclusion }) => ({ target, ...(conclusion.json as object) })),
      not_tried: untried,
    },
  };
}

function backupsOfAll({ place, targets }: RecoveryConfig, { flags }: Call): { target: Target; backup: Backup }[] {
  const set = flags.backup === undefined ? undefined : String(flags.backup);
  if (set?.includes('/'))
    throw new Fault('usage', 'One file cannot restore every target.', {
      hint: 'Name a set (gaia list --json shows them), or one target.',
    });
  const names = targets.map(({ name }) => name);
  const inSet = set === undefined ? undefined : findSet(listBackups(place, names), names, set);
  const found: { target: Target; backup: Backup }[] = [];
  const missing: string[] = [];
  for (const target of targets) {
    const backup = inSet === undefined ? latestOf(place, target.name) : soundOf(inSet, target.name);
    if (backup === undefined) missing.push(target.name);
    else found.push({ target, backup });
  }
  if (found.length === 0 || (missing.length > 0 && flags['skip-missing'] !== true))
    throw new Fault(
      'not-found',
      `There is no sound backup of ${missing.join(', ')}${inSet === undefined ? '' : ` in the set ${inSet.id}`}.`,
      {
        hint:
          found.length === 0 ? 'See: gaia list' : 'See: gaia list. To restore the others all the same: --skip-missing',
      },
    );
  return found;
}

/** The same that a restore of this target alone would take. */
function latestOf(place: Place, target: string): Backup | undefined {
  try {
    return findBackup(place, [target], 'latest');
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}

function soundOf({ backups }: BackupSet, name: string): Backup | undefined {
  return backups.find(({ target, kind }) => target === name && kind === 'sound');
}
