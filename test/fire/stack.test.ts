import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fillDatabase, rowsOf } from '../recovery/gaia.fixtures.ts';
import { noEngine } from './docker.fixtures.ts';
import { isPodman } from './engines.fixtures.ts';
import { noServer } from './postgres.fixtures.ts';
import { makeStack, type Stack } from './stack-stand.fixtures.ts';

const missing = noEngine() ?? noServer();
if (missing !== undefined) console.log(`NOT RUN: restores of a whole stack need Docker and PostgreSQL: ${missing}`);

describe('a stack of a database and an application', { skip: missing !== undefined, timeout: 1_800_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await makeStack();
  });
  after(() => stack?.end());

  const startedAt = (service: string) =>
    stack.docker('inspect', '--format', '{{.State.StartedAt}}', stack.idOf(service));

  it('brings rows and files back, restarts the application, and leaves the server of the database running', async () => {
    stack.sql('UPDATE account SET balance = 7');
    stack.version('2');
    const before = {
      id: stack.idOf('db'),
      started: startedAt('db'),
      web: startedAt('web'),
      data: statSync(join(stack.root, 'pgdata')).ino,
    };
    const restored = await stack.gaia('restore', 'dev', '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(stack.sql('SELECT sum(balance) FROM account'), '100000');
    assert.equal(await stack.says(), 'well 1');
    assert.equal(stack.idOf('db'), before.id);
    assert.equal(startedAt('db'), before.started);
    assert.notEqual(startedAt('web'), before.web);
    assert.equal(statSync(join(stack.root, 'pgdata')).ino, before.data);
    assert.match(stack.own(), /^app,app__old_\w+$/);
    const undone = await stack.gaia('undo', 'dev', '--yes');
    assert.equal(undone.exit, 0, undone.stderr);
    assert.equal(stack.sql('SELECT sum(balance) FROM account'), '7000');
    assert.equal(await stack.says(), 'well 2');
    const again = await stack.gaia('restore', 'dev', '--yes');
    assert.equal(again.exit, 0, again.stderr);
  });

  for (const [what, said, reason] of [
    ['is never well', 'broken', /answers 503/],
    ['flaps', 'flapping', /times in a row|answers 503/],
  ] as const)
    it(`is taken back when what was restored ${what}`, async () => {
      stack.sql(`UPDATE status SET said = '${said}'`);
      const { name } = (await stack.json(0, 'backup', 'dev')) as { name: string };
      stack.sql("UPDATE status SET said = 'well'");
      stack.version('3');
      stack.sql('UPDATE account SET balance = 3');
      await stack.untilSays('well 3');
      const back = await stack.gaia('restore', 'dev', '--backup', name, '--yes');
      assert.equal(back.exit, 10, back.stderr);
      assert.match(back.stdout + back.stderr, reason);
      if (said === 'broken') assert.match(back.stdout + back.stderr, /the application says: broken/);
      assert.equal(await stack.says(), 'well 3');
      assert.equal(stack.sql('SELECT sum(balance) FROM account'), '3000');
      assert.doesNotMatch(stack.own(), /__new_/);
      stack.removeBackup(name);
    });

  it('refuses, with everything running, where there is no client in the container', async () => {
    stack.configure('{ name: app, engine: postgres, service: plain }');
    const file = readFileSync(join(stack.root, 'compose.yml'), 'utf8');
    writeFileSync(
      join(stack.root, 'compose.yml'),
      file.replace(
        '\nvolumes: {',
        `\n  plain:\n    image: leveredge-test/busybox\n    command: ["/busybox", "sleep", "1000"]\n    stop_grace_period: 1s\nvolumes: {`,
      ),
    );
    stack.compose('up', '-d');
    try {
      for (const words of [
        ['backup', 'dev'],
        ['restore', 'dev', '--yes'],
      ]) {
        const refused = await stack.gaia(...words);
        assert.equal(refused.exit, 4, refused.stderr);
        assert.match(refused.stderr, /There is no psql in the container/);
      }
      assert.equal(await stack.says(), 'well 3');
    } finally {
      stack.docker('rm', '-f', stack.idOf('plain'));
      writeFileSync(join(stack.root, 'compose.yml'), file);
      stack.configure();
    }
  });

  it('is taken back when a port of what was restored is taken by another program', async () => {
    const file = readFileSync(join(stack.root, 'compose.yml'), 'utf8');
    const other = createServer().listen(0, '127.0.0.1').unref();
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    writeFileSync(
      join(stack.root, 'compose.yml'),
      file.replaceAll(`127.0.0.1:${stack.ports.web}`, `127.0.0.1:${port}`),
    );
    const { name } = (await stack.json(0, 'backup', 'dev')) as { name: string };
    writeFileSync(join(stack.root, 'compose.yml'), file);
    const back = await stack.gaia('restore', 'dev', '--backup', name, '--yes');
    other.close();
    assert.equal(back.exit, 10, back.stderr);
    assert.match(back.stdout + back.stderr, /web/);
    assert.equal(await stack.says(), 'well 3');
    stack.removeBackup(name);
  });

  it('brings volumes back that belong to it, also where Docker has none, and leaves others alone', async () => {
    const put = (volume: string, text: string) =>
      stack.docker('exec', stack.idOf('web'), 'sh', '-c', `echo ${text} > /${volume}/file`);
    const get = (volume: string) => stack.docker('exec', stack.idOf('web'), 'cat', `/${volume}/file`);
    put('uploads', 'first');
    put('cache', 'first');
    const { name } = (await stack.json(0, 'backup', 'dev')) as { name: string };
    put('uploads', 'second');
    put('cache', 'second');
    const restored = await stack.gaia('restore', 'dev', '--backup', name, '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.deepEqual([get('uploads'), get('cache')], ['first', 'second']);
    stack.compose('down', '-v');
    const again = await stack.gaia('restore', 'dev', '--backup', name, '--yes');
    assert.equal(again.exit, 0, again.stderr);
    assert.equal(get('uploads'), 'first');
    stack.removeBackup(name);
  });

  it('has no backup without a word for each volume', async () => {
    const text = readFileSync(stack.config, 'utf8');
    writeFileSync(stack.config, text.replace('exclude: [dev_cache]', 'exclude: []'));
    const refused = await stack.gaia('backup', 'dev');
    writeFileSync(stack.config, text);
    assert.equal(refused.exit, 2, refused.stderr);
    assert.match(refused.stderr, /volumes that nobody named: dev_cache/);
  });

  it('restarts a server of a database that still sees files of before', async () => {
    const file = readFileSync(join(stack.root, 'compose.yml'), 'utf8');
    mkdirSync(join(stack.root, 'settings'));
    writeFileSync(join(stack.root, 'settings', 'a'), 'first');
    writeFileSync(join(stack.root, 'compose.yml'), file.replace('"./pgdata:', '"./settings:/settings", "./pgdata:'));
    // Debian's podman-compose makes nothing anew by itself.
    if (isPodman) stack.compose('down');
    stack.compose('up', '-d');
    await stack.untilServes();
    const { name } = (await stack.json(0, 'backup', 'dev')) as { name: string };
    writeFileSync(join(stack.root, 'settings', 'a'), 'second');
    const restored = await stack.gaia('restore', 'dev', '--backup', name, '--yes');
    assert.equal(restored.exit, 0, restored.stderr);
    assert.equal(stack.docker('exec', stack.idOf('db'), 'cat', '/settings/a'), 'first');
    stack.removeBackup(name);
  });

  it('comes back with everything else in one go, each target by itself, from one set', async () => {
    const text = readFileSync(stack.config, 'utf8');
    const other = join(stack.home, 'data-plane', 'prod');
    mkdirSync(other);
    const database = join(other, 'events.db');
    fillDatabase(database, 3);
    writeFileSync(stack.config, `${text}    prod: { root: ${other}, health: none }\n`);
    try {
      const { results } = (await stack.json(0, 'backup', 'full')) as { results: { set: string; name: string }[] };
      assert.equal(new Set(results.map(({ set }) => set)).size, 1);
      const damage = () => {
        stack.sql('UPDATE account SET balance = 4');
        fillDatabase(database, 3);
      };
      damage();
      const restored = await stack.gaia('restore', 'full', '--backup', results[0]?.set as string, '--yes');
      assert.equal(restored.exit, 0, restored.stderr);
      assert.match(restored.stderr, /2 of 2 targets are restored/);
      assert.notEqual(stack.sql('SELECT sum(balance) FROM account'), '4000');
      assert.equal(rowsOf(database), 3);
      damage();
      rmSync(join(stack.backups, 'prod'), { recursive: true });
      const refused = await stack.gaia('restore', 'full', '--yes');
      assert.equal(refused.exit, 5, refused.stderr);
      assert.equal(stack.sql('SELECT sum(balance) FROM account'), '4000');
      const some = await stack.gaia('restore', 'full', '--skip-missing', '--yes');
      assert.equal(some.exit, 0, some.stderr);
      assert.notEqual(stack.sql('SELECT sum(balance) FROM account'), '4000');
      assert.equal(rowsOf(database), 6);
    } finally {
      writeFileSync(stack.config, text);
    }
  });
});
