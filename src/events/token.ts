import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { busAgent } from './event.ts';
import { name } from './name.ts';
import { parseScope, scopeForms } from './scope.ts';

/** Whom a token can be bound to. */
export const tokenKinds = ['agent', 'person', 'tool'] as const;
export type TokenKind = (typeof tokenKinds)[number];

/** A token as it is stored: of its secret only the hash is kept, and that is not shown. Times in milliseconds. */
export type Token = {
  id: string;
  name: string;
  kind: TokenKind;
  scopes: readonly string[];
  /** Requests a minute; null is without a limit of its own. */
  perMinute: number | null;
  createdAt: number;
  expiresAt: number | null;
  lastUsedAt: number | null;
  revokedAt: number | null;
};

const maxScopes = 100;
const maxPerMinute = 1_000_000;

/** What a new token is to be. */
export const newTokenSchema = z
  .object({
    name: name.refine((wanted) => wanted !== busAgent, 'is the bus’ own name'),
    kind: z.enum(tokenKinds, `must be one of ${tokenKinds.join(', ')}`),
    scopes: z
      .array(
        z.string().transform((text, context) => {
          const scope = parseScope(text);
          if (scope !== undefined) return scope;
          context.addIssue({ code: 'custom', message: `is no scope; there are ${scopeForms.join(', ')}` });
          return z.NEVER;
        }),
      )
      .min(1, 'must name a scope')
      .max(maxScopes, `must have at most ${maxScopes} scopes`)
      .transform((scopes) => [...new Set(scopes)]),
    per_minute: z
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(maxPerMinute, `must be at most ${maxPerMinute}`)
      .nullable(),
    expires_in_ms: z.int().min(1, 'must lie ahead').nullable(),
  })
  .superRefine(({ kind, scopes }, context) => {
    if (kind !== 'person' && scopes.some((scope) => /^approve(:|$)/.test(scope)))
      context.addIssue({ code: 'custom', path: ['scopes'], message: 'has approve, which is for persons alone' });
  });

export type NewToken = z.infer<typeof newTokenSchema>;

/** So that scanners for secrets know one when they see it. */
const prefix = 'lev_';
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 238 bits. */
const secretLength = 40;
const secretShape = new RegExp(`^${prefix}[0-9A-Za-z]{${secretLength}}$`);

/** A new secret, as its bearer sends it. */
export function newSecret(): string {
  let drawn = '';
  // Bytes beyond the last whole round of the alphabet would make its first letters likelier.
  while (drawn.length < secretLength)
    for (const byte of randomBytes(secretLength)) if (byte < 248) drawn += alphabet[byte % alphabet.length];
  return prefix + drawn.slice(0, secretLength);
}

/** Whether this looks like a secret of ours. */
export function isSecret(text: string): boolean {
  return secretShape.test(text);
}

/**
 * What is stored and looked up. A guess would have to have the same SHA-256, so that how long a look-up takes tells
 * nothing about any secret.
 */
export function hashOfSecret(secret: string): string {
  return hash('sha256', secret, 'hex');
}
