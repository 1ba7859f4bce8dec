import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { type Look, render, renderFault } from './render.ts';

const look: Look = { json: false, quiet: false, terminal: true, columns: 80, color: false };
const asJson: Look = { ...look, json: true };

describe('JSON for a terminal', () => {
  const evil = { 'k\u009b': 'a\u009b31m\u007f\u0085\u202e\u2066\u200e\u061c b\n', fine: 'Ünïcode 日本 👩‍💻' };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
  const acts = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/;

  it('is the same JSON, and nothing in it acts', () => {
    const whole = render({ exit: Exit.ok, json: evil }, asJson).stdout;
    const lines = render({ exit: Exit.ok, jsonLines: [evil, evil] }, asJson).stdout;
    const fault = renderFault(new Fault('conflict', 'x', { extra: evil }), asJson).stderr;
    for (const text of [whole, lines, fault]) assert.doesNotMatch(text, acts);
    assert.deepEqual(JSON.parse(whole), evil);
    assert.equal(whole.split('\n').length, 5, 'it stays pretty');
    assert.match(whole, /Ünïcode 日本/);
    for (const line of lines.trimEnd().split('\n')) assert.deepEqual(JSON.parse(line), evil);
    assert.equal(JSON.parse(fault).error['k\u009b'], evil['k\u009b']);
  });
});

describe('a fault of ours', () => {
  it('is one JSON document on stderr with --json, and says where it happened', () => {
    const { exit, stdout, stderr } = renderFault(new TypeError('x is\nnot y'), asJson);
    assert.deepEqual([exit, stdout], [1, '']);
    const { error } = JSON.parse(stderr);
    assert.deepEqual([error.code, error.message], ['internal', 'this is a fault of ours: x is\nnot y']);
    assert.match(error.stack[0], /^at .*render\.test\.ts/);
    assert.equal(JSON.parse(renderFault('thrown text', asJson).stderr).error.code, 'internal');
  });

  it('is a sentence and its stack otherwise', () => {
    assert.match(renderFault(new TypeError('x'), look).stderr, /^leveredge: this is a fault of ours: x\n {4}at /);
  });
});

describe('remarks and failures', () => {
  const long = 'What failed is said in a sentence that has more words than fit on one line of this terminal.';

  it('are wrapped at words on a terminal only', () => {
    const narrow = { ...look, columns: 40 };
    const note = { exit: Exit.ok, notes: [long] };
    const fault = new Fault('conflict', long, { hint: long });
    for (const { stderr } of [render(note, narrow), renderFault(fault, narrow)]) {
      const lines = stderr.trimEnd().split('\n');
      assert.ok(lines.length > 2 && lines.every((line) => line.length <= 40), stderr);
      assert.match(lines[1] as string, /^ {2}\w+ /);
    }
    assert.equal(render(note, { ...narrow, terminal: false }).stderr, `${long}\n`);
    assert.equal(renderFault(fault, { ...narrow, terminal: false }).stderr, `leveredge: ${long}\n  ${long}\n`);
  });
});
