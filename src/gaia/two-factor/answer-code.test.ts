import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { makeLog } from '../../base/log.ts';
import { readStatement } from '../../base/signed-statement.ts';
import { readConfig } from '../../recovery/config/read-config.ts';
import { answerCode } from './answer-code.ts';
import { newBackupCodes } from './backup-codes.ts';
import { newSecret, secretFor, writeEnrolment } from './enrolment.ts';
import { beginGuard, tryCode, unlockGuard } from './guard.ts';
import { codeAt, stepAt } from './totp.ts';

const now = Date.now();

/** A home with a second factor, and the control bot that asks there. */
function home(t: TestContext, { isEnrolled = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'codes-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const each of ['gaia', 'dev']) mkdirSync(join(folder, each));
  writeFileSync(
    join(folder, 'gaia', 'config.yaml'),
    `backup_locations: { local: ${folder}/backups }\nrestore_targets: { data-plane: { dev: { root: ${folder}/dev } } }\n`,
  );
  const config = () => readConfig(undefined, folder);
  const { place, emergency } = config();
  const secret = newSecret();
  const paper = newBackupCodes();
  if (isEnrolled) writeEnrolment(emergency, secret, paper, () => beginGuard(place, secret, 0));
  let log = '';
  const told = makeLog((line) => {
    log += line;
  }, Date.now);
  const ask = (line: string) => answerCode(line, { config, home: folder, now, log: told });
  const judge = (code: string, more: Record<string, unknown> = {}) =>
    ask(
      JSON.stringify({
        ...{ asks: 'judge', code, question: 'q1', payload_hash: 'h', person: 'olga', sent_ms: now - 1000 },
        ...more,
      }),
    );
  const key = join(folder, 'shared', 'credentials', 'gaia-confirms.pub');
  return {
    ...{ folder, place, emergency, paper, ask, judge, key, log: () => log },
    code: (away = 0) => codeAt(secret, stepAt(now) + away),
    wrong: () => (codeAt(secret, stepAt(now)) === '000000' ? '000001' : '000000'),
  };
}

const saysOf = (answer: ReturnType<typeof answerCode>) => ('says' in answer ? answer.says.join('\n') : answer.kind);

describe('a code that the control bot sends on', () => {
  it('is answered with a proof for the bus, of just what it was for, by a key that everybody may read', (t) => {
    const on = home(t);
    assert.deepEqual(on.ask('{"asks":"ready"}'), { kind: 'ready' });
    const answer = on.judge(on.code());
    assert.ok(answer.kind === 'right', JSON.stringify(answer));
    assert.deepEqual(readStatement('confirmation', answer.proof, readFileSync(on.key, 'utf8')), {
      ...{ question: 'q1', payload_hash: 'h', person: 'olga', at_ms: now },
    });
    assert.equal(statSync(on.key).mode & 0o777, 0o644);
    assert.match(saysOf(on.judge(on.code())), /used already/);
    assert.match(saysOf(on.judge(on.paper[0] as string)), /backup code; 9 are left/);
    assert.ok(!on.log().includes(on.code()) && !on.log().includes(on.paper[0] as string), on.log());
  });

  it('is that of the entry for approvals, where the authenticator has one for each target', (t) => {
    const on = home(t);
    const secret = newSecret();
    const each = ['dev', 'Approvals'];
    writeEnrolment(on.emergency, secret, on.paper, () => beginGuard(on.place, secret, 0), each);
    const of = (what: string) => codeAt(secretFor({ secret, each }, what) as Buffer, stepAt(now));
    assert.match(saysOf(on.judge(of('dev'))), /is wrong \(1 of 10\)\.\nIt must be that of the entry “Approvals”/);
    assert.equal(on.judge(of('Approvals')).kind, 'right');
  });

  it('has the same locks as one at the emergency bot', (t) => {
    const on = home(t);
    for (let n = 0; n < 2; n++) tryCode(on.place, on.emergency, on.wrong(), now);
    assert.match(saysOf(on.judge(on.wrong())), /\(3 of 10\)[\s\S]*counts in 1 min/);
    assert.match(saysOf(on.judge(on.code())), /was not looked at/);
    assert.deepEqual(tryCode(on.place, on.emergency, on.code(), now), { kind: 'locked', untilMs: now + 60_000 });
    for (let n = 0, at = now; n < 7; n++) {
      at += 16 * 60_000;
      tryCode(on.place, on.emergency, on.wrong(), at);
    }
    assert.match(saysOf(on.ask('{"asks":"ready"}')), /gaia unlock/);
    assert.equal(unlockGuard(on.place), 10);
    assert.equal(on.ask('{"asks":"ready"}').kind, 'ready');
  });

  it('is not looked at where none is set up, or where the clocks do not agree', (t) => {
    const none = home(t, { isEnrolled: false });
    for (const answer of [none.ask('{"asks":"ready"}'), none.judge('123456')])
      assert.match(saysOf(answer), /gaia 2fa enroll/);
    const on = home(t);
    assert.match(saysOf(on.judge(on.code(), { sent_ms: now - 120_000 })), /It was not looked at; send a new one/);
    assert.match(saysOf(on.judge(on.code(), { sent_ms: now + 120_000 })), /behind/);
    assert.equal(on.judge(on.code()).kind, 'right');
  });

  it('is no try where the request makes no sense, and is in no sentence then', (t) => {
    const on = home(t);
    const code = on.code();
    const lines = ['', 'null', '[]', '7', `{"asks":"judge","code":"${code}"}`, `{"asks":"judge","code":"${code}`];
    for (const line of lines) assert.deepEqual(saysOf(on.ask(line)), 'That is no request.', line);
    for (const more of [{ code: 'x'.repeat(41) }, { code: '' }, { code: 7 }, { sent_ms: '1' }, { person: null }])
      assert.equal(saysOf(on.judge(code, more)), 'That is no request.');
    assert.ok(!on.log().includes(code));
    assert.equal(on.judge(code).kind, 'right');
  });

  it('leaves what another user has laid in the way of the key as it is', (t) => {
    const on = home(t);
    mkdirSync(join(on.key, '..'), { recursive: true });
    const other = join(on.folder, 'other');
    writeFileSync(other, 'untouched');
    symlinkSync(other, on.key);
    assert.equal(on.judge(on.code()).kind, 'right');
    assert.equal(readFileSync(other, 'utf8'), 'untouched');
    assert.match(readFileSync(on.key, 'utf8'), /BEGIN PUBLIC KEY/);
  });
});
