import { dirname, join } from 'node:path';
import type { Located } from './located.ts';

/** Where the emergency bot and the second factor have their files. All absolute. */
export type EmergencyFiles = {
  /** The token of the bot, from BotFather. */
  tokenFile: string;
  /** Ids of the Telegram users who may ask, one a line. */
  usersFile: string;
  /** The same as the configuration has them, if it says any: they must agree. */
  listedUsers: readonly number[] | undefined;
  secretFile: string;
  codesFile: string;
  /** What bot and runner hand each other; outside every target. */
  spool: string;
};

const keys = ['bot_token_file', 'authorized_users', 'authorized_users_file', 'require_2fa', '2fa_secret_file', 'spool'];

/** The section `emergency_telegram`. What would weaken it is refused. Nothing is opened. */
export function emergencyIn(
  section: Located | undefined,
  { from, configFile }: { from: (path: string) => string; configFile: string },
): EmergencyFiles {
  section?.knownKeys(keys);
  const required = section?.get('require_2fa');
  if (required !== undefined && required.value !== true)
    required.wrong('cannot be switched off: whoever has the phone would have the server');
  const folder = dirname(configFile);
  const file = (key: string, usual: string) => from(section?.text(key) ?? join(folder, usual));
  const secretFile = file('2fa_secret_file', '.2fa_secret');
  return {
    tokenFile: file('bot_token_file', '.telegram_token'),
    usersFile: file('authorized_users_file', '.authorized_users'),
    listedUsers: usersIn(section?.get('authorized_users')),
    secretFile,
    codesFile: join(dirname(secretFile), '.2fa_backup_codes'),
    spool: from(section?.text('spool') ?? 'shared/emergency'),
  };
}

function usersIn(at: Located | undefined): number[] | undefined {
  if (at === undefined) return undefined;
  const users = at.items('must be a list of Telegram user ids');
  for (const user of users)
    if (!Number.isSafeInteger(user.value) || (user.value as number) <= 0)
      user.wrong('must be the number of a Telegram user, not a placeholder');
  return users.map(({ value }) => value as number);
}
