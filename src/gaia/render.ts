import { type ExitCode, exitCodeOf } from '../base/exit.ts';
import { Fault, reasonOf } from '../base/fault.ts';
import { onOneLine } from '../base/line-breaks.ts';
import { printable } from '../base/log.ts';
import { remarkLines } from '../base/remark.ts';
import { layOut, type Table, tabSeparated } from '../base/table.ts';
import type { Conclusion } from './command.ts';

export type Look = { json: boolean; quiet: boolean; out: boolean; err: boolean; columns: number; color: boolean };
export type Rendered = { exit: ExitCode; stdout: string; stderr: string };

/** A conclusion as text for the two streams. File names are hostile: everything is made harmless. */
export function render(conclusion: Conclusion, look: Look): Rendered {
  const { exit, lines = [], table, raw, json, notes = [], wrong = [] } = conclusion;
  const stderr = remarks([...wrong, ...(look.quiet ? [] : notes)], look);
  if (look.json)
    return { exit, stdout: json === undefined ? '' : `${printable(JSON.stringify(json))}\n`, stderr: textOf(stderr) };
  if (raw !== undefined) return { exit, stdout: raw, stderr: textOf(stderr) };
  const width = look.out ? look.columns : undefined;
  const body = [...lines.flatMap((line) => remarkLines(line, width)), ...(table ? tableLines(table, look) : [])];
  return { exit, stdout: textOf(body), stderr: textOf(stderr) };
}

/** A failure: what, why, what to do next. With --json one document on stderr. */
export function renderFault(thrown: unknown, look: Look): Rendered {
  if (!(thrown instanceof Fault)) return renderOurs(thrown, look);
  const { code, message, hint, mistakes, extra } = thrown;
  const exit = exitCodeOf(code);
  if (look.json) {
    const error = { code, message, ...(hint ? { hint } : {}), ...(mistakes.length > 0 ? { mistakes } : {}), ...extra };
    return { exit, stdout: '', stderr: `${printable(JSON.stringify({ error }))}\n` };
  }
  return {
    exit,
    stdout: '',
    stderr: textOf(remarks([`gaia: ${message}`, ...(hint ? hint.split('\n').map((line) => `  ${line}`) : [])], look)),
  };
}

function renderOurs(thrown: unknown, look: Look): Rendered {
  const message = `this is a fault of ours: ${reasonOf(thrown)}`;
  const where = (thrown instanceof Error ? (thrown.stack ?? '') : '')
    .split('\n')
    .filter((line) => /^\s+at /.test(line));
  if (look.json)
    return { exit: 1, stdout: '', stderr: `${printable(JSON.stringify({ error: { code: 'internal', message } }))}\n` };
  return { exit: 1, stdout: '', stderr: textOf(remarks([`gaia: ${message}`, ...where], look)) };
}

/** With --json each line of stderr is an object of its own, as progress is. */
export function remarkAsJson(text: string): string {
  return printable(JSON.stringify({ kind: 'note', message: text.trim() }));
}

function remarks(texts: readonly string[], { json, err, columns }: Look): string[] {
  if (json) return texts.map(remarkAsJson);
  return texts.flatMap((text) => remarkLines(text, err ? columns : undefined));
}

function tableLines(table: Table, { out, columns, color }: Look): string[] {
  const harmless = { ...table, rows: table.rows.map((row) => row.map((cell) => printable(onOneLine(cell)))) };
  if (!out) return tabSeparated(harmless);
  if (table.rows.length === 0) return [];
  const { head, rows } = layOut(harmless, columns);
  return [...head.map((line) => (color ? `\x1b[1m${line}\x1b[0m` : line)), ...rows];
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
