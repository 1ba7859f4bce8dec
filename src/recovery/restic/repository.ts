import { readdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Fault } from '../../base/fault.ts';
import { readPrivately } from '../../base/private-file.ts';
import { childEnv } from '../source/child-env.ts';

/** Where restic keeps a target's backups. What is secret lies in files (0600), of which only the names are known here. */
export type ResticRepository = {
  /** As restic takes it: a path, `sftp:…`, `rest:…`, `s3:…`. It may have a password in it: see `shownRepository`. */
  repository: string | { file: string };
  passwordFile: string;
  /** Lines of NAME=VALUE that restic gets as its environment, as for S3 and B2; null for none. */
  environmentFile: string | null;
  /** Whether what a backup added is read again before it counts. */
  readBack: boolean;
};

/** Names in the environment that are ours to set. */
const own = new Set(['PATH', 'LC_ALL', 'RESTIC_REPOSITORY', 'RESTIC_REPOSITORY_FILE', 'RESTIC_PASSWORD_FILE']);

/** A value that a shell reads as it stands, but for the quotes around it. */
const sameInShell = /^(?:[\w@%+=:,./-]*|'[^']*'|"[^"$`\\]*")$/;

/**
 * The whole environment of a restic that works on it. The password itself is in none.
 * @throws Fault `not-found`, `forbidden`, `usage` for a file that is missing, can be read by others, or holds something else
 */
export function resticEnv(at: ResticRepository): Record<string, string> {
  secretIn(at.passwordFile, 'the password of the restic repository');
  const { repository } = at;
  if (typeof repository !== 'string') secretIn(repository.file, 'where the restic repository is');
  const more = at.environmentFile === null ? {} : parseEnvironment(at.environmentFile);
  return {
    // ssh and rclone look there for what they were told.
    HOME: userInfo().homedir,
    ...more,
    ...childEnv,
    ...(typeof repository === 'string'
      ? { RESTIC_REPOSITORY: repository }
      : { RESTIC_REPOSITORY_FILE: repository.file }),
    RESTIC_PASSWORD_FILE: at.passwordFile,
  };
}

function secretIn(file: string, what: string): string {
  const text = readPrivately(file);
  if (text === undefined)
    throw new Fault('not-found', `There is no ${file}, which holds ${what}.`, {
      hint: 'It is in the recovery kit. Put it back with mode 0600.',
    });
  if (text.trim() === '') throw new Fault('usage', `${file} is empty; it should hold ${what}.`);
  return text;
}

function parseEnvironment(file: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [n, line] of secretIn(file, "restic's own settings").split('\n').entries()) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const [, name, value = ''] = /^(?:export\s+)?([A-Za-z_]\w*)=(.*)$/.exec(text) ?? [];
    if (name === undefined || own.has(name))
      throw new Fault('usage', `${file}, line ${n + 1}: this is no setting of restic's, as NAME=VALUE.`, {
        hint: name === undefined ? 'As in: AWS_ACCESS_KEY_ID=…' : `${name} is set by the configuration.`,
      });
    if (!sameInShell.test(value))
      throw new Fault('usage', `${file}, line ${n + 1}: a shell reads the value of ${name} as something else.`, {
        hint: `It is read by one when a backup is restored by hand. Put it into single quotes: ${name}='…'`,
      });
    found[name] = value.replace(/^(["'])(.*)\1$/, '$2');
  }
  return found;
}

/** The repository for people: without the password that a URL may have, or the name of the file that says it. */
export function shownRepository({ repository }: Pick<ResticRepository, 'repository'>): string {
  return typeof repository === 'string' ? withoutPasswords(repository) : `the repository named in ${repository.file}`;
}

/** A text of restic's that may name URLs with passwords in them. */
export function withoutPasswords(text: string): string {
  return text.replace(/(:\/\/[^\s:/@]*):[^\s/]*@/g, '$1:…@');
}

/** The folder that it is, on this machine; undefined for one elsewhere. */
export function localFolder({ repository }: ResticRepository): string | undefined {
  const text =
    typeof repository === 'string' ? repository : (readPrivately(repository.file) ?? '').split('\n')[0]?.trim();
  const path = text?.replace(/^local:/, '');
  return path?.startsWith('/') ? path : undefined;
}

/** The whole id of a snapshot in a repository on this machine, of the beginning that restic says. */
export function wholeId(at: ResticRepository, short: string): string | undefined {
  if (/^[0-9a-f]{64}$/.test(short)) return short;
  const folder = localFolder(at);
  if (folder === undefined) return undefined;
  const found = readdirSync(join(folder, 'snapshots')).filter((name) => name.startsWith(short));
  return found.length === 1 ? found[0] : undefined;
}

/** The repository that a backup lies in. @throws Fault `usage` where the configuration names none */
export function requireRepository(at: ResticRepository | undefined, backup: string): ResticRepository {
  if (at !== undefined) return at;
  throw new Fault('usage', `${backup} lies in a repository of restic, and the configuration names none.`, {
    hint: 'Say where it is: restic: { repository: …, password_file: … }',
  });
}
