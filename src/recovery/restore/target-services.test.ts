import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Running } from './services.ts';
import { alsoRunning, targetServices } from './target-services.ts';

const container = (id: string, restart: string) => ({
  ...{ id, restart, project: 'p', service: 's', running: true, state: 'running', exitCode: 0, health: '' },
  ...{ image: 'i', volumes: [], binds: [], pid: 0, addresses: [] },
});

describe('What works on a target', () => {
  it('is as it was before it was stopped, whatever is seen of it since', () => {
    const known: Running = {
      projects: [{ file: '/c.yml', containers: [container('a', 'always')] }],
      units: [{ name: 'web.service', user: null, ran: true }],
    };
    const now: Running = {
      projects: [{ file: '/c.yml', containers: [container('a', 'no'), container('b', 'no')] }],
      units: [
        { name: 'web.service', user: null, ran: false },
        { name: 'web.service', user: 'owner', ran: false },
      ],
    };
    assert.deepEqual(alsoRunning(known, now), {
      projects: [{ file: '/c.yml', containers: [container('a', 'always'), container('b', 'no')] }],
      units: [
        { name: 'web.service', user: null, ran: true },
        { name: 'web.service', user: 'owner', ran: false },
      ],
    });
    // A journal of before there were units.
    assert.deepEqual(alsoRunning({ projects: [] }, { projects: [] }), { projects: [], units: [] });
  });

  it('is nothing where the target names neither units nor compose files', () => {
    const target = { name: 'dev', trees: [], databases: [], health: 'none' as const };
    assert.equal(targetServices(target, 0).isEmpty, true);
    assert.equal(targetServices({ ...target, units: [{ name: 'a.service', user: null }] }, 0).isEmpty, false);
    assert.equal(targetServices({ ...target, compose: ['/c.yml'] }, 0).isEmpty, false);
  });
});
