import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../base/fault.ts';
import { defaultSubscriptions } from '../../events/defaults.ts';
import { anEvent } from '../agent.fixtures.ts';
import { chronos } from './chronos.ts';
import type { BackupOutcome } from './gaia-backup.ts';

const madeIt: BackupOutcome = { kind: 'made', details: { backup: 'dev-1', state: 'sound' } };
const failure = (mayPass: boolean): BackupOutcome => ({
  kind: 'failed',
  mayPass,
  details: { exit: 1, code: 'x', says: 'No room.' },
});
const never = new AbortController().signal;

/** A GAIA that answers in the given order, and time that passes only while somebody sleeps. */
function at(outcomes: BackupOutcome[], targets: () => string[] = () => ['dev', 'prod']) {
  const asked: string[] = [];
  let slept = 0;
  const agent = chronos({
    targets,
    async backUp(target, cause) {
      asked.push(`${target} for ${cause}`);
      return outcomes.shift() ?? madeIt;
    },
    gaia: () => assert.fail('GAIA is not called for this'),
    async sleep(ms, signal) {
      signal.throwIfAborted();
      slept += ms;
    },
  });
  return { agent, asked, slept: () => slept };
}

describe('CHRONOS', () => {
  it('hears what the bus gives it by default', () => {
    const own = defaultSubscriptions.filter((each) => each.agent === 'CHRONOS');
    const byDefault = Object.fromEntries(own.map((each) => [each.pattern, each.priority]));
    assert.deepEqual(at([]).agent.hears, byDefault);
  });

  it('backs up the target of an announced change, and says so', async () => {
    const { agent, asked } = at([madeIt]);
    const { says, end } = await agent.react(anEvent({ id: 'e1', target: 'dev' }), never);
    assert.deepEqual(asked, ['dev for e1']);
    assert.deepEqual(says, [{ action: 'backup_completed', target: 'dev', details: madeIt.details }]);
    assert.deepEqual(end, { kind: 'done' });
  });

  it('says why it has nothing to back up, and asks nobody for what is no target', async () => {
    for (const target of [null, '', 'web', 'full', '--only', 'DEV']) {
      const { agent, asked } = at([]);
      const { says, end } = await agent.react(anEvent({ target }), never);
      assert.deepEqual([says[0]?.action, end.kind, asked], ['backup_skipped', 'done', []]);
    }
  });

  it('waits while another run works on the backups', async () => {
    const locked: BackupOutcome = { kind: 'locked', says: 'Another run.' };
    const { agent, asked, slept } = at([locked, locked, madeIt]);
    assert.equal((await agent.react(anEvent(), never)).end.kind, 'done');
    assert.equal(asked.length, 3);
    assert.equal(slept(), 4000);
  });

  it('gives it back when another run never ends, and lets go when it is stopped', async () => {
    const locked: BackupOutcome = { kind: 'locked', says: 'Another run.' };
    const { agent } = at(Array.from({ length: 1800 }, () => locked));
    const { says, end } = await agent.react(anEvent(), never);
    assert.deepEqual([says, end], [[], { kind: 'again', because: 'Another run.', afterSeconds: 60 }]);
    const stopped = AbortSignal.abort(new Error('stopped'));
    await assert.rejects(at([locked]).agent.react(anEvent(), stopped), /stopped/);
  });

  it('says a failure at once, and tries again only where that may help', async () => {
    for (const [mayPass, kind] of [[true, 'again'] as const, [false, 'never'] as const]) {
      const { says, end } = await at([failure(mayPass)]).agent.react(anEvent(), never);
      const [said] = says;
      assert.deepEqual(
        [said?.action, said?.details.says, said?.details.tries_again],
        ['backup_failed', 'No room.', mayPass],
      );
      assert.ok(end.kind === kind && end.because === 'No room.');
    }
    const { says, end } = await at([{ kind: 'ended' }]).agent.react(anEvent(), never);
    assert.deepEqual([says, end.kind], [[], 'again']);
  });

  it('fails for good with a configuration that is missing or wrong', async () => {
    const { agent } = at([], () => {
      throw new Fault('not-found', 'There is no configuration.');
    });
    const { says, end } = await agent.react(anEvent(), never);
    assert.deepEqual(
      [says[0]?.action, end],
      ['backup_failed', { kind: 'never', because: 'There is no configuration.' }],
    );
  });
});
