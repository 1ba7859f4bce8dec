import { z } from 'zod';
import { Fault } from '../../base/fault.ts';
import { type Answer, answerSchema } from '../../events/answer.ts';
import type { Principal } from '../../events/principal.ts';
import type { Bus } from '../bus.ts';
import { actingName, mayApprove, notAnApprover } from '../permission.ts';
import { alreadyResolved, asksNothing, noSuchEvent, quoted } from '../refusals.ts';
import { bodyOf, type Route, route } from '../route.ts';
import type { Answered } from '../store/store.ts';
import { warningsSchema } from './warnings.ts';

const respondedSchema = z
  .object({
    status: z.literal('responded'),
    response: z.string(),
    responder: z.string(),
    via: z.string(),
    responded_at: z.string().meta({ format: 'date-time' }),
    warnings: warningsSchema,
  })
  .meta({ id: 'Responded' });

/** POST /events/{id}/respond: a person's answer. Exactly one wins; every other is told who did. */
export function respond({ store }: Bus): Route {
  return route({
    method: 'POST',
    path: '/events/{id}/respond',
    operationId: 'respond',
    tag: 'Questions',
    needs: 'answer',
    summary: 'Answer a question',
    description:
      'The first answer before the deadline counts; whoever comes later gets a 409 that says who was first. A question with a payload_hash is an approval: it needs the token of a person with approve, also on loopback, and the answer repeats the hash.',
    params: { id: 'The id of the event that asks' },
    body: bodyOf(answerSchema, 'The answer', { response: 'yes', responder: 'human' }),
    answers: { 200: { description: 'This answer counts', schema: respondedSchema } },
    faults: ['asks-nothing', 'not-found', 'already-resolved', 'conflict'],
    async handle({ params, body, principal }) {
      const id = params.id as string;
      const responder = actingName(principal, body.responder, 'responder') ?? 'human';
      const answer: Answer = {
        response: body.response,
        responder,
        via: body.via ?? 'http',
        payloadHash: body.payload_hash ?? null,
        mayApprove: mayApprove(principal, responder),
      };
      const answered = await store.answer(id, answer);
      if (answered.kind !== 'answered') throw refusal(id, answer, answered, principal);
      const { response, via } = answer;
      return {
        status: 200,
        body: { status: 'responded', response, responder, via, responded_at: answered.resolution.resolved_at },
      };
    },
  });
}

type Refused = Exclude<Answered, { kind: 'answered' }>;

function refusal(id: string, answer: Answer, outcome: Refused, principal: Principal): Fault {
  const who = quoted(answer.responder);
  switch (outcome.kind) {
    case 'unknown':
      return noSuchEvent(id);
    case 'asks-nothing':
      return asksNothing(id);
    case 'already-resolved':
      return alreadyResolved(outcome.resolution);
    case 'not-an-option':
      return notAnOption(answer.response, outcome.options);
    case 'not-an-answerer':
      return new Fault('forbidden', `${who} may not answer this question.`, {
        hint: `It is for ${outcome.answerers.map(quoted).join(', ')}. Say who answers in responder.`,
      });
    case 'self-answer':
      return new Fault('forbidden', `${who} asked this question and cannot answer it.`, {
        hint: 'Somebody else must decide; say who in responder. The asker can take it back with :cancel.',
      });
    case 'needs-approval':
      return notAnApprover(principal, answer.responder);
    case 'payload-missing':
      return new Fault('invalid', 'An approval must say what was shown, and payload_hash is missing.', {
        hint: 'Read the question again, and send with the answer the payload_hash of what was shown.',
        mistakes: [{ pointer: '/payload_hash', detail: 'is missing' }],
      });
    case 'payload-changed':
      return new Fault('conflict', 'What was shown for this answer is not what the question is about.', {
        hint: 'Read the question again, and send with the answer the payload_hash of what was shown.',
      });
  }
}

function notAnOption(response: string, options: readonly string[]): Fault {
  const list = options.map(quoted).join(', ');
  return new Fault('invalid', `${quoted(response)} is none of the answers this question takes: ${list}.`, {
    mistakes: [{ pointer: '/response', detail: `must be one of ${list}` }],
    extra: { options },
  });
}
