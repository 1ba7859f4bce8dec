import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Fault } from '../../base/fault.ts';
import { type BytePath, bytesOf } from '../byte-path.ts';
import { childEnv } from '../source/child-env.ts';

/** GNU tar writing to a disk what it is given on its standard input. */
export type Extraction = {
  /** Takes a piece, which is copied. Resolves at once or when more may come. @throws Fault when tar has failed */
  write(piece: Uint8Array): void;
  ready(): Promise<void>;
  /** All of it is written; on disk only after a sync. @throws Fault */
  finish(): Promise<void>;
  /** Ends it early. Safe to repeat. */
  stop(): Promise<void>;
};

const pieceBytes = 256 * 1024;
/** Bytes that may wait for tar, so that it never waits for us. */
const maxWaiting = 4 * 1024 * 1024;
const maxStderr = 64 * 1024;
const metadata = [
  '--preserve-permissions',
  '--same-owner',
  '--numeric-owner',
  '--xattrs',
  '--xattrs-include=*',
  '--acls',
];

/**
 * Extracts into an empty folder. Nothing that is there is overwritten: two names that are one on this file system are an
 * error.
 */
export function extractInto(folder: string): Extraction {
  const flags = ['--keep-old-files', '--delay-directory-restore', '--warning=no-timestamp'];
  const child = spawn(
    'tar',
    [
      '--extract',
      '--file=-',
      '--blocking-factor=512',
      '--read-full-records',
      ...metadata,
      ...flags,
      `--directory=${folder}`,
    ],
    {
      env: childEnv,
      stdio: ['pipe', 'ignore', 'pipe'],
    },
  );
  const ended = endOf(child, folder);
  const spare: Buffer[] = [];
  let buffer: Buffer = Buffer.allocUnsafeSlow(pieceBytes);
  let filled = 0;
  let mustWait = false;
  const stdin = child.stdin as NonNullable<typeof child.stdin>;
  // Told by the end of the process, in its own words.
  stdin.on('error', () => undefined);

  function flush(): void {
    if (filled === 0) return;
    const full = buffer;
    // What tar has taken is used again, instead of new memory each time.
    const isFull = !stdin.write(full.subarray(0, filled), () => spare.push(full));
    if (isFull && stdin.writableLength > maxWaiting) mustWait = true;
    buffer = spare.pop() ?? Buffer.allocUnsafeSlow(pieceBytes);
    filled = 0;
  }

  return {
    write(piece) {
      for (let at = 0; at < piece.length; ) {
        const length = Math.min(piece.length - at, pieceBytes - filled);
        buffer.set(piece.subarray(at, at + length), filled);
        filled += length;
        at += length;
        if (filled === pieceBytes) flush();
      }
    },
    async ready() {
      if (!mustWait) return;
      mustWait = false;
      await Promise.race([once(stdin, 'drain'), ended]);
    },
    async finish() {
      flush();
      stdin.end();
      await ended;
    },
    async stop() {
      child.kill('SIGKILL');
      await ended.catch(() => undefined /* it was stopped */);
    },
  };
}

function endOf(child: ChildProcess, folder: string): Promise<void> {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < maxStderr) stderr += text;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error) =>
      reject(
        new Fault('internal', `GNU tar cannot be started: ${error.message}.`, {
          hint: 'Install it: apt-get install tar',
        }),
      ),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(tarFault(code, signal, stderr, folder));
    });
  });
  ended.catch(() => undefined /* thrown where it is awaited */);
  return ended;
}

function tarFault(code: number | null, signal: string | null, stderr: string, folder: string): Fault {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.includes('Exiting with failure status'));
  const first = (lines[0] ?? `it ended with ${signal ?? code}`).replace(/^(\/\S*\/)?tar: /, '');
  if (/No space left on device|Disk quota exceeded/.test(stderr))
    return new Fault('storage-full', `There is no room left at ${folder} for the staged files: ${first}.`, {
      hint: 'Nothing was changed. Free some space there, and restore again.',
    });
  if (/Read-only file system/.test(stderr))
    return new Fault('storage-full', `The file system at ${folder} is read-only: ${first}.`);
  if (/File exists/.test(stderr))
    return new Fault(
      'conflict',
      `Two members of the backup have names that are one on the file system of ${folder}: ${first}.`,
      {
        hint: 'It takes upper and lower case, or two spellings of one letter, for the same. Restore onto another file system.',
      },
    );
  return new Fault('internal', `tar could not write everything to ${folder}: ${first}.`, {
    hint: 'Nothing was changed.',
  });
}

/** The attributes of some folders, without what is in them, as a tar archive in memory. `''` is the root itself. */
export async function attributesOf(root: BytePath, folders: readonly BytePath[]): Promise<Buffer> {
  const names = folders.map((path) => Buffer.concat([Buffer.from('./'), bytesOf(path), Buffer.from([0])]));
  const flags = ['--format=posix', '--no-recursion', '--xattrs', '--xattrs-include=*', '--acls', '--numeric-owner'];
  const args = ['--create', '--file=-', ...flags, '--null', '--files-from=-'];
  return runTar(args, root, Buffer.concat(names));
}

/** Gives folders that exist the attributes that `attributesOf` took of them, or of others in their place. Safe to repeat. */
export async function applyAttributes(root: BytePath, tar: Buffer): Promise<void> {
  await runTar(['--extract', '--file=-', ...metadata, '--warning=no-timestamp', '--overwrite-dir'], root, tar);
}

async function runTar(args: string[], root: BytePath, input: Buffer): Promise<Buffer> {
  // The root is reached through the working directory, because its name may be no UTF-8.
  const child = spawn('tar', args, {
    env: childEnv,
    cwd: bytesOf(root).toString('utf8'),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  const ended = endOf(child, bytesOf(root).toString('utf8'));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  await ended;
  return Buffer.concat(pieces);
}
