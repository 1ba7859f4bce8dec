import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { leveredge, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

type Finding = { check: string; state: string; says: string; todo?: string };

/** A home that init made, with a bus that runs on it. */
async function madeHome(t: TestContext, ...words: string[]) {
  const folder = temporaryFolder(t);
  const home = join(folder, 'home');
  const env = { XDG_CONFIG_HOME: join(folder, 'xdg'), HOME: folder };
  const made = await leveredge(['init', '--no-links', '--home', home, '--units', 'none', ...words], env);
  assert.equal(made.exit, 0, made.stderr);
  const bus = await startBus(home);
  t.after(() => bus.stop());
  return {
    home,
    async doctor() {
      const { exit, stdout, stderr } = await leveredge(['doctor', '--home', home, '--json'], env);
      assert.notEqual(stdout, '', stderr);
      const findings: Finding[] = JSON.parse(stdout).findings;
      return { exit, findings, wrong: findings.filter(({ state }) => state === 'wrong') };
    },
    /** Gives the command that doctor named. */
    async give(command: string) {
      const [program, ...args] = command.replace(/^(npx )?leveredge/, 'leveredge').split(' ');
      if (program === 'leveredge') assert.equal((await leveredge(args, env)).exit, 0, command);
      else if (program === 'chmod') chmodSync(args[1] as string, Number.parseInt(args[0] as string, 8));
      else if (program === 'mv') renameSync(args[0] as string, args[1] as string);
      else assert.fail(`doctor names ${command}`);
    },
  };
}

describe('doctor in a home that init made', { concurrency: 2 }, () => {
  it('finds nothing wrong, and has looked at what init made', async (t) => {
    const { doctor } = await madeHome(t);
    const { exit, findings } = await doctor();
    assert.equal(exit, 0);
    assert.deepEqual(
      findings.slice(7).map(({ check, state }) => [check, state]),
      ['folders', 'files', 'gaia'].map((check) => [check, 'fine']),
    );
  });

  for (const [what, breaks, says] of [
    ['a folder that is gone', (home) => rmSync(join(home, 'monitoring/grafana'), { recursive: true }), /is missing/],
    ['a page that is gone', (home) => rmSync(join(home, 'README.md')), /README\.md: is missing/],
    ['a file in place of a folder', putFile, /is a file, and no folder/],
    ['tokens that others may list', (home) => chmodSync(join(home, 'shared/credentials'), 0o755), /may enter it/],
    [
      'a token that others may read',
      (home) => chmodSync(join(home, 'shared/credentials/owner.token'), 0o644),
      /so what is in it/,
    ],
  ] as readonly [string, (home: string) => void, RegExp][])
    it(`names ${what}, and the commands that mend it`, async (t) => {
      const { home, doctor, give } = await madeHome(t);
      breaks(home);
      const { exit, wrong } = await doctor();
      assert.equal(exit, 1);
      const found = wrong.find((each) => says.test(each.says));
      assert.ok(found, JSON.stringify(wrong));
      for (const command of found.todo?.split('\n') ?? []) await give(command);
      assert.deepEqual((await doctor()).wrong, []);
    });

  it('names each mistake in the configuration of GAIA', async (t) => {
    const { home, doctor } = await madeHome(t);
    writeFileSync(join(home, 'gaia/config.yaml'), 'restore_targets: { data-plane: { dev: { healht: none } } }\nx: [\n');
    const { wrong } = await doctor();
    assert.deepEqual(
      wrong.map(({ check }) => check),
      ['gaia'],
    );
    assert.match(wrong[0]?.says ?? '', /config\.yaml/);
    assert.match(wrong[0]?.todo ?? '', /^Mend it, and look again: (npx )?leveredge doctor$/);
  });
});

function putFile(home: string): void {
  rmSync(join(home, 'shared/scripts'), { recursive: true });
  mkdirSync(join(home, 'shared'), { recursive: true });
  writeFileSync(join(home, 'shared/scripts'), 'a file');
}
