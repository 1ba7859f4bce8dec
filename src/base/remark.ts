import { displayWidth, wrap } from './display-width.ts';
import { printable } from './log.ts';

/** Narrower than this nothing is wrapped: single words would stand in a column. */
const narrowest = 20;
const deeper = '  ';

/** A command to type, after a colon and up to the end of its sentence. */
const command = /(?<=: )(?:[\w./-]+ )?[\w./-]*(?:leveredge|gaia)(?:\.mjs)? .+?(?=\. [A-Z]|$)/;
/** Holds a command together while the rest is broken at blanks; no text that was made printable has it. */
const glue = '\0';

/**
 * A remark for stderr as harmless lines. On a terminal of `columns` it is wrapped at words, the following lines indented
 * deeper; a command to type, like any long word, is not broken, so that it can be copied. Without `columns` it stays on
 * one line, as a pipe wants it.
 */
export function remarkLines(text: string, columns: number | undefined): string[] {
  const safe = printable(text);
  if (columns === undefined || columns < narrowest || displayWidth(safe) <= columns) return [safe];
  const indent = /^ */.exec(safe)?.[0] ?? '';
  const glued = safe.slice(indent.length).replace(command, (words) => words.replaceAll(' ', glue));
  return wrap(glued, columns - indent.length - deeper.length).map(
    (line, i) => (i === 0 ? indent : indent + deeper) + line.replaceAll(glue, ' '),
  );
}
