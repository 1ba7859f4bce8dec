import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { parseDraft } from './parse.ts';

const fact = { source_agent: 'A', action: 'happened' };
const question = { ...fact, requires_human: true, human_question: 'Shall we?' };

const warnsOf = (input: unknown) => parseDraft(input).warnings.map(({ pointer }) => pointer);

function refusedAt(input: unknown): string[] {
  try {
    parseDraft(input);
  } catch (error) {
    assert.ok(error instanceof Fault);
    assert.equal(error.code, 'invalid');
    return error.mistakes.map(({ pointer }) => pointer);
  }
  return [];
}

describe('a publish', () => {
  const warned: [name: string, input: object, pointers: string[]][] = [
    ['a plain fact', fact, []],
    ['a plain question', question, []],
    ['a field that nobody knows', { ...fact, tagret: 'dev' }, ['/tagret']],
    ['a question without its text', { ...question, human_question: undefined }, ['/human_question']],
    ['an option named twice', { ...question, human_options: ['a', 'a'] }, ['/human_options']],
    [
      'a fallback that no person could give',
      { ...question, human_options: ['yes', 'no'], human_fallback: 'escalate' },
      ['/human_fallback'],
    ],
    [
      'such a fallback beside free text',
      { ...question, human_options: ['yes'], human_fallback: 'escalate', free_text: true },
      [],
    ],
    ['a fallback beside an empty list of options', { ...question, human_options: [], human_fallback: 'no' }, []],
    ['only its asker as answerer', { ...question, answerers: ['a', ' A '] }, ['/answerers']],
    ['its asker among the answerers', { ...question, answerers: ['A', 'ada'] }, []],
    [
      'only its asker, but somebody is told later',
      { ...question, answerers: ['A'], escalation: [{ after_minutes: 1, notify: ['ada'] }] },
      [],
    ],
    [
      'an unknown field in a rung',
      {
        ...question,
        escalation: [
          { after_minutes: 1, notify: ['ada'] },
          { after_minutes: 2, notify: ['ada'], notfy: ['bob'] },
        ],
      },
      ['/escalation/1/notfy'],
    ],
    ['a later delivery', { ...fact, deliver_at: '2030-01-01T00:00:00+02:00' }, []],
    ['a field of questions on a fact', { ...fact, human_fallback: 'no' }, ['/human_fallback']],
  ];
  for (const [name, input, pointers] of warned)
    it(`warns of what is odd: ${name}`, () => assert.deepEqual(warnsOf(input), pointers));

  const refused: [name: string, input: unknown, pointers: string[]][] = [
    ['no object', [], ['']],
    ['nothing', {}, ['/source_agent', '/action']],
    ['the bus’ own name', { ...fact, source_agent: 'EVENT-BUS' }, ['/source_agent']],
    ['a later delivery of a question', { ...question, deliver_at: '2030-01-01T00:00:00Z' }, ['/deliver_at']],
    ...['tomorrow', '2030-01-01', '2030-01-01T00:00:00', '2030-02-30T00:00:00Z', '2030-01-01T25:00:00Z', 1, {}].map(
      (deliver_at): [string, unknown, string[]] => [
        `a delivery at ${JSON.stringify(deliver_at)}`,
        { ...fact, deliver_at },
        ['/deliver_at'],
      ],
    ),
    ['a negative timeout', { ...question, human_timeout_minutes: -1 }, ['/human_timeout_minutes']],
    [
      'a rung at the deadline',
      { ...question, human_timeout_minutes: 5, escalation: [{ after_minutes: 5, notify: ['ada'] }] },
      ['/escalation/0/after_minutes'],
    ],
    ['an id that is a path', { ...fact, id: 'stream' }, ['/id']],
    ['an id of 201 characters', { ...fact, id: 'x'.repeat(201) }, ['/id']],
  ];
  for (const [name, input, pointers] of refused)
    it(`refuses ${name}, and says where`, () => assert.deepEqual(refusedAt(input), pointers));

  it('takes null for left out', () => {
    const nothing = { target: null, details: null, id: null, deliver_at: null, tags: null, requires_human: null };
    assert.deepEqual(warnsOf({ ...fact, ...nothing }), []);
  });
});
