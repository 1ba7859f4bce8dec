import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import manifest from '../../package.json' with { type: 'json' };
import { allCapabilities } from '../../src/capabilities/all-capabilities.ts';
import { agentNames } from '../../src/channels/cli/door.ts';
import { makeClient } from '../../src/client/client.ts';
import { leveredge, start, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const launcherOf = (name: string) => join(import.meta.dirname, '../..', 'bin', `${name}.mjs`);
const program = (name: string, args: readonly string[], env: Record<string, string> = {}) =>
  start(args, env, [process.execPath, launcherOf(name)]).ended;
const verbsOf = (name: string) =>
  allCapabilities.filter((each) => each.name.startsWith(`${name}.`)).map((each) => each.name.slice(name.length + 1));

describe('an agent as a program of its own', () => {
  for (const name of agentNames)
    it(`${name} has its own commands and its own name`, async () => {
      assert.equal((manifest.bin as Record<string, string>)[name], `bin/${name}.mjs`);
      const { exit, stdout } = await program(name, ['--help']);
      assert.equal(exit, 0);
      assert.match(stdout, new RegExp(`^Usage: ${name} \\[options\\] \\[command( \\| "SENTENCE")?\\]\n`));
      const commands = /Commands:\n(.*?)\n\n/s.exec(stdout)?.[1] ?? '';
      const shown = [...commands.matchAll(/^ {2}(\w+)/gm)].map(([, word]) => word);
      assert.deepEqual(shown, [...verbsOf(name), 'completion', 'help']);
      assert.deepEqual((await program(name, ['--version'])).stdout, `${manifest.version}\n`);
    });

  it('says in its own name what was typed wrong, and how to go on as it is typed here', async (t) => {
    const wrong = await program('hades', ['rollback']);
    assert.equal(wrong.exit, 2);
    assert.equal(wrong.stderr, "hades: missing required argument 'target'\n  See: npx hades rollback --help\n");
    assert.equal((await program('hades', ['publish', 'x'])).exit, 2);
    const folder = temporaryFolder(t);
    symlinkSync(launcherOf('hades'), join(folder, 'hades'));
    const found = await program('hades', ['--json', 'rolback'], { PATH: `${folder}:${process.env.PATH}` });
    assert.equal(JSON.parse(found.stderr).error.hint, 'See: hades --help');
    const away = await program('hades', ['list', '--url', 'http://127.0.0.1:9']);
    assert.equal(away.exit, 4);
    assert.match(away.stderr, /^hades: No bus /);
  });

  it('does what leveredge does with the name before the command', async (t) => {
    const bus = await startBus(temporaryFolder(t));
    t.after(() => bus.stop('SIGKILL'));
    // As once CHRONOS has run here: else the call is refused.
    await makeClient({ url: bus.url }).addSubscription({ agent_name: 'CHRONOS.calls', action_pattern: 'chronos_*' });
    const words = ['backup', 'dev', '--no-wait', '--json', '--url', bus.url];
    const [own, whole] = [await program('chronos', words), await leveredge(['chronos', ...words])];
    const told = ({ exit, stdout }: typeof own) => ({
      ...{ ...JSON.parse(stdout), exit },
      ...{ id: undefined, asked_at: undefined },
    });
    assert.deepEqual(told(own), told(whole));
    // A bus was named, so it is that one or none.
    const { exit } = await program('atlas', ['events', '--home', temporaryFolder(t), '--url', 'http://127.0.0.1:9']);
    assert.equal(exit, 4);
  });

  it('has a script for bash that completes its commands', async (t) => {
    const { stdout, exit } = await program('hades', ['completion', 'bash']);
    assert.equal(exit, 0);
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'completion.bash'), stdout);
    const pressed = `hades() { "${process.execPath}" "${launcherOf('hades')}" "$@"; }
      source completion.bash
      COMP_WORDS=(hades roll); COMP_CWORD=1; COMP_LINE='hades roll'; COMP_POINT=\${#COMP_LINE}
      call=$(complete -p hades | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $call; echo "reply: \${COMPREPLY[*]}"`;
    const bash = spawnSync('bash', ['--norc', '-c', pressed], { cwd: folder, encoding: 'utf8' });
    assert.match(bash.stdout, /reply: rollback/, bash.stderr);
    for (const shell of ['zsh', 'fish']) assert.match((await program('hades', ['completion', shell])).stdout, /hades/);
    const below = await leveredge(['complete', '--', 'hades', '']);
    for (const verb of verbsOf('hades')) assert.match(below.stdout, new RegExp(`^${verb}\t`, 'm'));
  });
});
