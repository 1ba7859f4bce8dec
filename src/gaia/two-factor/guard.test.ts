import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { newBackupCodes } from './backup-codes.ts';
import { newSecret, secretFor, writeEnrolment } from './enrolment.ts';
import { beginGuard, guardOf, tryCode, unlockGuard, type Verdict } from './guard.ts';
import { codeAt, stepAt } from './totp.ts';

const startMs = 1_764_412_345_000;
const minute = 60_000;

/** A machine with a second factor, and a clock that the test moves. */
function machine(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'guard-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const place = { state: join(folder, 'state') };
  const files = { secretFile: join(folder, '.2fa_secret'), codesFile: join(folder, '.2fa_backup_codes') };
  const secret = newSecret();
  const codes = newBackupCodes();
  writeEnrolment(files, secret, codes, () => beginGuard(place, secret, 0));
  const on = {
    ...{ place, files, secret, codes, nowMs: startMs, guard: join(place.state, 'emergency', 'guard.json') },
    code: (away = 0) => codeAt(secret, stepAt(on.nowMs) + away),
    wrong: () => (on.code() === '000000' ? '000001' : '000000'),
    try: (typed: string): Verdict => tryCode(place, files, typed, on.nowMs),
  };
  return on;
}

describe('codes from the phone', () => {
  it('count once, also one of a step before, and also after everything was read anew', (t) => {
    const on = machine(t);
    assert.deepEqual(on.try(on.code()), { kind: 'right', by: 'code' });
    assert.deepEqual(on.try(on.code()), { kind: 'used' });
    assert.deepEqual(on.try(on.code(-1)), { kind: 'used' });
    assert.deepEqual(on.try(on.code(1)), { kind: 'right', by: 'code' });
    assert.equal(guardOf(on.place).failures, 0);
    on.nowMs += minute;
    assert.equal(on.try(on.code()).kind, 'right');
  });

  it('of a clock that is off by five minutes are wrong, both ways', (t) => {
    const on = machine(t);
    for (const away of [-10, 10]) assert.equal(on.try(on.code(away)).kind, 'wrong');
  });

  it('lock for a minute after three wrong ones, for fifteen after five, and after ten until somebody unlocks', (t) => {
    const on = machine(t);
    const untils: (number | undefined)[] = [];
    for (let n = 1; n <= 10; n++) {
      const verdict = on.try(on.wrong());
      assert.ok(verdict.kind === 'wrong' && verdict.failures === n, JSON.stringify(verdict));
      untils.push(verdict.untilMs === undefined ? undefined : (verdict.untilMs - on.nowMs) / minute);
      assert.equal(verdict.forGood, n === 10);
      if (verdict.untilMs === undefined) continue;
      // Until then not even the right one is looked at, and none is counted.
      on.nowMs = verdict.untilMs - 1;
      assert.deepEqual(on.try(on.code()), { kind: 'locked', untilMs: verdict.untilMs });
      on.nowMs = verdict.untilMs;
    }
    assert.deepEqual(untils, [undefined, undefined, 1, 1, 15, 15, 15, 15, 15, undefined]);
    on.nowMs += 365 * 24 * 60 * minute;
    for (const code of [on.code(), on.codes[0] as string])
      assert.deepEqual(on.try(code), { kind: 'locked', untilMs: undefined });
    assert.equal(unlockGuard(on.place), 10);
    assert.equal(on.try(on.code()).kind, 'right');
    assert.equal(unlockGuard(on.place), 0);
  });

  it('that are right forgive the wrong ones before', (t) => {
    const on = machine(t);
    for (let n = 0; n < 2; n++) on.try(on.wrong());
    assert.equal(on.try(on.code()).kind, 'right');
    assert.deepEqual(on.try(on.wrong()), { kind: 'wrong', failures: 1, untilMs: undefined, forGood: false });
  });

  it('from paper count once each, as people type them, and say how many are left', (t) => {
    const on = machine(t);
    const [first, second] = on.codes as [string, string];
    assert.deepEqual(on.try(first), { kind: 'right', by: 'backup code', left: 9 });
    assert.deepEqual(on.try(first), { kind: 'used' });
    assert.deepEqual(on.try(` ${second.toLowerCase().replace('-', ' ')} `), {
      ...{ kind: 'right', by: 'backup code', left: 8 },
    });
    assert.equal(on.try('AAAAA-AAAAA').kind, 'wrong');
    const lies = readFileSync(on.files.codesFile, 'utf8');
    for (const code of on.codes) assert.ok(!lies.includes(code) && !lies.includes(code.replace('-', '')));
  });

  it('of an entry for one target count for that one alone, once, and backup codes for any', (t) => {
    const on = machine(t);
    const each = ['dev', 'prod', 'Approvals'];
    writeEnrolment(on.files, on.secret, on.codes, () => beginGuard(on.place, on.secret, 0), each);
    const tried = (typed: string, what?: string) => tryCode(on.place, on.files, typed, on.nowMs, what).kind;
    const code = (what: string, away = 0) =>
      codeAt(secretFor({ secret: on.secret, each }, what) as Buffer, stepAt(on.nowMs) + away);
    assert.equal(new Set([on.code(), ...each.map((what) => code(what))]).size, 4);
    // That of the secret they all come from is in no authenticator.
    for (const typed of [on.code(), code('dev')]) assert.equal(tried(typed, 'prod'), 'wrong');
    assert.equal(guardOf(on.place).failures, 2);
    assert.deepEqual([tried(code('prod'), 'prod'), tried(code('prod'), 'prod')], ['right', 'used']);
    assert.equal(tried(code('Approvals', 1)), 'right');
    assert.match(
      JSON.stringify(tryCode(on.place, on.files, code('dev'), on.nowMs, 'full')),
      /no entry for full.*--each/,
    );
    assert.equal(tried(on.codes[0] as string, 'dev'), 'right');
  });

  it('of an older secret that came back with a restore count no more, and neither do its backup codes', (t) => {
    const on = machine(t);
    const older = newSecret();
    const codes = newBackupCodes();
    writeEnrolment(on.files, older, codes, () => undefined);
    for (const typed of [codeAt(older, stepAt(on.nowMs)), codes[0] as string])
      assert.match(JSON.stringify(on.try(typed)), /"no factor".*2fa enroll --replace/);
  });

  it('count on a machine that was made anew, where nobody knows what was enrolled', (t) => {
    const on = machine(t);
    rmSync(on.place.state, { recursive: true });
    assert.equal(on.try(on.code()).kind, 'right');
    assert.notEqual(guardOf(on.place).enrolled, null);
  });

  it('are judged again once a damaged file that only locks is away, as it is said', (t) => {
    const on = machine(t);
    const lock = join(on.guard, '..', 'guard-lock.db');
    writeFileSync(lock, 'no database, and longer than the head of one');
    for (const act of [() => on.try(on.code()), () => unlockGuard(on.place)])
      assert.throws(
        act,
        (error) => error instanceof Fault && error.code === 'damaged' && error.hint?.includes(`rm ${lock}`) === true,
      );
    rmSync(lock);
    assert.equal(on.try(on.code()).kind, 'right');
  });

  it('are not looked at without a secret, with one that others can read, or when what was used is not known', (t) => {
    const on = machine(t);
    writeFileSync(on.guard, '{"format":1');
    assert.throws(() => on.try(on.code()), /damaged, so nobody knows which codes were used/);
    beginGuard(on.place, on.secret, 0);
    for (const mode of [0o640, 0o604]) {
      chmodSync(on.files.secretFile, mode);
      assert.throws(
        () => on.try(on.code()),
        (error) => error instanceof Fault && error.code === 'forbidden' && !error.message.includes(on.code()),
      );
    }
    chmodSync(on.files.secretFile, 0o600);
    for (const text of ['not base32!', 'MZXW6']) {
      writeFileSync(on.files.secretFile, text);
      assert.throws(() => on.try(on.code()), /holds no secret/);
    }
    for (const text of ['', '\n']) {
      writeFileSync(on.files.secretFile, text);
      assert.equal(on.try(on.code()).kind, 'no factor');
    }
    rmSync(on.files.secretFile);
    assert.equal(on.try(on.code()).kind, 'no factor');
  });
});
