import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type CloudEvent, cloudEventOf, parseCloudEvent } from './cloud-event.ts';
import type { Draft } from './draft.ts';
import type { Event } from './event.ts';

const bare = { specversion: '1.0' as const, id: 'x', source: '/agents/A', type: 'b' };

/** An event as the log has it, with these fields. */
function eventOf(draft: Partial<Draft>): Event {
  const absent = {
    ...{ target: null, details: null, source_workflow_id: null, source_execution_id: null, correlation_id: null },
    ...{ causation_id: null, traceparent: null, tags: [], requires_human: false, human_question: null },
    ...{ human_options: null, human_timeout_minutes: null, human_fallback: null, free_text: false, answerers: null },
    ...{ payload_hash: null, human_state: null, human_response: null, timestamp: '2026-01-16T10:30:00.000Z' },
  };
  return { id: 'x', source_agent: 'A', action: 'b', bookmark: 'e.1', ...absent, ...draft } as unknown as Event;
}

describe('a CloudEvent', () => {
  it('of an event is that event again, whatever is in its fields', () => {
    const name = fc.string({ minLength: 1, maxLength: 12 });
    const tricky = fc.oneof(name, fc.constantFrom('a,b', '[a', ' a', 'a ', '"', '\\', 'true', '7', '%41', 'é/ü?#'));
    const draft = fc.record(
      {
        source_agent: tricky,
        action: tricky,
        target: tricky,
        details: fc.dictionary(fc.string(), fc.constantFrom(1, 'x', null, [])),
        source_workflow_id: tricky,
        source_execution_id: tricky,
        correlation_id: tricky,
        causation_id: tricky,
        traceparent: tricky,
        tags: fc.array(tricky, { minLength: 1, maxLength: 4 }),
        requires_human: fc.constant(true),
        human_question: tricky,
        human_options: fc.array(tricky, { minLength: 1, maxLength: 4 }),
        human_timeout_minutes: fc.constantFrom(0, 5, 0.25),
        human_fallback: tricky,
        free_text: fc.constant(true),
        answerers: fc.array(tricky, { minLength: 1, maxLength: 4 }),
        payload_hash: tricky,
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(draft, (fields) => {
        const { bookmark, ...cloudEvent } = cloudEventOf(eventOf(fields as Partial<Draft>));
        const inHeaders = Object.fromEntries(
          Object.entries(cloudEvent).map(([key, value]) => [key, key === 'data' ? value : String(value)]),
        );
        for (const each of [JSON.parse(JSON.stringify(cloudEvent)), inHeaders]) {
          const { value } = parseCloudEvent(each);
          const expected = { id: 'x', source_agent: 'A', action: 'b', ...fields };
          assert.deepEqual(JSON.parse(JSON.stringify(value)), JSON.parse(JSON.stringify(expected)));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('leaves out what the event has not', () => {
    assert.deepEqual(Object.keys(cloudEventOf(eventOf({ target: '' }))).sort(), [
      ...['bookmark', 'id', 'source', 'specversion', 'time', 'type'],
    ]);
  });

  it('keeps empty data apart from none', () => {
    assert.deepEqual(cloudEventOf(eventOf({ details: {} })).data, {});
    assert.deepEqual(parseCloudEvent({ ...bare, data: {} }).value.details, {});
    for (const data of [null, undefined]) assert.equal(parseCloudEvent({ ...bare, data }).value.details, undefined);
  });

  it('takes an attribute that is null as one that is not there', () => {
    const { value, warnings } = parseCloudEvent({ ...bare, subject: null, tags: null, foo: null });
    assert.deepEqual([{ ...value }, warnings], [{ id: 'x', source_agent: 'A', action: 'b' }, []]);
  });

  it('warns of at most twenty attributes', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`ext${i}`, i]));
    assert.equal(parseCloudEvent({ ...bare, ...many }).warnings.length, 20);
  });

  it('says what is odd about a question in its own words for where', () => {
    const question = { ...bare, requireshuman: true, humanoptions: 'a,a' } satisfies Partial<CloudEvent>;
    assert.deepEqual(
      parseCloudEvent(question).warnings.map(({ pointer }) => pointer),
      ['/humanquestion', '/humanoptions'],
    );
  });
});
