import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { launcher, leveredge, temporaryFolder } from './cli-run.fixtures.ts';

describe('completion at the shell', () => {
  it('offers commands, commands below commands, and options', async () => {
    const offered = async (...words: string[]) => {
      const { stdout, exit } = await leveredge(['complete', '--', ...words]);
      assert.equal(exit, 0);
      return stdout.split('\n').map((line) => line.split('\t')[0]);
    };
    const top = await offered('');
    for (const command of ['publish', 'events', 'ask', 'subscriptions', 'backup', 'doctor'])
      assert.ok(top.includes(command));
    assert.ok((await offered('subscriptions', '')).includes('disable'));
    assert.ok((await offered('ask', '--')).includes('--fallback'));
  });

  it('prints the script wherever the options stand that every command has', async () => {
    const script = (await leveredge(['completion', 'zsh'])).stdout;
    assert.match(script, /leveredge/);
    for (const words of [
      ['--home', '/nowhere', 'completion', 'zsh'],
      ['completion', '-q', 'zsh'],
    ])
      assert.equal((await leveredge(words)).stdout, script);
  });

  it('has a script for bash that completes a word', async (t) => {
    const { stdout, exit } = await leveredge(['completion', 'bash']);
    assert.equal(exit, 0);
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'completion.bash'), stdout);
    // What bash does at TAB: it calls the registered function with the words so far.
    const pressed = `leveredge() { "${process.execPath}" "${launcher}" "$@"; }
      source completion.bash
      COMP_WORDS=(leveredge subscr); COMP_CWORD=1; COMP_LINE='leveredge subscr'; COMP_POINT=\${#COMP_LINE}
      call=$(complete -p leveredge | sed 's/.*-F \\([^ ]*\\).*/\\1/'); $call; echo "reply: \${COMPREPLY[*]}"`;
    const bash = spawnSync('bash', ['--norc', '-c', pressed], { cwd: folder, encoding: 'utf8' });
    assert.match(bash.stdout, /reply: subscriptions/, bash.stderr);
  });

  it('is shown by help, and refuses a shell it does not know', async () => {
    assert.match((await leveredge(['--help'])).stdout, /completion \[options\] <shell>/);
    const { exit, stderr } = await leveredge(['completion', 'tcsh']);
    assert.equal(exit, 2);
    assert.match(stderr, /bash, zsh, fish, powershell/);
  });
});
