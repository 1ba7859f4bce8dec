import {
  chmodSync,
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../base/files.ts';
import { diskFault, syncFolder } from '../disk.ts';
import type { Account } from './systemd.ts';

/** A unit of the machine, or of a user. */
type Unit = { name: string; account: Account | null };

const machineUnits = '/etc/systemd/system';
const everyUsersUnits = '/etc/systemd/user';
const readable = { file: 0o644, folder: 0o755 };

/**
 * From the next `daemon-reload` on, or the next start of the machine, the unit does not start whoever asks for it, until it is
 * released. A file beside the unit says so, since a mask at run time does not outlive a start of the machine, and what lies in
 * /etc cannot be masked otherwise. Safe to repeat; on disk when it returns.
 *
 * Root holds a user's units in /etc too: what lies below a home is the user's to lead elsewhere by a symlink, and may be part
 * of what is restored.
 * @throws Fault when the file cannot be written
 */
export function hold(unit: Unit, uid: number): void {
  const file = holdFile(unit, uid === unit.account?.uid && uid !== 0 ? ownUnits(unit.account) : folderOf(unit));
  try {
    const folder = dirname(file);
    makeFolder(folder, readable.folder);
    // Whatever the umask says: a user's systemd must be able to read it.
    if (readdirSync(folder).length === 0) chmodSync(folder, readable.folder);
    writeReadable(file, holdText(folder));
    for (const each of [folder, dirname(folder)]) syncFolder(each);
  } catch (error) {
    throw diskFault(error, file);
  }
}

/** Whether it is held, wherever that was put. */
export function isHeld(unit: Unit): boolean {
  return holdFolders(unit).some((folder) => existsSync(holdFile(unit, folder)));
}

/** Takes the hold away, wherever it was put; from then on the unit may start. Safe to repeat. @throws Fault */
export function release(unit: Unit): void {
  for (const file of holdFolders(unit).map((each) => holdFile(unit, each))) {
    const folder = dirname(file);
    if (!existsSync(folder)) continue;
    try {
      for (const each of [file, partialOf(file)]) rmSync(each, { force: true });
      if (readdirSync(folder).length === 0) rmdirSync(folder);
      syncFolder(dirname(folder));
    } catch (error) {
      throw diskFault(error, file);
    }
  }
}

/** Last by name: of a file that comes later an empty condition would take this one away. */
const holdFile = ({ name, account }: Unit, units: string) =>
  join(units, `${name}.d`, `zz-gaia-restore-${account?.name ?? 'root'}.conf`);

const holdFolders = ({ account }: Unit) => (account === null ? [machineUnits] : [everyUsersUnits, ownUnits(account)]);
const folderOf = ({ account }: Unit) => (account === null ? machineUnits : everyUsersUnits);
const ownUnits = ({ home }: Account) => join(home, '.config/systemd/user');
const partialOf = (file: string) => `${file}.partial`;

/** It asks for its own absence, so that whoever removes it has released the unit. %u: other users' units of that name go on. */
function holdText(folder: string): string {
  const own = `${folder.replaceAll('%', '%%')}/zz-gaia-restore-%u.conf`;
  return `# Held while GAIA puts another state in the place of what this unit works on. See: gaia status. It goes with: gaia resume
[Unit]
ConditionPathExists=!${own}
`;
}

function writeReadable(file: string, text: string): void {
  const fd = openSync(partialOf(file), 'w', readable.file);
  try {
    fchmodSync(fd, readable.file);
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(partialOf(file), file);
}
