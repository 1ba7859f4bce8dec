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
dt{padding-top:.5rem}
dd{margin:0;color:var(--soft);font-size:.9rem}
dt+dd{padding-bottom:.45rem;border-bottom:1px solid var(--line)}
dl>div:last-child dd{border-bottom:0}
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
  const schemas = document.components.schemas;
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
<nav aria-label="Calls">${groups.map(navGroup).join('')}</nav>
<main>
${groups.map((group) => `<section><h2>${escaped(group.name)}</h2><p class="quiet">${escaped(group.description)}</p>${group.calls.map((call) => callOf(call, schemas, url)).join('')}</section>`).join('\n')}
</main>
</div>
</body>
</html>
`;
}

type Call = { path: string; method: string; operation: Operation };
type Schemas = Readonly<Record<string, Schema>>;

function navGroup(group: { name: string; calls: Call[] }): string {
  const links = group.calls.map(
    ({ method, operation }) =>
      `<li><a href="#${escaped(operation.operationId)}">${verb(method)}<span>${escaped(operation.summary)}</span></a></li>`,
  );
  return `<p>${escaped(group.name)}</p><ul>${links.join('')}</ul>`;
}

function callOf({ path, method, operation }: Call, schemas: Schemas, url: string): string {
  const body = operation.requestBody?.content['application/json'];
  return `<article class="call" id="${escaped(operation.operationId)}">
<div class="line">${verb(method)}<code>${escaped(path)}</code></div>
<h3>${escaped(operation.summary)}</h3>
${operation.description ? `<p class="quiet">${escaped(operation.description)}</p>` : ''}
${operation.parameters.length > 0 ? `<h4>Parameters</h4><dl>${operation.parameters.map(parameterOf).join('')}</dl>` : ''}
${body ? `<h4>Body</h4>${fieldsOf(body.schema, schemas)}` : ''}
<h4>Try it</h4><pre><code>${escaped(curlOf(url + path, method, operation))}</code></pre>
<h4>Answers</h4><dl>${Object.entries(operation.responses)
    .map(([status, { description, content }]) => answerOf(status, description, content, schemas))
    .join('')}</dl>
</article>`;
}

function parameterOf(parameter: Parameter): string {
  const where = parameter.in === 'path' ? 'in the path' : undefined;
  return entry(parameter.name, parameter.schema, parameter.required, parameter.description, where);
}

function answerOf(
  status: string,
  description: string,
  content: Record<string, { schema: Schema }>,
  schemas: Schemas,
): string {
  const [type, media] = Object.entries(content)[0] ?? [];
  const shape =
    media && type === 'application/json'
      ? `<details><summary>Its members</summary>${fieldsOf(media.schema, schemas)}</details>`
      : '';
  return `<div><dt><code>${escaped(status)}</code></dt><dd>${escaped(description)}${shape}</dd></div>`;
}

function fieldsOf(schema: Schema, schemas: Schemas): string {
  const { properties, required } = resolve(schema, schemas);
  const needed = Array.isArray(required) ? required : [];
  const entries = Object.entries((properties ?? {}) as Record<string, Schema>).map(([name, field]) =>
    entry(name, field, needed.includes(name) && field.default === undefined, descriptionOf(field)),
  );
  return entries.length > 0 ? `<dl>${entries.join('')}</dl>` : '<p class="quiet">An object.</p>';
}

function resolve(schema: Schema, schemas: Schemas): Schema {
  const name = typeof schema.$ref === 'string' ? schema.$ref.split('/').at(-1) : undefined;
  return (name === undefined ? undefined : schemas[name]) ?? schema;
}

function entry(name: string, schema: Schema, required: boolean, description: string, where?: string): string {
  const kind = [kindOf(schema), where, schema.default === undefined ? '' : `default ${JSON.stringify(schema.default)}`]
    .filter(Boolean)
    .join(', ');
  return `<div><dt><code>${escaped(name)}</code> <span class="kind">${escaped(kind)}</span>${
    required ? ' <span class="must">required</span>' : ''
  }</dt><dd>${escaped(description)}</dd></div>`;
}

/** What may be null carries its description one level down. */
function descriptionOf({ description, anyOf }: Schema): string {
  const inner = Array.isArray(anyOf) ? anyOf.find((one: Schema) => one.description !== undefined) : undefined;
  return String(description ?? inner?.description ?? '');
}

/** A schema in a few words: `string or null`, `list of Event`, `number from 0`. */
function kindOf(schema: Schema): string {
  if (typeof schema.$ref === 'string') return schema.$ref.split('/').at(-1) ?? 'object';
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.type)) return schema.type.join(' or ');
  if (Array.isArray(schema.anyOf)) return [...new Set(schema.anyOf.map((one: Schema) => kindOf(one)))].join(' or ');
  if (schema.type === 'array') return `list of ${kindOf((schema.items ?? {}) as Schema)}`;
  const range = [
    typeof schema.minimum === 'number' && schema.minimum > Number.MIN_SAFE_INTEGER ? `from ${schema.minimum}` : '',
    typeof schema.maximum === 'number' && schema.maximum < Number.MAX_SAFE_INTEGER ? `to ${schema.maximum}` : '',
  ];
  return [String(schema.type ?? 'anything'), ...range].filter(Boolean).join(' ');
}

function curlOf(url: string, method: string, operation: Operation): string {
  const required = operation.parameters.filter((parameter) => parameter.in === 'query' && parameter.required);
  const query = required.map(({ name, schema }) => `${name}=${(schema.examples as string[] | undefined)?.[0] ?? '…'}`);
  const target = `"${url}${query.length > 0 ? `?${query.join('&')}` : ''}"`;
  const body = operation.requestBody?.content['application/json'];
  if (body)
    return `curl ${method === 'post' ? '' : `-X ${method.toUpperCase()} `}${target} \\\n  --json '${JSON.stringify(body.example)}'`;
  return method === 'get' ? `curl ${target}` : `curl -X ${method.toUpperCase()} ${target}`;
}

function verb(method: string): string {
  return `<span class="verb ${escaped(method)}">${escaped(method.toUpperCase())}</span>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
