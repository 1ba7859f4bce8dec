// npm run bench [-- publish|read|deliver|agents|telegram|archive|databases|drill|soak] [--quick] [--rounds N] [--write]
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentsReport, benchAgents } from './agents.ts';
import { benchArchive } from './archive.ts';
import { archiveReport } from './archive-report.ts';
import { benchDatabases, databasesReport } from './databases.ts';
import { benchDeliver } from './deliver.ts';
import { benchDrill, drillReport } from './drill.ts';
import { describeMachine } from './machine.ts';
import { benchPublish } from './publish.ts';
import { benchRead } from './read.ts';
import { deliverReport, publishReport, readReport, soakReport } from './report.ts';
import { benchSoak } from './soak.ts';
import { benchTelegram, telegramReport } from './telegram.ts';

const page = join(import.meta.dirname, '../docs/performance.md');
const parts = ['publish', 'read', 'deliver', 'agents', 'telegram', 'archive', 'databases', 'drill', 'soak'] as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((part) => !parts.some((known) => known === part));
if (values.help || unknown.length > 0) {
  console.error(
    'npm run bench [-- publish|read|deliver|agents|telegram|archive|databases|drill|soak] [--quick] [--rounds N] [--write]',
  );
  console.error('  --quick  one short round, and 100,000 events instead of a million or 300 MB instead of 1.5 GB');
  console.error('  --write  put the figures into docs/performance.md');
  process.exit(values.help ? 0 : 2);
}
/** The soak takes ten minutes, so it runs only when it is named. */
const wanted = (part: (typeof parts)[number]) =>
  positionals.length === 0 ? part !== 'soak' : positionals.includes(part);
const note = (line: string) => console.error(line);

const machine = describeMachine();
const began = performance.now();
const machineText = machine.map((line) => `- ${line}`).join('\n');
const sections = new Map<string, string>();
if (wanted('publish')) {
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  const seconds = values.quick ? 1 : 2;
  sections.set('publish', publishReport(await benchPublish({ rounds, seconds, note })));
}
if (wanted('read')) {
  const large = values.quick ? 100_000 : 1_000_000;
  sections.set('read', readReport(await benchRead({ small: 10_000, large, requests: 300, note })));
}
if (wanted('deliver'))
  sections.set(
    'deliver',
    deliverReport(await benchDeliver({ seconds: values.quick ? 2 : 10, idleStreams: 1_000, note })),
  );
if (wanted('agents')) sections.set('agents', agentsReport(await benchAgents({ quick: values.quick, note })));
if (wanted('telegram')) sections.set('telegram', telegramReport(await benchTelegram({ quick: values.quick, note })));
if (wanted('archive')) {
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  sections.set('archive', archiveReport(benchArchive({ quick: values.quick, rounds, note })));
}
if (wanted('databases')) {
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
  sections.set('databases', databasesReport(await benchDatabases({ quick: values.quick, rounds, note })));
}
if (wanted('drill'))
  sections.set('drill', drillReport(await benchDrill(Number(values.rounds ?? (values.quick ? 1 : 3)), note)));
if (wanted('soak')) sections.set('soak', soakReport(await benchSoak({ minutes: values.quick ? 1 : 10, note })));
console.log(machineText);
for (const text of sections.values()) console.log(`\n${text}`);
note(`took ${((performance.now() - began) / 1000).toFixed(0)} s`);
if (values.write) {
  let text = readFileSync(page, 'utf8');
  for (const [part, report] of sections) text = between(text, part, `${machineText}\n\n${report}`);
  writeFileSync(page, text);
  note('written into docs/performance.md');
}

/** Replaces what stands between the marks of this part. */
function between(text: string, part: string, report: string): string {
  const [open, close] = [`<!-- begin ${part} -->`, `<!-- end ${part} -->`];
  const from = text.indexOf(open);
  const to = text.indexOf(close);
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no ${open} … ${close}.`);
  return `${text.slice(0, from + open.length)}\n${report}\n${text.slice(to)}`;
}
