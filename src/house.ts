/**
 * The house's rules that a machine can check (CONTRIBUTING.md has the rest), as data and pure functions over a list of
 * files. `house.test.ts` shows each rule to fail on something broken and runs them all over the real tree.
 */
export type HouseFile = {
  /** From the project's root, with slashes: `src/base/clock.ts`. */
  path: string;
  text: string;
};

type Room = { folders: readonly string[]; packages: readonly string[] };

/**
 * Who may import whom. A path is judged by its longest entry; every room may import itself and `node:`. What is not
 * listed may import nothing, so a new folder begins here.
 */
const rooms: Readonly<Record<string, Room>> = {
  'src/base': { folders: [], packages: [] },
  'src/events': { folders: ['src/base'], packages: ['zod'] },
  'src/bus': { folders: ['src/base', 'src/events'], packages: ['fastify', 'prom-client', 'yaml', 'zod'] },
  'src/bus/store': { folders: ['src/base', 'src/events'], packages: ['zod'] },
  'src/client': { folders: ['src/base', 'src/events'], packages: ['zod'] },
  'src/capabilities': { folders: ['src/base', 'src/events', 'src/client'], packages: ['zod'] },
  'src/agents': { folders: ['src/base', 'src/events', 'src/client', 'src/capabilities'], packages: ['zod'] },
  'src/agents/chronos': {
    folders: ['src/base', 'src/events', 'src/client', 'src/capabilities', 'src/agents', 'src/recovery'],
    packages: ['zod'],
  },
  'src/agents/hades': {
    folders: ['src/base', 'src/events', 'src/client', 'src/capabilities', 'src/agents', 'src/recovery'],
    packages: ['zod'],
  },
  'src/channels': {
    folders: ['src/base', 'src/events', 'src/client', 'src/capabilities'],
    packages: ['@bomb.sh/tab', 'commander', 'zod'],
  },
  'src/channels/telegram': {
    folders: ['src/base', 'src/events', 'src/client', 'src/capabilities', 'src/channels'],
    packages: ['grammy', 'zod'],
  },
  'src/recovery': { folders: ['src/base'], packages: [] },
  'src/recovery/config': { folders: ['src/base', 'src/recovery'], packages: ['yaml'] },
  'src/recovery/encryption': { folders: ['src/base', 'src/recovery'], packages: ['age-encryption'] },
  // podman-compose does not list the services of a file.
  'src/recovery/compose': { folders: ['src/base', 'src/recovery'], packages: ['yaml'] },
  // What compose prints is YAML.
  'src/recovery/drill': { folders: ['src/base', 'src/recovery'], packages: ['yaml'] },
  // QR codes of the recovery kit.
  'src/gaia': { folders: ['src/base', 'src/recovery'], packages: ['uqr'] },
  'src/bin': { folders: ['src'], packages: ['commander', 'yaml', 'zod'] },
  'src/house.ts': { folders: [], packages: [] },
  'src/house.test.ts': { folders: ['src/house.ts'], packages: [] },
};

/** What tests may import beside what their room may. */
const testPackages = ['fast-check'];
/**
 * The statements are the product, and they stay where the store's contract holds them. The lock is an SQLite file, and
 * recovery asks others' servers.
 */
const sqlRooms = [
  'src/bus/store/',
  'src/bus/lock',
  // What the bot has still to send must outlive it.
  'src/channels/telegram/journal',
  'src/channels/telegram/only-one',
  'src/recovery/source/',
  'src/recovery/run/lock',
  // A lock that ends with its process.
  'src/gaia/two-factor/guard-lock',
  'src/recovery/postgres/',
  'src/recovery/backup/by-hand',
];
/** What is the same for everyone. Environment, arguments, streams, signals and the exit belong to `src/bin/`. */
const processMembers = ['pid', 'platform'];
const maxLines = 400;
const emptyName = /^(index|shared)$|(^|-)(common|helpers?|misc|types|utils?)$/;
const kebabCase = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
const machinePlaces = [
  /(?<![\w.])\/(work|root)\/[\w.-]/,
  /(?<![\w.])\/home\/(?!\.\.\.)[a-z]\w*\//,
  /\bregistry\.[a-z-]+\.(org|com|io|dev)\b/,
];

export type Rule = { name: string; breaches(files: readonly HouseFile[]): string[] };

/** Every rule. Each breach is a sentence that begins with the file's path. */
export const rules: readonly Rule[] = [
  {
    name: 'there is source to judge',
    breaches: (files) => (sources(files).length > 0 ? [] : ['src/ has no source: the rules would pass over nothing']),
  },
  {
    name: 'a folder imports only what the table allows',
    breaches: (files) => sources(files).flatMap((file) => importsOf(file).flatMap((from) => judgeImport(file, from))),
  },
  {
    name: 'every file in src has its place in the table',
    breaches: (files) =>
      files
        .filter(({ path }) => path.startsWith('src/') && roomOf(path)[0] === undefined)
        .map(({ path }) => `${path} lies in a folder that is not in the table of src/house.ts`),
  },
  {
    name: 'source is TypeScript',
    breaches: (files) =>
      sources(files)
        .filter(({ path }) => /\.[cm]?jsx?$/.test(path))
        .map(({ path }) => `${path} is JavaScript, which nobody checks; write .ts`),
  },
  {
    name: 'what a file reaches for can be read off it',
    breaches: (files) =>
      sources(files)
        .filter(({ text }) => /\bcreateRequire\b|\brequire\s*\(|\bimport\s*\((?!\s*'[^']*'\s*\))/.test(skeleton(text)))
        .map(({ path }) => `${path} imports something the rules cannot follow; write import('./name.ts')`),
  },
  {
    name: 'process.env is read in bin only',
    breaches: (files) =>
      sources(files)
        .filter(({ path }) => !isTest(path) && !path.startsWith('src/bin/'))
        .filter(({ text }) =>
          /\bprocess\s*(\?\.|\.)?\s*(env\b|\[)|\benv\b[^;]*from 'node:process'/.test(skeleton(text)),
        )
        .map(({ path }) => `${path} reads process.env; take the value as an argument, src/bin/ reads the environment`),
  },
  {
    name: 'outside bin the process is asked for little else than its id',
    breaches: (files) =>
      sources(files)
        .filter(({ path }) => !isTest(path) && !path.startsWith('src/bin/'))
        .filter(({ text }) => bareProcess.test(skeleton(text)))
        .map(
          ({ path }) =>
            `${path} takes more of process than ${processMembers.join(', ')}; src/bin/ hands in what comes from outside`,
        ),
  },
  {
    name: 'a file is named in kebab-case for the one thing inside',
    breaches: (files) => written(files).flatMap(({ path }) => judgeName(path)),
  },
  {
    name: 'a test lies beside its subject, or under test/',
    breaches: (files) => {
      const paths = new Set(files.map(({ path }) => path));
      return files
        .filter(({ path }) => path.endsWith('.test.ts') && !path.startsWith('test/'))
        .filter(({ path }) => !['.ts', '.contract.ts'].some((end) => paths.has(path.replace(/\.test\.ts$/, end))))
        .map(({ path }) => `${path} tests no file beside it; name it after its subject or move it under test/`);
    },
  },
  {
    name: 'no catch is empty',
    breaches: (files) =>
      written(files)
        .filter(({ text }) => emptyCatch.test(marked(text)))
        .map(
          ({ path }) => `${path} has an empty catch; handle the error, or say in a comment inside why nothing is done`,
        ),
  },
  says('no export is a default', /^\s*export default\b/m, 'has a default export; export a name'),
  says('no enum', /\b(const\s+)?enum\s+\w+\s*\{/, 'has an enum, which Node cannot strip; use a union or `as const`'),
  says(
    'no Manager, Impl or IFoo',
    /\b(class|interface|type|function|const)\s+(\w*(Manager|Impl)|I[A-Z][a-z]\w*)\b/,
    'names something Manager, Impl or I…; name what it is or does',
  ),
  {
    name: 'no comment silences the types',
    breaches: (files) =>
      written(files)
        .filter(({ text }) => commentsOf(text).some((comment) => /@ts-(ignore|nocheck)\b/.test(comment)))
        .map(({ path }) => `${path} silences the types; mend them, or say @ts-expect-error and why`),
  },
  {
    name: 'a function or class that another folder imports has a doc comment',
    breaches: (files) => undocumented(sources(files)),
  },
  {
    name: `a file has fewer than ${maxLines} lines`,
    breaches: (files) =>
      written(files)
        .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
        .filter(({ lines }) => lines >= maxLines)
        .map(({ path, lines }) => `${path} has ${lines} lines, ${maxLines} or more; split it by what it does`),
  },
  {
    name: 'SQL stands in the store only',
    breaches: (files) =>
      sources(files)
        .filter(({ path }) => !isTest(path) && !sqlRooms.some((room) => path.startsWith(room)))
        .filter(
          ({ text }) => sql.test(withoutComments(text)) || stringsOf(text).some((string) => anyCaseSql.test(string)),
        )
        .map(({ path }) => `${path} has SQL or opens SQLite; that belongs into src/bus/store/`),
  },
  {
    name: 'no file names a place on some machine',
    breaches: (files) =>
      files.flatMap(({ path, text }) =>
        machinePlaces
          .map((place) => place.exec(text)?.[0])
          .filter((found) => found !== undefined)
          .map((found) => `${path} names ${found}, which exists on one machine only`),
      ),
  },
];

const sql =
  /\b(SELECT\s[\s\S]{0,400}?\sFROM\s|INSERT (OR \w+ )?INTO\s|UPDATE \w+ SET\s|DELETE FROM\s|CREATE (TABLE|INDEX|VIEW|TRIGGER|UNIQUE)\s|PRAGMA \w+|BEGIN (IMMEDIATE|EXCLUSIVE)\b)|['"]node:sqlite['"]/;

/** SQL in small letters, only where the text around it can be no English sentence. */
const anyCaseSql = new RegExp(
  [
    String.raw`\bselect\s+(\*|[\w."]+\(.*?\)|[\w."]+(\s*,\s*[\w."]+)+)(\s+as\s+\w+)?\s+from\s+\w`,
    String.raw`\bselect\s+[\w.]+\s+from\s+\w+\s+(where\s+[\w.]+\s*([<>=]|in\b|is\b|like\b)|order\s+by|limit\s+[\d?:])`,
    String.raw`\binsert\s+(or\s+\w+\s+)?into\s+\w+\s*(\(|values\s*\(|select\b)`,
    String.raw`\bupdate\s+\w+\s+set\s+\w+\s*=`,
    String.raw`\bdelete\s+from\s+\w+(\s*;|\s+where\s+[\w.]+\s*([<>=]|in\b|is\b|like\b))`,
    String.raw`\b(create|drop|alter)\s+(table|index|view|trigger)\s+(if\s+(not\s+)?exists\s+)?\w+\s*(\(|;|on\b|as\b|add\b)`,
    String.raw`\bpragma\s+\w+\s*[=(;]`,
  ].join('|'),
  'is',
);

/** A function or class, also a function as a constant: what may stand before it, and its name. */
const exported = new RegExp(
  String.raw`(\*\/\n|^|\n)export (?:async )?(?:(?:function\*?|class|abstract class) (\w+)` +
    String.raw`|const (\w+)(?::[^;]*?)? = (?:async )?(?:function\b|\w+ =>|(?:<[^>()]*>)?\((?:[^()]|\([^()]*\))*\)(?:: [^;=]+)? =>))`,
  'g',
);
const emptyCatch =
  /\bcatch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\s*(async\s*)?(\([^()]*\)|\w*)\s*=>\s*(\{\s*\}|undefined|null|void 0)\s*,?\s*\)/;
const bareProcess = new RegExp(
  `(?<![\\w$.'":-])process\\b(?!\\s*\\.\\s*(${processMembers.join('|')})\\b)|['"](node:)?process['"]|\\bglobalThis\\b`,
);

/** A file named beside this one, to be read or run, is as good as imported; a test may start what it tests. */
const neighbours = /\bnew URL\(\s*(['"`])(\.[^'"`]*)\1\s*,\s*import\.meta\b/g;

const isTest = (path: string) => /\.(test|contract|fixtures)\.ts$/.test(path) || path.startsWith('test/');
const isCode = (path: string) => /\.[cm]?[jt]sx?$/.test(path);
const written = (files: readonly HouseFile[]) => files.filter(({ path }) => isCode(path));
const sources = (files: readonly HouseFile[]) => written(files).filter(({ path }) => path.startsWith('src/'));

/** A rule that is one pattern over code without comments and strings. */
function says(name: string, pattern: RegExp, complaint: string): Rule {
  return {
    name,
    breaches: (files) =>
      written(files)
        .filter(({ text }) => pattern.test(skeleton(text)))
        .map(({ path }) => `${path} ${complaint}`),
  };
}

function judgeImport({ path }: HouseFile, from: string): string[] {
  const [key, room] = roomOf(path);
  if (!room || !key) return [`${path} imports ${from}, but its folder is not in the table of src/house.ts`];
  if (from.startsWith('node:')) return [];
  if (!from.startsWith('.')) {
    const name = from.split('/', from.startsWith('@') ? 2 : 1).join('/');
    const allowed = [...room.packages, ...(isTest(path) ? testPackages : [])];
    return allowed.includes(name) ? [] : [`${path} imports the package ${name}, which ${key} may not`];
  }
  const target = resolvePath(path, from);
  if (!target.startsWith('src/')) {
    const manifest = target === 'package.json' && path.startsWith('src/bin/');
    return manifest ? [] : [`${path} imports ${target}, which lies outside src/`];
  }
  const targetKey = roomOf(target)[0] ?? target;
  const mayEnter = [key, ...room.folders].some(
    (folder) => within(target, folder) && (folder !== key || within(targetKey, key)),
  );
  return mayEnter ? [] : [`${path} imports ${target}, which ${key} may not`];
}

const within = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

function roomOf(path: string): [key: string, room: Room] | [undefined, undefined] {
  const key = Object.keys(rooms)
    .filter((room) => within(path, room))
    .sort((a, b) => b.length - a.length)[0];
  return key === undefined ? [undefined, undefined] : [key, rooms[key] as Room];
}

function judgeName(path: string): string[] {
  const name = path.split('/').at(-1) as string;
  if (path.split('/').some((part) => emptyName.test(part.split('.')[0] as string)))
    return [`${path} is named for nothing; name it for the one thing inside`];
  return kebabCase.test(name) ? [] : [`${path} is not in kebab-case`];
}

function undocumented(files: readonly HouseFile[]): string[] {
  const wanted = new Map<string, Set<string>>();
  for (const file of files.filter(({ path }) => !isTest(path)))
    for (const [, names, from] of skeleton(file.text).matchAll(
      /\bimport\s+(?:type\s+)?\{([^}]*)\}\s*from\s*'(\.[^']+)'/g,
    )) {
      const target = resolvePath(file.path, from as string);
      if (folderOf(target) === folderOf(file.path)) continue;
      const set = wanted.get(target) ?? new Set();
      for (const name of (names as string).split(',')) set.add(name.replace(/\btype\b|\bas\b.*/g, '').trim());
      wanted.set(target, set);
    }
  return files.flatMap(({ path, text }) =>
    [...text.matchAll(exported)]
      .map(([, before, name, constant]) => ({ before, name: name ?? (constant as string) }))
      .filter(({ before, name }) => wanted.get(path)?.has(name) && !before?.startsWith('*/'))
      .map(({ name }) => `${path} exports ${name} to another folder without a doc comment that says what it promises`),
  );
}

const folderOf = (path: string) => path.slice(0, path.lastIndexOf('/'));

function resolvePath(path: string, from: string): string {
  const parts = folderOf(path).split('/');
  for (const part of from.split('/')) {
    if (part === '..') parts.length === 0 || parts.at(-1) === '..' ? parts.push('..') : parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function importsOf({ path, text }: HouseFile): string[] {
  const imported = skeleton(text).matchAll(/(?<![\w.])(?:from|import\s*\(?)\s*['"]([^'"]+)['"]/g);
  const named = isTest(path) ? [] : withoutComments(text).matchAll(neighbours);
  return [...[...imported].map((match) => match[1] as string), ...[...named].map((match) => match[2] as string)];
}

const tokens =
  /(\/\*[\s\S]*?\*\/|\/\/[^\n]*)|('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|(`(?:\\[\s\S]|[^`\\])*`)|((?<=[(,=:[!&|?{};>]\s*)\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*)/g;

/** The code with comments gone and strings emptied, all but the names of modules. */
function skeleton(text: string): string {
  return marked(text).replaceAll('/* */', ' ');
}

/** As the skeleton, but each comment that says something leaves a mark. */
function marked(text: string): string {
  return text.replace(tokens, (token, comment, quoted, template, _pattern, offset: number) => {
    if (comment) return /[\p{L}\p{N}]/u.test(comment) ? '/* */' : ' ';
    if (template) return `\`${(token.match(/\$\{[^}]*\}/g) ?? []).join('')}\``;
    if (!quoted) return '/./';
    return /(?<![\w.])(from|import\s*\(?)\s*$/.test(text.slice(Math.max(0, offset - 20), offset)) ? token : "''";
  });
}

function commentsOf(text: string): string[] {
  return [...text.matchAll(tokens)].flatMap((match) => match[1] ?? []);
}

/** What stands between quotes, without them. */
function stringsOf(text: string): string[] {
  return [...text.matchAll(tokens)].flatMap((match) => (match[2] ?? match[3])?.slice(1, -1) ?? []);
}

function withoutComments(text: string): string {
  return text.replace(tokens, (token, comment) => (comment ? ' ' : token));
}
