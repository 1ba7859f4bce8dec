import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import type { Bus } from '../src/bus/bus.ts';
import { openApiOf } from '../src/bus/openapi.ts';
import { allRoutes } from '../src/bus/routes/all-routes.ts';
import { allCapabilities } from '../src/capabilities/all-capabilities.ts';

/** What the linter's strict rules find, but for what is meant to be so. */
async function findings(document: object): Promise<string[]> {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const found = await lintFromString({ source: JSON.stringify(document), absoluteRef: 'openapi.json', config });
  return found
    .map(({ ruleId, message, location: [place] }) => `${ruleId}: ${message} ${place?.pointer ?? ''}`)
    .filter((line) => !/^operation-2xx-response: .* #\/paths\/~1\/get\//.test(line)); // It leads to the description.
}

describe('the OpenAPI document', () => {
  const bus = { version: '1.2.3', calls: { capabilities: allCapabilities } } as unknown as Bus;
  const document = openApiOf(allRoutes(bus), '1.2.3'); // Declared, never called.

  it('is found sound by a linter of others', async () => {
    assert.deepEqual(await findings(document), []);
  });

  it('would not be with a reference to nothing, an example that its schema refuses, or two paths that are one', async () => {
    const broken = structuredClone(document);
    const body = broken.paths['/events']?.post?.requestBody?.content['application/json'];
    assert.ok(body);
    body.example = { source_agent: 7 };
    broken.paths['/events/{other}'] = {
      get: { ...structuredClone(broken.paths['/health']?.get), operationId: 'x' } as never,
    };
    broken.components.schemas.Problem = { $ref: '#/components/schemas/Nothing' };
    const rules = new Set((await findings(broken)).map((line) => line.split(':', 1)[0]));
    for (const rule of [
      'no-unresolved-refs',
      'no-invalid-media-type-examples',
      'no-identical-paths',
      'path-parameters-defined',
    ])
      assert.ok(rules.has(rule), `${rule} in ${[...rules]}`);
  });
});
