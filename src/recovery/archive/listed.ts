/**
 * One line of FILES.ndjson, in the order of the archive: every member but FILES.ndjson itself. `path` is the member's
 * whole name (`files/dev/a`, `sqlite/events.db`, `HEADER.json`); names that are no UTF-8 are given as base64 instead.
 */
export type Listed = ({ path: string } | { path_b64: string }) & {
  type: 'file' | 'directory' | 'symlink' | 'hardlink';
  /** Octal, four digits: `0644`. */
  mode: string;
  uid: number;
  gid: number;
  /** Seconds since the epoch with nine digits behind the point: `1768559400.000000000`. */
  mtime: string;
  /** Files only: bytes as a program reads them. */
  size?: number;
  /** Files only: SHA-256 (hex) of what a program reads, as `sha256sum` prints it. Missing where restic keeps its own digests. */
  sha256?: string;
  /** Symlinks: their text; hard links: the member they are another name of. */
  link?: string;
  link_b64?: string;
  /** SHA-256 over the PAX attributes (xattrs, ACLs) when there are any: each `key NUL length NUL value`, sorted. */
  attributes?: string;
  /** First byte of the member's first header block in the tar stream; 0 in a list of what lies in a repository. */
  offset: number;
};
