import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { behindPort, type ComposeConfig, type Place, scratchOf } from './scratch-compose.ts';

const place: Place = {
  moved: [{ live: '/srv/prod', scratch: '/srv/.drill/prod' }],
  leadsTo: (path) => (path === '/srv/.drill/prod/linked' ? '/mnt/live' : path),
  isFile: (path) => path === '/etc/localtime',
};
const config: ComposeConfig = {
  version: '3',
  services: {
    web: {
      image: 'web',
      container_name: 'prod-web',
      restart: 'always',
      privileged: true,
      ports: ['127.0.0.1:8080:80/tcp', { published: '9000', target: 90 }],
      networks: { front: null },
      environment: { A: '1' },
      labels: { 'traefik.enable': 'true' },
      volumes_from: ['container:live:rw'],
      volumes: [
        '/srv/prod/site:/site:rw',
        '/srv/.drill/prod/data:/data',
        '/srv/product:/other',
        '/srv/prod/linked:/linked',
        '/var/run:/var/run',
        'cache:/cache:rw',
        '/var/run/docker.sock:/var/run/docker.sock',
        { type: 'bind', source: '/srv/prod', target: '/all' },
        { type: 'bind', source: '/etc/localtime', target: '/etc/localtime' },
      ],
    },
    host: { build: '.', network_mode: 'host' },
  },
  networks: { front: { external: true, name: 'shared' } },
  volumes: { cache: { name: 'prod_cache', external: true } },
  secrets: { key: { file: '/srv/prod/key' } },
};

describe('a project for a drill', () => {
  const { config: made, notes } = scratchOf(config, place, new Map([['host', 'sha256:abc']]));
  const web = made.services?.web as NonNullable<typeof made.services>[string];

  it('publishes nothing, has no name of the live one and never restarts', () => {
    assert.deepEqual(
      [web.ports, web.container_name, web.restart, web.privileged],
      [undefined, undefined, 'no', undefined],
    );
    assert.deepEqual(web.environment, { A: '1' });
    assert.deepEqual([web.labels, web.volumes_from], [undefined, undefined]);
  });

  it('has networks without a way out, and volumes of its own', () => {
    assert.deepEqual(made.networks, { front: { internal: true }, default: { internal: true } });
    assert.deepEqual(made.volumes, { cache: {} });
    assert.equal(made.services?.host?.network_mode, undefined);
  });

  it('writes to copies of the target alone', () => {
    assert.deepEqual(web.volumes, [
      '/srv/.drill/prod/site:/site:rw',
      '/srv/.drill/prod/data:/data:rw',
      'cache:/cache:rw',
      { type: 'bind', source: '/srv/.drill/prod', target: '/all' },
      { type: 'bind', source: '/etc/localtime', target: '/etc/localtime', read_only: true },
    ]);
  });

  it('keeps secrets, by their copies', () => assert.deepEqual(made.secrets, { key: { file: '/srv/.drill/prod/key' } }));

  it('builds no image that there is', () => {
    assert.deepEqual([made.services?.host?.build, made.services?.host?.image], [undefined, 'sha256:abc']);
  });

  it('says what is not as in earnest', () => {
    const all = notes.join('\n');
    for (const part of [
      'without privileged',
      'docker.sock',
      '/srv/product',
      '/srv/prod/linked',
      '/var/run,',
      'volume cache is empty',
      'not in host',
    ])
      assert.match(all, new RegExp(part));
  });

  it('knows who answers behind a port', () => {
    assert.deepEqual(behindPort(config, 8080), { service: 'web', port: 80 });
    assert.deepEqual(behindPort(config, 9000), { service: 'web', port: 90 });
    assert.equal(behindPort(config, 80), undefined);
  });
});
