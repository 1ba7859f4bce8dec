import type { Endpoint } from '../health/gate.ts';
import type { N8nCheck } from '../health/n8n.ts';
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
  health.knownKeys(['endpoints', 'n8n', 'within_seconds', 'consecutive']);
  const n8n = n8nIn(health);
  const endpoints = endpointsIn(health);
  const withinSeconds = health.count('within_seconds', 1, most.withinSeconds) ?? usual.withinSeconds;
  const consecutive = health.count('consecutive', 1, most.consecutive) ?? usual.consecutive;
  if (consecutive > withinSeconds)
    health.wrong(`cannot be asked ${consecutive} times within ${withinSeconds} s: it is asked once a second`);
  if (endpoints.length > 0 || n8n !== undefined)
    return { endpoints, withinSeconds, consecutive, ...(n8n === undefined ? {} : { n8n }) };
  if (health.get('n8n') !== undefined) return 'unproven';
  if (health.get('endpoints') === undefined || health.get('endpoints')?.isList)
    health.wrong('names no endpoints; say health: none if there is nothing to ask');
  return 'unproven';
}

const forms = 'must be { url, canary: { webhook, listen: HOST:PORT, header, sha256 } }, where canary may be missing';

/** `n8n`: its address, and the canary that proves that it can use its credentials. */
function n8nIn(health: Located): N8nCheck | undefined {
  const n8n = health.get('n8n');
  if (n8n === undefined) return undefined;
  const url = n8n.isMap ? n8n.text('url') : undefined;
  if (url === undefined || !/^https?:\/\//.test(url) || !URL.canParse(url)) {
    n8n.wrong(forms);
    return undefined;
  }
  n8n.knownKeys(['url', 'canary']);
  const canary = n8n.get('canary');
  if (canary === undefined) return { url, canary: null };
  const text = (key: string) => (canary.isMap ? (canary.text(key) ?? '') : '');
  const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(text('listen')) ?? [];
  const isWhole = text('webhook').startsWith('/') && host !== '' && /^[a-zA-Z0-9-]+$/.test(text('header'));
  if (!isWhole || !/^[0-9a-f]{64}$/.test(text('sha256')) || Number(port) > 65_535) {
    canary.wrong(forms);
    return undefined;
  }
  canary.knownKeys(['webhook', 'listen', 'header', 'sha256']);
  const listen = { host, port: Number(port) };
  const header = text('header').toLowerCase();
  return { url, canary: { webhook: text('webhook'), listen, header, sha256: text('sha256') } };
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
