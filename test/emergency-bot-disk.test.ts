import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { emergency, emergencyBot, owner } from './emergency-bot.fixtures.ts';
import { cannotMount } from './faults/small-disk.ts';

const why = cannotMount();
if (why) console.log(`SKIPPED: the emergency bot on a full disk: ${why}`);

/** Runs with a small disk at each of the folders. */
async function onSmallDisks(folders: readonly string[], run: () => Promise<void>): Promise<void> {
  for (const folder of folders) execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k,mode=700', 'tmpfs', folder]);
  try {
    await run();
  } finally {
    for (const folder of folders) execFileSync('umount', ['-l', folder]);
  }
}

describe('the emergency bot on a full disk', { skip: why, timeout: 60_000 }, () => {
  it('says so to who asks, says nothing again and again, and goes on when there is room', async (t) => {
    const { telegram, start, replies, spool, heard, asked, log } = await emergencyBot(t);
    const folders = [spool.requests, spool.memory];
    await onSmallDisks(folders, async () => {
      const bot = start();
      telegram.say('/status', emergency);
      await asked(1);
      for (const name of readdirSync(spool.requests)) rmSync(join(spool.requests, name));
      const fillings = folders.map((folder) => join(folder, '.filling'));
      for (const file of fillings) assert.throws(() => writeFileSync(file, Buffer.alloc(64 * 1024)), /ENOSPC/);
      telegram.say('/restore prod', emergency);
      await heard(/The disk of the server is full, so what you asked was not handed on.*Then send it again/);
      replies.say({ to: owner, lines: ['said once'] });
      await heard('said once');
      await pause(2_500);
      assert.equal(telegram.said(emergency).length, 2, JSON.stringify(telegram.said(emergency)));
      assert.equal(log.filter((line) => line.includes('cannot be written down')).length, 1);
      for (const file of fillings) rmSync(file);
      telegram.say('/restore prod', emergency);
      await asked(1);
      await telegram.eventually(() => existsSync(join(spool.memory, 'memory.json')));
      await bot.end();
    });
  });
});
