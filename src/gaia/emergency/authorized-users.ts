import { Fault } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { EmergencyFiles } from '../../recovery/config/read-telegram.ts';

/**
 * The Telegram users who may ask: one id a line, `#` begins a comment. The file is the list; the configuration may name the same.
 * @throws Fault `not-found` when nobody is listed, `forbidden` when others can read it, `usage` for what is no id, and when the
 * configuration names others
 */
export function authorizedUsers({
  usersFile,
  listedUsers,
}: Pick<EmergencyFiles, 'usersFile' | 'listedUsers'>): ReadonlySet<number> {
  return compared(usersIn(usersFile, readPrivately(usersFile)), usersFile, listedUsers);
}

/** The same from a copy that systemd hands to the bot alone. */
export function usersIn(file: string, text: string | undefined): ReadonlySet<number> {
  const words = (text ?? '')
    .replace(/#.*/g, '')
    .split(/[\s,]+/)
    .filter((word) => word !== '');
  const users = words.map((word) => {
    const id = Number(word);
    if (/^\d+$/.test(word) && Number.isSafeInteger(id) && id > 0) return id;
    throw new Fault('usage', `${file} holds something that is no id of a Telegram user.`, {
      hint: 'An id is a number; your own is told by the bot @userinfobot, and by leveredge telegram setup.',
    });
  });
  if (users.length > 0) return new Set(users);
  throw new Fault('not-found', `Nobody is listed in ${file}, so nobody may ask.`, {
    hint: `(umask 077; echo YOUR_TELEGRAM_ID > ${shellWord(file)})`,
  });
}

function compared(users: ReadonlySet<number>, file: string, listed: readonly number[] | undefined) {
  if (listed === undefined) return users;
  if (listed.length === users.size && listed.every((id) => users.has(id))) return users;
  throw new Fault('usage', `authorized_users of the configuration are others than those in ${file}.`, {
    hint: 'The file counts. Make the list the same, or take it out of the configuration.',
  });
}
