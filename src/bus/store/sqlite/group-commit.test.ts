import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../../base/fault.ts';
import type { BatchResult, Command, Committed, Outcome } from './commands.ts';
import { groupCommit } from './group-commit.ts';

type Batch = { commands: readonly Command[]; resolve(result: BatchResult): void; reject(error: unknown): void };

const turn = () => new Promise((go) => setImmediate(go));
/** Insists that it has settled, or does within a turn: what is lost would be waited for without end. */
const settled = <T>(promise: Promise<T>): Promise<T> =>
  Promise.race([promise, turn().then(() => assert.fail('it is still waiting'))]);
const write = (n: number): Command => ({ op: 'delete-subscription', id: String(n) });
const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const ids = (commands: readonly Command[]) => commands.map((command) => ('id' in command ? Number(command.id) : -1));

/** A disk that takes one batch at a time, keeps it in order, and is as slow as the test wants. */
function slowDisk() {
  const written: number[] = [];
  const sizes: number[] = [];
  const commits: Committed[] = [];
  let underWay: Batch | undefined;
  const queue = groupCommit(
    (commands) => {
      assert.equal(underWay, undefined, 'one batch at a time');
      sizes.push(commands.length);
      return new Promise((resolve, reject) => {
        underWay = { commands, resolve, reject };
      });
    },
    (committed) => commits.push(committed),
  );
  const take = (): Batch => {
    assert.ok(underWay, 'a batch is under way');
    const batch = underWay;
    underWay = undefined;
    return batch;
  };
  /** Ends the batch under way; each command’s value is its own number, or what `outcome` says. */
  const finish = async (outcome: (n: number) => Outcome = (n) => ({ value: n })) => {
    const { commands, resolve } = take();
    written.push(...ids(commands));
    const counts = {
      ...{ resolved: [], dueAt: null, readyFor: [], endedLeases: [] },
      ...{ openQuestions: 0, openDeliveries: 0, deadLetters: 0 },
    };
    resolve({ outcomes: ids(commands).map(outcome), committed: { head: written.length, ...counts } });
    await turn();
  };
  const fail = async (error: unknown) => {
    take().reject(error);
    await turn();
  };
  return { queue, written, sizes, commits, finish, fail, isIdle: () => underWay === undefined };
}

/** Quicker to fail than a comparison that shows the difference between thousands of numbers. */
function assertCounted(found: readonly unknown[], count: number): void {
  assert.equal(found.length, count);
  assert.equal(
    found.findIndex((n, i) => n !== i),
    -1,
    'in their order',
  );
}

const faultCode = (code: string) => (error: unknown) => error instanceof Fault && error.code === code;

describe('group commit', () => {
  it('commits together what arrives in one turn, in its order', async () => {
    const disk = slowDisk();
    const answers = Promise.all(numbers(3).map((n) => disk.queue.run(write(n))));
    await turn();
    await disk.finish();
    assert.deepEqual(await settled(answers), [0, 1, 2], 'each caller gets the value of its own command');
    assert.deepEqual(disk.sizes, [3]);
  });

  it('lets what arrives meanwhile wait for the next batch', async () => {
    const disk = slowDisk();
    const first = disk.queue.run(write(0));
    await turn();
    const others = Promise.all(numbers(2, 1).map((n) => disk.queue.run(write(n))));
    await turn();
    assert.deepEqual(disk.sizes, [1]);
    await disk.finish();
    assert.equal(await settled(first), 0);
    await disk.finish();
    assert.deepEqual(await settled(others), [1, 2]);
    assert.deepEqual(disk.sizes, [1, 2]);
    assert.ok(disk.isIdle());
  });

  it('spreads what one batch cannot hold over the next ones and loses nothing', async () => {
    const disk = slowDisk();
    const answers = Promise.all(numbers(2500).map((n) => disk.queue.run(write(n))));
    await turn();
    for (let batch = 0; batch < 3; batch++) await disk.finish();
    assert.deepEqual(disk.sizes, [1000, 1000, 500]);
    assertCounted(disk.written, 2500);
    assertCounted(await settled(answers), 2500);
  });

  it('counts the events of a batch, so that no transaction grows beyond its bound', async () => {
    const disk = slowDisk();
    const many = (events: number): Command => ({
      op: 'publish-batch',
      drafts: Array.from({ length: events }, () => null),
      once: null,
    });
    const answers = [600, 400, 1, 1000, 2, 999, 1500].map((events) => disk.queue.run(many(events)));
    await turn();
    while (!disk.isIdle()) await disk.finish();
    assert.deepEqual(disk.sizes, [2, 1, 1, 1, 1, 1], 'a command is never split');
    assert.equal((await settled(Promise.all(answers))).length, 7);
    const full = Promise.all(Array.from({ length: 20 }, () => disk.queue.run(many(1000))));
    await assert.rejects(settled(disk.queue.run(write(0))), faultCode('queue-full'));
    await turn();
    while (!disk.isIdle()) await disk.finish();
    await settled(full);
    const after = disk.queue.run(write(1));
    await turn();
    await disk.finish();
    assert.equal(await settled(after), 1);
  });

  it('counts large events for more, so that neither a transaction nor what waits takes all memory', async () => {
    const disk = slowDisk();
    const draft = { source_agent: 'A', action: 'b', details: 'x'.repeat(250_000) };
    const large: Command = { op: 'publish', draft };
    const many: Command = { op: 'publish-batch', drafts: [draft, null, draft], once: null };
    const answers = numbers(60).map(() => disk.queue.run(large));
    await turn();
    while (!disk.isIdle()) await disk.finish();
    assert.deepEqual(disk.sizes, [32, 28], 'eight megabytes at a time');
    await settled(Promise.all(answers));
    const waiting = numbers(400).map((n) => disk.queue.run(n % 2 ? large : many));
    await assert.rejects(settled(Promise.all(numbers(400).map(() => disk.queue.run(large)))), faultCode('queue-full'));
    await turn();
    while (!disk.isIdle()) await disk.finish();
    await settled(Promise.all(waiting));
  });

  it('tells a sender to come back when 20,000 writes wait, and takes it when there is room', async () => {
    const disk = slowDisk();
    const answers = [disk.queue.run(write(0))];
    await turn();
    for (const n of numbers(20_000, 1)) answers.push(disk.queue.run(write(n)));
    await assert.rejects(settled(disk.queue.run(write(-1))), faultCode('queue-full'));
    await disk.finish();
    answers.push(disk.queue.run(write(20_001)));
    while (!disk.isIdle()) await disk.finish();
    assertCounted(disk.written, 20_002);
    assertCounted(await settled(Promise.all(answers)), 20_002);
  });

  it('refuses one command for its own fault and not its neighbours', async () => {
    const disk = slowDisk();
    const answers = Promise.allSettled(numbers(3).map((n) => disk.queue.run(write(n))));
    await turn();
    const fault = { code: 'conflict', message: 'Too many.', hint: 'Fewer.', mistakes: [] };
    await disk.finish((n) => (n === 1 ? { fault } : { value: n }));
    const [first, second, third] = await settled(answers);
    assert.deepEqual([first?.status, third?.status], ['fulfilled', 'fulfilled']);
    assert.ok(second?.status === 'rejected');
    assert.ok(faultCode('conflict')(second.reason));
    assert.deepEqual([second.reason.message, second.reason.hint], ['Too many.', 'Fewer.']);
  });

  it('rejects everyone in a batch that failed, and goes on with the next', async () => {
    const disk = slowDisk();
    const failing = Promise.allSettled(numbers(2).map((n) => disk.queue.run(write(n))));
    await turn();
    const next = disk.queue.run(write(2));
    await disk.fail(new Error('the thread ended'));
    for (const outcome of await settled(failing))
      assert.ok(outcome.status === 'rejected' && faultCode('unavailable')(outcome.reason));
    await disk.finish();
    assert.equal(await settled(next), 2);
    assert.deepEqual(disk.written, [2]);
    assert.equal(disk.commits.length, 1, 'only what was committed is told');
  });

  it('passes on the Fault a batch failed with', async () => {
    const disk = slowDisk();
    const failing = assert.rejects(disk.queue.run(write(0)), faultCode('storage-full'));
    await turn();
    await disk.fail(new Fault('storage-full', 'The disk is full.'));
    await settled(failing);
    assert.ok(disk.isIdle());
  });

  it('tells of each commit before it answers those who waited for it', async () => {
    const disk = slowDisk();
    const told = disk.queue.run(write(0)).then(() => disk.commits.map(({ head }) => head));
    await turn();
    await disk.finish();
    assert.deepEqual(await settled(told), [1]);
  });
});

describe('draining a group commit', () => {
  it('is done at once when nothing is under way', async () => {
    const disk = slowDisk();
    await settled(disk.queue.drain());
    assert.deepEqual(disk.sizes, []);
  });

  it('waits for everything that was accepted, and refuses what comes after', async () => {
    const disk = slowDisk();
    const order: string[] = [];
    const answers = Promise.all(numbers(1500).map((n) => disk.queue.run(write(n)))).then((values) => {
      order.push('answered');
      return values;
    });
    const drained = Promise.all([disk.queue.drain(), disk.queue.drain()]).then(() => order.push('drained'));
    await assert.rejects(settled(disk.queue.run(write(-1))), faultCode('unavailable'));
    await turn();
    await disk.finish();
    assert.deepEqual(order, [], 'the second batch is still to come');
    await disk.finish();
    assertCounted(disk.written, 1500);
    assertCounted(await settled(answers), 1500);
    await settled(drained);
    assert.deepEqual(order.toSorted(), ['answered', 'drained']);
  });

  it('ends also when the last batch fails', async () => {
    const disk = slowDisk();
    const failing = assert.rejects(disk.queue.run(write(0)), faultCode('unavailable'));
    const drained = disk.queue.drain();
    await turn();
    await disk.fail(new Error('the thread ended'));
    await settled(failing);
    await settled(drained);
  });
});
