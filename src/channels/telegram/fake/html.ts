import { Refused } from './refusals.ts';

/** A part of a text that is shown in some way. Offsets count UTF-16 code units. */
export type Entity = { type: string; offset: number; length: number; url?: string; language?: string };

const kinds: Readonly<Record<string, string>> = {
  a: 'text_link',
  b: 'bold',
  strong: 'bold',
  i: 'italic',
  em: 'italic',
  s: 'strikethrough',
  strike: 'strikethrough',
  del: 'strikethrough',
  u: 'underline',
  ins: 'underline',
  'tg-spoiler': 'spoiler',
  span: 'spoiler',
  'tg-emoji': 'custom_emoji',
  pre: 'pre',
  code: 'code',
  blockquote: 'blockquote',
};
const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"' };
const highestCode = 0x10ffff;

type Open = { tag: string; argument: string; offset: number; at: number };

/**
 * What Telegram makes of a text in HTML mode.
 * @throws Refused `entities-broken` or `tag-unknown`, with the place in bytes as Telegram counts it
 */
export function parseHtml(html: string): { text: string; entities: Entity[] } {
  const entities: Entity[] = [];
  const open: Open[] = [];
  let text = '';
  let at = 0;
  while (at < html.length) {
    const char = html[at] as string;
    if (char === '&') {
      const decoded = decodeEntity(html, at);
      text += decoded?.text ?? '&';
      at = decoded?.end ?? at + 1;
    } else if (char !== '<') {
      text += char;
      at += 1;
    } else if (html[at + 1] === '/') {
      at = endTag(html, at, open, text, entities);
    } else {
      const begun = startTag(html, at);
      open.push({ tag: begun.tag, argument: begun.argument, offset: text.length, at });
      at = begun.end;
    }
  }
  const unclosed = open.at(-1);
  if (unclosed) throw broken(`Can't find end tag corresponding to start tag "${unclosed.tag}"`);
  if (!text.isWellFormed()) throw broken('Text contains invalid Unicode characters after decoding HTML entities');
  return { text, entities: entities.sort((a, b) => a.offset - b.offset || b.length - a.length) };
}

const broken = (detail: string) => new Refused('entities-broken', { detail });
const bytesBefore = (html: string, at: number) => Buffer.byteLength(html.slice(0, at));

function startTag(html: string, at: number): { tag: string; argument: string; end: number } {
  const where = `at byte offset ${bytesBefore(html, at)}`;
  const tag = (/^<([^\s>]*)/.exec(html.slice(at))?.[1] ?? '').toLowerCase();
  let end = at + 1 + tag.length;
  if (end >= html.length) throw broken(`Unclosed start tag ${where}`);
  if (!Object.hasOwn(kinds, tag))
    throw new Refused('tag-unknown', { detail: `Unsupported start tag "${tag}" ${where}` });
  let argument = '';
  for (;;) {
    end += /^\s*/.exec(html.slice(end))?.[0].length ?? 0;
    if (html[end] === '>') break;
    if (end >= html.length) throw broken(`Unclosed start tag ${where}`);
    const [whole, name = '', equals, value = ''] = attribute.exec(html.slice(end)) ?? [];
    if (!whole || name === '') throw broken(`Empty attribute name in the tag "${tag}" ${where}`);
    // The one attribute that may stand alone, since quotations can be folded.
    if (equals === undefined && !(tag === 'blockquote' && name === 'expandable'))
      throw broken(`Expected equal sign in declaration of an attribute of the tag "${tag}" ${where}`);
    end += whole.length;
    if (end >= html.length) throw broken(`Unclosed start tag ${where}`);
    const said = /^['"]/.test(value) ? value.slice(1, -1) : value.toLowerCase();
    if (tag === 'a' && name === 'href') argument = decodeAll(said);
    if (tag === 'code' && name === 'class' && said.startsWith('language-')) argument = said.slice('language-'.length);
    if (tag === 'span' && name === 'class') argument = said;
  }
  if (tag === 'span' && argument !== 'tg-spoiler') throw broken(`Tag "span" must have class "tg-spoiler" ${where}`);
  return { tag, argument, end: end + 1 };
}

const attribute = /^([^\s=>]*)(?:\s*(=)\s*("[^"]*"|'[^']*'|[A-Za-z0-9.-]*))?/;

function endTag(html: string, at: number, open: Open[], text: string, entities: Entity[]): number {
  const where = `at byte offset ${bytesBefore(html, at)}`;
  const [whole, written = ''] = /^<\/([^\s>]*)\s*>/.exec(html.slice(at)) ?? [];
  const begun = open.pop();
  if (!begun) throw broken(`Unexpected end tag ${where}`);
  if (whole === undefined) throw broken(`Unclosed end tag ${where}`);
  const name = written.toLowerCase();
  if (name !== '' && name !== begun.tag)
    throw broken(`Unmatched end tag ${where}, expected "</${begun.tag}>", found "</${name}>"`);
  const { tag, argument, offset } = begun;
  const length = text.length - offset;
  if (length > 0) add(entities, { type: kinds[tag] as string, offset, length }, argument);
  return at + whole.length;
}

/** `code` with a language directly in `pre` is one entity. */
function add(entities: Entity[], entity: Entity, argument: string): void {
  const last = entities.at(-1);
  if (entity.type === 'pre' && last?.type === 'code' && last.offset === entity.offset && last.length === entity.length)
    entities.pop();
  const language = entity.type === 'code' ? argument : entity.type === 'pre' ? (last?.language ?? '') : '';
  entities.push({
    ...entity,
    ...(entity.type === 'text_link' ? { url: argument } : {}),
    ...(language === '' ? {} : { language }),
  });
}

/** An entity that is none of those known stands for itself. */
function decodeEntity(html: string, at: number): { text: string; end: number } | undefined {
  const [whole, decimal, hexadecimal, name] =
    /^&(?:#(\d{1,8})|#x([0-9a-fA-F]{1,7})|([A-Za-z]+));?/.exec(html.slice(at, at + 12)) ?? [];
  if (whole === undefined) return undefined;
  const end = at + whole.length;
  if (name !== undefined) return Object.hasOwn(named, name) ? { text: named[name] as string, end } : undefined;
  const code = decimal === undefined ? Number.parseInt(hexadecimal as string, 16) : Number(decimal);
  return code > 0 && code < highestCode ? { text: String.fromCodePoint(code), end } : undefined;
}

function decodeAll(text: string): string {
  let out = '';
  for (let at = 0; at < text.length; ) {
    const decoded = text[at] === '&' ? decodeEntity(text, at) : undefined;
    out += decoded?.text ?? text[at];
    at = decoded?.end ?? at + 1;
  }
  return out;
}
