import { type BytePath, bytePathOf } from '../byte-path.ts';

/** Tells whether a path below the root is excluded by one of the globs, itself or through a folder above it. */
export type LeftOut = (path: BytePath) => boolean;

/**
 * Globs as in `exclude` of the configuration: a path, `*` and `?` within a name, `**` across names. All are anchored at the
 * root; `**` before a name finds it anywhere.
 */
export function leftOutBy(globs: readonly string[]): LeftOut {
  if (globs.length === 0) return () => false;
  const pattern = new RegExp(`^(?:${globs.map(regexOf).join('|')})$`, 's');
  return (path) => pattern.test(path);
}

function regexOf(glob: string): string {
  const path = bytePathOf(glob.replace(/^\.\//, '').replace(/\/+$/, ''));
  return path
    .split(/(\*\*\/|\/\*\*$|\*\*|\*|\?)/)
    .map((piece) => {
      if (piece === '**/') return '(?:.*/)?';
      if (piece === '/**') return '/.*';
      if (piece === '**') return '.*';
      if (piece === '*') return '[^/]*';
      if (piece === '?') return '[^/]';
      return piece.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
    })
    .join('');
}

/** What recovery itself leaves beside or within a tree; never backed up and never taken for the owner's. */
export function isOwnLeftover(name: BytePath): boolean {
  return /^\.gaia-(stage|drill)-\d{8}T\d{6}Z-|\.pre-restore\.\d{8}T\d{6}Z(-\d+)?(-wal|-shm|-journal)?$/.test(name);
}
