import type { DatabaseFacts } from './facts.ts';
import { identifier, literal } from './session.ts';

/** The statements that make a database, empty, with everything that a dump of it leaves out. */
export function createStatements(name: string, facts: DatabaseFacts): string[] {
  const { encoding, collate, ctype, provider, locale, icu_rules, owner, version_num } = facts;
  const at = identifier(name);
  const options = [`OWNER ${identifier(owner)}`, 'TEMPLATE template0', `ENCODING ${literal(encoding)}`];
  options.push(`LC_COLLATE ${literal(collate)}`, `LC_CTYPE ${literal(ctype)}`);
  if (provider !== 'libc') {
    options.push(`LOCALE_PROVIDER ${provider}`);
    if (locale !== null) options.push(`${provider === 'icu' ? 'ICU_LOCALE' : 'BUILTIN_LOCALE'} ${literal(locale)}`);
    if (icu_rules !== null) options.push(`ICU_RULES ${literal(icu_rules)}`);
  } else if (version_num >= 150_000) options.push('LOCALE_PROVIDER libc');
  if (facts.tablespace !== null) options.push(`TABLESPACE ${identifier(facts.tablespace)}`);
  return [`CREATE DATABASE ${at} ${options.join(' ')}`];
}

/** What is set on a database itself; after it was loaded, so that no setting gets in the way of loading. */
export function propertyStatements(name: string, facts: DatabaseFacts): string[] {
  const at = identifier(name);
  const { acl, owner, comment, connection_limit, settings } = facts;
  const statements: string[] = [];
  if (acl !== null) {
    statements.push(`REVOKE ALL ON DATABASE ${at} FROM PUBLIC`);
    if (!acl.some(({ grantee }) => grantee === owner))
      statements.push(`REVOKE ALL ON DATABASE ${at} FROM ${identifier(owner)}`);
    for (const { grantee, privilege, grantable } of acl) {
      if (!/^[A-Z ]+$/.test(privilege)) continue;
      const to = grantee === null ? 'PUBLIC' : identifier(grantee);
      statements.push(`GRANT ${privilege} ON DATABASE ${at} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`);
    }
  }
  for (const { role, values } of settings)
    for (const value of values) {
      const of = role === null ? `DATABASE ${at}` : `ROLE ${identifier(role)} IN DATABASE ${at}`;
      statements.push(`ALTER ${of} SET ${settingOf(value)}`);
    }
  if (comment !== null) statements.push(`COMMENT ON DATABASE ${at} IS ${literal(comment)}`);
  if (connection_limit !== -1) statements.push(`ALTER DATABASE ${at} CONNECTION LIMIT ${connection_limit}`);
  return statements;
}

/** Settings that are lists of names, quoted where they must be (GUC_LIST_QUOTE in PostgreSQL). */
const lists = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

function settingOf(text: string): string {
  const equals = text.indexOf('=');
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
  const quoted = name.split('.').map(identifier).join('.');
  if (!lists.has(name.toLowerCase())) return `${quoted} TO ${literal(value)}`;
  const items = listItems(value);
  return `${quoted} TO ${items.length === 0 ? "''" : items.map(literal).join(', ')}`;
}

/**
 * The names in a list, without their quotes. They are written anew as texts: whoever may set such a list for themselves decides
 * what stands in it, and whoever restores runs it.
 */
function listItems(value: string): string[] {
  return [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,]*))\s*(?:,|$)/g)].flatMap(([whole, quoted, bare]) =>
    whole === '' ? [] : [quoted?.replaceAll('""', '"') ?? (bare ?? '').trim()],
  );
}

/** Statements of `pg_dumpall --globals-only` that make roles which are not there, and give them what they are members of. */
export function missingRoles(globals: string, present: ReadonlySet<string>): string[] {
  const lines = statementsOf(globals);
  const named = (line: string, verb: string) => {
    const found = new RegExp(`^${verb} ROLE ("(?:[^"]|"")+"|[^\\s;]+)`).exec(line)?.[1];
    return found === undefined ? undefined : unquoted(found);
  };
  const made = lines.flatMap((line) => {
    const role = named(line, 'CREATE');
    return role === undefined || present.has(role) ? [] : [role];
  });
  const missing = new Set(made);
  return lines.filter((line) => {
    const role = named(line, 'CREATE') ?? named(line, 'ALTER');
    if (role !== undefined) return missing.has(role) && !/^ALTER ROLE .* IN DATABASE /.test(line);
    const [, group, member] =
      /^GRANT ("(?:[^"]|"")+"|\S+) TO ("(?:[^"]|"")+"|[^\s;]+)/.exec(line.includes(' ON ') ? '' : line) ?? [];
    if (group === undefined || member === undefined) return false;
    return missing.has(unquoted(group)) || missing.has(unquoted(member));
  });
}

/** One a line, as pg_dumpall writes them; a text in one of them may go over several. */
function statementsOf(sql: string): string[] {
  const statements: string[] = [];
  let waiting = '';
  for (const line of sql.split('\n')) {
    if (waiting === '' && (line.startsWith('--') || line.startsWith('\\') || line.trim() === '')) continue;
    waiting += waiting === '' ? line : `\n${line}`;
    const quotes = waiting.split("'").length - 1;
    if (quotes % 2 === 0 && waiting.trimEnd().endsWith(';')) {
      statements.push(waiting.trim().replace(/;$/, ''));
      waiting = '';
    }
  }
  return statements;
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}
