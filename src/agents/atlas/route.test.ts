import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { atlasCapabilities } from '../../capabilities/atlas.ts';
import { routeOf } from './route.ts';

describe('the route of a sentence', () => {
  const shape = atlasCapabilities.find(({ name }) => name === 'atlas.route')?.output;

  it('is the call to make, for whoever asks to make it', () => {
    const route = routeOf('Roll dev back.');
    assert.deepEqual(route, {
      ...{ capability: 'hades.rollback', arguments: { target: 'dev' } },
      ...{ says: 'hades.rollback target=dev', nearest: [] },
    });
    assert.deepEqual(shape?.parse(routeOf('show 5 events')), routeOf('show 5 events'));
  });

  it('is none where nothing is to be called, with why and what comes near', () => {
    const route = routeOf('roll it back');
    assert.deepEqual([route.capability, route.arguments], [null, null]);
    assert.deepEqual(route.nearest, [{ phrase: 'roll TARGET back', capability: 'hades.rollback' }]);
    assert.deepEqual(shape?.parse(route), route);
  });
});
