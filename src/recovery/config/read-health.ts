import type { Endpoint } from '../health/gate.ts';
import type { Target } from '../target.ts';
import type { Located } from './located.ts';

const usual = { withinSeconds: 120, consecutive: 3 };
const most = { withinSeconds: 3600, consecutive: 100 };

/** A target's own `health`: `none`, or `{ endpoints, within_seconds, consecutive }`. */
export function healthIn(at: Located): Target['health'] {
  const health = at.get('health');
  if (health === undefined) return 'unproven';
  if (health.value === 'none') return 'none';
  if (!health.isMap) {
    health.wrong('must be none, or have endpoints below it');
    return 'unproven';
  }
  health.knownKeys(['endpoints', 'within_seconds', 'consecutive']);
  const endpoints = endpointsIn(health);
  const withinSeconds = health.count('within_seconds', 1, most.withinSeconds) ?? usual.withinSeconds;
  const consecutive = health.count('consecutive', 1, most.consecutive) ?? usual.consecutive;
  if (consecutive > withinSeconds)
    health.wrong(`cannot be asked ${consecutive} times within ${withinSeconds} s: it is asked once a second`);
  if (endpoints.length > 0) return { endpoints, withinSeconds, consecutive };
  if (health.get('endpoints') === undefined || health.get('endpoints')?.isList)
    health.wrong('names no endpoints; say health: none if there is nothing to ask');
  return 'unproven';
}

/** The member `endpoints`. */
export function endpointsIn(section: Located | undefined): Endpoint[] {
  const list = section?.get('endpoints');
  return (list?.items('must be a list of { name, url }') ?? []).flatMap((item) => {
    const [name, url] = [item.text('name'), item.text('url')];
    if (name !== undefined && url !== undefined && /^https?:\/\//.test(url) && URL.canParse(url))
      return [{ name, url }];
    item.wrong('must have a name and a url that begins with http:// or https://');
    return [];
  });
}
