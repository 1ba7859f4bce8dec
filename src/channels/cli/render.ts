import { type ExitCode, exitCodeOf } from '../../base/exit.ts';
import { Fault, type FaultCode, reasonOf } from '../../base/fault.ts';
import { onOneLine } from '../../base/line-breaks.ts';
import { printable } from '../../base/log.ts';
import { remarkLines } from '../../base/remark.ts';
import { layOut, type Table, tabSeparated } from '../../base/table.ts';
import type { Conclusion } from './conclusion.ts';

export type Look = {
  json: boolean;
  quiet: boolean;
  /** stdout is a terminal. */
  terminal: boolean;
  columns: number;
  color: boolean;
  /** What stands before a failure; `leveredge` when left out. */
  name?: string | undefined;
};

export type Rendered = { exit: ExitCode; stdout: string; stderr: string };

/** A conclusion as text for the two streams. Everything passes through `printable`: text from events is hostile. */
export function render(conclusion: Conclusion, look: Look): Rendered {
  const { error } = conclusion;
  if (look.json && error) return { exit: conclusion.exit, stdout: '', stderr: textOf(jsonText({ error })) };
  const notes = look.quiet ? [] : remarksOf(conclusion.notes ?? [], look);
  return { exit: conclusion.exit, stdout: textOf(bodyOf(conclusion, look)), stderr: textOf(notes) };
}

/** A failure as text for stderr: what, why and what to do next. With --json it is one JSON document. */
export function renderFault(thrown: unknown, look: Look): Rendered {
  if (!(thrown instanceof Fault)) return renderOurs(thrown, look);
  const exit = exitCodeOf(thrown.code);
  const { code, message, hint, mistakes, extra } = thrown;
  if (look.json) {
    const error = { code, message, ...(hint ? { hint } : {}), ...(mistakes.length > 0 ? { mistakes } : {}), ...extra };
    return { exit, stdout: '', stderr: textOf(jsonText({ error })) };
  }
  const lines = [
    `${look.name ?? 'leveredge'}: ${message}`,
    ...(hint ? hint.split('\n').map((line) => `  ${line}`) : []),
  ];
  return { exit, stdout: '', stderr: textOf(remarksOf(lines, look)) };
}

/** A mistake of ours: the reason, and where it happened, for a report. */
function renderOurs(thrown: unknown, look: Look): Rendered {
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : '';
  const where = stack.split('\n').filter((line) => /^\s+at /.test(line));
  const message = `this is a fault of ours: ${reasonOf(thrown)}`;
  const error = {
    code: 'internal' satisfies FaultCode,
    message,
    hint: 'Please report it.',
    stack: where.map((line) => line.trim()),
  };
  const lines = look.json
    ? jsonText({ error })
    : remarksOf([`${look.name ?? 'leveredge'}: ${message}`, ...where], look);
  return { exit: exitCodeOf('internal'), stdout: '', stderr: textOf(lines) };
}

function remarksOf(remarks: readonly string[], { terminal, columns }: Look): string[] {
  return remarks.flatMap((remark) => remarkLines(remark, terminal ? columns : undefined));
}

function bodyOf({ lines = [], raw, table, json, jsonLines }: Conclusion, look: Look): string[] {
  if (look.json) {
    if (jsonLines) return jsonLines.flatMap((each) => jsonText(each));
    return json === undefined ? [] : jsonText(json, 2);
  }
  if (raw !== undefined) return [look.terminal ? printable(raw) : raw];
  return [...lines.map(printable), ...(table ? tableLines(table, look) : [])];
}

function tableLines(table: Table, { terminal, columns, color }: Look): string[] {
  const harmless = { ...table, rows: table.rows.map((row) => row.map((cell) => printable(onOneLine(cell)))) };
  if (!terminal) return tabSeparated(harmless);
  if (table.rows.length === 0) return [];
  const { head, rows } = layOut(harmless, columns);
  return [...head.map((line) => (color ? `\x1b[1m${line}\x1b[0m` : line)), ...rows];
}

/** As lines; what acts unseen is written as \\uXXXX, which is the same JSON. */
function jsonText(value: unknown, indent = 0): string[] {
  return JSON.stringify(value, null, indent).split('\n').map(printable);
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
