import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { holderOf } from '../../src/recovery/run/lock.ts';
import { leftBehind } from './gaia.fixtures.ts';
import { stateOf } from './kill.fixtures.ts';
import { answering, openPhone, phoneStand } from './phone.fixtures.ts';
import { notesOf, until } from './phone-real.fixtures.ts';

const minute = 60_000;

/** A restore of everything whose first target, prod, stands still at a point. */
async function fullAt(t: TestContext, point: string) {
  const stand = await phoneStand(t);
  const on = answering(t, stand);
  stand.stopAt = point;
  await on.ask({ verb: 'restore', target: 'full' });
  await on.confirm();
  stand.shiftMs += minute;
  await on.phone.tick();
  const pid = () => holderOf({ state: join(stand.backups, '.gaia') })?.pid ?? 0;
  await until(`prod stands still ${point}`, () => stateOf(pid()) === 'T');
  await on.phone.tick();
  stand.stopAt = '';
  return { stand, ...on, pid: pid() };
}

describe('in the middle, by phone', { timeout: 300_000 }, () => {
  it('a drill is run and told, and one that is cancelled leaves nothing', async (t) => {
    const stand = await phoneStand(t);
    const { phone, ask } = answering(t, stand);
    await ask({ verb: 'drill', target: 'prod' });
    await phone.working();
    assert.match(stand.text(), /drill prod: done\n.*came back/);
    await ask({ verb: 'drill', target: 'dev' });
    await ask({ verb: 'cancel', operation: null });
    assert.match(stand.text(), /It is stopped, and removes what it has made/);
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /drill dev: cancelled/);
    assert.deepEqual(leftBehind(stand.home), []);
    assert.deepEqual(readdirSync(join(stand.home, 'data-plane')).sort(), ['dev', 'prod']);
    assert.match((await stand.gaia('status')).stdout, /^Nothing runs\./);
  });

  it('a backup of everything is one set, and is not stopped half way', async (t) => {
    const stand = await phoneStand(t);
    const { phone, ask } = answering(t, stand);
    await ask({ verb: 'backup', target: 'full' });
    await ask({ verb: 'cancel', operation: null });
    assert.match(stand.text(), /A backup is not stopped half way/);
    await phone.working();
    assert.match(stand.text(), /backup full: done\nprod-\S+\n[\s\S]*\ndev-\S+\n/);
  });

  it('full that is cancelled while its first target swaps ends that one, begins no other, and says so', async (t) => {
    const { stand, phone, ask, pid } = await fullAt(t, 'between the renames');
    await ask({ verb: 'cancel', operation: null });
    assert.match(stand.text(), /prod is stopped if it has not begun to swap[\s\S]*\nNot begun any more: dev\./);
    await phone.tick();
    assert.equal(stateOf(pid), 'T');
    process.kill(pid, 'SIGCONT');
    await phone.working();
    assert.match(stand.text(), /restore full: DONE IN PART\nprod: The backup is in its place\.\nNot begun: dev\.\n/);
    assert.deepEqual([notesOf(stand.prod), notesOf(stand.root)], ['the first state\n', 'the second state\n']);
  });

  it('full that is cancelled while its first target is staged leaves all as it was', async (t) => {
    const { stand, phone, ask } = await fullAt(t, 'after stage begin');
    await ask({ verb: 'cancel', operation: null });
    await phone.tick();
    await phone.working();
    assert.match(stand.text(), /restore full: cancelled\nprod: The old state is as it was.*\nNot begun: dev\./);
    assert.deepEqual([notesOf(stand.prod), notesOf(stand.root)], ['the second state\n', 'the second state\n']);
  });

  it('full that is cancelled once one is done says what stays', async (t) => {
    const { stand, phone, ask, pid } = await fullAt(t, 'between the renames');
    stand.stopAt = 'after stage begin';
    process.kill(pid, 'SIGCONT');
    const at = () => holderOf({ state: join(stand.backups, '.gaia') })?.pid ?? 0;
    await until('dev stands still', () => at() !== pid && stateOf(at()) === 'T');
    stand.stopAt = '';
    await ask({ verb: 'cancel', operation: null });
    assert.match(stand.text(), /dev is stopped if [\s\S]*\nDone already, and it stays: prod\./);
    await phone.tick();
    await phone.working();
    assert.match(
      stand.text(),
      /restore full: cancelled\nprod: The backup is in its place\.\ndev: The old state is as it was/,
    );
    assert.deepEqual([notesOf(stand.prod), notesOf(stand.root)], ['the first state\n', 'the second state\n']);
  });

  it('full whose configuration is a mistake once one is done says what is done, and what is wrong', async (t) => {
    const { stand, phone, pid } = await fullAt(t, 'between the renames');
    writeFileSync(stand.config, 'emergency_telegram: { require_2fa: false }\n');
    process.kill(pid, 'SIGCONT');
    await phone.working();
    assert.match(
      stand.text(),
      /restore full: FAILED\nprod: The backup is in its place\.\ndev: [\s\S]*require_2fa[\s\S]*gaia undo on the server/,
    );
    assert.deepEqual([notesOf(stand.prod), notesOf(stand.root)], ['the first state\n', 'the second state\n']);
  });

  for (const { hours, what, ends, dev } of [
    {
      hours: 3,
      what: 'hours',
      ends: /full: DONE IN PART\nprod: The backup is in its place\.\nNot begun, since the server was away for more than a quarter of an hour: dev\. Ask for it again: \/restore dev\n/,
      dev: 'second',
    },
    { hours: 0.1, what: 'minutes', ends: /full: done\nprod: .*\ndev: The backup is in its place/, dev: 'first' },
  ])
    it(`full after a loss of power of ${what} finishes what was begun${hours > 1 ? ', and begins nothing else' : ', and goes on'}`, async (t) => {
      const { stand, phone, pid } = await fullAt(t, 'after stage begin');
      phone.stop();
      phone.close();
      process.kill(pid, 'SIGKILL');
      stand.shiftMs += hours * 60 * minute;
      const next = openPhone(t, stand);
      await next.tick();
      await next.working();
      assert.match(stand.text(), ends);
      assert.deepEqual([notesOf(stand.prod), notesOf(stand.root)], ['the first state\n', `the ${dev} state\n`]);
      await next.tick();
      await next.working();
      assert.equal(notesOf(stand.root), `the ${dev} state\n`);
    });

  it('full on a machine that slept for long, with its runner, begins nothing else either', async (t) => {
    const { stand, phone, pid } = await fullAt(t, 'after stage begin');
    stand.shiftMs += 20 * minute;
    await phone.tick();
    process.kill(pid, 'SIGCONT');
    await phone.working();
    assert.match(stand.text(), /full: DONE IN PART\nprod: .*\nNot begun, since the server was away/);
    assert.equal(notesOf(stand.root), 'the second state\n');
  });

  it('what was killed just before it began is not begun long afterwards', async (t) => {
    const stand = await phoneStand(t);
    const { phone, ask, confirm } = answering(t, stand);
    await ask({ verb: 'restore', target: 'prod' });
    await confirm();
    phone.stop();
    phone.close();
    // As the runner leaves it that is killed between the two.
    const file = join(stand.place.state, 'emergency', 'operations', `${stand.asked()}.json`);
    const operation = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...operation, state: 'running', aliveMs: stand.now() }));
    stand.shiftMs += 16 * minute;
    const next = openPhone(t, stand);
    await next.tick();
    await next.working();
    assert.match(
      stand.text(),
      /restore prod: expired, nothing was done\nNot begun, since the server was away for more than a quarter of an hour: prod\. Ask for it again: \/restore prod/,
    );
    assert.equal(notesOf(stand.prod), 'the second state\n');
  });

  it('what takes no code is done only so often, and it is said why', async (t) => {
    const stand = await phoneStand(t);
    const { phone, ask } = answering(t, stand);
    for (let n = 0; n < 4; n++) {
      await ask({ verb: 'drill', target: 'prod' });
      await phone.working();
    }
    await ask({ verb: 'drill', target: 'prod' });
    assert.match(
      stand.text(),
      /4 drills were asked for in an hour; no more for now\. It takes no code, and each one loads the machine\.\nThe next one counts in (1 h|59 min)\. On the server nothing limits it\./,
    );
    const done = stand.said().filter(({ title, lines }) => /drill prod: done/.test(title ?? '') && lines.length > 0);
    assert.equal(done.length, 4);
    await ask({ verb: 'restore', target: 'dev' });
    assert.notEqual(stand.asked(), undefined);
  });
});
