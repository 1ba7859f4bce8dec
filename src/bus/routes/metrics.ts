import type { Bus } from '../bus.ts';
import { type Route, route } from '../route.ts';

/** GET /metrics: figures for Prometheus. */
export function metrics({ metrics, store }: Bus): Route {
  return route({
    method: 'GET',
    path: '/metrics',
    operationId: 'metrics',
    tag: 'The bus',
    needs: 'read',
    summary: 'Read figures for Prometheus',
    description:
      'Base units, and no ids or names of agents as labels. A scrape reads counters and does not touch events.',
    answers: { 200: { description: 'The figures, in Prometheus’ text format', contentType: 'text/plain' } },
    async handle() {
      return { status: 200, text: await metrics.text(await store.stats()), contentType: metrics.contentType };
    },
  });
}
