import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseHtml } from './fake/html.ts';
import { html, maxMessage, messagesOf } from './markup.ts';

describe('messages in HTML', () => {
  it('escapes what is put in, and not what is markup', () => {
    const name = html`<b>${'<script>&'}</b>`;
    assert.equal(html`${name} > ${'a<b'}`.html, '<b>&lt;script&gt;&amp;</b> > a&lt;b');
  });

  it('leaves nothing that turns a text around or is half a character', () => {
    assert.equal(html`${'a\u202eb\ud800c\u0007'}`.html, 'a�b�c�');
  });

  it('is taken by Telegram whatever is put in, and keeps all of it', () => {
    const line = fc.oneof(
      fc.string({ unit: 'grapheme' }),
      fc.constantFrom('<b>', '&amp;', '</code>', 'x'.repeat(5000), '&'.repeat(4100)),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), (texts) => {
        const messages = messagesOf(texts.map((text) => html`<b>${text}</b>`));
        const shown = messages.map((message) => parseHtml(message).text);
        for (const text of shown) assert.ok(text.length <= maxMessage, String(text.length));
        const bare = (text: string) =>
          text.replace(/[\s\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff�]/gu, '');
        assert.equal(bare(shown.join('')), bare(texts.join('')));
      }),
    );
  });
});
