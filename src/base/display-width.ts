const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** East Asian wide and full-width characters and emoji take two columns of a terminal. */
const wide =
  /^(?:\p{Emoji_Presentation}|.\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{20000}-\u{3fffd}])/u;
const ascii = /^[\x20-\x7e]*$/;

/** How many columns of a terminal a text takes. The text is printable already: no control characters. */
export function displayWidth(text: string): number {
  if (ascii.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += widthOf(segment);
  return width;
}

/** The text in exactly `width` columns: filled with blanks, or cut with an ellipsis. */
export function fitTo(text: string, width: number, right = false): string {
  const has = displayWidth(text);
  if (has <= width) return right ? ' '.repeat(width - has) + text : text + ' '.repeat(width - has);
  let kept = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (used + widthOf(segment) > width - 1) break;
    kept += segment;
    used += widthOf(segment);
  }
  return `${kept}…${' '.repeat(width - used - 1)}`;
}

/** The text in pieces of at most `width` columns (2 or more), broken anywhere. An empty text is one empty piece. */
export function breakAt(text: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  let used = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (used + widthOf(segment) > width) {
      pieces.push(piece);
      [piece, used] = ['', 0];
    }
    piece += segment;
    used += widthOf(segment);
  }
  return [...pieces, piece];
}

/** The text in lines of at most `width` columns, broken at blanks; a longer word keeps its line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && displayWidth(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

function widthOf(grapheme: string): number {
  return wide.test(grapheme) ? 2 : 1;
}
