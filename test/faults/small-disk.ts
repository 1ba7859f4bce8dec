import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const unmountAttempts = 5;

export type SmallDisk = {
  folder: string;
  /** Fills what is left, to the last page. */
  fill(): void;
  /** Deletes what `fill` wrote. */
  makeRoom(): void;
  /** Gives the file system more room while it is in use. */
  growTo(mebibytes: number): void;
  remove(): void;
};

/** Why no small file system can be mounted here, as a sentence, or undefined when it can. */
export function cannotMount(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root, to mount a small tmpfs';
  try {
    smallDisk(1).remove();
    return undefined;
  } catch (error) {
    return `cannot mount a tmpfs here: ${error instanceof Error ? error.message.split('\n')[0] : error}`;
  }
}

/** A file system of this many MiB in memory. */
export function smallDisk(mebibytes: number): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder], { stdio: 'pipe' });
  const ballast = join(folder, 'ballast');
  return {
    folder,
    fill() {
      let text = Buffer.alloc(mebibytes * 2 ** 20, 'x');
      while (text.length >= 512) {
        try {
          writeFileSync(ballast, text, { flag: 'a' });
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          text = text.subarray(0, text.length >> 1);
        }
      }
    },
    makeRoom: () => rmSync(ballast),
    growTo(more) {
      execFileSync('mount', ['-o', `remount,size=${more}m`, folder], { stdio: 'pipe' });
    },
    remove() {
      for (let attempt = 1; ; attempt++)
        try {
          execFileSync('umount', [folder], { stdio: 'pipe' });
          break;
        } catch (error) {
          if (attempt === unmountAttempts) throw error;
        }
      rmSync(folder, { recursive: true });
    },
  };
}
