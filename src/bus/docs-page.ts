import { createHash } from 'node:crypto';
import type { OpenApi, Operation, Parameter, Schema } from './openapi.ts';

const style = `
:root{color-scheme:light dark;--ink:#1c2024;--soft:#60646c;--line:#d9d9e0;--paper:#fff;--well:#f4f4f7;--accent:#0b68cb;--get:#0f6b4c;--post:#0b5fb8;--patch:#8a5300;--delete:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#edeef0;--soft:#b0b4ba;--line:#363a3f;--paper:#111113;--well:#1b1c1f;--accent:#70b8ff;--get:#4cc38a;--post:#70b8ff;--patch:#f5b14c;--delete:#ff9592}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:1rem}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
.frame{max-width:78rem;margin:0 auto;padding:0 1rem 4rem}
h1{font-size:1.6rem;line-height:1.25;margin:1.75rem 0 .5rem}
h2{font-size:1.25rem;margin:2.75rem 0 .25rem}
h3{font-size:1rem;margin:0;font-weight:600}
h4{font-size:.85rem;margin:1.25rem 0 .4rem;color:var(--soft);font-weight:600}
p{margin:.4rem 0;max-width:46rem}
a{color:var(--accent)}
code,pre{font-family:ui-monospace,monospace;font-size:.875em}
.quiet{color:var(--soft)}
nav ul{list-style:none;margin:.25rem 0 1rem;padding:0}
nav a{display:flex;gap:.5rem;padding:.3rem 0;text-decoration:none;color:var(--ink);font-size:.9rem;align-items:baseline}
nav a:hover span:last-child{text-decoration:underline}
nav p{margin:1rem 0 0;font-weight:600;font-size:.9rem}
.call{border:1px solid var(--line);border-radius:8px;margin:1rem 0;padding:1rem;overflow-wrap:anywhere}
.call:target{border-color:var(--accent)}
.verb{font:600 .75rem/1 ui-monospace,monospace;min-width:3.4rem;flex:none}
.get{color:var(--get)}.post{color:var(--post)}.patch{color:var(--patch)}.delete{color:var(--delete)}
.line{display:flex;flex-wrap:wrap;gap:.25rem .6rem;align-items:baseline;margin-bottom:.35rem}
pre{background:var(--well);border-radius:6px;padding:.75rem;margin:.4rem 0;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
dl{margin:0}
dl>div{padding:.45rem 0;border-bottom:1px solid var(--line)}
dl>div:last-child{border-bottom:0}
dd{margin:0;color:var(--soft);font-size:.9rem}
dd:empty{display:none}
dd dl{margin:.35rem 0 0;padding-left:.75rem;border-left:2px solid var(--line);color:var(--ink)}
dd dl>div{padding:.25rem 0}
.call>dl{font-size:.95rem}
.kind{color:var(--soft);font-size:.85rem}
.must{color:var(--delete);font-size:.85rem}
details{margin-top:.6rem}
summary{cursor:pointer;color:var(--accent);font-size:.9rem;padding:.25rem 0}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px;border-radius:2px}
@media(min-width:60rem){.frame{display:grid;grid-template:"nav top" auto "nav calls" 1fr/17rem minmax(0,1fr);column-gap:2.5rem}header{grid-area:top}main{grid-area:calls}nav{grid-area:nav;align-self:start;position:sticky;top:0;max-height:100vh;overflow-y:auto;padding:1.25rem 0}.call{padding:1.25rem}}
@media(max-width:59.99rem){nav a{padding:.55rem 0}}
`;

/** The page's own style is allowed by its hash; nothing else may be loaded, run or framed. */
export const docsPagePolicy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The OpenAPI document as a page to read: no script, no request of its own. `url` is where its examples call. */
export function docsPageOf(document: OpenApi, url: string): string {
  const calls = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const groups = document.tags
    .map((tag) => ({ ...tag, calls: calls.filter(({ operation }) => operation.tags.includes(tag.name)) }))
    .filter((group) => group.calls.length > 0);
  const shapes = shapesOf(document);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(document.info.title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div class="frame">
<header>
<h1>${escaped(document.info.title)} <span class="quiet">${escaped(document.info.version)}</span></h1>
<p>${escaped(document.info.description)}</p>
<p>The same for programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
</header>
<nav aria-label="Calls">${groups.map(navGroup).join('')}${navShapes(shapes.names)}</nav>
<main>
${groups.map((group) => `<section><h2>${escaped(group.name)}</h2><p class="quiet">${escaped(group.description)}</p>${group.calls.map((call) => callOf(call, shapes, url)).join('')}</section>`).join('\n')}
<section><h2>Shapes</h2><p class="quiet">What the calls above name by a word.</p>${shapes.names.map((name) => shapeOf(name, shapes)).join('')}</section>
</main>
</div>
</body>
</html>
`;
}

type Call = { path: string; method: string; operation: Operation };
/**
 * The document's schemas, and the names of those that have an entry of their own on the page. `sent`: what is told of is
 * what a caller sends, so what it must not leave out is marked; of an answer that is what may be missing.
 */
type Shapes = { schemas: Readonly<Record<string, Schema>>; names: readonly string[]; sent: boolean };

/** What other schemas refer to, and what is answered as no plain JSON: the problem. The rest is shown where it is used. */
function shapesOf({ paths, components: { schemas } }: OpenApi): Shapes {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const answers = operations.flatMap(({ responses }) => Object.values(responses).map(({ content }) => content));
  const within = [...Object.values(schemas), ...answers.flatMap(plainly)].flatMap(({ properties }) =>
    refsIn(properties),
  );
  const others = answers.flatMap((content) =>
    Object.entries(content).flatMap(([type, { schema }]) => (type === 'application/json' ? [] : refsIn(schema))),
  );
  const listed = operations.flatMap(({ requestBody }) =>
    refsIn(requestBody?.content['application/json']?.schema.items),
  );
  const used = new Set([...within, ...others, ...listed]);
  return { schemas, names: Object.keys(schemas).filter((name) => used.has(name)), sent: false };
}

function plainly(content: Record<string, { schema: Schema }>): Schema[] {
  return content['application/json'] ? [content['application/json'].schema] : [];
}

function refsIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]) => (key === '$ref' ? [lastOf(String(value))] : refsIn(value)));
}

function lastOf(reference: string): string {
  return reference.slice(reference.lastIndexOf('/') + 1);
}

function navGroup(group: { name: string; calls: Call[] }): string {
  const links = group.calls.map(
    ({ method, operation }) =>
      `<li><a href="#${escaped(operation.operationId)}">${verb(method)}<span>${escaped(operation.summary)}</span></a></li>`,
  );
  return `<p>${escaped(group.name)}</p><ul>${links.join('')}</ul>`;
}

function navShapes(names: readonly string[]): string {
  const links = names.map((name) => `<li><a href="#shape-${escaped(name)}"><span>${escaped(name)}</span></a></li>`);
  return `<p>Shapes</p><ul>${links.join('')}</ul>`;
}

function shapeOf(name: string, shapes: Shapes): string {
  const schema = shapes.schemas[name] ?? {};
  return `<article class="call" id="shape-${escaped(name)}">
<h3>${escaped(name)}</h3>
${schema.description ? `<p class="quiet">${escaped(String(schema.description))}</p>` : ''}
${fieldsOf({ $ref: name }, shapes)}
</article>`;
}

function callOf({ path, method, operation }: Call, shapes: Shapes, url: string): string {
  const body = operation.requestBody?.content['application/json'];
  return `<article class="call" id="${escaped(operation.operationId)}">
<div class="line">${verb(method)}<code>${escaped(path)}</code></div>
<h3>${escaped(operation.summary)}</h3>
${operation.description ? `<p class="quiet">${escaped(operation.description)}</p>` : ''}
${operation.parameters.length > 0 ? `<h4>Parameters</h4><dl>${operation.parameters.map((one) => parameterOf(one, shapes)).join('')}</dl>` : ''}
${body ? `<h4>Body</h4>${fieldsOf(body.schema, { ...shapes, sent: true })}` : ''}
<h4>Try it</h4><pre><code>${escaped(curlOf(url + path, method, operation))}</code></pre>
<h4>Answers</h4><dl>${Object.entries(operation.responses)
    .map(([status, { description, content }]) => answerOf(status, description, content, shapes))
    .join('')}</dl>
</article>`;
}

function parameterOf({ name, schema, required, description, in: place }: Parameter, shapes: Shapes): string {
  const where = place === 'path' ? 'in the path' : '';
  return entry({ name, schema, required, description, where }, { ...shapes, sent: true });
}

function answerOf(
  status: string,
  description: string,
  content: Record<string, { schema: Schema }>,
  shapes: Shapes,
): string {
  const [type, media] = Object.entries(content)[0] ?? [];
  const { $ref } = media?.schema ?? {};
  const named = typeof $ref === 'string' && shapes.names.includes(lastOf($ref));
  const kind = media && named ? `<span class="kind">${kindOf(media.schema, shapes)}</span>` : '';
  const members =
    media && !named && type === 'application/json'
      ? `<details><summary>Its members</summary>${fieldsOf(media.schema, shapes)}</details>`
      : '';
  return `<div><dt><code>${escaped(status)}</code> ${kind}</dt><dd>${escaped(description)}${members}</dd></div>`;
}

/** Each field; those of a shape with an entry of its own are not told again. */
function fieldsOf(schema: Schema, shapes: Shapes, depth = 0): string {
  const { properties, required } = resolve(schema, shapes);
  const fields = Object.entries((properties ?? {}) as Record<string, Schema>);
  const base = shapes.schemas[lastOf(String(schema.$ref ?? ''))] ? undefined : shapeWithin(fields, shapes);
  const told = Object.keys((base === undefined ? {} : shapes.schemas[base]?.properties) ?? {});
  const needed = Array.isArray(required) ? required : [];
  const entries = fields
    .filter(([name]) => !told.includes(name))
    .map(([name, field]) => {
      const must = needed.includes(name) && field.default === undefined;
      return entry({ name, schema: field, required: must, description: descriptionOf(field) }, shapes, depth);
    });
  if (fields.length === 0) return `<p class="quiet">${withArticle(schema, shapes)}</p>`;
  const all = base === undefined ? '' : `<p>All of ${linkTo(base)}, and:</p>`;
  return `${all}<dl>${entries.join('')}</dl>`;
}

function withArticle(schema: Schema, shapes: Shapes): string {
  return schema.type === 'array' || schema.anyOf ? `A ${kindOf(schema, shapes)}.` : 'An object.';
}

/** The name of the shape that a schema without a name has whole and extends: the largest such one. */
function shapeWithin(fields: readonly [string, Schema][], { schemas, names }: Shapes): string | undefined {
  const has = new Set(fields.map(([name]) => name));
  const within = names
    .map((name) => ({ name, own: Object.keys(schemas[name]?.properties ?? {}) }))
    .filter(({ own }) => own.length > 0 && own.length < has.size && own.every((field) => has.has(field)));
  return within.sort((a, b) => b.own.length - a.own.length)[0]?.name;
}

function resolve(schema: Schema, { schemas }: Shapes): Schema {
  return (typeof schema.$ref === 'string' ? schemas[lastOf(schema.$ref)] : undefined) ?? schema;
}

type Entry = { name: string; schema: Schema; required: boolean; description: string; where?: string };

/** Objects within objects are told in place, to this depth. */
const maxDepth = 4;

function entry({ name, schema, required, description, where = '' }: Entry, shapes: Shapes, depth = 0): string {
  const usual = schema.default === undefined ? '' : escaped(`default ${JSON.stringify(schema.default)}`);
  const kind = [kindOf(schema, shapes), where, usual].filter(Boolean).join(', ');
  const inner = depth < maxDepth ? objectIn(schema) : undefined;
  const own = inner?.description && inner !== schema ? `<p>${escaped(String(inner.description))}</p>` : '';
  const below = inner ? own + fieldsOf(inner, shapes, depth + 1) : '';
  const mark = shapes.sent === required ? markOf(required) : '';
  return `<div><dt><code>${escaped(name)}</code> <span class="kind">${kind}</span>${mark}</dt><dd>${escaped(description)}${below}</dd></div>`;
}

function markOf(required: boolean): string {
  return required ? ' <span class="must">required</span>' : ' <span class="kind">(may be missing)</span>';
}

/** The object that a field is, holds in a list, or may be beside null. A reference is none: it is a link. */
function objectIn(schema: Schema): Schema | undefined {
  if (schema.properties !== undefined) return schema;
  const inner = [schema.items, ...(Array.isArray(schema.anyOf) ? schema.anyOf : [])].filter(Boolean) as Schema[];
  return inner.map(objectIn).find(Boolean);
}

/** What may be null carries its description one level down. */
function descriptionOf({ description, anyOf }: Schema): string {
  const inner = Array.isArray(anyOf) ? anyOf.find((one: Schema) => one.description !== undefined) : undefined;
  return String(description ?? inner?.description ?? '');
}

/** A schema in a few words of HTML: `string or null`, `list of Event` (a link), `number from 0`. */
function kindOf(schema: Schema, shapes: Shapes): string {
  if (typeof schema.$ref === 'string') {
    const name = lastOf(schema.$ref);
    return shapes.names.includes(name) ? linkTo(name) : escaped(name);
  }
  if (Array.isArray(schema.enum)) return escaped(schema.enum.map((value) => JSON.stringify(value)).join(' | '));
  if (schema.const !== undefined) return escaped(JSON.stringify(schema.const));
  if (Array.isArray(schema.type)) return escaped(schema.type.join(' or '));
  if (Array.isArray(schema.anyOf))
    return [...new Set(schema.anyOf.map((one: Schema) => kindOf(one, shapes)))].join(' or ');
  if (schema.type === 'array') return `list of ${kindOf((schema.items ?? {}) as Schema, shapes)}`;
  if (typeof schema.additionalProperties === 'object' && schema.additionalProperties !== null)
    return `object, each member ${kindOf(schema.additionalProperties as Schema, shapes)}`;
  if (schema.format === 'date-time') return 'time';
  const range = [
    typeof schema.minimum === 'number' && schema.minimum > Number.MIN_SAFE_INTEGER ? `from ${schema.minimum}` : '',
    typeof schema.maximum === 'number' && schema.maximum < Number.MAX_SAFE_INTEGER ? `to ${schema.maximum}` : '',
  ];
  return escaped([String(schema.type ?? 'anything'), ...range].filter(Boolean).join(' '));
}

function linkTo(name: string): string {
  return `<a href="#shape-${escaped(name)}">${escaped(name)}</a>`;
}

function curlOf(url: string, method: string, operation: Operation): string {
  const required = operation.parameters.filter((parameter) => parameter.in === 'query' && parameter.required);
  const query = required.map(({ name, schema }) => `${name}=${(schema.examples as string[] | undefined)?.[0] ?? '…'}`);
  // In capitals, because curl takes braces for a list of its own.
  const path = url.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase());
  const target = `"${path}${query.length > 0 ? `?${query.join('&')}` : ''}"`;
  const body = operation.requestBody?.content['application/json'];
  if (body)
    return `curl ${method === 'post' ? '' : `-X ${method.toUpperCase()} `}${target} \\\n  -d '${JSON.stringify(body.example)}'`;
  return method === 'get' ? `curl ${target}` : `curl -X ${method.toUpperCase()} ${target}`;
}

function verb(method: string): string {
  return `<span class="verb ${escaped(method)}">${escaped(method.toUpperCase())}</span>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
