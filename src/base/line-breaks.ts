const lineBreak = /\r\n|[\n\v\f\r\u0085\u2028\u2029]/;

/** The lines of a text of several; every kind of line break counts. */
export function linesOf(text: string): string[] {
  return text.split(lineBreak);
}

/** The text on one line, with a mark for each line break. */
export function onOneLine(text: string): string {
  return linesOf(text).join('⏎');
}
