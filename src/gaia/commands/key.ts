import { chmodSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { writePrivately } from '../../base/private-file.ts';
import { writeWhole } from '../../recovery/archive/manifest-file.ts';
import { knownKey } from '../../recovery/archive/sign.ts';
import { type Backup, findBackup, listBackups } from '../../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { readConfig } from '../../recovery/config/read-config.ts';
import { type AgeKey, identityText, newAgeKey, recipientOf } from '../../recovery/encryption/age-key.ts';
import { recordProof } from '../../recovery/encryption/proof.ts';
import { unlockOf } from '../../recovery/encryption/unlock.ts';
import { openBackup } from '../../recovery/restore/open-backup.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import { type Call, type Command, type Conclusion, identityFlag } from '../command.ts';
import { requireOutsideBackups } from '../targets.ts';

/** gaia key — makes keys that backups are encrypted to, and proves that one opens the newest of them. */
export const key: Command = {
  name: 'key',
  summary: 'Make, or prove, a key that backups are encrypted to',
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
    'check opens a backup of each target that is for the key, and remembers it. gaia backup reminds of it until it was done once.',
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
  if (config.encryptionFault !== undefined) throw config.encryptionFault;
  const path = isServers ? (place.identity as string) : resolve(file as string);
  const at = rfc3339(call.around.clock());
  if (!isServers) requireApart(path, config);
  const made = await newAgeKey();
  const recipients = place.recipients as string;
  try {
    writePrivately(path, identityText(made, at));
    try {
      addRecipient(recipients, made, isServers ? 'of this machine' : 'recovery key', at);
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  } catch (error) {
    if (error instanceof Fault) throw error;
    throw new Fault('usage', `The key could not be made: ${reasonOf(error)}.`, {
      hint: `It is written to ${path}, and its public half to ${recipients}.`,
      cause: error,
    });
  }
  return keyMade(call, { path, recipients, recipient: made.recipient, isServers });
}

/** The disk may not be mounted: then the key would lie on this one. @throws Fault */
function requireApart(path: string, config: RecoveryConfig): void {
  if (!existsSync(dirname(path)))
    throw new Fault('not-found', `There is no folder ${dirname(path)}.`, { hint: 'Is the disk mounted? See: lsblk' });
  requireOutsideBackups(path, dirname(path), config);
}

type MadeKey = { path: string; recipients: string; recipient: string; isServers: boolean };

function keyMade(call: Call, { path, recipients, recipient, isServers }: MadeKey): Conclusion {
  // As it is now that the key is among them.
  const named = call.flags.config as string | undefined;
  const { targets, place } = readConfig(named ?? call.around.configFile, call.around.home);
  const encrypted = targets.filter(({ encryptTo = [] }) => encryptTo.includes(recipient)).map(({ name }) => name);
  const apart = targets.filter(({ encryptTo = [] }) => !encryptTo.includes(recipient)).map(({ name }) => name);
  const isSameDisk = !isServers && statSync(path).dev === statSync(place.configFile).dev;
  return {
    exit: Exit.ok,
    lines: [
      `${path}: ${isServers ? "this machine's own key" : 'the recovery key'}`,
      encrypted.length > 0
        ? `${recipients}: from now on backups of ${encrypted.join(', ')} are encrypted to ${recipient}`
        : `${recipients}: its public half, ${recipient}`,
    ],
    json: { file: path, recipient, recipients_file: recipients, server: isServers, encrypted },
    notes: [
      ...(isServers
        ? []
        : [
            `Take the file away from this machine${isSameDisk ? ' (it lies on the same disk now)' : ''}, and keep a second copy on paper: gaia kit --identity FILE --out FOLDER`,
            'After the next backup, prove it once: gaia key check --identity FILE',
          ]),
      ...(apart.length > 0
        ? [`NOT ENCRYPTED TO IT: ${apart.join(', ')}, for which the configuration says encrypt_to. Add it there.`]
        : []),
    ],
  };
}

/** The whole file anew, so that it is there whole or as it was. */
function addRecipient(file: string, { recipient }: AgeKey, whose: string, at: string): void {
  const before = existsSync(file)
    ? readFileSync(file, 'utf8').replace(/\n*$/, '\n')
    : '# Backups are encrypted to each of these, as with age -R.\n';
  writeWhole(file, Buffer.from(`${before}# ${whose}, made ${at}\n${recipient}\n`));
  chmodSync(file, 0o644);
}

async function checkKey(call: Call): Promise<Conclusion> {
  const { place, targets } = call.config();
  const unlock = unlockOf(place);
  const recipients = await Promise.all((unlock.identities?.() ?? []).map(recipientOf));
  if (recipients.length === 0)
    throw new Fault('usage', 'There is no key here to check.', { hint: 'Name one: gaia key check --identity FILE' });
  const names = targets.map(({ name }) => name);
  const { backup: wanted } = call.flags;
  const backups = wanted === undefined ? newestSealed(call, names) : [findBackup(place, names, String(wanted))];
  if (backups.length === 0)
    throw new Fault('not-found', 'There is no encrypted backup that a key could open.', {
      hint: 'Make a key and a backup first: gaia key new FILE; gaia backup full',
    });
  const opened: string[] = [];
  const others: string[] = [];
  for (const backup of backups) {
    const { encryption } = backup.manifest ?? {};
    if (encryption === undefined) throw notEncrypted(backup);
    const fitting = recipients.filter((each) => encryption.recipients.includes(each));
    if (fitting.length === 0 && backups.length > 1) {
      others.push(backup.name);
      continue;
    }
    await (await openBackup(backup.file, knownKey(place.publicKey), { unlock })).close();
    opened.push(backup.name);
    for (const recipient of fitting) remember(call, recipient, backup);
  }
  if (opened.length === 0)
    throw new Fault('forbidden', `This key opens none of ${others.join(', ')}: they are encrypted to others.`, {
      hint: 'See whom they are for: gaia list --json, and recipients.txt beside the configuration',
    });
  return {
    exit: Exit.ok,
    lines: [
      ...opened.map((name) => `${name}: opens, and its list of files is the one that was signed`),
      ...others.map((name) => `${name}: is not encrypted to this key`),
    ],
    json: { key: place.brought ?? place.identity, opened, others },
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
