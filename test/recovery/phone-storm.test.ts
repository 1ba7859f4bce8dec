import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { unlockGuard } from '../../src/gaia/two-factor/guard.ts';
import { answering, other, phoneStand } from './phone.fixtures.ts';
import { notesOf } from './phone-real.fixtures.ts';

const minute = 60_000;
const year = 365 * 24 * 60 * minute;
const users = [123456, 123456, 123456, other, 999, 0, -1, 1.5, null, '123456'];
const verbs = [
  'start',
  'status',
  'list',
  'restore',
  'runbook',
  'cancel',
  'confirm',
  'confirm',
  'backup',
  'drill',
  'rm',
];
/** Real ones for what only asks. What would work for a while is done by other tests. */
const targets = ['dev', 'dev', 'prod', 'full', '../dev', 'DEV', '', 'x'.repeat(200), null, 7, '--backup'];

const name = fc.oneof(
  fc.nat(99).map((n) => `u${n}.json`),
  fc.constantFrom(
    '.u1.json',
    'u1.json.partial',
    'u-1.json',
    'u1.jsonx',
    'a b',
    '\u202e.json',
    'u99999999999999999.json',
  ),
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes.map((byte) => byte || 1))),
);
const requestLike = fc.record(
  {
    id: fc.oneof(
      fc.nat(99).map((n) => `u${n}`),
      fc.string(),
    ),
    user: fc.constantFrom(...users),
    sentMs: fc.oneof(fc.integer(), fc.constantFrom('now', 'now', 'now', 'late', 'soon')),
    verb: fc.constantFrom(...verbs),
    target: fc.constantFrom(...targets),
    operation: fc.constantFrom('asked', 'asked', 'asked', null, '20261125T081500Z-7KQ4', '../../x'),
    code: fc.oneof(fc.stringMatching(/^\d{6}$/), fc.stringMatching(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/), fc.string()),
    more: fc.anything(),
  },
  { requiredKeys: [] },
);
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('bytes' as const), name, bytes: fc.uint8Array({ maxLength: 4096 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('link', 'second name', 'fifo', 'folder', 'full folder'), name }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('like' as const), request: requestLike }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('ask' as const), request: requestLike }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('jump' as const), ms: fc.integer({ min: -year, max: year }) }),
  },
  // Just what a person does, with the clock right, but for the code.
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('try' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What each verb has; a request that the bot could write, whatever its words are. */
const members: Readonly<Record<string, readonly string[]>> = {
  ...{ list: ['target'], restore: ['target'], runbook: ['target'], backup: ['target'], drill: ['target'] },
  ...{ cancel: ['operation'], confirm: ['operation', 'code'] },
};

describe('whatever lies in the folder of the bot', { timeout: 600_000 }, () => {
  it('does the runner no harm, and begins nothing without a right code', async (t) => {
    const stand = await phoneStand(t);
    const { phone, ask, confirm } = answering(t, stand);
    const runs = join(stand.place.state, 'runs');
    const seen: Record<string, number> = {};
    let update = 1000;

    function at(named: string | Buffer): Buffer {
      const bytes = Buffer.from(named);
      const safe = bytes.map((byte) => (byte === 0x2f ? 0x5f : byte)).subarray(0, 200);
      const isDots = /^\.{1,2}$/.test(Buffer.from(safe).toString('latin1'));
      return Buffer.concat([Buffer.from(`${stand.requests}/${isDots ? 'x' : ''}`), safe]);
    }

    function requestOf(like: Record<string, unknown>, id: unknown): Record<string, unknown> {
      const times: Readonly<Record<string, number>> = { now: 0, late: -2 * minute, soon: 2 * minute };
      const off = times[String(like.sentMs)];
      const sentMs = off === undefined ? like.sentMs : stand.now() + off;
      const operation = like.operation === 'asked' ? (stand.asked() ?? null) : like.operation;
      const made: Record<string, unknown> = { ...like, id, sentMs, operation };
      // That somebody guesses a right one is not what is tried here.
      const right = [-2, -1, 0, 1, 2].map((away) => stand.code(away));
      return right.includes(String(made.code)) ? { ...made, code: '12345x' } : made;
    }

    function put(each: Exclude<Step, { kind: 'try' }>): void {
      if (each.kind === 'jump') {
        stand.shiftMs += each.ms;
        return;
      }
      if (each.kind === 'like') {
        writeFileSync(at(`u${update++}.json`), JSON.stringify(requestOf(each.request, each.request.id)));
        return;
      }
      if (each.kind === 'ask') {
        const id = `u${update++}`;
        const { user = 123456, target = 'dev', operation = 'asked', verb, ...rest } = each.request;
        const code = /^\d{6}$/.test(String(rest.code)) ? rest.code : '000000';
        const sentMs = rest.sentMs === 'late' ? 'late' : 'now';
        const whole = requestOf({ sentMs, operation, code }, id);
        // A backup of what there is would be made.
        const words = { ...whole, target: verb === 'backup' || verb === 'drill' ? 'nothing' : target };
        const own = Object.entries(words).filter(([key]) => members[String(verb)]?.includes(key));
        writeFileSync(
          at(`${id}.json`),
          JSON.stringify({ id, user, sentMs: whole.sentMs, verb, ...Object.fromEntries(own) }),
        );
        return;
      }
      const path = at(each.name);
      rmSync(path, { recursive: true, force: true });
      if (each.kind === 'bytes') writeFileSync(path, each.bytes);
      else if (each.kind === 'link') symlinkSync(stand.emergency.secretFile, path);
      else if (each.kind === 'second name') linkSync(stand.emergency.usersFile, path);
      else if (each.kind === 'fifo') execFileSync('mkfifo', ['--', path.toString('latin1')]);
      else {
        mkdirSync(path);
        if (each.kind === 'full folder') writeFileSync(Buffer.concat([path, Buffer.from('/in')]), 'x');
      }
    }

    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        for (const each of steps) {
          if (each.kind === 'try') {
            stand.shiftMs = 0;
            await ask({ verb: 'restore', target: 'dev' });
            await confirm(stand.code(10));
          } else put(each);
          seen[each.kind] = (seen[each.kind] ?? 0) + 1;
          if (update % 2 !== 0) continue;
          await phone.tick();
          await phone.resolving();
        }
        await phone.tick();
        await phone.resolving();
        const operations = readdirSync(join(stand.place.state, 'emergency', 'operations')).map(
          (file) =>
            JSON.parse(readFileSync(join(stand.place.state, 'emergency', 'operations', file), 'utf8')) as {
              state: string;
              startMs: number | null;
            },
        );
        assert.ok(operations.every(({ state, startMs }) => startMs === null && !/waiting|running/.test(state)));
        // Each was taken, but for what cannot be: names that are none, and folders with something in them.
        const left = readdirSync(stand.requests, { withFileTypes: true }).filter(
          (entry) => /^u\d{1,16}\.json$/.test(entry.name) && !entry.isDirectory(),
        );
        assert.deepEqual(left, []);
        execFileSync('find', [stand.requests, '-mindepth', '1', '-delete']);
        unlockGuard(stand.place);
      }),
      { numRuns: 200 },
    );
    assert.equal(existsSync(runs), false);
    assert.ok(Object.keys(seen).length >= 9, JSON.stringify(seen));
    const [asked, tried] = ['a restore was asked for', 'a code was tried'].map(
      (text) => phone.log.filter((line) => line.includes(text)).length,
    );
    assert.ok((asked ?? 0) > 10 && (tried ?? 0) > 2, `${asked} restores, ${tried} codes`);
    assert.deepEqual([notesOf(stand.root), notesOf(stand.prod)], ['the second state\n', 'the second state\n']);
    assert.deepEqual(
      phone.log.filter((line) => / error /.test(line)),
      [],
    );
    // And it does what it is for.
    stand.shiftMs = 0;
    await ask({ verb: 'cancel', operation: null });
    stand.shiftMs = 61 * minute;
    // What it knows of the clock is told elsewhere.
    rmSync(join(stand.place.state, 'clock.json'), { force: true });
    await ask({ verb: 'restore', target: 'dev' });
    await confirm();
    await phone.tick();
    await phone.working();
    assert.equal(notesOf(stand.root), 'the first state\n');
  });
});
