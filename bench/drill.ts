import { noEngine } from '../test/fire/docker.fixtures.ts';
import { noServer } from '../test/fire/postgres.fixtures.ts';
import { makeStack } from '../test/fire/stack-stand.fixtures.ts';
import { median } from './machine.ts';

type Drilled = { rto_seconds: number; phases: { name: string; seconds: number }[] };

/** Drills of the stack that the tests have: a PostgreSQL database with 1,000 rows, a web service that reads it, a few files. */
export async function benchDrill(rounds: number, note: (line: string) => void): Promise<Drilled[] | string> {
  const missing = noEngine() ?? noServer();
  if (missing !== undefined) return missing;
  const stack = await makeStack({ networked: true });
  try {
    const drilled: Drilled[] = [];
    for (let round = 0; round < rounds; round++) {
      const result = (await stack.json(0, 'drill', 'dev')) as unknown as Drilled;
      note(`drill: ${result.rto_seconds} s`);
      drilled.push(result);
    }
    return drilled;
  } finally {
    await stack.end();
  }
}

export function drillReport(drilled: Drilled[] | string): string {
  if (typeof drilled === 'string') return `Left out: ${drilled}.`;
  const names = drilled[0]?.phases.map(({ name }) => name) ?? [];
  const of = (name: string) => drilled.map(({ phases }) => phases.find((each) => each.name === name)?.seconds ?? 0);
  return [
    '### A drill',
    '',
    'The reference stack: a PostgreSQL database with 1,000 rows in a container, a web service that reads it in another, a few files. ' +
      'Its images are there already. Medians of the rounds; health needs two good answers a second apart.',
    '',
    `| ${names.join(', s | ')}, s | in all (RTO), s |`,
    `|${'---|'.repeat(names.length + 1)}`,
    `| ${names.map((name) => median(of(name)).toFixed(2)).join(' | ')} | ${median(drilled.map(({ rto_seconds }) => rto_seconds)).toFixed(2)} |`,
  ].join('\n');
}
