import { Fault } from '../base/fault.ts';
import { callQueueOf, type Risk } from '../events/capability.ts';
import type { Bearer, Principal, ScopeKind } from '../events/principal.ts';
import { allows, isAdmin, mayCall, mayPublish } from '../events/scope.ts';
import { quoted } from './refusals.ts';

/**
 * Refuses a call of a kind that the token does not allow. An agent's own inbox may be read with `ack:self` too.
 * @throws Fault `forbidden`, with the scope that is missing in the member `needs`
 */
export function requireKind(principal: Bearer, needs: ScopeKind | null, agent: string | undefined): void {
  if (needs === null || allows(principal, needs)) return;
  if (needs === 'read' && isOwn(principal, agent) && allows(principal, 'ack')) return;
  throw missing(principal, needs === 'ack' ? 'ack:self' : needs);
}

/**
 * Refuses to take, acknowledge or read for another agent than the one whose token it is. Without a token, which loopback
 * lets in, anybody's.
 * @throws Fault `forbidden`
 */
export function requireOwn(principal: Principal, agent: string): void {
  if (principal.kind === 'anonymous' || isOwn(principal, agent) || isAdmin(principal)) return;
  throw new Fault('forbidden', `The token of ${quoted(principal.name)} cannot act for the agent ${quoted(agent)}.`, {
    hint: 'Each agent has a token of its own; in the name of others only a token with the scope admin acts.',
    extra: { needs: 'admin' },
  });
}

/** An agent's own queue, or the one that its calls come from. */
export const isOwn = ({ name }: Bearer, agent: string | undefined) => agent === name || agent === callQueueOf(name);

/**
 * Refuses an event that this token may not publish: in another's name, of an action that none of its patterns matches,
 * or a question without `ask`.
 * @throws Fault `forbidden`
 */
export function requireMayPublish(
  principal: Principal,
  draft: { source_agent: string; action: string; requires_human?: boolean | null | undefined },
): void {
  if (principal.kind === 'anonymous') return;
  actingName(principal, draft.source_agent, 'source_agent');
  const { action } = draft;
  if (!mayPublish(principal, action))
    throw new Fault(
      'forbidden',
      `The token of ${quoted(principal.name)} may not publish ${quoted(action)}: none of its scopes says so.`,
      {
        hint: `It needs the scope publish:${action}, or a pattern that matches.`,
        extra: { needs: `publish:${action}` },
      },
    );
  if (draft.requires_human && !allows(principal, 'ask')) throw missing(principal, 'ask');
}

/** Refuses a call of a capability that the token does not allow. @throws Fault `forbidden` */
export function requireMayCall(principal: Principal, capability: { name: string; risk: Risk }): void {
  if (principal.kind === 'anonymous' || mayCall(principal, capability)) return;
  const { name, risk } = capability;
  throw new Fault('forbidden', `The token of ${quoted(principal.name)} may not call ${name}, which is ${risk}.`, {
    hint: `It needs the scope call:${name}, or a pattern that matches.`,
    extra: { needs: `call:${name}` },
  });
}

/**
 * In whose name a call acts: the token's. A body may leave it out or say the same; another name only an admin may give.
 * Undefined when there is neither token nor name.
 * @throws Fault `forbidden`
 */
export function actingName(
  principal: Principal,
  given: string | null | undefined,
  field: 'source_agent' | 'responder' | 'cancelled_by',
): string | undefined {
  if (principal.kind === 'anonymous') return given ?? undefined;
  if (given == null || given === principal.name) return principal.name;
  if (isAdmin(principal)) return given;
  throw new Fault('forbidden', `The token of ${quoted(principal.name)} cannot act in the name of ${quoted(given)}.`, {
    hint: `Give ${quoted(principal.name)} as ${field}, or use the token of ${quoted(given)}.`,
  });
}

/** Whether an answer under this name may be an approval: a person's own, by a token that says so. */
export function mayApprove(principal: Principal, responder: string): boolean {
  return principal.kind === 'person' && principal.name === responder && allows(principal, 'approve');
}

/** Why an answer to a question with a `payload_hash` does not count: it is an approval, and those need a person's token. */
export function notAnApprover(principal: Principal, responder: string): Fault {
  const is = 'This question is an approval, because it has a payload_hash';
  if (principal.kind === 'anonymous')
    return new Fault('forbidden', `${is}; only a person with a token may answer it, also on this machine.`, {
      hint: 'The owner’s token lies in shared/credentials/owner.token in the home; for others: leveredge token create NAME --kind person --scope approve',
      extra: { needs: 'approve' },
    });
  const whose = `the token of ${quoted(principal.name)}`;
  if (principal.kind !== 'person')
    return new Fault('forbidden', `${is}; ${whose} is no person’s, and only persons approve.`, {
      hint: 'Let a person answer with a token of their own: leveredge token create NAME --kind person --scope approve',
      extra: { needs: 'approve' },
    });
  if (responder !== principal.name)
    return new Fault('forbidden', `${is}; ${whose} approves in no other name, such as ${quoted(responder)}.`, {
      hint: 'Leave responder out.',
    });
  return missing(principal, 'approve');
}

function missing(principal: Bearer, needs: string): Fault {
  return new Fault('forbidden', `The token of ${quoted(principal.name)} may not do this: it has no scope ${needs}.`, {
    hint: `Its scopes: ${principal.scopes.join(', ')}. A new one: leveredge token create NAME --kind KIND --scope ${needs.replace(/^publish$/, 'publish:PATTERN')}`,
    extra: { needs },
  });
}
