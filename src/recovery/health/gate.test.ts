import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type Answer, askEndpoint, isWell, passGate } from './gate.ts';

const one = { name: 'web', url: 'http://127.0.0.1:1/health' };

/** Answers in turn; the last one for ever. */
function answers(...given: readonly Answer[]): () => Promise<Answer> {
  let at = 0;
  return async () => given[Math.min(at++, given.length - 1)] as Answer;
}

suite('health gate', () => {
  test('passes after as many good answers in a row as are wanted', async () => {
    const passes: number[] = [];
    const result = await passGate(
      { endpoints: [one], withinSeconds: 5, consecutive: 3 },
      {
        everyMs: 1,
        ask: answers('does not answer: ECONNREFUSED', 503, 200, 200, 500, 200, 204, 302),
        tell: (n) => passes.push(n),
      },
    );
    assert.equal(result.kind, 'healthy');
    assert.deepEqual(passes, [0, 0, 1, 2, 0, 1, 2, 3]);
  });

  test('refuses one that flaps, and says what it answered', async () => {
    let n = 0;
    const result = await passGate(
      { endpoints: [one], withinSeconds: 0.05, consecutive: 2 },
      { everyMs: 1, ask: async () => (n++ % 2 === 0 ? 200 : 503) },
    );
    assert.equal(result.kind, 'unhealthy');
    assert.match(result.kind === 'unhealthy' ? result.says : '', /web \(http:\/\/127\.0\.0\.1:1\/health\) answers 503/);
  });

  test('wants every endpoint to be well at the same time', async () => {
    const two = { name: 'database', url: 'http://127.0.0.1:2/' };
    const ask = async (url: string) => (url === two.url ? 'does not answer: ECONNREFUSED' : 200);
    const result = await passGate({ endpoints: [one, two], withinSeconds: 0.02, consecutive: 1 }, { everyMs: 1, ask });
    assert.deepEqual(result, {
      kind: 'unhealthy',
      says: 'It was not well within 0.02 s: database (http://127.0.0.1:2/) does not answer: ECONNREFUSED.',
    });
  });

  test('never passes without a run of good answers, whatever the answers are', async () => {
    const answer = fc.oneof(fc.constantFrom(199, 200, 204, 399, 400, 500), fc.constant('does not answer'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(answer, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        async (given, consecutive) => {
          const script = [...given, 500];
          const result = await passGate(
            { endpoints: [one], withinSeconds: 0.02, consecutive },
            { everyMs: 0.1, ask: answers(...script) },
          );
          let [run, longest] = [0, 0];
          for (const each of script) {
            run = isWell(each) ? run + 1 : 0;
            longest = Math.max(longest, run);
          }
          if (result.kind === 'healthy') assert.ok(longest >= consecutive);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('asks a real server: its status, its silence, its absence', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/silent') return;
      response
        .writeHead(request.url === '/ok' ? 200 : request.url === '/moved' ? 301 : 500, { location: '/ok' })
        .end('x');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      assert.deepEqual(
        await Promise.all([`${base}/ok`, `${base}/moved`, `${base}/bad`].map((url) => askEndpoint(url))),
        [200, 301, 500],
      );
      assert.equal(await askEndpoint(`${base}/silent`, 50), 'does not answer within 1 s');
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    assert.match(String(await askEndpoint(`${base}/ok`)), /does not answer: .*ECONNREFUSED/);
  });
});
