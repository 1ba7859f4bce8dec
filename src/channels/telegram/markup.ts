/** Text that Telegram reads as HTML, made by `html` alone, so that nothing in it is markup that we did not write. */
export type Markup = { readonly html: string };

/** Telegram's limit counts what is shown, in UTF-16 code units. */
export const maxMessage = 4096;
/** With tags and escapes a message is longer than what it shows; Telegram says no limit for that, and this is far below any. */
const maxRaw = 12_000;

/** Escapes what is put in, unless that is markup already: html`<b>${title}</b>`. */
export function html(texts: TemplateStringsArray, ...values: readonly (Markup | string | number)[]): Markup {
  let whole = texts[0] ?? '';
  for (const [at, value] of values.entries())
    whole += (typeof value === 'object' ? value.html : escaped(String(value))) + (texts[at + 1] ?? '');
  return { html: whole };
}

/** Half of a surrogate pair is no character, and Telegram refuses the whole message; what acts unseen may turn a text around. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu, (char) =>
      char === '\n' || char === '\t' ? char : '�',
    )
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}

/** A text of one's own in one style, cut so that it fits where it belongs. */
export function short(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return `${text.slice(0, longest - 1).toWellFormed()}…`;
}

/**
 * Messages that hold these lines, as few as Telegram's limit allows. A line stays whole, with its tags; one that is longer than a
 * message is shown as plain text in pieces. `most`: leaves room for what is added later.
 */
export function messagesOf(lines: readonly Markup[], most = maxMessage): string[] {
  const messages: string[] = [];
  let open: string[] = [];
  let size = 0;
  const close = () => {
    if (open.some((line) => line.trim() !== '')) messages.push(open.join('\n'));
    open = [];
    size = 0;
  };
  for (const line of lines.flatMap((each) => pieces(each, most))) {
    // A line has at most as much to show as it has characters.
    const length = shownLength(line) + 1;
    if (size + length > most || open.join('\n').length + line.length > maxRaw) close();
    open.push(line);
    size += length;
  }
  close();
  return messages;
}

const tags = /<[^>]*>/g;
const entities = /&(amp|lt|gt);/g;
const plain: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>' };

const shownLength = (line: string) => line.replace(tags, '').replace(entities, 'x').length;

function pieces({ html: line }: Markup, longest: number): string[] {
  if (shownLength(line) < longest && line.length <= maxRaw) return [line];
  let text = line.replace(tags, '').replace(entities, (entity) => plain[entity] as string);
  const cut: string[] = [];
  // Escaped it may be five times as long.
  const most = Math.min(longest - 1, Math.floor(maxRaw / 5));
  while (text.length > 0) {
    const isHalf = /[\ud800-\udbff]/.test(text[most - 1] ?? '');
    const at = text.length <= most ? text.length : isHalf ? most - 1 : most;
    cut.push(escaped(text.slice(0, at)));
    text = text.slice(at);
  }
  return cut;
}
