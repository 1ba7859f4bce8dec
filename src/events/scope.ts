import { compilePattern, type Matcher } from './pattern.ts';
import type { Principal, ScopeKind } from './principal.ts';

/** Every scope as it is written; `publish:` stands before a pattern. */
export const scopeForms = ['publish:PATTERN', 'read', 'ack:self', 'ask', 'answer', 'approve', 'admin'] as const;

const plain: readonly string[] = ['read', 'ack:self', 'ask', 'answer', 'approve', 'admin'];
const maxScopeLength = 200;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
const control = /[\u0000-\u001f\u007f-\u009f]/;

/** A scope as it is stored (`publish` is `publish:*`, `ack` is `ack:self`), or undefined when it is none. */
export function parseScope(text: string): string | undefined {
  if (text === 'publish') return 'publish:*';
  if (text === 'ack') return 'ack:self';
  if (plain.includes(text)) return text;
  const pattern = text.startsWith('publish:') ? text.slice('publish:'.length) : '';
  return pattern !== '' && text.length <= maxScopeLength && !control.test(text) ? text : undefined;
}

type Rights = { kinds: ReadonlySet<ScopeKind>; actions: readonly Matcher[] };

/** Compiled once for each list; whoever reads tokens hands out the same list for the same scopes. */
const known = new WeakMap<readonly string[], Rights>();

function rightsOf(written: readonly string[]): Rights {
  const before = known.get(written);
  if (before) return before;
  // The table may be edited by hand; what is no scope allows nothing.
  const scopes = written.flatMap((scope) => (typeof scope === 'string' && parseScope(scope)) || []);
  const kinds = new Set(scopes.map((scope) => scope.split(':', 1)[0] as ScopeKind));
  // Whoever may approve what is risky may answer what is not.
  if (kinds.has('approve')) kinds.add('answer');
  const patterns = scopes
    .filter((scope) => scope.startsWith('publish:'))
    .map((scope) => scope.slice('publish:'.length));
  const rights = { kinds, actions: patterns.map(compilePattern) };
  known.set(written, rights);
  return rights;
}

/** Whether it may do everything, in every name. Nobody without a token is an admin. */
export function isAdmin(principal: Principal): boolean {
  return principal.kind !== 'anonymous' && rightsOf(principal.scopes).kinds.has('admin');
}

/**
 * Whether a call of this kind is allowed. Whoever has no token got as far as loopback lets them, and may there do all but
 * approve.
 */
export function allows(principal: Principal, kind: ScopeKind): boolean {
  if (principal.kind === 'anonymous') return kind !== 'approve';
  const { kinds } = rightsOf(principal.scopes);
  return kinds.has(kind) || kinds.has('admin');
}

/** Whether one of its patterns lets it publish this action. */
export function mayPublish(principal: Principal, action: string): boolean {
  if (principal.kind === 'anonymous') return true;
  const { kinds, actions } = rightsOf(principal.scopes);
  return kinds.has('admin') || actions.some((matches) => matches(action));
}
