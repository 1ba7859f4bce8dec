import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';

describe('GET /metrics', () => {
  let bus: BusProcess;
  const post = (path: string, body?: object) =>
    fetch(bus.url + path, { method: 'POST', ...(body && { body: JSON.stringify(body) }) });
  const scrape = async () => {
    const response = await fetch(`${bus.url}/metrics`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    return response.text();
  };
  const valueIn = (text: string, series: string) => {
    const line = text.split('\n').find((each) => each.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
  before(async () => {
    bus = await startBusProcess({ worker: true });
  });
  after(() => bus.stop());

  it('counts writes by how they ended, and what is open', async () => {
    await post('/events', { source_agent: 'A', action: 'deploy_started', id: 'once' });
    await post('/events', { source_agent: 'A', action: 'deploy_started', id: 'once' });
    await post('/events', { source_agent: 'A', action: 'may_i', requires_human: true, human_question: '?' });
    await post('/events/once/acknowledge?agent=CHRONOS');
    const text = await scrape();
    assert.equal(valueIn(text, 'leveredge_store_commands_total{command="publish",outcome="stored"}'), 2);
    assert.equal(valueIn(text, 'leveredge_store_commands_total{command="publish",outcome="duplicate"}'), 1);
    assert.equal(valueIn(text, 'leveredge_store_commands_total{command="acknowledge",outcome="acknowledged"}'), 1);
    assert.equal(valueIn(text, 'leveredge_log_events'), 2);
    assert.equal(valueIn(text, 'leveredge_questions_open'), 1);
    assert.ok((valueIn(text, 'leveredge_database_bytes') as number) > 4096);
    assert.ok((valueIn(text, 'leveredge_store_commit_duration_seconds_count') as number) >= 4);
    assert.equal(valueIn(text, 'leveredge_build_info{version="0.0.0-test"}'), 1);
    assert.ok((valueIn(text, 'process_resident_memory_bytes') as number) > 10_000_000);
  });

  it('counts dead letters, and who follows or waits for deliveries', async () => {
    await post('/events', { source_agent: 'A', action: 'build_started' });
    const claimed = (await (await post('/agents/CHRONOS/deliveries:claim')).json()) as Wire;
    const [{ id, lease }] = claimed.deliveries;
    await post(`/agents/CHRONOS/deliveries/${id}:nack`, { lease, dead: true });
    const leave = new AbortController();
    const { signal } = leave;
    const stream = await fetch(`${bus.url}/events/stream`, { signal });
    const body = JSON.stringify({ wait_seconds: 20 });
    const claiming = fetch(`${bus.url}/agents/NOBODY/deliveries:claim`, { method: 'POST', body, signal });
    const cut = assert.rejects(claiming, { name: 'AbortError' });
    await stream.body?.getReader().read();
    const followers = ['leveredge_dead_letters', 'leveredge_streams', 'leveredge_claims_waiting'];
    const read = async () => {
      const text = await scrape();
      return followers.map((name) => valueIn(text, name));
    };
    for (let left = 100; left > 0 && (await read())[2] !== 1; left--) await new Promise((go) => setTimeout(go, 20));
    assert.deepEqual(await read(), [1, 1, 1]);
    leave.abort();
    await cut;
    for (let left = 100; left > 0 && (await read())[1] !== 0; left--) await new Promise((go) => setTimeout(go, 20));
    assert.deepEqual((await read())[1], 0);
  });

  it('times requests by route and status, whatever the path was', async () => {
    await fetch(`${bus.url}/events/${'x'.repeat(30)}`);
    await fetch(`${bus.url}/events/${'y'.repeat(30)}`);
    const text = await scrape();
    const labels = 'http_request_method="GET",http_route="/events/{id}",http_response_status_code="404"';
    assert.equal(valueIn(text, `http_server_request_duration_seconds_count{${labels}}`), 2);
    assert.ok(!text.includes('xxx'), 'nothing of what was asked for is in it');
  });

  it('counts also who was let in no further than the door', async () => {
    const ask = (token: string) => fetch(`${bus.url}/events`, { headers: { authorization: token } });
    assert.equal((await ask('Bearer nothing')).status, 401);
    const { headers } = await tokenFor(bus, { scopes: ['ack:self'] });
    assert.equal((await ask(headers.authorization)).status, 403);
    const text = await scrape();
    for (const status of [401, 403]) {
      const labels = `http_request_method="GET",http_route="/events",http_response_status_code="${status}"`;
      assert.equal(valueIn(text, `http_server_request_duration_seconds_count{${labels}}`), 1);
    }
  });

  it('has no name of an agent, an action or an id in it', async () => {
    const names = ['PETER-THE-AGENT', 'spoon_bent', 'id-of-mine'] as const;
    await post('/events', { source_agent: names[0], action: names[1], id: names[2], target: 'kitchen' });
    const text = await scrape();
    for (const name of [...names, 'kitchen', 'CHRONOS']) assert.ok(!text.includes(name), name);
  });

  it('is text that Prometheus can read: each series after its HELP and TYPE, numbers only', async () => {
    const known = new Set<string>();
    const counters = new Set<string>();
    for (const line of (await scrape()).trimEnd().split('\n')) {
      if (line.startsWith('# HELP ')) continue;
      const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line);
      if (type?.[2] === 'counter') counters.add(type[1] as string);
      if (type) known.add(type[1] as string);
      else if (line !== '') {
        const series = /^([a-z_]\w*)(\{(?:\w+="[^"\n]*",?)*\})? (-?[\d.e+-]+|[+-]Inf|Nan)$/i.exec(line);
        assert.ok(series, line);
        const name = series[1] as string;
        assert.ok(!/_total$/.test(name) || counters.has(name), `${name} is no counter`);
        assert.ok(known.has(name) || known.has(name.replace(/_(bucket|sum|count)$/, '')), line);
      }
    }
  });
});
