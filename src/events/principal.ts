/** What a token lets its bearer do, coarsely; each route names the one it needs. */
export const scopeKinds = ['publish', 'read', 'ack', 'ask', 'answer', 'approve', 'admin'] as const;
export type ScopeKind = (typeof scopeKinds)[number];

/**
 * Who calls. On loopback without a token nobody in particular; else the agent, person or tool that the token is bound
 * to. `scopes` as the token has them, such as `publish:workflow_*` or `ack:self`.
 */
export type Principal =
  | { kind: 'anonymous' }
  | { kind: 'agent' | 'person' | 'tool'; name: string; scopes: readonly string[]; tokenId: string };

/** Somebody with a token. */
export type Bearer = Exclude<Principal, { kind: 'anonymous' }>;

export const anonymous: Principal = { kind: 'anonymous' };
