import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rfc3339 } from '../../base/clock.ts';
import { Exit } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { makeFolder } from '../../base/files.ts';
import { readPrivately, writePrivately } from '../../base/private-file.ts';
import { loadSigner } from '../../recovery/archive/sign.ts';
import { anyByHandScript } from '../../recovery/backup/by-hand.ts';
import { byHandEnvironment } from '../../recovery/backup/snapshot-environment.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { secretFilesOf } from '../../recovery/config/read-restic.ts';
import { recipientOf } from '../../recovery/encryption/age-key.ts';
import { keysOf } from '../../recovery/encryption/proof.ts';
import { unlockOf } from '../../recovery/encryption/unlock.ts';
import type { Target } from '../../recovery/target.ts';
import { bootstrapScript } from '../bootstrap-script.ts';
import { type Command, identityFlag } from '../command.ts';
import { type Kit, kitPage, kitText } from '../recovery-kit.ts';
import { requireOutsideBackups } from '../targets.ts';

/** Half a kit is none, and one in a backup would open it. @throws Fault `conflict`, `usage` */
function requireFree(files: Record<string, string>, folder: string, config: RecoveryConfig): void {
  const { encryptionFault } = config;
  if (encryptionFault !== undefined) throw encryptionFault;
  const there = Object.values(files).find((file) => existsSync(file));
  if (there !== undefined)
    throw new Fault('conflict', `${there} exists already, and nothing is overwritten.`, {
      hint: 'Name another folder, or move the old kit away.',
    });
  requireOutsideBackups(folder, folder, config);
}

/** Password and settings of each repository, once. @throws Fault `not-found` for one that is not there */
function secretsOf(targets: readonly Target[]): { file: string; text: string }[] {
  const files = [...new Set(targets.flatMap(secretFilesOf))];
  return files.map((file) => {
    const text = readPrivately(file);
    if (text === undefined)
      throw new Fault('not-found', `There is no ${file}, which the repository of restic needs and the kit must hold.`, {
        hint: 'Write the password there with mode 0600, and then: gaia repository new',
      });
    return { file, text };
  });
}

function environmentOf(targets: readonly Target[]): string[] {
  // In the order of the configuration control-plane is the first.
  const at = targets.find(({ restic }) => restic?.active === true)?.restic;
  return at === undefined ? [] : byHandEnvironment(at, { withSecrets: true });
}

/** gaia kit — writes what a bare machine needs beside the backups: one file, a page for the printer, and the script that begins. */
export const kit: Command = {
  name: 'kit',
  summary: 'Write the recovery kit: keys, configuration, what to type',
  usage: '--out FOLDER [--identity FILE]',
  words: [0, 0],
  flags: {
    out: { value: 'FOLDER', says: 'where its files are written; best a disk that you take away' },
    ...identityFlag,
  },
  details: [
    'recovery-kit.txt is for a machine: the public key that backups are signed with, the recovery key, the configuration, and a script that restores any backup without this program. It can be named as --identity.',
    'Where backups go into a repository of restic, its password and settings are in both.',
    'recovery-kit.html is the same for paper: open it in a browser and print it. Its QR codes hold the keys.',
    'bootstrap.sh, beside them, makes a bare Debian or Ubuntu into this machine again: sh bootstrap.sh --help',
    'With the recovery key in it the kit opens every backup: keep it as you keep a key of your house. Make it anew when the configuration or a key changes.',
  ],
  example: 'gaia kit --identity /media/usb/recovery-key.txt --out /media/usb',
  exits: ['0 written', '5 no key at FILE', '6 there is one already'],
  async run(call) {
    const { around, flags } = call;
    const { place, targets } = call.config();
    if (typeof flags.out !== 'string')
      throw new Fault('usage', 'Where is the kit to be written?', { hint: 'gaia kit --out FOLDER' });
    const folder = resolve(flags.out);
    const files = { text: join(folder, 'recovery-kit.txt'), page: join(folder, 'recovery-kit.html') };
    const script = join(folder, 'bootstrap.sh');
    const isThere = existsSync(script) && readFileSync(script, 'utf8') === bootstrapScript();
    requireFree(isThere ? files : { ...files, script }, folder, call.config());
    const identities = place.brought === undefined ? [] : (unlockOf(place).identities?.() ?? []);
    const recipients = [...new Set(targets.flatMap(({ encryptTo = [] }) => encryptTo))];
    const keys = await Promise.all(
      identities.map(async (identity) => ({ identity, recipient: await recipientOf(identity) })),
    );
    loadSigner(place);
    const made: Kit = {
      host: around.host.name,
      backups: place.backups,
      at: rfc3339(around.clock()),
      version: around.version,
      publicKey: readFileSync(place.publicKey, 'utf8'),
      publicKeyFile: place.publicKey,
      keys,
      recipients,
      config: {
        file: place.configFile,
        text: existsSync(place.configFile) ? readFileSync(place.configFile, 'utf8') : '',
      },
      files: secretsOf(targets),
      environment: environmentOf(targets),
      script: anyByHandScript(),
    };
    try {
      makeFolder(folder, 0o700);
      writePrivately(files.text, kitText(made));
      writePrivately(files.page, await kitPage(made));
      for (const file of Object.values(files)) chmodSync(file, 0o600);
      if (!isThere) writePrivately(script, bootstrapScript());
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw new Fault('usage', `The kit cannot be written to ${folder}: ${reasonOf(error)}.`, { cause: error });
    }
    const { elsewhere } = await keysOf(place, recipients);
    const opens = keys.some(({ recipient }) => recipients.includes(recipient));
    return {
      exit: Exit.ok,
      lines: [
        `${files.text}: for a machine`,
        `${files.page}: open it in a browser, and print it`,
        `${script}: rebuilds a bare machine from the kit and the backups`,
      ],
      json: { ...files, script, opens_backups: opens || recipients.length === 0 },
      notes: [
        ...(recipients.length > 0 && !opens
          ? ['NOT IN IT: a key that opens the encrypted backups. Name it: gaia kit --identity FILE']
          : []),
        ...(recipients.length > 0 && elsewhere.length === 0
          ? ['Every key that backups are encrypted to lies on this machine. Make one for elsewhere: gaia key new FILE']
          : []),
      ],
    };
  },
};
