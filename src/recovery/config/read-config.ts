import { readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize, resolve } from 'node:path';
import { Fault, reasonOf } from '../../base/fault.ts';
import { isThere } from '../../base/files.ts';
import { type RetentionPolicy, usualRetention } from '../catalog/retention.ts';
import { readRecipients } from '../encryption/age-key.ts';
import type { RecoveryConfig } from './config.ts';
import { type Located, Mistakes, parseLocated } from './located.ts';
import { isMidSwap, putAside } from './put-aside.ts';
import { busIn } from './read-bus.ts';
import { endpointsIn } from './read-health.ts';
import { scheduleIn } from './read-schedule.ts';
import { readTargets } from './read-targets.ts';
import { emergencyIn } from './read-telegram.ts';

const topKeys = [
  'gaia',
  'backup_locations',
  'restore_targets',
  'emergency_telegram',
  'health_check',
  'retention',
  'keep_aside_hours',
  'signing_key_file',
  'identity_file',
  'encrypt_to',
  'engine',
  'restic',
  'bus',
  'schedule',
];
const keepAside = { usual: 72, least: 1, most: 24 * 365 };
const maxKept = 10_000;

/**
 * Reads the configuration: the file that was named, else `gaia/config.json`, else `gaia/config.yaml` of the home. Nothing else
 * is opened.
 * @throws Fault `not-found` when there is none, `usage` with every mistake and its line
 */
export function readConfig(named: string | undefined, home: string): RecoveryConfig {
  const file = named === undefined ? usualFile(home) : resolve(named);
  const aside = isThere(file) ? undefined : putAside(file);
  if (aside === undefined) return parseConfig(file, textOf(file), home);
  const config = parseConfig(file, aside.text, home);
  // Killed between the two renames that give gaia/ back its own, nothing else could tell where that restore is to be finished.
  return isMidSwap(aside, config.place) ? config : parseConfig(file, textOf(file), home);
}

function usualFile(home: string): string {
  const json = join(home, 'gaia', 'config.json');
  return isThere(json) ? json : join(home, 'gaia', 'config.yaml');
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new Fault('not-found', `There is no configuration at ${file}.`, {
        hint: 'Name one with --config or GAIA_CONFIG. How it looks: docs/recovery.md',
        cause: error,
      });
    throw new Fault('usage', `The configuration ${file} cannot be read: ${reasonOf(error)}.`, { cause: error });
  }
}

/** The same for a text. @throws Fault `usage` */
export function parseConfig(file: string, text: string, home: string): RecoveryConfig {
  const mistakes = new Mistakes(file);
  const root = parseLocated(file, text, mistakes);
  root.knownKeys(topKeys);
  const from = (path: string) => normalize(isAbsolute(path) ? path : join(home, path)).replace(/(?<=.)\/+$/, '');
  const backups = from(root.section('backup_locations')?.text('local') ?? 'shared/backups');
  const folder = dirname(file);
  const place = {
    home,
    configFile: file,
    backups,
    state: join(backups, '.gaia'),
    signingKey: from(root.text('signing_key_file') ?? join(folder, '.signing_key')),
    publicKey: join(folder, 'signing.pub'),
    identity: from(root.text('identity_file') ?? join(folder, '.identity')),
    recipients: join(folder, 'recipients.txt'),
  };
  const named = recipientsIn(place.recipients);
  const targets = readTargets(root, place, { from, recipients: named.recipients });
  const retention = retentionIn(root.section('retention'));
  const keepAsideHours = root.count('keep_aside_hours', keepAside.least, keepAside.most) ?? keepAside.usual;
  const emergency = emergencyIn(root.section('emergency_telegram'), { from, configFile: file });
  const endpoints = endpointsIn(root.section('health_check'));
  const bus = busIn(root, from);
  const schedule = scheduleIn(root, targets);
  mistakes.throwIfAny();
  return {
    place,
    targets,
    retention,
    keepAsideHours,
    endpoints,
    bus,
    emergency,
    schedule,
    encryptionFault: named.fault,
    notes: mistakes.notes,
  };
}

/** What is wrong with that file keeps nobody from restoring; it is thrown where something is to be encrypted. */
function recipientsIn(file: string): { recipients: readonly string[] | undefined; fault: Fault | undefined } {
  try {
    return { recipients: readRecipients(file), fault: undefined };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { recipients: undefined, fault: error };
  }
}

function retentionIn(section: Located | undefined): RetentionPolicy {
  if (section === undefined) return usualRetention;
  const names = ['keep_last', 'hourly', 'daily', 'weekly', 'monthly'] as const;
  section.knownKeys(names);
  const policy = { ...usualRetention };
  for (const name of names) {
    const least = name === 'keep_last' ? 1 : 0;
    const value = section.count(name, least, maxKept);
    if (value !== undefined) policy[name === 'keep_last' ? 'keepLast' : name] = value;
  }
  return policy;
}
