import type { IncomingMessage } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import type { Log } from '../base/log.ts';
import { anonymous, type Bearer, type Principal, type ScopeKind } from '../events/principal.ts';
import { hashOfSecret, isSecret, type Token } from '../events/token.ts';
import type { Auth } from './config.ts';
import { requireKind } from './permission.ts';
import type { Store } from './store/store.ts';
import { makeTokenLimits } from './token-limits.ts';

/**
 * Says who calls, or throws why they may not. At once for those without a token; who has one is looked up. `params`: the
 * path's, decoded.
 */
export type Admit = (
  request: IncomingMessage,
  params: Readonly<Record<string, string>>,
) => Principal | Promise<Principal>;

/** Makes the check for calls of one kind. */
export type Gate = (needs: ScopeKind | null) => Admit;

type GateDeps = { auth: Auth; store: Pick<Store, 'token' | 'noteTokenUsed'>; clock: Clock; log: Log };

/** How exactly it is known when a token was last used. More would be a write for each call. */
const notedEveryMs = 60_000;
/** Tokens whose last use is remembered. Emptied, not grown, beyond this. */
const maxRemembered = 10_000;
const refusedToldEveryMs = 10_000;

/** For what never has a caller of its own: everybody may do everything. */
export const openGate: Gate = () => () => anonymous;

/**
 * The one place where a token is judged. A token that is given must be right, on loopback too; where none is given,
 * `loopback` lets in whoever reached the bus, and `required` only to what needs nothing. The table is asked at each call,
 * so that a revocation counts at once.
 */
export function makeGate({ auth, store, clock, log }: GateDeps): Gate {
  const limits = makeTokenLimits();
  const tellRefused = refusalTeller(clock, log);
  const noted = new Map<string, number>();

  async function bearerOf(authorization: string, from: string | undefined): Promise<Bearer> {
    const now = clock();
    const secret = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
    const token = secret !== undefined && isSecret(secret) ? await store.token(hashOfSecret(secret)) : undefined;
    const judged = secret === undefined ? notBearer() : judge(token, now);
    if (judged instanceof Fault) {
      tellRefused(judged.message, from);
      throw judged;
    }
    limits.take(judged, now);
    noteUse(judged, now);
    return { kind: judged.kind, name: judged.name, scopes: judged.scopes, tokenId: judged.id };
  }

  function noteUse({ id, lastUsedAt }: Token, now: number): void {
    if (now - Math.max(lastUsedAt ?? 0, noted.get(id) ?? 0) < notedEveryMs) return;
    if (noted.size >= maxRemembered) noted.clear();
    noted.set(id, now);
    store.noteTokenUsed(id, now).catch((error: unknown) => {
      // A full disk tells those who write themselves; who reads must not fail for a note.
      if (!(error instanceof Fault)) throw error;
    });
  }

  return (needs) => {
    const mustHaveToken = needs === 'approve' || (auth === 'required' && needs !== null);
    return (request, params) => {
      const { authorization } = request.headers;
      if (authorization === undefined) {
        if (mustHaveToken) throw noToken();
        return anonymous;
      }
      return bearerOf(authorization, request.socket.remoteAddress).then((bearer) => {
        requireKind(bearer, needs, params.agent);
        return bearer;
      });
    };
  };
}

/**
 * Whether who was let in would still be: for calls that stay, such as a stream, which should ask now and then.
 * @throws Fault `unauthorized` when the token was revoked or has expired since
 */
export async function requireStillGood(
  { store, clock }: { store: Pick<Store, 'tokenWithId'>; clock: Clock },
  principal: Principal,
): Promise<void> {
  if (principal.kind === 'anonymous') return;
  const judged = judge(await store.tokenWithId(principal.tokenId), clock());
  if (judged instanceof Fault) throw judged;
}

/** The token when it is right. Why one is wrong is told, because only who has its secret learns it. */
function judge(token: Token | undefined, now: number): Token | Fault {
  if (token === undefined) return unauthorized('This bus knows no such token.');
  if (token.revokedAt !== null) return unauthorized('This token was revoked.');
  if (token.expiresAt !== null && token.expiresAt <= now) return unauthorized('This token has expired.');
  return token;
}

const anotherOne = 'Make one on the machine of the bus: leveredge token create NAME --kind KIND --scope SCOPE';

function unauthorized(sentence: string): Fault {
  return new Fault('unauthorized', sentence, { hint: anotherOne });
}

function noToken(): Fault {
  return new Fault('unauthorized', 'This call needs a token, and none was sent.', {
    hint: `Send it as Authorization: Bearer lev_…\n${anotherOne}`,
  });
}

function notBearer(): Fault {
  return new Fault('unauthorized', 'The Authorization header is not of the form Bearer TOKEN.', {
    hint: 'Send Authorization: Bearer lev_… and nothing else in it.',
  });
}

/** A line now and then, however often somebody tries, and never the token. */
function refusalTeller(clock: Clock, log: Log): (why: string, from: string | undefined) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  let untold = 0;
  return (why, from) => {
    const now = clock();
    if (now >= toldAt && now - toldAt < refusedToldEveryMs) {
      untold++;
      return;
    }
    log.warn('a token was refused', { why, from, ...(untold > 0 ? { refused_since: untold } : {}) });
    toldAt = now;
    untold = 0;
  };
}
