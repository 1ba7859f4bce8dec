// The same work on NATS JetStream: the log and one stream for each agent, each publish acknowledged by its stream.
// Copied by the bench into a folder where the client is installed. node nats-jetstream.mjs <nats port> <port>
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { agents } from './hearers.mjs';
import { servePublishes } from './serve-publishes.mjs';

const [natsPort, port] = process.argv.slice(2);
const connection = await connect({ servers: `127.0.0.1:${natsPort}` });
const manager = await jetstreamManager(connection);
await manager.streams.add({ name: 'log', subjects: ['log'] });
for (const agent of agents) await manager.streams.add({ name: agent, subjects: [`agent.${agent}`] });
const js = jetstream(connection);
servePublishes(
  Number(port),
  async ({ source_agent, action, target = '', details = null }, hearers) => {
    const payload = JSON.stringify({ at: Date.now(), source_agent, action, target, details });
    const [{ seq }] = await Promise.all([
      js.publish('log', payload),
      ...hearers.map((agent) => js.publish(`agent.${agent}`, payload)),
    ]);
    return String(seq);
  },
  async () => (await manager.streams.info('log')).state.messages,
);
