import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../base/json.ts';
import { pruneBy } from './prune.ts';

const call = { id: 'c1', askedBy: { kind: 'person' as const, name: 'anna' }, signal: new AbortController().signal };

/** A GAIA that would prune these, one list after the other, and says what it was asked. */
function stand(...lists: { names?: string[]; aside?: string[]; doubt?: string; begun?: string[] }[]) {
  const words: string[] = [];
  const { prepare, run } = pruneBy({
    sleep: async () => undefined,
    async gaia(given) {
      words.push(given.filter((word) => word !== '--json' && word !== '--quiet').join(' '));
      const { names = [], aside = [], doubt = null, begun } = lists[0] ?? {};
      if (lists.length > 1) lists.shift();
      const kept = { name: 'kept', target: 'dev', keep: true, reasons: ['the newest'] };
      const decisions = [kept, ...names.map((name) => ({ name, target: 'dev', keep: false, reasons: [] }))];
      if (begun !== undefined) {
        const said = { trashed: begun, aside_removed: [], done_before: true };
        return { exit: 0, stdout: JSON.stringify(said), stderr: '' };
      }
      const said = given.includes('--dry-run')
        ? { decisions, aside, clock_doubt: doubt }
        : { trashed: names, aside_removed: aside, trash_emptied: [], forgotten: [] };
      return { exit: 0, stdout: JSON.stringify(said), stderr: '' };
    },
  });
  const prepared = async (args: JsonObject) => (await prepare?.(args, call)) ?? assert.fail();
  return { words, prepared, run: (args: JsonObject) => run(args, call) };
}

describe('pruning', () => {
  it('says what goes and what is removed, and does that once it is approved', async () => {
    const { words, prepared, run } = stand({ names: ['a', 'b'], aside: ['/srv/dev.pre-restore.1'] });
    const { arguments: args, says } = await prepared({ target: 'dev' });
    assert.deepEqual(says, [
      'Into the trash for 48 hours: a, b.',
      'Removed, put aside by restores: /srv/dev.pre-restore.1.',
    ]);
    assert.deepEqual(await run(args), { trashed: ['a', 'b'], aside_removed: ['/srv/dev.pre-restore.1'] });
    assert.deepEqual(words, [
      ...['prune --target dev --dry-run', 'prune --target dev --cause c1 --dry-run'],
      'prune --target dev --cause c1 --yes',
    ]);
  });

  it('does nothing when something else would go by then', async () => {
    const { words, prepared, run } = stand({ names: ['a'] }, { names: ['a', 'b'] });
    const { arguments: args } = await prepared({});
    await assert.rejects(run(args), { code: 'conflict', message: /not what was shown/ });
    assert.deepEqual(words, ['prune --dry-run', 'prune --cause c1 --dry-run']);
  });

  it('has nothing left to do when somebody else has done it', async () => {
    const { prepared, run } = stand({ names: ['a'] }, {});
    const { arguments: args } = await prepared({});
    assert.deepEqual(await run(args), { trashed: [], aside_removed: [] });
  });

  it('finishes what was begun for the same call, and says what that was', async () => {
    const { words, prepared, run } = stand({ names: ['a', 'b'] }, { begun: ['a', 'b'] });
    const { arguments: args } = await prepared({});
    assert.deepEqual(await run(args), { trashed: ['a', 'b'], aside_removed: [] });
    assert.equal(words.at(-1), 'prune --cause c1 --yes');
  });

  it('asks nobody where nothing goes, or the clock may be wrong', async () => {
    await assert.rejects(stand({}).prepared({}), { code: 'conflict', message: 'There is nothing to prune.' });
    const doubtful = stand({ names: ['a'], doubt: 'it is before the newest backup' });
    await assert.rejects(doubtful.prepared({}), { code: 'conflict', message: /clock may be wrong: it is before/ });
  });

  it('names so many and no more', async () => {
    const names = Array.from({ length: 25 }, (_, n) => `b${n}`);
    const { says } = await stand({ names }).prepared({});
    assert.match(says[0] ?? '', /b19, and 5 more\.$/);
  });
});
