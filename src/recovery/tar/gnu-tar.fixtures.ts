import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { BytePath } from '../byte-path.ts';

const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const maxOutput = 256 * 1024 * 1024;
const metadata = ['--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];

/** As a backup asks for it (source/gnu-tar.ts). */
export const posix = [
  ...metadata,
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--sparse',
  '--one-file-system',
  '--sort=name',
];
/** As a restore asks for it (restore/run-tar.ts), but for the owners, which need root. */
const extraction = [
  ...metadata,
  '--preserve-permissions',
  '--delay-directory-restore',
  '--keep-old-files',
  '--warning=no-timestamp',
];

/** An empty folder that is gone after the test. */
export function emptyFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'gnu-tar-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program to its end. @throws Error with what it said when it fails, or says anything at all to stderr */
export function run(program: string, args: readonly string[], input?: Buffer): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, env, maxBuffer: maxOutput });
  if (error) throw error;
  if (status !== 0 || stderr.length > 0) throw new Error(`${program} ${args.join(' ')}: ${status}\n${stderr}`);
  return stdout;
}

/** What GNU tar makes of a folder. */
export function tarOf(folder: string, flags: readonly string[] = posix, members: readonly string[] = ['.']): Buffer {
  return run('tar', ['--create', '--file=-', ...flags, `--directory=${folder}`, ...members]);
}

/** GNU tar puts an archive into an empty folder. */
export function extract(t: TestContext, bytes: Buffer): string {
  const folder = emptyFolder(t);
  run('tar', ['--extract', '--file=-', ...extraction, `--directory=${folder}`], bytes);
  return folder;
}

/** Whether there are extended attributes where tests make their folders; setfattr may be missing too. */
export function hasAttributes(t: TestContext): boolean {
  try {
    run('setfattr', ['--name=user.probe', '--value=1', emptyFolder(t)]);
    return true;
  } catch (error) {
    if (/ENOENT|not supported/.test(String(error))) return false;
    throw error;
  }
}

/** A path below a folder for a system call, whatever bytes it is made of. */
export const below = (folder: string, path: BytePath | string): Buffer =>
  Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, 'latin1')]);

/** A piece of a file. */
export function piece(file: Buffer, offset: number, length: number): Buffer {
  const fd = openSync(file, 'r');
  try {
    const into = Buffer.alloc(length);
    return into.subarray(0, readSync(fd, into, 0, length, offset));
  } finally {
    closeSync(fd);
  }
}
