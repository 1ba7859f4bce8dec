import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeClient } from '../../src/client/client.ts';
import { leveredge, start, startBus, temporaryFolder } from '../cli-run.fixtures.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/agents-in-any-language.md'), 'utf8');
const has = (program: string) => spawnSync(program, ['--version']).status === 0;

for (const name of ['agents-in-any-language.md', 'cloudevents.md'])
  describe(`docs/${name}`, () => {
    it('has commands for curl that work', { skip: !has('curl') && 'no curl here' }, async (t) => {
      const bus = await startBus(temporaryFolder(t));
      t.after(() => bus.stop());
      const text = readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');
      const blocks = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map((match) => match[1] as string);
      assert.ok(blocks.length >= 4);
      for (const block of blocks) {
        // The question is answered by a later block, so its wait is left out here.
        const commands = block.replaceAll('http://127.0.0.1:8099', bus.url).replace('?wait=50', '?wait=0');
        const { ended } = start(['-c', commands.replaceAll('curl ', 'curl -sS --fail-with-body ')], {}, ['sh']);
        const { exit, stdout, stderr } = await ended;
        assert.equal(exit, 0, `${block}\n${stdout}${stderr}`);
        assert.doesNotMatch(stdout, /warnings|refused":[1-9]/);
      }
    });
  });

describe('docs/agents-in-any-language.md', () => {
  it('has an agent of a shell that notes each build once, also when it is killed, and with a token', {
    skip: !['bash', 'curl', 'jq', 'setsid'].every(has) && 'no bash, curl, jq or setsid here',
  }, async (t) => {
    const folder = temporaryFolder(t);
    const bus = await startBus(folder, ['--port', '0', '--auth', 'required']);
    t.after(() => bus.stop());
    const scopes = ['publish', 'ack', 'read'].flatMap((scope) => ['--scope', scope]);
    const made = await leveredge([
      'token',
      'create',
      'SCRIBE',
      '--kind',
      'agent',
      ...scopes,
      '--file',
      '--home',
      folder,
    ]);
    assert.equal(made.exit, 0, made.stderr);
    const secretOf = (name: string) =>
      readFileSync(join(folder, 'shared', 'credentials', `${name}.token`), 'utf8').trim();
    const client = makeClient({ url: bus.url, token: secretOf('owner') });
    const publish = (id: string) =>
      client.publish({ id, source_agent: 'HEPHAESTUS', action: 'build_completed', target: 'web' });
    const file = join(folder, 'scribe.sh');
    writeFileSync(file, /```bash\n([\s\S]*?)```/.exec(page)?.[1] as string);
    const env = {
      LEVEREDGE_URL: bus.url,
      LEVEREDGE_TOKEN_FILE: join(folder, 'shared', 'credentials', 'SCRIBE.token'),
    };
    const run = async () => {
      // In a group of its own, as a unit of systemd: killed without its curl, that would take what comes next.
      const agent = start([file], env, ['setsid', 'bash']);
      const kill = () => {
        const { pid, exitCode, signalCode } = agent.child;
        if (exitCode === null && signalCode === null) process.kill(-(pid as number), 'SIGKILL');
      };
      t.after(kill);
      await agent.says('stdout', /^SCRIBE hears$/);
      return { ...agent, kill };
    };
    const first = await run();
    await publish('build-1');
    await first.says('stdout', /^noted build-1$/);
    first.kill();
    await first.ended;
    await publish('build-2');
    const second = await run();
    await second.says('stdout', /^noted build-2$/);
    const { events } = await client.events({ action: 'build_noted' });
    assert.deepEqual(
      events.map(({ id, target, causation_id }) => [id, target, causation_id]),
      ['build-2', 'build-1'].map((id) => [`noted-${id}`, 'web', id]),
    );
  });

  it('has an agent in Python that does what the page says', {
    skip: !has('python3') && 'no python3 here',
  }, async (t) => {
    const folder = temporaryFolder(t);
    const bus = await startBus(folder);
    t.after(() => bus.stop());
    const file = join(folder, 'scribe.py');
    writeFileSync(file, /```python\n([\s\S]*?)```/.exec(page)?.[1] as string);
    const { exit, stdout, stderr } = await start([file], { LEVEREDGE_URL: bus.url }, ['python3']).ended;
    assert.equal(exit, 0, stderr);
    assert.equal(stdout, /```\n(heard[\s\S]*?)```/.exec(page)?.[1]);
  });

  it('has the command that makes a token with which that agent can do all of it', {
    skip: !has('python3') && 'no python3 here',
  }, async (t) => {
    const folder = temporaryFolder(t);
    const bus = await startBus(folder, ['--port', '0', '--auth', 'required']);
    t.after(() => bus.stop());
    const words = /`leveredge (token create SCRIBE [^`]+)`/.exec(page)?.[1]?.split(/\s+/) ?? [];
    const made = await leveredge([...words, '--home', folder, '--quiet']);
    assert.equal(made.exit, 0, made.stderr);
    const LEVEREDGE_TOKEN_FILE = join(folder, 'shared', 'credentials', 'SCRIBE.token');
    const file = join(folder, 'scribe.py');
    writeFileSync(file, /```python\n([\s\S]*?)```/.exec(page)?.[1] as string);
    const env = { LEVEREDGE_URL: bus.url, LEVEREDGE_TOKEN_FILE };
    const { exit, stdout, stderr } = await start([file], env, ['python3']).ended;
    assert.equal(exit, 0, stderr);
    assert.equal(stdout, /```\n(heard[\s\S]*?)```/.exec(page)?.[1]);
  });
});
