import type { Risk } from './capability.ts';
import { compilePattern, type Matcher } from './pattern.ts';
import type { Principal, ScopeKind } from './principal.ts';

/** Every scope as it is written; `publish:` and `call:` stand before a pattern. */
export const scopeForms = [
  'publish:PATTERN',
  'call:PATTERN',
  'read',
  'ack:self',
  'ask',
  'answer',
  'approve',
  'approve:code',
  'admin',
] as const;

const plain: readonly string[] = ['read', 'ack:self', 'ask', 'answer', 'approve', 'approve:code', 'admin'];
const maxScopeLength = 200;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
const control = /[\u0000-\u001f\u007f-\u009f]/;

/** A scope as it is stored (`publish` is `publish:*`, `ack` is `ack:self`), or undefined when it is none. */
export function parseScope(text: string): string | undefined {
  if (text === 'publish') return 'publish:*';
  if (text === 'ack') return 'ack:self';
  if (plain.includes(text)) return text;
  if (text === 'call') return 'call:*';
  const [, pattern = ''] = /^(?:publish|call):(.*)$/s.exec(text) ?? [];
  return pattern !== '' && text.length <= maxScopeLength && !control.test(text) ? text : undefined;
}

type Rights = { kinds: ReadonlySet<ScopeKind>; actions: readonly Matcher[]; calls: readonly Matcher[] };

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
  const after = (kind: string) =>
    scopes.filter((scope) => scope.startsWith(kind)).map((scope) => compilePattern(scope.slice(kind.length)));
  const rights = { kinds, actions: after('publish:'), calls: after('call:') };
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

/** Whether what it approves is to be proven by a code, where the approval says so: it has `approve:code`, and no `approve`. */
export function approvesByCode(principal: Principal): boolean {
  if (principal.kind === 'anonymous' || isAdmin(principal)) return false;
  return principal.scopes.includes('approve:code') && !principal.scopes.includes('approve');
}

/** Whether one of its patterns lets it publish this action. */
export function mayPublish(principal: Principal, action: string): boolean {
  if (principal.kind === 'anonymous') return true;
  const { kinds, actions } = rightsOf(principal.scopes);
  return kinds.has('admin') || actions.some((matches) => matches(action));
}

/** Whether it may call this: what only reads with `read`, everything else with a pattern of `call:` that matches its name. */
export function mayCall(principal: Principal, { name, risk }: { name: string; risk: Risk }): boolean {
  if (principal.kind === 'anonymous') return true;
  const { kinds, calls } = rightsOf(principal.scopes);
  if (kinds.has('admin') || (risk === 'read' && kinds.has('read'))) return true;
  return calls.some((matches) => matches(name));
}
