import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseHtml } from './html.ts';
import { Refused } from './refusals.ts';

const sound: [html: string, text: string, entities: unknown[]][] = [
  ['plain', 'plain', []],
  ['<b>bold</b> &lt;i&gt; &amp; &quot;', 'bold <i> & "', [{ type: 'bold', offset: 0, length: 4 }]],
  ['a & b &unknown; &#65;&#x42;', 'a & b &unknown; AB', []],
  ['🐘<i>x</i>', '🐘x', [{ type: 'italic', offset: 2, length: 1 }]],
  ['<pre><code class="language-ts">1</code></pre>', '1', [{ type: 'pre', offset: 0, length: 1, language: 'ts' }]],
  [
    '<a href="http://x/?a=1&amp;b">here</a>',
    'here',
    [{ type: 'text_link', offset: 0, length: 4, url: 'http://x/?a=1&b' }],
  ],
  ['<blockquote expandable>q</blockquote>', 'q', [{ type: 'blockquote', offset: 0, length: 1 }]],
  ['<B>x</b>', 'x', [{ type: 'bold', offset: 0, length: 1 }]],
  ['<b></b>x', 'x', []],
];

/** What Telegram says of each, without what stands before it. */
const broken: [html: string, says: RegExp][] = [
  ['<b>x', /Can't find end tag corresponding to start tag "b"/],
  ['x</b>', /Unexpected end tag at byte offset 1/],
  ['<b>x</i>', /Unmatched end tag at byte offset 4, expected "<\/b>", found "<\/i>"/],
  ['a < b', /Unsupported start tag "" at byte offset 2/],
  ['é<br>', /Unsupported start tag "br" at byte offset 2/],
  ['<b', /Unclosed start tag at byte offset 0/],
  ['<b>x</b', /Unclosed end tag at byte offset 4/],
  ['<a href>x</a>', /Expected equal sign/],
  ['<span>x</span>', /must have class "tg-spoiler"/],
  ['&#xd800;', /invalid Unicode/],
];

describe('HTML as Telegram reads it', () => {
  for (const [html, text, entities] of sound)
    it(`reads ${html}`, () => assert.deepEqual(parseHtml(html), { text, entities }));

  for (const [html, says] of broken)
    it(`refuses ${html}`, () =>
      assert.throws(
        () => parseHtml(html),
        (error: Error) => error instanceof Refused && says.test(error.message),
      ));

  it('gives back every text that was escaped', () => {
    const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        assert.equal(parseHtml(`<b>${escaped(text)}</b>`).text, text);
      }),
    );
  });

  it('reads or refuses whatever comes, and never fails otherwise', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '/',
      '&',
      ';',
      'b',
      'a',
      ' ',
      '"',
      '=',
      'href',
      '#',
      '1',
      'x',
      'pre',
      '</b>',
      '<b>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          parseHtml(pieces.join(''));
        } catch (error) {
          assert.ok(error instanceof Refused);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
