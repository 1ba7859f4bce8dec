import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault, type FaultCode } from '../base/fault.ts';
import { problemOf, problemOfThrown } from './problem.ts';

describe('problems', () => {
  const statuses: [FaultCode, number][] = [
    ['malformed', 400],
    ['asks-nothing', 400],
    ['forbidden', 403],
    ['not-found', 404],
    ['already-resolved', 409],
    ['conflict', 409],
    ['cursor-invalid', 410],
    ['too-large', 413],
    ['unsupported-media-type', 415],
    ['invalid', 422],
    ['usage', 422],
    ['queue-full', 429],
    ['unavailable', 503],
    ['damaged', 503],
    ['storage-full', 507],
  ];
  for (const [code, status] of statuses)
    it(`${code} is HTTP ${status}`, () => {
      const problem = problemOf(new Fault(code, 'This failed.'));
      assert.equal(problem.status, status);
      assert.equal(problem.body.status, status);
      assert.equal(problem.body.type, `urn:leveredge:problem:${code}`);
      assert.equal(problem.body.detail, 'This failed.');
      assert.ok(problem.body.title);
    });

  it('carry hint, mistakes and further members, none of which replaces a standard one', () => {
    const mistakes = [{ pointer: '/a', detail: 'is wrong' }];
    const { body } = problemOf(
      new Fault('invalid', 'No.', { hint: 'Try.', mistakes, extra: { options: [1], status: 1 } }),
    );
    assert.deepEqual(body.errors, mistakes);
    assert.equal(body.hint, 'Try.');
    assert.deepEqual(body.options, [1]);
    assert.equal(body.status, 422);
  });

  it('say when to try again', () => {
    assert.equal(problemOf(new Fault('queue-full', 'Full.')).headers['retry-after'], '1');
  });

  it('keep the 4xx of the framework, and tell nothing of our own mistakes', () => {
    assert.equal(problemOfThrown(Object.assign(new Error('bad length'), { statusCode: 400 }))?.status, 400);
    for (const thrown of [
      new TypeError('x'),
      Object.assign(new Error('x'), { statusCode: 500 }),
      undefined,
      'text',
      null,
    ])
      assert.equal(problemOfThrown(thrown), undefined);
  });
});
