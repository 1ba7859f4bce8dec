import { Fault } from '../base/fault.ts';
import type { Answer, AnswerBody } from '../events/answer.ts';
import { isSteppedUp } from '../events/capability.ts';
import type { Principal } from '../events/principal.ts';
import { approvesByCode } from '../events/scope.ts';
import type { RequireProof } from './confirmation.ts';
import { actingName, mayApprove, notAnApprover } from './permission.ts';
import { alreadyResolved, asksNothing, noSuchEvent, quoted } from './refusals.ts';
import type { Answered, Store } from './store/store.ts';

/** What judges an answer. */
export type Answering = { store: Pick<Store, 'answer' | 'event'>; requireProof: RequireProof };

/** An answer that counts. */
export type GivenAnswer = { response: string; responder: string; via: string; responded_at: string };

/**
 * Answers a question in the name of whoever calls, with the rights that they have at this moment. Exactly one answer counts.
 * @throws Fault why this one does not
 */
export async function answerQuestion(
  { store, requireProof }: Answering,
  id: string,
  { response, responder: named, via, payload_hash, reason, proof }: AnswerBody,
  principal: Principal,
): Promise<GivenAnswer> {
  const responder = actingName(principal, named, 'responder') ?? 'human';
  const question = proof || approvesByCode(principal) ? await store.event(id) : undefined;
  // What it asks never changes. A no is always let through: nothing is done then.
  const takesCode = question?.human_state === 'open' && isSteppedUp(question) && response !== question.human_fallback;
  if (takesCode) requireProof(proof, { question: id, payload_hash: question.payload_hash, person: responder });
  const answer: Answer = {
    response,
    responder,
    via: via ?? 'http',
    payloadHash: payload_hash ?? null,
    mayApprove: mayApprove(principal, responder),
    reason: reason ?? null,
    confirmedBy: takesCode ? 'code' : null,
  };
  const answered = await store.answer(id, answer);
  if (answered.kind !== 'answered') throw refusal(id, answer, answered, principal);
  return { response, responder, via: answer.via, responded_at: answered.resolution.resolved_at };
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
