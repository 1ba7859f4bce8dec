import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { start, temporaryFolder } from '../cli-run.fixtures.ts';

const root = join(import.meta.dirname, '../..');
const page = readFileSync(join(root, 'docs/capabilities.md'), 'utf8').split('## Your own capability')[1] ?? '';
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'gm'))].map(([, indent, text]) =>
    (text as string).replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );

/** A checkout of one's own, with what the page says put where it says. */
function checkout(t: TestContext): string {
  const at = temporaryFolder(t);
  for (const name of ['src', 'bin', 'package.json', 'tsconfig.json'])
    cpSync(join(root, name), join(at, name), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(at, 'node_modules'));
  const [definition = '', handler = ''] = blocks('ts');
  const put = (file: string, before: RegExp, text: string) => {
    assert.ok(page.includes(`\`${file}\``), `the page does not name ${file}`);
    const path = join(at, file);
    const source = readFileSync(path, 'utf8');
    assert.match(source, before);
    writeFileSync(
      path,
      source.replace(before, (found) => `${text}${found}`),
    );
  };
  put('src/capabilities/chronos.ts', /\];\n$/, definition);
  put('src/agents/chronos/chronos.ts', /'chronos\.list': \{/, handler);
  return at;
}

describe('docs/capabilities.md', { timeout: 120_000 }, () => {
  it('has a capability of one’s own that does what the page says, through each door', {
    skip: spawnSync('curl', ['--version']).status !== 0 && 'no curl here',
  }, async (t) => {
    const at = checkout(t);
    const types = spawnSync(join(at, 'node_modules/.bin/tsc'), ['--noEmit'], { cwd: at, encoding: 'utf8' });
    assert.equal(types.status, 0, types.stdout);
    const env = { LEVEREDGE_HOME: join(at, 'home'), HOME: at, NO_COLOR: '1' };
    const launcher = join(at, 'bin/leveredge.mjs');
    const up = start(['up', '--port', '0'], env, [process.execPath, launcher]);
    t.after(() => up.child.kill('SIGKILL'));
    const [, url = ''] = await up.says('stdout', /listens at (http\S+)/);
    const [commands = ''] = blocks('sh');
    const typed = commands
      .replaceAll('npx leveredge', `'${process.execPath}' '${launcher}'`)
      .replaceAll('curl', 'curl -sS --fail-with-body')
      .replaceAll('http://127.0.0.1:8099', url);
    const { exit, stdout, stderr } = await start(['-ec', typed], env, ['sh']).ended;
    assert.equal(exit, 0, stdout + stderr);
    assert.match(stdout, /^target\tdev\nhours\t0\.\d+$/m);
    assert.match(stdout, /"capability":"chronos\.age","status":"done".*"result":\{"target":"dev","hours":0\.\d+\}/);
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as { paths: Record<string, unknown> };
    assert.ok(JSON.stringify(document).includes('chronos.age'));
  });
});
