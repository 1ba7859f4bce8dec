import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { makeClient } from '../src/client/client.ts';
import { launcher, leveredge, start, temporaryFolder } from './cli-run.fixtures.ts';

/** As docs/security-model.md has them, below the home. */
const ownersAlone = [
  'shared/credentials',
  'control-plane/event-bus',
  'gaia',
  'shared/backups/dev',
  'shared/backups/.gaia',
];
/** What others might read if they could enter the folder: public halves of keys, and files that are locked and have nothing in them. */
const openToRead = /(signing|event-bus-audit)\.pub$|bus\.lock(-journal)?$|lock\.db(-journal)?$/;

const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('what lies in a home', { timeout: 60_000 }, () => {
  it('is its owner’s alone where it is secret, whatever the umask', async (t) => {
    const home = temporaryFolder(t);
    const program = `umask 000; exec '${process.execPath}' '${launcher}' up --port 0 --home '${home}'`;
    const up = start(['-c', program], { NO_COLOR: '1' }, ['sh']);
    t.after(() => up.child.kill('SIGKILL'));
    const [, url = ''] = await up.says('stdout', /listens at (http\S+)/);
    const client = makeClient({ url });
    await client.publish({ id: 'd1', source_agent: 'ME', action: 'deploy_started', target: 'dev' });
    for (let n = 0; (await client.event('d1')).status !== 'acknowledged'; n++) {
      assert.ok(n < 1000, 'it is never backed up');
      await pause(20);
    }
    const words = ['token', 'create', 'ADA', '--kind', 'agent', '--scope', 'read', '--file', '--home', home];
    assert.equal((await leveredge(words)).exit, 0);
    for (const folder of ownersAlone) assert.equal(modeOf(join(home, folder)).toString(8), '700', folder);
    const files = ownersAlone.flatMap((folder) =>
      (readdirSync(join(home, folder), { recursive: true }) as string[])
        .map((name) => join(home, folder, name))
        .filter((path) => statSync(path).isFile()),
    );
    const secret = files.filter((path) => !openToRead.test(path));
    assert.deepEqual(
      secret.filter((path) => modeOf(path) !== 0o600),
      [],
    );
    for (const name of ['owner.token', 'ADA.token', 'event-bus-audit.key', 'events.db', 'bus.json', '.signing_key'])
      assert.ok(
        secret.some((path) => path.endsWith(`/${name}`)),
        name,
      );
    assert.ok(secret.some((path) => /\/dev\/dev-.*\.tar\.zst$/.test(path)));
  });
});
