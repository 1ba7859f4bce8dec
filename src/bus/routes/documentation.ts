import type { Bus } from '../bus.ts';
import { docsPageOf, docsPagePolicy } from '../docs-page.ts';
import { type OpenApi, openApiOf } from '../openapi.ts';
import { type Route, route } from '../route.ts';

/**
 * GET /openapi.json, GET /docs and the way from / to it. They describe the routes given and themselves; what they show is
 * made once, at the first call.
 */
export function documentation(others: readonly Route[], { version, address }: Bus): Route[] {
  let document: OpenApi | undefined;
  let page: string | undefined;
  const describe = () => {
    document ??= openApiOf([...others, ...own], version);
    return document;
  };
  const own: Route[] = [
    route({
      method: 'GET',
      path: '/openapi.json',
      operationId: 'openapi',
      tag: 'The bus',
      needs: null,
      summary: 'Read this description as OpenAPI 3.1',
      answers: { 200: { description: 'The OpenAPI document', contentType: 'application/json' } },
      handle: () => ({ status: 200, body: describe() }),
    }),
    route({
      method: 'GET',
      path: '/docs',
      operationId: 'docs',
      tag: 'The bus',
      needs: null,
      summary: 'Read this description as a page',
      answers: { 200: { description: 'The page', contentType: 'text/html' } },
      handle() {
        page ??= docsPageOf(describe(), address().url);
        return {
          status: 200,
          text: page,
          contentType: 'text/html; charset=utf-8',
          headers: { 'content-security-policy': docsPagePolicy },
        };
      },
    }),
    route({
      method: 'GET',
      path: '/',
      operationId: 'root',
      tag: 'The bus',
      needs: null,
      summary: 'Lead to the page',
      answers: { 302: { description: 'To /docs', contentType: 'text/plain' } },
      handle: () => ({
        status: 302,
        text: 'The page is at /docs.\n',
        contentType: 'text/plain; charset=utf-8',
        headers: { location: '/docs' },
      }),
    }),
  ];
  return own;
}
