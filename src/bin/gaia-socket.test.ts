import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { failureOf, type GaiaEnd } from '../agents/gaia-end.ts';
import { answerOne, askGaia } from './gaia-socket.ts';

const never = new AbortController().signal;
const fine: GaiaEnd = { exit: 0, stdout: '{"backups":[]}\n', stderr: '' };

/** A socket as systemd makes it: each connection has one who answers. */
async function listening(
  t: TestContext,
  run: (words: readonly string[], signal: AbortSignal) => Promise<GaiaEnd> = async () => fine,
) {
  const folder = mkdtempSync(join(tmpdir(), 'gaia-socket-'));
  const path = join(folder, 'gaia.sock');
  const answered: Promise<void>[] = [];
  const server = createServer({ allowHalfOpen: true }, (line) => {
    line.on('error', () => undefined);
    answered.push(answerOne(line, line, run));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });
  return { path, answered };
}

describe('GAIA behind a socket', () => {
  it('is asked, and what she says comes back whole', async (t) => {
    const asked: (readonly string[])[] = [];
    const end = { exit: 9, stdout: `{"x":"${'ü'.repeat(100_000)}"}\n`, stderr: 'a\nb' };
    const { path } = await listening(t, async (words) => {
      asked.push(words);
      return end;
    });
    assert.deepEqual(await askGaia(path, ['list', '--target', 'dev', '--json'], never), end);
    assert.deepEqual(asked, [['list', '--target', 'dev', '--json']]);
  });

  it('does nothing that is not on the list, and says so', async (t) => {
    const { path } = await listening(t, async () => assert.fail('it was run'));
    const end = await askGaia(path, ['restore', 'dev', '--identity', 'x'], never);
    assert.equal(end.exit, 3);
    assert.match(JSON.stringify(failureOf(end)), /"forbidden".*does not do this for an agent/);
  });

  for (const nonsense of ['\n', '{}\n', 'null\n', '{"words":"list"}\n', '[]\n', 'x'.repeat(70_000)])
    it(`runs nothing for ${JSON.stringify(nonsense.slice(0, 20))}`, async (t) => {
      const { path } = await listening(t, async () => assert.fail('it was run'));
      const line = connect(path);
      line.write(nonsense);
      let answer = '';
      for await (const part of line.setEncoding('utf8')) answer += part;
      assert.match(answer, /"exit":[23],.*error/);
    });

  it('ends for the word of the agent, and the agent knows it', async (t) => {
    const stop = new AbortController();
    const { path } = await listening(t, (_, signal) => {
      const ended = Promise.withResolvers<GaiaEnd>();
      signal.addEventListener('abort', () => ended.reject(signal.reason));
      stop.abort(new Error('stopped'));
      return ended.promise;
    });
    await assert.rejects(askGaia(path, ['backup', 'dev'], stop.signal), /stopped/);
  });

  it('reads no more of what goes on without an end, and does what was asked for', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const begun = Promise.withResolvers<void>();
    const through = Promise.withResolvers<GaiaEnd>();
    const answered = answerOne(input, output, () => {
      begun.resolve();
      return through.promise;
    });
    input.write('{"words":["list"]}\n');
    await begun.promise;
    for (let n = 0; n < 64; n++) input.write('x'.repeat(64 * 1024));
    await new Promise(setImmediate);
    assert.equal(input.isPaused(), true);
    assert.ok(
      input.readableLength + input.writableLength > 60 * 64 * 1024,
      'it lies where the sender must wait for it',
    );
    through.resolve(fine);
    await answered;
    assert.deepEqual(JSON.parse(String(output.read())), fine);
  });

  it('goes on when the agent is killed', async (t) => {
    const begun = Promise.withResolvers<AbortSignal>();
    const through = Promise.withResolvers<GaiaEnd>();
    const { path, answered } = await listening(t, (_, signal) => {
      begun.resolve(signal);
      return through.promise;
    });
    const line = connect(path);
    line.write('{"words":["backup","dev"]}\n');
    const signal = await begun.promise;
    line.destroy();
    await new Promise((resolve) => line.once('close', resolve));
    through.resolve(fine);
    await answered[0];
    assert.equal(signal.aborted, false);
  });

  it('is told as a failure that may pass, where nobody listens or the answer is cut off', async (t) => {
    const nobody = await askGaia('/nowhere/gaia.sock', ['list'], never);
    assert.equal(failureOf(nobody).code, 'unavailable');
    assert.match(failureOf(nobody).says, /cannot be asked at \/nowhere\/gaia\.sock: .*ENOENT/);
    const folder = mkdtempSync(join(tmpdir(), 'gaia-socket-'));
    const server = createServer((line) => line.on('data', () => line.destroy()));
    t.after(() => {
      server.close();
      rmSync(folder, { recursive: true });
    });
    await new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve));
    assert.deepEqual(await askGaia(join(folder, 's'), ['list'], never), { exit: null, stdout: '', stderr: '' });
  });
});
