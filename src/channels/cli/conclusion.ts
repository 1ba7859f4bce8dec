import type { ExitCode } from '../../base/exit.ts';
import type { Table } from '../../base/table.ts';

/**
 * What a command concludes. It neither prints nor exits: `src/bin/leveredge.ts` does both, so a test is a table.
 * Texts may carry anything that events carry; render.ts makes them harmless.
 */
export type Conclusion = {
  exit: ExitCode;
  /** The result for a person or a pipe, one string a line. */
  lines?: readonly string[];
  /** The result as it is, for whoever compares it; made harmless on a terminal only. */
  raw?: string;
  /** The result as rows: a table on a terminal, tab-separated lines elsewhere. Stands after `lines`. */
  table?: Table;
  /** The result for --json: one document. Left out where a command has nothing to say to programs. */
  json?: unknown;
  /** Instead of `json` where there may be many: one document a line (NDJSON). */
  jsonLines?: readonly unknown[];
  /** What kept it from a result, for --json: one document on stderr in place of the notes. */
  error?: { code: string; message: string } & Readonly<Record<string, unknown>>;
  /** What a person should also know, for stderr; silent with --quiet. */
  notes?: readonly string[];
};
