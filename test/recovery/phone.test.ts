import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openPhone, other, phoneStand } from './phone.fixtures.ts';

const minute = 60_000;

async function opened(t: TestContext) {
  const stand = await phoneStand(t);
  const phone = openPhone(t, stand);
  const ask = async (what: Record<string, unknown>, user?: number) => {
    const text = stand.ask(what, user);
    await phone.tick();
    await phone.resolving();
    return text;
  };
  const confirm = (code = stand.code(), operation = stand.asked()) => ask({ verb: 'confirm', operation, code });
  const notes = (root = stand.root) => readFileSync(join(root, 'notes'), 'utf8');
  return { stand, phone, ask, confirm, notes };
}

describe('by phone', { timeout: 600_000 }, () => {
  it('a restore of dev shows the exact backup, is confirmed with a code, and is done once', async (t) => {
    const { stand, phone, ask, confirm, notes } = await opened(t);
    const request = await ask({ verb: 'restore', target: 'dev' });
    const [asks] = stand.said().filter(({ operation }) => operation !== undefined);
    assert.match(
      asks?.lines.join('\n') ?? '',
      /dev from dev-\S+\.tar\.zst\n.*digest [0-9a-f]{16}\n.*taken .* UTC\n.*Lost is what came since: \d+ s/,
    );
    assert.match(asks?.lines.join('\n') ?? '', /never tried in a drill/);
    assert.deepEqual(
      asks?.buttons?.map(({ text }) => text),
      ['Cancel'],
    );
    await confirm();
    await phone.tick();
    await phone.working();
    assert.equal(notes(), 'the first state\n');
    assert.match(stand.text(), /restore dev: done\ndev: The backup is in its place/);
    await ask({ verb: 'status' });
    assert.match(
      stand.text(),
      /Status\n#\w{4} restore dev: done\nNothing runs\.\n\nThe last ones \(UTC\):\n\d\d-\d\d \d\d:\d\d restore dev: done\n\nFrom before, for gaia undo:\ndev: for [23] days more/,
    );
    // Everybody who may ask hears of it.
    assert.ok(stand.said().some(({ to, title }) => to === other && title?.includes('restore dev: done')));
    writeFileSync(join(stand.root, 'notes'), 'written after it\n');
    // The same file, there again.
    writeFileSync(join(stand.requests, 'u1.json'), request);
    await phone.tick();
    await confirm(stand.code(1));
    await phone.tick();
    await phone.working();
    assert.equal(notes(), 'written after it\n');
    assert.match(stand.text(), /Nothing waits for a code of yours/);
  });

  it('prod waits a minute, in which everybody can stop it, and only then begins', async (t) => {
    const { stand, phone, ask, confirm, notes } = await opened(t);
    await ask({ verb: 'restore', target: 'prod' });
    await confirm();
    assert.match(stand.text(), /It begins in 1 min/);
    stand.shiftMs += minute - 5_000;
    await phone.tick();
    const [button] = stand.said().find(({ to, buttons = [] }) => to === other && buttons.length > 0)?.buttons ?? [];
    assert.equal(button?.text, 'Stop');
    await ask({ verb: 'cancel', operation: button?.data.slice('cancel:'.length) }, other);
    stand.shiftMs += 10 * minute;
    await phone.tick();
    assert.match(stand.text(), /restore prod: cancelled/);
    assert.equal(notes(stand.prod), 'the second state\n');
    await ask({ verb: 'restore', target: 'prod' });
    await confirm();
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.equal(notes(stand.prod), 'the first state\n');
  });

  it('full is one after the other, and one question', async (t) => {
    const { stand, phone, ask, confirm, notes } = await opened(t);
    await ask({ verb: 'restore', target: 'full' });
    assert.match(stand.text(), /Restore everything\?\nprod from prod-[\s\S]*\ndev from dev-/);
    await confirm();
    stand.shiftMs += minute;
    await phone.tick();
    await phone.working();
    assert.deepEqual([notes(), notes(stand.prod)], ['the first state\n', 'the first state\n']);
    assert.match(stand.text(), /restore full: done\nprod: .*[\s\S]*dev: /);
  });

  it('a code for another operation, of another person, too late or wrong starts nothing', async (t) => {
    const { stand, phone, ask, confirm, notes } = await opened(t);
    await ask({ verb: 'restore', target: 'prod' });
    const before = stand.asked();
    await ask({ verb: 'restore', target: 'dev' });
    assert.notEqual(stand.asked(), before);
    await confirm(stand.code(), before);
    assert.match(stand.text(), /That code was not for #\w{4}, which waits now, so it was not looked at/);
    await ask({ verb: 'confirm', operation: null, code: stand.code() });
    await ask({ verb: 'confirm', operation: stand.asked(), code: stand.code() }, other);
    assert.match(stand.text(), /Nothing waits for a code of yours/);
    await confirm(stand.code(20));
    assert.match(stand.text(), /wrong \(1 of 10\)\.\nThis server's clock says \d\d:\d\d:\d\d UTC/);
    stand.shiftMs += 5 * minute;
    await confirm();
    assert.match(stand.text(), /restore dev: expired, nothing was done/);
    await ask({ verb: 'restore', target: 'dev' });
    stand.shiftMs += 5 * minute;
    await phone.tick();
    await confirm();
    await phone.tick();
    await phone.working();
    assert.deepEqual([notes(), notes(stand.prod)], ['the second state\n', 'the second state\n']);
    // None of that has used the code up.
    await ask({ verb: 'restore', target: 'dev' });
    await confirm();
    await phone.tick();
    await phone.working();
    assert.equal(notes(), 'the first state\n');
  });

  it('a code counts once, also for the next operation', async (t) => {
    const { stand, phone, ask, confirm } = await opened(t);
    const code = stand.code();
    await ask({ verb: 'restore', target: 'prod' });
    await confirm(code);
    await ask({ verb: 'cancel', operation: null });
    await ask({ verb: 'restore', target: 'prod' });
    await confirm(code);
    assert.match(stand.text(), /used already/);
    await confirm(stand.codes[0] as string);
    assert.match(stand.text(), /That was a backup code; 9 are left/);
    await ask({ verb: 'cancel', operation: null });
    await phone.tick();
  });

  it('ten wrong codes lock it until somebody types gaia unlock', async (t) => {
    const { stand, ask, confirm } = await opened(t);
    for (let n = 0; n < 10; n++) {
      await ask({ verb: 'restore', target: 'dev' });
      await confirm(stand.code(30));
      if (n < 9) stand.shiftMs += 16 * minute;
      // That the clock runs ahead of the machine is told elsewhere.
      rmSync(join(stand.place.state, 'clock.json'), { force: true });
    }
    assert.match(stand.text(), /it was the tenth/);
    await confirm();
    assert.match(stand.text(), /None counts until somebody types on the server: gaia unlock/);
    await ask({ verb: 'restore', target: 'prod' });
    assert.match(stand.text(), /No restore by phone: Locked after ten wrong codes\. On the server: gaia unlock/);
    assert.match((await stand.gaia('unlock')).stdout, /There were 10 wrong codes/);
    await confirm();
    assert.match(stand.text(), /Confirmed\. It begins now/);
  });

  it('no code is judged by a clock that is off by five minutes', async (t) => {
    const { stand, ask } = await opened(t);
    await ask({ verb: 'restore', target: 'prod' });
    const send = (offMs: number) =>
      ask({ verb: 'confirm', operation: stand.asked(), code: stand.code(), sentMs: stand.now() + offMs });
    await send(-5 * minute);
    assert.match(stand.text(), /sent 5 min ago, or the clock of this server is ahead/);
    await send(5 * minute);
    assert.match(stand.text(), /The clock of this server is 5 min behind/);
    const { state } = stand.place;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
    const set = { wall_ms: stand.now() - 5 * 60 * minute, boot_id: boot, uptime_s: uptime };
    writeFileSync(join(state, 'clock.json'), JSON.stringify(set));
    await send(0);
    assert.match(stand.text(), /the clock was set forward by 5\.0 hours.*gaia prune --clock-is-right/);
    assert.ok(!stand.text().includes('Confirmed'));
    assert.equal((await stand.gaia('prune', '--clock-is-right', '--yes')).exit, 0);
    await send(0);
    assert.match(stand.text(), /Confirmed/);
  });

  it('a restore is stopped until it swaps, and then all is as before', async (t) => {
    const { stand, phone, ask, confirm, notes } = await opened(t);
    stand.stopAt = 'after stage begin';
    await ask({ verb: 'restore', target: 'dev' });
    await confirm();
    await phone.tick();
    for (let n = 0; phone.ended.length === 0; n++) {
      assert.ok(n < 300, 'it was never stopped');
      if (n === 20) {
        stand.stopAt = '';
        await ask({ verb: 'cancel', operation: null });
      }
      await phone.tick();
      await pause(50);
    }
    await phone.working();
    assert.match(stand.text(), /restore dev: cancelled\ndev: The old state is as it was/);
    assert.equal(notes(), 'the second state\n');
    assert.equal(new Set(phone.ended).size, 1);
    assert.match((await stand.gaia('status')).stdout, /^Nothing runs\./);
  });

  it('a backup is made, backups are listed, and nothing else is done meanwhile', async (t) => {
    const { stand, phone, ask } = await opened(t);
    const before = readdirSync(join(stand.backups, 'dev')).length;
    await ask({ verb: 'backup', target: 'dev' });
    await ask({ verb: 'restore', target: 'dev' });
    assert.match(stand.text(), /backup dev: runs\. Only one thing is done at a time/);
    await phone.working();
    assert.match(stand.text(), /backup dev: done\n/);
    assert.equal(readdirSync(join(stand.backups, 'dev')).length, before + 3);
    await ask({ verb: 'list', target: null });
    assert.match(stand.text(), /Newest backups\nprod-\S+\n.*\n?dev-\S+\n {2}\d+ s old, .*sound\ndev-/);
    for (const verb of ['status', 'start']) await ask({ verb });
    assert.match(stand.text(), /GAIA on host\n\/status/);
    await ask({ verb: 'runbook', target: 'prod' });
    assert.match(stand.said().findLast(({ script }) => script !== undefined)?.script ?? '', /^#!\/bin\/sh/);
    for (const [verb, target] of [
      ['restore', 'dv'],
      ['drill', 'full'],
      ['backup', 'x'],
      ['runbook', 'x'],
      ['list', 'x'],
    ])
      await ask({ verb, target });
    assert.equal(stand.text().match(/There is no target/g)?.length, 4);
    assert.match(stand.text(), /That is done for one target at a time\.\nThere are: prod, dev/);
    assert.match(stand.text(), /Did you mean dev\?/);
  });

  it('nothing is done for a stranger, for what was sent long ago, or without a second factor', async (t) => {
    const { stand, phone, ask } = await opened(t);
    await ask({ verb: 'backup', target: 'dev' }, 999);
    assert.equal(stand.said().length, 0);
    assert.equal(phone.log.filter((line) => line.includes('not listed')).length, 1);
    await ask({ verb: 'backup', target: 'dev', sentMs: stand.now() - 20 * minute });
    assert.match(stand.text(), /You sent that 20 min ago.*Nothing was done/);
    writeFileSync(stand.emergency.secretFile, '');
    await ask({ verb: 'restore', target: 'dev' });
    assert.match(stand.text(), /No restore by phone: No second factor is set up\. On the server: gaia 2fa enroll/);
    assert.equal(stand.asked(), undefined);
  });

  it('a runner that is started with a damaged secret answers, says so, and restores nothing', async (t) => {
    const stand = await phoneStand(t);
    for (const text of ['no secret', '']) {
      writeFileSync(stand.emergency.secretFile, text);
      const phone = openPhone(t, stand);
      const ask = async (what: Record<string, unknown>) => {
        stand.ask(what);
        await phone.tick();
      };
      await ask({ verb: 'start' });
      await ask({ verb: 'restore', target: 'dev' });
      const why = text === '' ? 'No second factor is set up' : '\\S+ holds no secret of an authenticator';
      assert.match(stand.text(), new RegExp(`No restore by phone now: ${why}`));
      assert.match(stand.text(), new RegExp(`No restore by phone: ${why}`));
      assert.match(phone.log.join('\n'), /No second factor is set up|holds no secret/);
      phone.close();
    }
  });

  it('a question that is replaced before anything was shown of it does not vanish without a word', async (t) => {
    const { stand, ask } = await opened(t);
    stand.ask({ verb: 'restore', target: 'prod' });
    await ask({ verb: 'restore', target: 'dev' });
    assert.match(stand.text(), /restore prod: replaced by a newer one, nothing was done/);
    await ask({ verb: 'restore', target: 'dev' });
    assert.equal(
      stand.said().filter(({ key, title = '' }) => key === undefined && title.includes('replaced')).length,
      1,
    );
  });

  it('neither code nor secret is in what is logged or kept', async (t) => {
    const { stand, phone, ask, confirm } = await opened(t);
    await ask({ verb: 'restore', target: 'dev' });
    const [right, wrong] = [stand.code(), stand.code(40)];
    await confirm(wrong);
    await confirm(right);
    await phone.tick();
    await phone.working();
    const kept = readdirSync(join(stand.backups, '.gaia'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    const secret = readFileSync(stand.emergency.secretFile, 'utf8').trim();
    for (const text of [...phone.log, stand.text(), ...kept])
      for (const word of [secret, stand.secret.toString('hex')]) assert.ok(!text.includes(word));
    for (const word of [right, wrong])
      for (const text of [...phone.log, stand.text()]) assert.ok(!text.includes(word), text);
  });

  it('what is not done says what to do next', async (t) => {
    const { stand, phone, ask, confirm } = await opened(t);
    await ask({ verb: 'restore', target: 'dev' });
    await ask({ verb: 'confirm', operation: null, code: stand.code() });
    assert.match(stand.text(), /as an answer to the message of #\w{4}; or ask for the restore again/);
    await ask({ verb: 'cancel', operation: null }, other);
    assert.ok(stand.said().some(({ to, lines }) => to === other && /#\w{4} is cancelled/.test(lines.join())));
    // One was asked for by a clock that was set back since.
    stand.shiftMs += 300 * minute;
    await ask({ verb: 'restore', target: 'dev' });
    stand.shiftMs -= 300 * minute;
    for (let n = 0; n < 19; n++) await ask({ verb: 'restore', target: 'dev' });
    assert.doesNotMatch(stand.text(), /no more for now/);
    await ask({ verb: 'restore', target: 'dev' });
    assert.match(
      stand.text(),
      /20 things were asked for in an hour; no more for now\.\nThe next one counts in (1 h|59 min)/,
    );
    stand.shiftMs += 61 * minute;
    rmSync(join(stand.place.state, 'clock.json'), { force: true });
    await ask({ verb: 'restore', target: 'dev' });
    await confirm();
    assert.match(stand.text(), /Confirmed\. It begins now/);
    await phone.working();
  });
});
