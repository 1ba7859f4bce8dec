import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Place } from '../place.ts';
import { type Asked, isOfRequest, runOfCause, unbegunOf, withdrawUnbegun } from './cause.ts';
import { openJournal } from './journal.ts';
import { journalOf, makeRun, newRunId, type RunRequest, requestOf, requireRequest } from './run-folder.ts';
import { statusOf } from './status.ts';

const target: RunRequest['target'] = { name: 'dev', trees: [], databases: [], health: 'none' };
const backup = { file: '/b/hourly/dev-1.tar.zst', name: 'dev-1.tar.zst', created_at: null, manifest_sha256: null };

function makeScene(t: TestContext) {
  const state = mkdtempSync(join(tmpdir(), 'cause-'));
  t.after(() => rmSync(state, { recursive: true }));
  const place: Place = {
    ...{ home: state, configFile: 'none', backups: state, state },
    ...{ signingKey: 'none', publicKey: 'none' },
  };
  let ms = Date.UTC(2026, 0, 16);
  const ask = (more: Partial<RunRequest> = {}) =>
    makeRun(place, {
      ...{ id: newRunId(++ms), kind: 'restore', target, place, backup, only: null, undoes: null, plan_hash: 'h' },
      ...{ ignore_open: false, created_at: new Date(ms).toISOString(), tool: 'test', cause: 'e1', ...more },
    });
  const begin = (folder: string, end?: 'committed' | 'taken back' | 'refused') => {
    const journal = openJournal(journalOf(folder), () => ms);
    journal.append('lock', 'done');
    if (end !== undefined) journal.append('end', 'done', { kind: end });
    journal.close();
    return folder;
  };
  return { place, ask, begin, of: (cause: string) => runOfCause(statusOf(place).runs, cause)?.folder };
}

describe('the run of a cause', () => {
  it('is the one that began, however it ended; what was refused or never began is none', (t) => {
    const { ask, begin, of } = makeScene(t);
    ask();
    begin(ask(), 'refused');
    begin(ask({ cause: 'e2' }), 'committed');
    assert.equal(of('e1'), undefined);
    for (const end of [undefined, 'committed', 'taken back'] as const) {
      const cause = `ended ${end}`;
      const folder = begin(ask({ cause }), end);
      assert.equal(of(cause), folder);
    }
  });

  it('that never began is withdrawn, and nothing else is', (t) => {
    const { place, ask, begin } = makeScene(t);
    const began = begin(ask());
    const other = ask({ cause: 'e2' });
    const late = ask();
    assert.deepEqual(unbegunOf(place, 'e1'), [late]);
    withdrawUnbegun(place, 'e1');
    withdrawUnbegun(place, 'e1');
    assert.deepEqual(unbegunOf(place, 'e1'), []);
    assert.throws(() => requireRequest(late), { code: 'conflict' });
    assert.deepEqual([requestOf(began)?.cause, requestOf(other)?.cause], ['e1', 'e2']);
  });

  const asked: Asked = { kind: 'restore', target: 'dev' };
  const fitting: Partial<Asked>[] = [
    {},
    { backup: 'latest' },
    { backup: 'dev-1' },
    { backup: '/b/daily/dev-1.tar.zst' },
    { plan: 'h' },
  ];
  const others: Partial<Asked>[] = [
    { kind: 'undo' },
    { target: 'prod' },
    { backup: 'dev-2' },
    { only: 'db' },
    { plan: 'other' },
  ];
  for (const more of [...fitting, ...others])
    it(`${fitting.includes(more) ? 'is' : 'is not'} what is asked with ${JSON.stringify(more)}`, (t) => {
      const request = requestOf(makeScene(t).ask()) as RunRequest;
      assert.equal(isOfRequest({ ...asked, ...more }, request), fitting.includes(more));
    });

  it('of an undo may be asked for without its target', (t) => {
    const request = requestOf(makeScene(t).ask({ kind: 'undo', backup: null, only: 'db' })) as RunRequest;
    assert.equal(isOfRequest({ kind: 'undo', target: undefined }, request), true);
    assert.equal(isOfRequest({ kind: 'undo', target: 'prod' }, request), false);
  });
});
