import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';
import { programName } from './program-name.ts';

describe('the name that hints give the program', () => {
  it('is the one by which a shell of its own finds it', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'leveredge-name-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const [ours, other] = [join(folder, 'ours.mjs'), join(folder, 'other.mjs')];
    for (const file of [ours, other]) writeFileSync(file, '');
    const linked = (name: string, to: string) => {
      mkdirSync(join(folder, name), { recursive: true });
      symlinkSync(to, join(folder, name, 'leveredge'));
      return join(folder, name);
    };
    const installed = linked('bin', ours);
    const ofNpm = linked('node_modules/.bin', ours);
    const foreign = linked('foreign', other);
    const cases: [path: string[], name: string][] = [
      [['/nowhere', installed], 'leveredge'],
      [[ofNpm, installed], 'leveredge'],
      [[ofNpm], 'npx leveredge'],
      [[foreign, installed], 'npx leveredge'],
      [[linked('broken', join(folder, 'gone')), ''], 'npx leveredge'],
    ];
    for (const [path, name] of cases) assert.equal(programName(path.join(delimiter), [undefined, ours]), name);
    assert.equal(programName(undefined, [ours]), 'npx leveredge');
    symlinkSync(ours, join(installed, 'hades'));
    assert.equal(programName(installed, [ours], 'hades'), 'hades');
    assert.equal(programName(ofNpm, [ours], 'hades'), 'npx hades');
  });
});
