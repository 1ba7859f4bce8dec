// The bare ceiling: node:http and node:sqlite (WAL, FULL) and nothing else. No validation, no fan-out, no ids of its
// own. `--commit group` collects what one event-loop turn brings into one transaction; `--commit each` commits per event.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';

type Said = { source_agent: string; action: string; target: string; details: unknown };

const { values } = parseArgs({ options: { file: { type: 'string' }, commit: { type: 'string', default: 'group' } } });
const db = new DatabaseSync(values.file as string);
db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
db.exec(`CREATE TABLE IF NOT EXISTS event_log (
  seq INTEGER PRIMARY KEY, at INTEGER, source_agent TEXT, action TEXT, target TEXT, details TEXT)`);
const insert = db.prepare('INSERT INTO event_log (at, source_agent, action, target, details) VALUES (?, ?, ?, ?, ?)');
const count = db.prepare('SELECT coalesce(max(seq), 0) AS head FROM event_log');

let waiting: { said: Said | Said[]; response: ServerResponse }[] = [];

function store({ source_agent, action, target, details }: Said): number | bigint {
  return insert.run(Date.now(), source_agent, action, target, JSON.stringify(details)).lastInsertRowid;
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function commitAll(): void {
  const batch = waiting;
  waiting = [];
  db.exec('BEGIN IMMEDIATE');
  const ids = batch.map(({ said }) => (Array.isArray(said) ? said.map(store).map(String) : String(store(said))));
  db.exec('COMMIT');
  batch.forEach(({ response }, i) => {
    answer(response, 201, { id: ids[i], status: 'created' });
  });
}

const server = createServer((request, response) => {
  if (request.method === 'GET') return answer(response, 200, { status: 'healthy', head: count.get()?.head });
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const said = JSON.parse(Buffer.concat(chunks).toString()) as Said | Said[];
    if (values.commit === 'each' && !Array.isArray(said))
      return answer(response, 201, { id: String(store(said)), status: 'created' });
    waiting.push({ said, response });
    if (waiting.length === 1) setImmediate(commitAll);
  });
});
server.listen(0, '127.0.0.1', () => console.log(`LISTENING ${(server.address() as AddressInfo).port}`));
process.on('SIGTERM', () => process.exit(0));
