import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytesOf } from '../byte-path.ts';
import { childEnv } from './child-env.ts';

/** What tar said of its run, in its own words where it is about files. */
export type TarReport = {
  /** Changed, shrank or vanished while they were read. */
  changed: string[];
  /** Could not be read by this user. */
  unreadable: string[];
};

type TarRun = {
  output: Readable;
  /** Resolves when tar has ended. @throws Fault when it failed in any other way */
  report: Promise<TarReport>;
  /** Ends it early. Safe to repeat. */
  stop(): void;
};

type What = {
  root: string;
  /** Members relative to the root: `.` for all. */
  members: readonly BytePath[];
  /** Literal paths below the root. */
  leaveOut: readonly BytePath[];
};

/** As many as an argument list takes for sure; whoever reads the stream leaves out the rest. */
const maxExcludes = 2000;
const maxStderr = 256 * 1024;

/** GNU tar reading a tree: what is on the disk with all its attributes, as a stream. */
export function readWithTar({ root, members, leaveOut }: What): TarRun {
  const flags = [
    '--create',
    '--file=-',
    '--format=posix',
    '--pax-option=delete=atime,delete=ctime',
    '--sparse',
    '--xattrs',
    '--xattrs-include=*',
    '--acls',
    '--numeric-owner',
    '--one-file-system',
    '--sort=name',
    '--warning=no-timestamp',
    '--blocking-factor=512',
    `--directory=${root}`,
    '--anchored',
    '--no-wildcards',
  ];
  const excludes = leaveOut.slice(0, maxExcludes).map((path) => argument('--exclude=./', path));
  // Names that are no UTF-8 cannot be arguments of Node's spawn; such a path is left to the reader of the stream.
  const args = [
    ...flags,
    ...excludes.filter((each) => each !== undefined),
    '--',
    ...members.map((path) => path as string),
  ];
  const child = spawn('tar', args, { env: childEnv, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < maxStderr) stderr += text;
  });
  const report = new Promise<TarReport>((resolve, reject) => {
    child.on('error', (error) => reject(noTar(error)));
    child.on('close', (code, signal) => {
      try {
        resolve(judgeTar(code, signal, stderr));
      } catch (error) {
        reject(error);
      }
    });
  });
  report.catch(() => undefined /* thrown where it is awaited */);
  return { output: child.stdout, report, stop: () => child.kill('SIGKILL') };
}

function argument(flag: string, path: BytePath): string | undefined {
  const text = bytesOf(path).toString('utf8');
  return Buffer.from(text).equals(bytesOf(path)) ? flag + text : undefined;
}

function noTar(error: NodeJS.ErrnoException): Fault {
  return new Fault('internal', `GNU tar cannot be started: ${error.message}.`, {
    hint: 'Install it: apt-get install tar',
    cause: error,
  });
}

const changes =
  /: (file changed as we read it|File shrank by \d+ bytes.*|File removed before we read it|Cannot stat: No such file or directory)$/;
const denials = /: Cannot (open|read|stat|readlink|opendir|savedir): (Permission denied|Operation not permitted)$/;
/** Said of what is known already, or of no consequence. */
const harmless =
  /(: socket ignored|: file is on a different filesystem; not dumped|: contains a cache directory tag.*|^Exiting with failure status due to previous errors)$/;

/** What tar's end and its words mean. @throws Fault when they are not only about files that changed or could not be read */
export function judgeTar(code: number | null, signal: string | null, stderr: string): TarReport {
  const report: TarReport = { changed: [], unreadable: [] };
  const other: string[] = [];
  for (const line of stderr.split('\n').filter((text) => text !== '')) {
    const says = line.replace(/^(\/\S*\/)?tar: /, '');
    if (changes.test(says)) report.changed.push(says.replace(/^\.\//, ''));
    else if (denials.test(says)) report.unreadable.push(says.replace(/^\.\//, ''));
    else if (!harmless.test(says)) other.push(says);
  }
  const explained = report.changed.length + report.unreadable.length > 0;
  if (code === null) throw new Fault('internal', `tar was ended by ${signal ?? 'a signal'} while it read.`);
  // A warning that nobody here knows may be about a file that is not as it was.
  if (code === 0) return { ...report, unreadable: [...report.unreadable, ...other] };
  if (explained && other.length === 0) return report;
  const why = other.slice(0, 3).join('; ') || `it exited with ${code}`;
  throw new Fault('internal', `tar could not read everything: ${why}.`, { hint: 'Nothing was kept of this backup.' });
}
