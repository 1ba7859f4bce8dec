import { chmodSync, chownSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/files.ts';
import { writeWhole } from '../../recovery/archive/manifest-file.ts';
import { syncFolder } from '../../recovery/disk.ts';
import type { Spool } from './spool.ts';

/** A message for somebody's phone. All of it is plain text; the bot escapes it. */
export type Reply = {
  to: number;
  /** Messages of the same key are one, which is changed in its place. */
  key?: string;
  title?: string;
  lines: readonly string[];
  /** Shown as it is, to be copied. */
  script?: string;
  /** Taken away when the message of this key is changed and has none. */
  buttons?: readonly { text: string; data: string }[];
  /** The operation that the next code is for. */
  operation?: string;
};

/** A message is told again and again while its file lies there; the bot remembers which it has sent. */
const keptMs = 24 * 3_600_000;
const maxKept = 500;

/** What a file of a message is called: messages in their order, and the one that says how far an operation is. */
export const replyName = /^(\d{13}-\d{4}|progress-[\w-]{1,48})\.json$/;

export type Replies = {
  /** On disk when it returns. */
  say(reply: Reply): void;
  /** The same, in the place of what was said to that person of that operation before. */
  progress(operation: string, reply: Reply): void;
  /** Removes what is old. */
  sweep(): void;
};

/** Where the runner says something. Files can be read by the group of the bot's folder. */
export function repliesIn({ replies, requests }: Spool, clock: () => number): Replies {
  let lastMs = 0;
  let n = 0;
  makeFolder(replies, 0o750);
  // What a runner before this one was writing when it was killed.
  for (const name of readdirSync(replies)) if (name.startsWith('.')) rmSync(join(replies, name), { force: true });
  const { gid } = statSync(requests);
  const write = (name: string, reply: Reply) => {
    const file = join(replies, name);
    const partial = join(replies, `.${name}.ready`);
    writeWhole(partial, Buffer.from(`${JSON.stringify(reply)}\n`));
    chownSync(partial, -1, gid);
    chmodSync(partial, 0o640);
    renameSync(partial, file);
    syncFolder(replies);
  };
  return {
    say(reply) {
      const now = Math.max(clock(), lastMs);
      n = now === lastMs ? n + 1 : 0;
      lastMs = now;
      write(`${String(now).padStart(13, '0')}-${String(n).padStart(4, '0')}.json`, reply);
    },
    progress: (operation, reply) => write(`progress-${operation}-${reply.to}.json`, reply),
    sweep() {
      const names = readdirSync(replies).sort();
      const surplus = names.length - maxKept;
      for (const [at, name] of names.entries()) {
        const age = clock() - (statSync(join(replies, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
        if (at < surplus || age > keptMs) rmSync(join(replies, name), { force: true });
      }
    },
  };
}
