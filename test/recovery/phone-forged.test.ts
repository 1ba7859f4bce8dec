import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { secretFor, writeEnrolment } from '../../src/gaia/two-factor/enrolment.ts';
import { beginGuard } from '../../src/gaia/two-factor/guard.ts';
import { codeAt, stepAt } from '../../src/gaia/two-factor/totp.ts';
import { isRoot } from './gaia.fixtures.ts';
import { answering, phoneStand } from './phone.fixtures.ts';
import { notesOf } from './phone-real.fixtures.ts';

const minute = 60_000;
const owner = 123456;
/** The user that the bot runs as here. */
const nobody = 65_534;

/** The runner as root, and a bot's user that somebody else has. */
async function brokenInto(t: TestContext) {
  const stand = await phoneStand(t);
  chmodSync(stand.home, 0o711);
  const on = answering(t, stand);
  const { spool } = stand.emergency;
  for (const name of ['requests', 'bot']) {
    chownSync(join(spool, name), nobody, nobody);
    chmodSync(join(spool, name), 0o700);
  }
  chownSync(stand.replies, 0, nobody);
  /** A line of shell as that user; its end. */
  const as = (line: string) =>
    spawnSync('sh', ['-c', line], { cwd: spool, uid: nobody, gid: nobody, encoding: 'utf8', timeout: 10_000 });
  const done = (line: string) => {
    const { status, stderr } = as(line);
    assert.equal(status, 0, `${line}: ${stderr}`);
  };
  let update = 500;
  /** Writes a request as that user, whatever it says, and lets the runner take it. */
  const forge = async (ask: Record<string, unknown>, name?: string) => {
    const id = `u${update++}`;
    const text = JSON.stringify({ id, user: owner, sentMs: stand.now(), ...ask });
    done(`cat > requests/${name ?? `${id}.json`} <<'END'\n${text}\nEND`);
    await on.phone.tick();
    await on.phone.resolving();
    return text;
  };
  return { stand, ...on, as, done, forge };
}

const untouched = (stand: Awaited<ReturnType<typeof phoneStand>>) =>
  assert.deepEqual([notesOf(stand.root), notesOf(stand.prod)], ['the second state\n', 'the second state\n']);

describe('a bot whose user somebody else has', { timeout: 300_000, skip: !isRoot && 'takes root' }, () => {
  it('can ask, and with no code of the owner nothing is done', async (t) => {
    const { stand, phone, forge } = await brokenInto(t);
    await forge({ verb: 'restore', target: 'dev' });
    const operation = stand.asked();
    for (const code of ['000000', stand.code(7), 'AAAAA-AAAAA']) await forge({ verb: 'confirm', operation, code });
    assert.equal(stand.text().match(/That code is wrong/g)?.length, 3);
    // A request says nothing of states, of times to begin, or of another id than its file.
    await forge({ verb: 'restore', target: 'dev', state: 'waiting', startMs: 0 });
    await forge({ verb: 'confirm', operation, code: '000000', verdict: 'right' });
    await forge({ id: 'u1', verb: 'status' });
    stand.shiftMs += 2 * minute;
    await phone.tick();
    await phone.working();
    untouched(stand);
    assert.equal(existsSync(join(stand.place.state, 'runs')), false);
  });

  it('can use what the owner sends once, and not for what was asked before, nor later, nor again', async (t) => {
    const { stand, phone, forge, done } = await brokenInto(t);
    await forge({ verb: 'restore', target: 'dev' });
    const before = stand.asked();
    const code = stand.code();
    // It keeps the code of the owner back, and has something else asked meanwhile.
    await forge({ verb: 'restore', target: 'prod' });
    const after = stand.asked();
    await forge({ verb: 'confirm', operation: before, code });
    assert.match(stand.text(), /That code was not for #\w{4}, which waits now/);
    await forge({ verb: 'confirm', operation: after, code, sentMs: stand.now() - 2 * minute });
    assert.match(stand.text(), /That code was sent 2 min ago/);
    stand.shiftMs += 2 * minute;
    await forge({ verb: 'confirm', operation: after, code });
    assert.match(stand.text(), /That code is wrong/);
    // Used: it counts once, whatever lies there again, under whatever name.
    const right = await forge({ verb: 'confirm', operation: after, code: stand.code() });
    assert.match(stand.text(), /restore prod: waits\nConfirmed/);
    await forge({ verb: 'cancel', operation: after });
    const { id } = JSON.parse(right) as { id: string };
    await forge({ verb: 'restore', target: 'prod' });
    done(`cat > requests/${id}.json <<'END'\n${right}\nEND`);
    await phone.tick();
    await forge({ verb: 'confirm', operation: stand.asked(), code: (JSON.parse(right) as { code: string }).code });
    assert.match(stand.text(), /That code was used already/);
    await forge({ verb: 'cancel', operation: null });
    stand.shiftMs += 2 * minute;
    await phone.tick();
    await phone.working();
    untouched(stand);
  });

  it('cannot have the code of one target confirm another, where each has an entry of its own', async (t) => {
    const { stand, phone, forge } = await brokenInto(t);
    const each = ['dev', 'prod', 'full', 'Approvals'];
    writeEnrolment(stand.emergency, stand.secret, stand.codes, () => beginGuard(stand.place, stand.secret, 0), each);
    const codeFor = (what: string) =>
      codeAt(secretFor({ secret: stand.secret, each }, what) as Buffer, stepAt(stand.now()));
    // It shows the owner the question for dev, and asks the runner for prod.
    await forge({ verb: 'restore', target: 'prod' });
    await forge({ verb: 'confirm', operation: stand.asked(), code: codeFor('dev') });
    assert.match(stand.text(), /send the code of the entry “prod” of your authenticator/);
    assert.match(stand.text(), /That code is wrong \(1 of 10\)\.\nIt must be that of the entry “prod”\./);
    await forge({ verb: 'restore', target: 'full' });
    await forge({ verb: 'confirm', operation: stand.asked(), code: codeFor('dev') });
    stand.shiftMs += 2 * minute;
    await phone.tick();
    await phone.working();
    untouched(stand);
    await forge({ verb: 'restore', target: 'dev' });
    await forge({ verb: 'confirm', operation: stand.asked(), code: codeFor('dev') });
    await phone.tick();
    await phone.working();
    assert.deepEqual([notesOf(stand.root), notesOf(stand.prod)], ['the first state\n', 'the second state\n']);
    // A target that came into the configuration since: said before a code is asked for.
    writeEnrolment(stand.emergency, stand.secret, stand.codes, () => beginGuard(stand.place, stand.secret, 0), ['dev']);
    await forge({ verb: 'restore', target: 'prod' });
    assert.match(
      stand.text(),
      /The authenticator has no entry for prod\. On the server: gaia 2fa enroll --each --replace/,
    );
  });

  it('cannot change what it has asked, while it is looked at or afterwards', async (t) => {
    const { stand, phone, done, forge } = await brokenInto(t);
    const text = (target: string) =>
      JSON.stringify({ id: 'u900', user: owner, sentMs: stand.now(), verb: 'restore', target });
    done(`cat > requests/u900.json <<'END'\n${text('dev')}\nEND`);
    await phone.tick();
    await phone.resolving();
    done(`cat > requests/u900.json <<'END'\n${text('prod')}\nEND`);
    await phone.tick();
    await phone.resolving();
    assert.equal(stand.said().filter(({ operation }) => operation !== undefined).length, 1);
    await forge({ verb: 'confirm', operation: stand.asked(), code: stand.code() });
    await phone.tick();
    await phone.working();
    assert.deepEqual([notesOf(stand.root), notesOf(stand.prod)], ['the first state\n', 'the second state\n']);
  });

  it('cannot have files of others read, removed, written or put in the place of folders', async (t) => {
    const { stand, phone, as, done } = await brokenInto(t);
    const { secretFile, usersFile } = stand.emergency;
    const victims = [secretFile, usersFile, stand.config, '/etc/passwd'];
    const before = victims.map((file) => readFileSync(file, 'latin1'));
    for (const [n, file] of victims.entries()) done(`ln -s ${file} requests/u${n + 1}.json`);
    done('ln -s ../replies requests/u11.json; mkdir requests/u12.json requests/u13.json; touch requests/u13.json/x');
    done('mkfifo requests/u14.json; head -c 3000 /dev/zero > requests/u15.json; truncate -s 8G requests/u16.json');
    // Its own memory is of no account to the runner.
    done('printf "%s" "{}" > bot/memory.json; ln -s /etc/shadow bot/x');
    await phone.tick();
    await phone.tick();
    assert.deepEqual(
      victims.map((file) => readFileSync(file, 'latin1')),
      before,
    );
    assert.deepEqual(readdirSync(stand.requests), ['u13.json']);
    assert.ok(readdirSync(stand.emergency.spool).includes('replies'));
    assert.deepEqual(stand.said(), []);
    // What the secret is, or that there is one, is told nowhere.
    for (const line of phone.log) assert.ok(!line.includes(readFileSync(secretFile, 'utf8').trim()));
    const file = join(stand.place.state, 'emergency', 'guard.json');
    for (const line of [
      'mv requests gone && ln -s /etc requests',
      'rmdir replies; ln -s /etc replies',
      'echo x > replies/1764412345000-0000.json',
      `echo x > ${file}`,
      `cat ${file}`,
      `ls ${join(stand.place.state, 'emergency', 'operations')}`,
      `ln ${secretFile} requests/u20.json`,
    ])
      assert.notEqual(as(line).status, 0, line);
  });

  it('that opens its folder to others has nothing taken from it until that is mended', async (t) => {
    const { stand, phone, done } = await brokenInto(t);
    done('chmod 777 requests');
    writeFileSync(join(stand.requests, 'u1.json'), '{}');
    await assert.rejects(phone.tick(), /Others than its owner can write/);
    done('chmod 700 requests');
    await phone.tick();
    untouched(stand);
  });
});
