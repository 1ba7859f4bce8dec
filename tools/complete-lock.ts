import { readFileSync, writeFileSync } from 'node:fs';

/**
 * Adds to package-lock.json the optional packages of other platforms that the registry in use does not carry. npm leaves
 * them out of the lock it writes, and then `npm ci` refuses that lock. They get no integrity hash, and are never fetched
 * on a platform they are not for. Run it after every `npm install`: `npm run lock`.
 */
type Entry = {
  version?: string;
  dev?: true;
  license?: string;
  optional?: true;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
};

const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Entry> };
const added: string[] = [];
for (const parent of Object.values({ ...lock.packages }))
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key]) continue;
    lock.packages[key] = platformEntry(name, version, parent);
    added.push(`${name}@${version}`);
  }
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(sorted);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length ? `added ${added.length}:\n  ${added.join('\n  ')}` : 'the lock is complete');

/** Such packages are named for their platform: `@biomejs/cli-linux-x64-musl`. */
function platformEntry(name: string, version: string, parent: Entry): Entry {
  const words = (name.split('/').at(-1) as string).split('-');
  const at = words.findIndex((word) => systems.includes(word));
  const [os, cpu] = at < 0 ? [] : words.slice(at, at + 2);
  return {
    version,
    ...(cpu ? { cpu: [cpu] } : {}),
    ...(parent.dev ? { dev: true } : {}),
    ...(words.at(-1)?.startsWith('musl') ? { libc: ['musl'] } : {}),
    ...(parent.license ? { license: parent.license } : {}),
    optional: true,
    ...(os ? { os: [os] } : {}),
  };
}
