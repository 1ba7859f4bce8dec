// pg-boss `send` on PostgreSQL, N in flight. Copied by the bench into a folder where pg-boss is installed.
// node pg-boss.mjs <connection string> <in flight> <seconds>
import { PgBoss } from 'pg-boss';

const [connectionString, inFlight, seconds] = process.argv.slice(2);
const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
boss.on('error', (error) => {
  console.error(String(error));
  process.exitCode = 1;
});
await boss.start();
await boss.createQueue('events');

const said = { source_agent: 'HEPHAESTUS', action: 'deploy_started', target: 'dev', details: { commit: '9f2c1e7' } };

async function run(ms) {
  const end = performance.now() + ms;
  const latencies = [];
  const sender = async () => {
    for (;;) {
      const start = performance.now();
      if (start >= end) return;
      await boss.send('events', said);
      latencies.push(performance.now() - start);
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: Number(inFlight) }, sender));
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))];
  const seconds = (performance.now() - began) / 1000;
  return { requests: latencies.length, seconds, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1), failed: 0 };
}

await run(500);
console.log(`RESULT ${JSON.stringify(await run(Number(seconds) * 1000))}`);
await boss.stop({ graceful: false, close: true });
