import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openJournal, readJournal } from './journal.ts';

const clock = () => 1_760_000_000_000;
let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'journal-'));
  file = join(folder, 'journal.ndjson');
  const journal = openJournal(file, clock);
  journal.append('lock', 'done');
  journal.append('stage', 'begin', { path: 'ä\n"}' });
  journal.append('stage', 'done');
  journal.close();
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('a journal', () => {
  it('has no lines where there is no file', () => {
    assert.deepEqual(readJournal(join(folder, 'none')), []);
  });

  it('loses only its last line when that is torn, at whichever byte, and goes on from there', () => {
    const whole = readFileSync(file);
    const lines = readJournal(file);
    assert.equal(lines.length, 3);
    const start = whole.lastIndexOf(0x0a, whole.length - 2) + 1;
    for (let end = start; end < whole.length; end++) {
      writeFileSync(file, whole.subarray(0, end));
      assert.deepEqual(readJournal(file), lines.slice(0, 2));
      const journal = openJournal(file, clock);
      assert.equal(journal.append('take back', 'begin').n, 3);
      journal.close();
      assert.deepEqual(
        readJournal(file).map(({ step }) => step),
        ['lock', 'stage', 'take back'],
      );
    }
  });

  it('is refused, and left as it is, when a line before the last is damaged at whichever byte', () => {
    const whole = readFileSync(file);
    const first = whole.indexOf(0x0a);
    for (let at = 0; at <= first; at++) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 1;
      writeFileSync(file, damaged);
      assert.throws(() => readJournal(file), { code: 'damaged' }, `byte ${at}`);
      assert.throws(() => openJournal(file, clock), { code: 'damaged' });
      assert.deepEqual(readFileSync(file), damaged);
    }
  });

  it('is refused when a line is missing from its middle', () => {
    const [one, , three] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, `${one}\n${three}\n${three}\n`);
    assert.throws(() => readJournal(file), { code: 'damaged' });
  });
});
