import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import type { JsonObject } from '../../base/json.ts';
import type { CapabilityCall } from '../../client/capability-calls.ts';
import { defaultSubscriptions } from '../../events/defaults.ts';
import type { Refusal } from '../../recovery/restore/plan.ts';
import { anEvent } from '../agent.fixtures.ts';
import type { GaiaEnd } from '../gaia-end.ts';
import { hades } from './hades.ts';

const never = new AbortController().signal;
const call = { id: 'c1', askedBy: { kind: 'person', name: 'anna' } as const, signal: never };
const failure = (fields: Parameters<typeof anEvent>[0] = {}) =>
  anEvent({ id: 'e1', action: 'deploy_failed', target: 'dev', ...fields });

const plan = {
  ...{ target: 'dev', backup: { name: 'dev-1', created_at: '2026-11-29T03:15:00.000Z' }, files: 2, bytes: 355 },
  ...{
    databases: [],
    replaces: ['/srv/dev'],
    stops: [],
    warnings: [],
    refusals: [],
    hash: 'p1',
    confirmation: 'not shown',
  },
};
/** As GAIA says why she would not do it. */
const refusal = (says: string): Refusal => ({ code: 'conflict', says, hint: 'Stop it.' });
const outcome = { outcome: 'committed', says: 'Restored.', run: 'r1', health: 'well', aside: ['/srv/dev.before'] };
const ended = (exit: number | null, result?: JsonObject, error?: JsonObject): GaiaEnd => ({
  exit,
  stdout: result === undefined ? '' : `${JSON.stringify(result)}\n`,
  stderr: error === undefined ? '' : `a note\n${JSON.stringify({ error })}\n`,
});
const locked = ended(6, undefined, { code: 'locked', message: 'Another run works on these backups.' });

type Called = { name: string; args: JsonObject; options: CapabilityCall | undefined };

/** A GAIA that ends in the given ways, and a bus with these questions. */
function stand({ ends = [] as GaiaEnd[], pending = [] as object[], refused = undefined as Fault | undefined } = {}) {
  const words: string[][] = [];
  const calls: Called[] = [];
  let slept = 0;
  const agent = hades({
    targets: () => ['dev', 'prod'],
    gaia: async (given) => {
      words.push([...given]);
      return ends.shift() ?? assert.fail('GAIA is not called for this');
    },
    async sleep(ms, signal) {
      signal.throwIfAborted();
      slept += ms;
    },
    client: {
      event: async () => ({}) as never,
      pending: async () => ({ pending, count: pending.length, next: null }) as never,
      callCapability: async (name, args, options) => {
        calls.push({ name, args, options });
        if (refused !== undefined) throw refused;
        return {} as never;
      },
    },
  });
  const offer = (name: string) => agent.offers?.[`hades.${name}`] ?? assert.fail(`nobody offers ${name}`);
  return { agent, words, calls, offer, slept: () => slept };
}

describe('HADES, when something fails', () => {
  it('hears what the bus gives it by default', () => {
    const own = defaultSubscriptions.filter((each) => each.agent === 'HADES');
    const byDefault = Object.fromEntries(own.map((each) => [each.pattern, each.priority]));
    assert.deepEqual(stand().agent.hears, byDefault);
  });

  it('says nothing more of a failure that comes again while it is asked for that', async () => {
    const links: Record<string, string> = { q1: 'c1', c1: 'e1' };
    const question = { id: 'q1', source_agent: 'EVENT-BUS', action: 'hades_rollback_approval', target: 'dev' };
    const client = {
      pending: async () => ({ pending: [question] }),
      event: async (id: string) => ({ id, causation_id: links[id] }),
    };
    const agent = hades({ targets: () => ['dev'], client } as unknown as Parameters<typeof hades>[0]);
    assert.deepEqual(await agent.react(failure(), never), { says: [], end: { kind: 'done' } });
    const { says } = await agent.react(failure({ id: 'e2' }), never);
    assert.deepEqual(
      says.map(({ action }) => action),
      ['rollback_not_asked'],
    );
  });

  it('makes a dead letter at once of what a broken configuration keeps it from', async () => {
    const broken = () => {
      throw new Fault('usage', 'The configuration makes no sense.');
    };
    const agent = hades({ targets: broken } as unknown as Parameters<typeof hades>[0]);
    const { says, end } = await agent.react(failure(), never);
    assert.deepEqual([says, end], [[], { kind: 'never', because: 'The configuration makes no sense.' }]);
  });

  it('calls a rollback of the target that failed, once for each failure and because of it', async () => {
    const { agent, calls } = stand();
    const conclusion = await agent.react(failure(), never);
    assert.deepEqual(conclusion, { says: [], end: { kind: 'done' } });
    const [{ name, args, options } = assert.fail()] = calls;
    assert.deepEqual([name, args], ['hades.rollback', { target: 'dev' }]);
    assert.deepEqual([options?.via, options?.cause, options?.idempotencyKey], ['HADES', 'e1', 'e1']);
    // Else a second failure that follows at once finds no question yet, and asks another.
    assert.ok((options?.waitSeconds ?? 0) > 0, 'it waits for the question');
  });

  it('asks nobody for what is no target, or is of those who bring back', async () => {
    const none = [{ target: null }, { target: '' }, { target: 'web' }, { target: 'DEV' }];
    const own = ['GAIA', 'CHRONOS', 'HADES', 'EVENT-BUS'].map((source_agent) => ({ source_agent }));
    for (const fields of [...none, ...own]) {
      const { agent, calls } = stand();
      assert.deepEqual(await agent.react(failure(fields), never), { says: [], end: { kind: 'done' } });
      assert.deepEqual(calls, [], JSON.stringify(fields));
    }
  });

  it('does not ask again what is asked, and says so', async () => {
    const pending = [{ id: 'q1', source_agent: 'EVENT-BUS', action: 'hades_rollback_approval', target: 'dev' }];
    const { agent, calls } = stand({ pending });
    const { says } = await agent.react(failure(), never);
    const details = { because: 'Whether to roll dev back is asked already.', question: 'q1' };
    assert.deepEqual(says, [{ action: 'rollback_not_asked', target: 'dev', details }]);
    assert.equal(calls.length, 0);
    await agent.react(failure({ target: 'prod' }), never);
    assert.deepEqual(calls[0]?.args, { target: 'prod' });
    for (const other of [{ action: 'hades_undo_approval' }, { target: 'prod' }, { source_agent: 'EVE' }]) {
      const elsewhere = stand({ pending: [{ ...pending[0], ...other }] });
      await elsewhere.agent.react(failure(), never);
      assert.equal(elsewhere.calls.length, 1);
    }
  });

  it('is done with a failure whose rollback cannot be prepared, and tries again when the bus is away', async () => {
    const refused = new Fault('conflict', 'There is no sound backup.', { extra: { call: 'c1' } });
    const { end } = await stand({ refused }).agent.react(failure(), never);
    assert.equal(end.kind, 'done');
    const away = new Fault('unreachable', 'No bus can be reached.');
    await assert.rejects(stand({ refused: away }).agent.react(failure(), never), away);
  });
});

describe('HADES, when it is called', () => {
  it('shows a plan, also one that would be refused, and does nothing', async () => {
    const { offer, words } = stand({
      ends: [ended(0, plan), ended(6, { ...plan, refusals: [refusal('It is in use.')] })],
    });
    assert.deepEqual(await offer('plan').run({ target: 'dev' }, call), {
      ...{ target: 'dev', backup: 'dev-1', created_at: plan.backup.created_at, files: 2, bytes: 355 },
      ...{ replaces: ['/srv/dev'], stops: [], warnings: [], refusals: [], plan: 'p1' },
    });
    const { refusals } = await offer('plan').run({ target: 'dev', backup: 'dev-0' }, call);
    assert.deepEqual(refusals, ['It is in use.']);
    assert.deepEqual(words, [
      ['plan', 'dev', '--json', '--quiet'],
      ['plan', 'dev', '--backup', 'dev-0', '--json', '--quiet'],
    ]);
  });

  it('prepares a rollback to one backup by one plan, and says what a person wants to know', async () => {
    const full = { ...plan, stops: ['web', 'db'], warnings: ['It is old.'] };
    const { offer } = stand({ ends: [ended(0, full)] });
    assert.deepEqual(await offer('rollback').prepare?.({ target: 'dev', plan: 'p1' }, call), {
      arguments: { target: 'dev', backup: 'dev-1', plan: 'p1' },
      says: [
        'It is old.',
        'It was taken 2026-11-29 03:15:00 UTC, and has 2 files of 355 bytes.',
        'It replaces /srv/dev; what is there now is put aside.',
        'Stopped meanwhile: web, db.',
      ],
    });
  });

  it('names the databases that a rollback replaces, and asks also of a backup that does not say when it was taken', async () => {
    const old = { ...plan, backup: { name: 'dev-1', created_at: null }, databases: ['app (service db)'] };
    const { offer } = stand({ ends: [ended(0, old), ended(0, old)] });
    const prepared = await offer('rollback').prepare?.({ target: 'dev' }, call);
    const says = prepared?.says ?? [];
    assert.match(says[0] ?? '', /does not say when it was taken/);
    assert.equal(says[1], 'It replaces /srv/dev, the database app (service db); what is there now is put aside.');
    const shown = await offer('plan').run({ target: 'dev' }, call);
    assert.deepEqual([shown.created_at, shown.replaces], [null, ['/srv/dev', 'the database app (service db)']]);
  });

  it('does not ask for what would be refused, nor for another plan than the one that was looked at', async () => {
    const refusing = stand({ ends: [ended(6, { ...plan, refusals: [refusal('One.'), refusal('Two.')] })] }).offer(
      'rollback',
    );
    await assert.rejects(refusing.prepare?.({ target: 'dev' }, call) as Promise<unknown>, {
      ...{ code: 'conflict', message: 'dev cannot be rolled back now: One. Two.', hint: 'Stop it.' },
    });
    const changed = stand({ ends: [ended(0, plan)] }).offer('rollback');
    await assert.rejects(changed.prepare?.({ target: 'dev', plan: 'p0' }, call) as Promise<unknown>, {
      ...{ code: 'conflict', hint: 'Look at it again: hades.plan' },
    });
    const unknown = stand({ ends: [ended(5, undefined, { code: 'not-found', message: 'No target.', hint: 'dev' })] });
    await assert.rejects(unknown.offer('rollback').prepare?.({ target: 'x' }, call) as Promise<unknown>, {
      ...{ code: 'not-found', message: 'No target.', hint: 'dev' },
    });
    await assert.rejects(stand().offer('undo').prepare?.({ target: 'web' }, call) as Promise<unknown>, {
      code: 'not-found',
    });
  });

  it('prepares to undo the one rollback that is the last now, and no other', async () => {
    const run = { kind: 'restore', target: 'dev', backup: 'dev-1', created_at: '2026-11-29T03:15:00.000Z' };
    const runs = [
      { ...run, id: 'r1', outcome: { kind: 'committed' } },
      { ...run, id: 'r2', kind: 'undo', backup: null, outcome: { kind: 'committed' } },
      { ...run, id: 'r3', outcome: { kind: 'refused' } },
      { ...run, id: 'r4', target: 'prod', outcome: { kind: 'committed' } },
      { ...run, id: 'r5', outcome: null },
    ];
    const { offer, words } = stand({ ends: [ended(9, { runs }), ended(0, { runs }), ended(0, { runs: [] })] });
    assert.deepEqual(await offer('undo').prepare?.({ target: 'dev' }, call), {
      arguments: { target: 'dev', run: 'r2' },
      says: ['That is the undo of 2026-11-29 03:15:00 UTC (r2).', 'What is there now is put aside in turn.'],
    });
    const other = offer('undo').prepare?.({ target: 'dev', run: 'r1' }, call) as Promise<unknown>;
    await assert.rejects(other, { code: 'conflict', message: 'The last run of dev is r2, and not r1.' });
    await assert.rejects(offer('undo').prepare?.({ target: 'dev' }, call) as Promise<unknown>, { code: 'not-found' });
    assert.deepEqual(words, Array(3).fill(['status', '--json', '--quiet']));
  });

  const approved = { target: 'dev', backup: 'dev-1', plan: 'p1' };

  it('does just what was approved, as one run for the call', async () => {
    for (const exit of [0, 9]) {
      const { offer, words } = stand({ ends: [ended(exit, { ...outcome, more: 1 })] });
      const result = await offer('rollback').run(approved, call);
      assert.deepEqual(result, { target: 'dev', ...outcome, backup: 'dev-1' });
      const how = ['--backup', 'dev-1', '--plan', 'p1', '--yes', '--cause', 'c1', '--json', '--quiet'];
      assert.deepEqual(words, [['restore', 'dev', ...how]]);
    }
    const { offer, words } = stand({ ends: [ended(0, outcome)] });
    assert.deepEqual(await offer('undo').run({ target: 'dev', run: 'r1' }, call), { target: 'dev', ...outcome });
    assert.deepEqual(words, [['undo', 'dev', '--run', 'r1', '--yes', '--cause', 'c1', '--json', '--quiet']]);
  });

  it('waits while another run works on the backups', async () => {
    const { offer, words, slept } = stand({ ends: [locked, locked, ended(0, outcome)] });
    assert.equal((await offer('rollback').run(approved, call)).outcome, 'committed');
    assert.equal(words.length, 3);
    assert.ok(slept() > 0);
  });

  it('tells what GAIA says when it was rolled back, and that a signal ended it', async () => {
    const says = 'It did not become healthy, and was rolled back.';
    const back = stand({ ends: [ended(10, { ...outcome, outcome: 'rolled back', says })] });
    await assert.rejects(back.offer('rollback').run(approved, call), { code: 'internal', message: says });
    // What was begun is finished when it is asked for again, but not for ever.
    const killed = stand({ ends: [ended(null), ended(null), ended(null), ended(null)] });
    await assert.rejects(killed.offer('rollback').run(approved, call), { message: 'GAIA was ended by a signal.' });
    assert.equal(killed.words.length, 4);
    const stop = AbortSignal.abort(new Error('stopping'));
    const waiting = stand({ ends: [locked] });
    await assert.rejects(
      waiting.offer('undo').run({ target: 'dev', run: 'r1' }, { ...call, signal: stop }),
      /stopping/,
    );
  });
});
