import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { writePrivately } from '../../base/private-file.ts';
import { knownKey } from '../../recovery/archive/sign.ts';
import { type Backup, findBackup, listBackups } from '../../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { type AgeKey, identityText, newAgeKey, recipientOf } from '../../recovery/encryption/age-key.ts';
import { recordProof } from '../../recovery/encryption/proof.ts';
import { unlockOf } from '../../recovery/encryption/unlock.ts';
import { openBackup } from '../../recovery/restore/open-backup.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import { type Call, type Command, type Conclusion, identityFlag } from '../command.ts';

/** gaia key — makes keys that backups are encrypted to, and proves that one opens the newest of them. */
export const key: Command = {
  name: 'key',
  summary: 'Make a key that backups are encrypted to, or prove that one opens them',
  usage: 'new FILE | new --server | check [--identity FILE] [--backup B]',
  words: [1, 2],
  flags: {
    server: { says: 'new: a key of this machine itself, so that it can restore and drill without the recovery key' },
    backup: { value: 'B', says: 'check: this backup; else the newest encrypted one of each target' },
    ...identityFlag,
  },
  details: [
    'new FILE writes the recovery key (0600), which belongs on another machine or on paper: gaia kit. Its public half goes into recipients.txt beside the configuration, and from then on every backup is encrypted to it.',
    'new --server keeps a second one here, in gaia/.identity. Without it nothing on this machine can read a backup: whoever steals the machine cannot either, and drills and restores need the recovery key.',
    'check opens a backup with the key and says until when that was last proven. gaia backup reminds of it until it was done once.',
  ],
  example: 'gaia key new /media/usb/recovery-key.txt',
  exits: [
    '0 done; it opens what it should',
    '3 it does not open a backup',
    '5 no encrypted backup',
    '6 the file exists',
    '7 the backup is damaged',
  ],
  async run(call) {
    const [verb, file] = call.words;
    if (verb === 'new') return makeKey(call, file);
    if (verb === 'check' && file === undefined) return checkKey(call);
    throw new Fault('usage', verb === 'check' ? 'check takes no further word.' : `gaia key has no ${verb}.`, {
      hint: 'gaia key new FILE, or gaia key check --identity FILE',
    });
  },
};

async function makeKey(call: Call, file: string | undefined): Promise<Conclusion> {
  const config = call.config();
  const { place } = config;
  const isServers = call.flags.server === true;
  if (isServers === (file !== undefined))
    throw new Fault(
      'usage',
      isServers ? 'A key of this machine has its own place.' : 'Where is the key to be written?',
      {
        hint: isServers ? 'gaia key new --server' : 'gaia key new FILE, best on a disk that you take away',
      },
    );
  const path = isServers ? (place.identity as string) : resolve(file as string);
  const made = await newAgeKey();
  try {
    writePrivately(path, identityText(made, rfc3339(call.around.clock())));
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('usage', `The key cannot be written to ${path}: ${reasonOf(error)}.`, { cause: error });
  }
  const recipients = place.recipients as string;
  addRecipient(recipients, made, isServers ? 'of this machine' : 'recovery key', rfc3339(call.around.clock()));
  const apart = targetsApart(config, made.recipient);
  return {
    exit: Exit.ok,
    lines: [
      `${path}: ${isServers ? "this machine's own key" : 'the recovery key'}`,
      `${recipients}: backups are encrypted to ${made.recipient} from now on`,
    ],
    json: { file: path, recipient: made.recipient, recipients_file: recipients, server: isServers },
    notes: [
      ...(isServers
        ? []
        : [
            'Take the file away from this machine, and keep a second copy on paper: gaia kit --identity FILE --out FOLDER',
            'After the next backup, prove it once: gaia key check --identity FILE',
          ]),
      ...apart.map((name) => `${name} has an encrypt_to of its own in the configuration: add ${made.recipient} there.`),
    ],
  };
}

/** Targets whose own setting leaves the new key out. */
function targetsApart({ targets, place }: RecoveryConfig, recipient: string): string[] {
  const text = existsSync(place.configFile) ? readFileSync(place.configFile, 'utf8') : '';
  if (!/encrypt_to/.test(text)) return [];
  return targets.filter(({ encryptTo = [] }) => !encryptTo.includes(recipient)).map(({ name }) => name);
}

function addRecipient(file: string, { recipient }: AgeKey, whose: string, at: string): void {
  const line = `# ${whose}, made ${at}\n${recipient}\n`;
  if (existsSync(file)) appendFileSync(file, line);
  else writeFileSync(file, `# Backups are encrypted to each of these, as with age -R.\n${line}`, { mode: 0o644 });
}

async function checkKey(call: Call): Promise<Conclusion> {
  const { place, targets } = call.config();
  const { identities = [] } = unlockOf(place);
  if (identities.length === 0)
    throw new Fault('usage', 'There is no key here to check.', { hint: 'Name one: gaia key check --identity FILE' });
  const names = targets.map(({ name }) => name);
  const { backup: wanted } = call.flags;
  const backups = wanted === undefined ? newestSealed(call, names) : [findBackup(place, names, String(wanted))];
  if (backups.length === 0)
    throw new Fault('not-found', 'There is no encrypted backup that a key could open.', {
      hint: 'Make a key and a backup first: gaia key new FILE; gaia backup full',
    });
  const opened: string[] = [];
  for (const backup of backups) {
    const { manifest } = backup;
    const open = await openBackup(backup.file, knownKey(place.publicKey), unlockOf(place));
    await open.close();
    if (manifest?.encryption === undefined) throw notEncrypted(backup);
    opened.push(backup.name);
    for (const identity of identities) {
      const recipient = await recipientOf(identity);
      if (manifest.encryption.recipients.includes(recipient)) remember(call, recipient, backup);
    }
  }
  return {
    exit: Exit.ok,
    lines: opened.map((name) => `${name}: opens, and its list of files is the one that was signed`),
    json: { key: place.identity, opened },
  };
}

function newestSealed({ config }: Call, names: readonly string[]): Backup[] {
  return names.flatMap(
    (name) => listBackups(config().place, [name]).find(({ manifest }) => manifest?.encryption !== undefined) ?? [],
  );
}

const notEncrypted = ({ name }: Backup) =>
  new Fault('not-found', `${name} is not encrypted, so no key is needed for it.`, { hint: 'See: gaia list' });

function remember({ config, around }: Call, recipient: string, { name }: Backup): void {
  const { place } = config();
  const lock = takeLock(place, 'key check', around.clock);
  try {
    recordProof(place, recipient, { at: rfc3339(around.clock()), backup: name });
  } finally {
    lock.release();
  }
}
