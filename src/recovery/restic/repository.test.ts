import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { resticEnv } from './repository.ts';

describe('the settings of a repository', () => {
  const cases: [string, string, string | RegExp][] = [
    ['a plain value', 'A=b/c+d=e', 'b/c+d=e'],
    ['one that is exported, and empty', '# of B2\n\nexport A=', ''],
    ['one in single quotes', "A='a b$c`d\\'", 'a b$c`d\\'],
    ['one in double quotes', 'A="a b\'c"', "a b'c"],
    ['what a shell reads as two words', 'A=a b', /line 1: a shell reads the value of A as something else/],
    ['what a shell reads as a variable', 'A=a$b', /single quotes: A='…'/],
    ['the same in double quotes', 'A="a$b"', /something else/],
    ['quotes within quotes', "A='a'b'", /something else/],
    ['what is no setting', 'B=c\nsecret words', /line 2: this is no setting/],
    ['what the configuration says', 'RESTIC_PASSWORD_FILE=x', /set by the configuration/],
  ];
  for (const [name, text, expected] of cases)
    it(`may hold ${name}${expected instanceof RegExp ? ', which is refused' : ''}`, (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'restic-settings-'));
      t.after(() => rmSync(folder, { recursive: true }));
      const [passwordFile, environmentFile] = [join(folder, 'password'), join(folder, 'settings')];
      for (const [file, says] of [
        [passwordFile, 'pw'],
        [environmentFile, text],
      ] as const) {
        writeFileSync(file, says);
        chmodSync(file, 0o600);
      }
      const read = () => resticEnv({ repository: '/r', passwordFile, environmentFile, readBack: true }).A;
      if (typeof expected === 'string') assert.equal(read(), expected);
      else
        assert.throws(read, (error: Error & { hint?: string }) => {
          assert.match(`${error.message} ${error.hint}`, expected);
          assert.doesNotMatch(`${error.message} ${error.hint}`, /secret|a\$b/);
          return true;
        });
    });
});
