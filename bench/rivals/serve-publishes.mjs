// The HTTP side of the rivals that keep events in another store: reads an event, checks the two fields that must be
// there, has it stored, answers. `store(said, hearers)` resolves with the event's id once the store has said that it has it.
import { createServer } from 'node:http';
import { hearersOf } from './hearers.mjs';

export function servePublishes(port, store, head) {
  const answer = (response, status, body) => {
    const text = JSON.stringify(body);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.end(text);
  };
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      head().then((count) => answer(response, 200, { status: 'healthy', head: count }));
      return;
    }
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      try {
        const said = JSON.parse(Buffer.concat(chunks).toString());
        if (typeof said.source_agent !== 'string' || typeof said.action !== 'string')
          return answer(response, 422, { title: 'source_agent and action are needed' });
        const hearers = hearersOf(said.action);
        const id = await store(said, hearers);
        answer(response, 201, { id, status: 'created', subscribed_agents: hearers });
      } catch (error) {
        answer(response, 500, { title: String(error) });
      }
    });
  });
  server.listen(port, '127.0.0.1', () => console.log(`LISTENING ${server.address().port}`));
  process.on('SIGTERM', () => process.exit(0));
}
