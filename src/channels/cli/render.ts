import { type ExitCode, exitCodeOf } from '../../base/exit.ts';
import { Fault, reasonOf } from '../../base/fault.ts';
import { printable } from '../../base/log.ts';
import type { Conclusion } from './conclusion.ts';
import { onOneLine } from './line-breaks.ts';
import { layOut, type Table, tabSeparated } from './table.ts';

export type Look = {
  json: boolean;
  quiet: boolean;
  /** stdout is a terminal. */
  terminal: boolean;
  columns: number;
  color: boolean;
};

export type Rendered = { exit: ExitCode; stdout: string; stderr: string };

/** A conclusion as text for the two streams. Everything passes through `printable`: text from events is hostile. */
export function render(conclusion: Conclusion, look: Look): Rendered {
  const { error } = conclusion;
  if (look.json && error) return { exit: conclusion.exit, stdout: '', stderr: textOf([JSON.stringify({ error })]) };
  const notes = look.quiet ? [] : (conclusion.notes ?? []).map(printable);
  return { exit: conclusion.exit, stdout: textOf(bodyOf(conclusion, look)), stderr: textOf(notes) };
}

/** A failure as text for stderr: what, why and what to do next. With --json it is one JSON document. */
export function renderFault(thrown: unknown, look: Look): Rendered {
  if (!(thrown instanceof Fault)) {
    const stack = thrown instanceof Error ? (thrown.stack ?? '') : '';
    const lines = [`leveredge: this is a fault of ours: ${reasonOf(thrown)}`, ...stack.split('\n').slice(1)];
    return { exit: 1, stdout: '', stderr: textOf(lines.map(printable)) };
  }
  const exit = exitCodeOf(thrown.code);
  const { code, message, hint, mistakes, extra } = thrown;
  if (look.json) {
    const error = { code, message, ...(hint ? { hint } : {}), ...(mistakes.length > 0 ? { mistakes } : {}), ...extra };
    return { exit, stdout: '', stderr: textOf([JSON.stringify({ error })]) };
  }
  const lines = [`leveredge: ${message}`, ...(hint ? hint.split('\n').map((line) => `  ${line}`) : [])];
  return { exit, stdout: '', stderr: textOf(lines.map(printable)) };
}

function bodyOf({ lines = [], raw, table, json, jsonLines }: Conclusion, look: Look): string[] {
  if (look.json) {
    if (jsonLines) return jsonLines.map((each) => JSON.stringify(each));
    return json === undefined ? [] : [JSON.stringify(json, null, 2)];
  }
  if (raw !== undefined) return [look.terminal ? printable(raw) : raw];
  return [...lines.map(printable), ...(table ? tableLines(table, look) : [])];
}

function tableLines(table: Table, { terminal, columns, color }: Look): string[] {
  const harmless = { ...table, rows: table.rows.map((row) => row.map((cell) => printable(onOneLine(cell)))) };
  if (!terminal) return tabSeparated(harmless);
  if (table.rows.length === 0) return [];
  const [head, ...rows] = layOut(harmless, columns);
  return [color ? `\x1b[1m${head}\x1b[0m` : (head as string), ...rows];
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
