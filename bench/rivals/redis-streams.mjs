// The same work on Redis Streams: one XADD for the log and one for each agent that hears, pipelined by the client.
// Copied by the bench into a folder where the client is installed. node redis-streams.mjs <redis port> <port>
import { createClient } from 'redis';
import { servePublishes } from './serve-publishes.mjs';

const [redisPort, port] = process.argv.slice(2);
const client = createClient({ url: `redis://127.0.0.1:${redisPort}` });
client.on('error', (error) => console.error(String(error)));
await client.connect();
servePublishes(
  Number(port),
  async ({ source_agent, action, target = '', details = null }, hearers) => {
    const fields = { at: String(Date.now()), source_agent, action, target, details: JSON.stringify(details) };
    const [id] = await Promise.all([
      client.xAdd('log', '*', fields),
      ...hearers.map((agent) => client.xAdd(`agent:${agent}`, '*', fields)),
    ]);
    return id;
  },
  () => client.xLen('log'),
);
