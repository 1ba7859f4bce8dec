import assert from 'node:assert/strict';
import { chmodSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { newBackupCodes } from '../../src/gaia/two-factor/backup-codes.ts';
import { newSecret, writeEnrolment } from '../../src/gaia/two-factor/enrolment.ts';
import { openPhone, other, phoneStand } from './phone.fixtures.ts';

const minute = 60_000;

/** A restore of prod, confirmed: it begins in a minute. */
async function confirmed(t: TestContext, target = 'prod') {
  const stand = await phoneStand(t);
  const phone = openPhone(t, stand);
  const ask = async (what: Record<string, unknown>, user?: number) => {
    stand.ask(what, user);
    await phone.tick();
    await phone.resolving();
  };
  await ask({ verb: 'restore', target });
  const operation = stand.asked();
  stand.ask({ verb: 'confirm', operation, code: stand.code() });
  const notes = (root = stand.prod) => readFileSync(join(root, 'notes'), 'utf8');
  return { stand, phone, ask, operation, notes };
}

describe('a restore that was confirmed by phone', { timeout: 300_000 }, () => {
  it('waits a minute more when the machine slept through its time', async (t) => {
    const { stand, phone, ask, operation, notes } = await confirmed(t);
    await phone.tick();
    stand.shiftMs += 3 * minute;
    await phone.tick();
    assert.match(stand.text(), /restore prod: waits\nThe server was away for a moment\. It begins in 1 min/);
    await ask({ verb: 'cancel', operation }, other);
    assert.match(stand.text(), /restore prod: cancelled/);
    assert.equal(notes(), 'the second state\n');
  });

  it('is stopped by a Stop that lay there while something else was answered', async (t) => {
    const { stand, phone, operation, notes } = await confirmed(t);
    await phone.tick();
    stand.shiftMs += minute;
    stand.ask({ verb: 'runbook', target: 'prod' });
    const ticks = phone.tick();
    stand.ask({ verb: 'cancel', operation }, other);
    await ticks;
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore prod: cancelled/);
    assert.equal(notes(), 'the second state\n');
  });

  it('is not done when the server comes back much later', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    await phone.tick();
    phone.stop();
    phone.close();
    stand.shiftMs += 20 * minute;
    const next = openPhone(t, stand);
    await next.tick();
    await next.working();
    assert.match(
      stand.text(),
      /restore prod: expired, nothing was done\nIt should have begun 19 min ago, .*Ask for it again/,
    );
    stand.shiftMs += minute;
    await next.tick();
    await next.working();
    assert.equal(notes(), 'the second state\n');
  });

  it('is not done for somebody who was taken off the list meanwhile', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    await phone.tick();
    writeFileSync(stand.emergency.usersFile, `${other}\n`);
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore prod: cancelled\nWhoever asked for it is not on the list of users any more/);
    assert.equal(notes(), 'the second state\n');
  });

  it('is not done when another phone was given the codes meanwhile', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    await phone.tick();
    stand.shiftMs += minute;
    writeEnrolment(stand.emergency, newSecret(), newBackupCodes(), () => undefined);
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore prod: cancelled\nThe second factor was replaced since/);
    assert.equal(notes(), 'the second state\n');
  });

  it('is done where the clock was ahead on the day on which the codes were set up', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    const tomorrow = (stand.now() + 24 * 60 * minute) / 1000;
    utimesSync(stand.emergency.secretFile, tomorrow, tomorrow);
    await phone.tick();
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.equal(notes(), 'the first state\n');
  });

  it('is cancelled, and not forgotten, when the secret is damaged meanwhile', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    await phone.tick();
    writeFileSync(stand.emergency.secretFile, 'no secret\n');
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore prod: cancelled\nThe second factor cannot be read any more/);
    assert.equal(notes(), 'the second state\n');
  });

  it('waits no more than a minute when the clock is set back by hours', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    await phone.tick();
    stand.shiftMs -= 180 * minute;
    await phone.tick();
    assert.match(stand.text(), /restore prod: waits\nThe clock of the server was set back\. It begins in 1 min/);
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.equal(notes(), 'the first state\n');
  });

  it('goes to its end, and is told to who asked, when the list cannot be read any more', async (t) => {
    const { stand, phone, notes } = await confirmed(t, 'dev');
    await phone.tick();
    writeFileSync(stand.emergency.usersFile, 'nobody\n');
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore dev: done\ndev: The backup is in its place/);
    assert.equal(notes(stand.root), 'the first state\n');
  });

  it('is done by a runner that finds damaged files of others', async (t) => {
    const { stand, phone, operation, notes } = await confirmed(t);
    await phone.tick();
    phone.stop();
    phone.close();
    const folder = join(stand.place.state, 'emergency', 'operations');
    const whole = readFileSync(join(folder, `${operation}.json`), 'utf8');
    for (const [n, text] of ['', '{"id":', 'null', '[]', '7', whole].entries())
      writeFileSync(join(folder, `20261125T08150${n}Z-AAAA.json`), text);
    const next = openPhone(t, stand);
    assert.equal(next.log.filter((line) => line.includes('is damaged, and is left alone')).length, 6);
    stand.shiftMs += minute;
    await next.tick();
    await next.working();
    assert.equal(notes(), 'the first state\n');
  });

  it('goes to its end, and begins nothing, where others could write what is asked', async (t) => {
    const { stand, phone, notes } = await confirmed(t);
    await phone.tick();
    chmodSync(stand.requests, 0o777);
    stand.shiftMs += minute;
    await assert.rejects(phone.tick(), /Others than its owner can write/);
    await phone.working();
    assert.equal(notes(), 'the second state\n');
    chmodSync(stand.requests, 0o700);
    await phone.tick();
    chmodSync(stand.requests, 0o777);
    stand.shiftMs += minute;
    await assert.rejects(phone.tick(), /Others than its owner can write/);
    assert.match(stand.text(), /restore prod: runs\nprod: /);
    await phone.working();
    assert.equal(notes(), 'the first state\n');
  });
});
