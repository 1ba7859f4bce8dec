/** What one message may hold, after its tags are taken out (Bot API, sendMessage), with a margin. */
const maxUnits = 4_000;

export type Text = { title?: string; lines: readonly string[]; script?: string };

/** Text as Telegram's HTML, in as many messages as it needs. Nothing in it acts as a tag. */
export function messagesOf({ title = '', lines, script }: Text): string[] {
  const body = pieces(lines.join('\n').trim(), maxUnits - title.length - 1);
  const first =
    title === ''
      ? body
      : [`<b>${escaped(title)}</b>${body[0] ? `\n${escaped(body[0])}` : ''}`, ...body.slice(1).map(escaped)];
  const texts = title === '' ? first.map(escaped) : first;
  const scripts = pieces(script ?? '', maxUnits).map((piece) => `<pre>${escaped(piece)}</pre>`);
  return [...texts, ...scripts].filter((text) => text.trim() !== '');
}

function escaped(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

/** Cut at ends of lines where there are any, and never within a character. */
function pieces(text: string, most: number): string[] {
  const found: string[] = [];
  let rest = text;
  while (rest.length > most) {
    const line = rest.lastIndexOf('\n', most);
    let at = line > most / 2 ? line : most;
    if (/[\ud800-\udbff]/.test(rest[at - 1] as string)) at--;
    found.push(rest.slice(0, at));
    rest = rest.slice(at).replace(/^\n/, '');
  }
  return rest === '' ? found : [...found, rest];
}
