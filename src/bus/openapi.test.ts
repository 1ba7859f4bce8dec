import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Bus } from './bus.ts';
import { docsPageOf } from './docs-page.ts';
import { openApiOf } from './openapi.ts';
import { statusOf } from './problem.ts';
import { allRoutes } from './routes/all-routes.ts';

const routes = allRoutes({ version: '1.2.3', calls: { capabilities: [] as unknown } } as Bus); // Declared, never called.
const document = openApiOf(routes, '1.2.3');
const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));

function references(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => (key === '$ref' ? [String(value)] : references(value)));
}

describe('the OpenAPI document', () => {
  it('is 3.1, with all that the specification demands of its head', () => {
    assert.equal(document.openapi, '3.1.0');
    assert.equal(document.info.version, '1.2.3');
    assert.ok(document.info.title);
    assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
  });

  it('has every route, once', () => {
    for (const { method, path, operationId } of routes)
      assert.equal(document.paths[path]?.[method.toLowerCase()]?.operationId, operationId, `${method} ${path}`);
    assert.equal(operations.length, routes.length);
    const ids = operations.map(({ operationId }) => operationId);
    assert.equal(new Set(ids).size, ids.length);
  });

  it('says of each list of events that a page may be shorter than its limit', () => {
    for (const path of ['/events', '/agents/{agent}/events'])
      assert.match(document.paths[path]?.get?.description ?? '', /shorter than limit.*next/, path);
  });

  it('has every call of the compatible API', () => {
    for (const call of [
      'get /health',
      'post /events',
      'get /events',
      'get /events/{id}',
      'post /events/{id}/acknowledge',
      'post /events/{id}/respond',
      'get /events/pending/human',
      'get /agents/{agent}/events',
    ]) {
      const [method, path] = call.split(' ') as [string, string];
      assert.ok(document.paths[path]?.[method], call);
    }
  });

  it('resolves every reference, and defines nothing that nobody refers to', () => {
    const used = new Set(references(document));
    for (const reference of used) {
      const name = reference.replace('#/components/schemas/', '');
      assert.ok(Object.hasOwn(document.components.schemas, name), reference);
    }
    for (const name of Object.keys(document.components.schemas))
      assert.ok(used.has(`#/components/schemas/${name}`), `${name} is not used`);
    assert.ok(!JSON.stringify(document).includes('$defs'));
  });

  it('gives each operation a summary, a known tag, its answers and its refusals', () => {
    const tags = document.tags.map(({ name }) => name);
    for (const [index, operation] of operations.entries()) {
      const where = operation.operationId;
      assert.ok(operation.summary.length > 5, where);
      assert.ok(tags.includes(operation.tags[0] as string), where);
      assert.ok(
        Object.keys(operation.responses).some((status) => /^[23]/.test(status)),
        where,
      );
      for (const code of routes[index]?.faults ?? [])
        assert.ok(operation.responses[statusOf(code)], `${where} ${code}`);
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        assert.ok(description, `${where} ${status}`);
        if (/^[45]/.test(status)) assert.deepEqual(Object.keys(content), ['application/problem+json']);
      }
    }
  });

  it('says of each call which token it needs', () => {
    assert.deepEqual(document.components.securitySchemes.token?.scheme, 'bearer');
    for (const { security, description = '', operationId, responses } of operations) {
      const needs = routes.find((route) => route.operationId === operationId)?.needs;
      assert.deepEqual(security, needs === null ? [{}] : [{ token: [needs] }, {}], operationId);
      assert.match(description, needs === null ? /Needs no token\.$/ : new RegExp(`Needs a token with ${needs}`));
      assert.ok(responses['401'] && responses['403'] && responses['429'], operationId);
    }
  });

  it('declares each parameter of a path, and no other', () => {
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, { parameters }] of Object.entries(methods)) {
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
        const declared = parameters.filter((one) => one.in === 'path');
        assert.deepEqual(
          declared.map(({ name }) => name),
          inPath,
          `${method} ${path}`,
        );
        assert.ok(
          parameters.every(({ description }) => description.length > 3),
          `${method} ${path}`,
        );
        assert.ok(declared.every(({ required }) => required));
      }
  });

  it('tells a parameter’s bounds and default from the schema that checks it', () => {
    const limit = document.paths['/events']?.get?.parameters.find(({ name }) => name === 'limit');
    assert.deepEqual(limit?.schema, { default: 50, type: 'integer', minimum: 1, maximum: 1000 });
    assert.equal(limit?.required, false);
    const agent = document.paths['/events/{id}/acknowledge']?.post?.parameters.find(({ name }) => name === 'agent');
    assert.equal(agent?.required, true);
  });

  it('gives examples that its own schemas accept', () => {
    for (const { body, operationId } of routes)
      if (body) assert.deepEqual(body.parse(body.example, {}).warnings, [], operationId);
  });

  it('is a page that shows every call and is escaped', () => {
    const hostile = { ...document, info: { ...document.info, title: '<script>"&' } };
    const page = docsPageOf(hostile, 'http://127.0.0.1:1');
    assert.ok(page.includes('&#60;script&#62;&#34;&#38;'));
    assert.ok(!page.includes('<script'));
    for (const { operationId } of operations) assert.ok(page.includes(`id="${operationId}"`), operationId);
    for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) assert.ok(page.includes(`id="${id}"`));
  });

  it('is a page that tells every field, also of objects within objects, and every shape it names', () => {
    const page = docsPageOf(document, 'http://127.0.0.1:1');
    const part = (id: string) =>
      new RegExp(`<article class="call" id="${id}">[\\s\\S]*?</article>`).exec(page)?.[0] ?? '';
    for (const name of ['Event', 'PendingQuestion', 'Problem', 'Resolution', 'Subscription']) {
      const fields = Object.keys((document.components.schemas[name]?.properties ?? {}) as object);
      assert.ok(fields.length > 4, name);
      for (const field of fields)
        assert.ok(part(`shape-${name}`).includes(`<code>${field}</code>`), `${name} ${field}`);
    }
    for (const field of ['after_minutes', 'notify'])
      assert.ok(part('publish').includes(`<code>${field}</code>`), field);
    for (const field of ['after_minutes', 'notify', 'fired_at'])
      assert.ok(part('shape-PendingQuestion').includes(`<code>${field}</code>`), field);
    assert.ok(part('shape-Problem').includes('<code>pointer</code>'));
    assert.ok(part('explain').includes('<code>heard_as</code>'));
    assert.match(part('listEvents'), /list of <a href="#shape-Event">Event<\/a>/);
    assert.match(part('getEvent'), /All of <a href="#shape-Event">Event<\/a>, and:/);
    assert.match(part('respond'), /<code>409<\/code> <span class="kind"><a href="#shape-Problem">/);
  });

  it('is a page whose examples an older curl takes too, and takes as they stand', () => {
    const page = docsPageOf(document, 'http://127.0.0.1:1');
    const examples = [...page.matchAll(/<pre><code>(curl [\s\S]*?)<\/code>/g)].map(([, text]) => text as string);
    assert.equal(examples.length, operations.length);
    for (const example of examples) assert.doesNotMatch(example, /--json|\/[^ ]*[{}]/);
  });
});
