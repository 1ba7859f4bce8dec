import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { repliesIn } from './replies.ts';
import { spoolIn } from './spool.ts';

describe('what the runner says', () => {
  it('fills no disk, however much a bot asks, and the newest of it stays', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'replies-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const spool = spoolIn(folder);
    mkdirSync(spool.requests);
    const replies = repliesIn(spool, Date.now);
    replies.progress('20261125T081500Z-7KQ4', { to: 1, lines: ['runs'] });
    for (let n = 0; n < 700; n++) replies.say({ to: 1, lines: [String(n)] });
    const names = readdirSync(spool.replies).sort();
    assert.ok(names.length <= 600, String(names.length));
    assert.ok(names.at(-1)?.startsWith('progress-'));
  });
});
