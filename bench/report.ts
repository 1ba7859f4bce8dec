import { connectionsTried, contestants } from './contestants.ts';
import type { DeliverResult } from './deliver.ts';
import { batchConnections, batchSize, type Middle, type PublishResult, type Table } from './publish.ts';
import { aThousand, type ReadResult } from './read.ts';
import { growth, type Sample, type SoakResult } from './soak.ts';

/** One promise of the project, and whether this run kept it. */
type Target = { what: string; wanted: string; measured: string; met: boolean | undefined };

const titles = new Map<string, string>(Object.values(contestants).map(({ name, title }) => [name, title]));
const perSecond = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1));
const ms = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

/** The publish part of docs/performance.md. */
export function publishReport(result: PublishResult): string {
  const { pinned, free, slowed, batches, left } = result;
  return [
    '### Durable single publishes',
    '',
    'Events a second (p50 / p99 latency in ms), medians of the rounds. Server on one core, load generator on the other:',
    '',
    ...tableOf(pinned, connectionsTried),
    '',
    'Server and load generator wherever the kernel puts them (the bus has a second thread for its writes):',
    '',
    ...tableOf(free, [1, 64]),
    '',
    'Pinned as above, each sync slowed by 1 ms, as on a disk that really flushes:',
    '',
    ...tableOf(slowed, [1, 64]),
    '',
    `Events a second in batches of ${batchSize} (latency of a batch), pinned as above:`,
    '',
    ...tableOf(batches, batchConnections),
    '',
    ...leftOut(left),
    ...targetTable(publishTargets(result)),
  ].join('\n');
}

/** The read part of docs/performance.md. */
export function readReport(result: ReadResult): string {
  const { sizes, rows, bytesPerEvent, startMs, fillPerSecond, verifySeconds, writesBesidePerSecond, left } = result;
  const [small, large] = [sizes.small, sizes.large].map((size) => size.toLocaleString('en'));
  return [
    '### Reads',
    '',
    `Milliseconds over HTTP, one request at a time on one connection: p50 / p99. The last column with ${perSecond(writesBesidePerSecond)} publishes a second beside it.`,
    '',
    `| request | ${small} events | ${large} events | ratio of p50 | ${large}, writes beside it |`,
    '|---|---|---|---|---|',
    ...rows.map(
      (row) =>
        `| \`${row.name}\` | ${ms(row.small.p50Ms)} / ${ms(row.small.p99Ms)} | ${ms(row.large.p50Ms)} / ${ms(row.large.p99Ms)} ` +
        `| ${(row.large.p50Ms / row.small.p50Ms).toFixed(2)} | ${row.busy ? `${ms(row.busy.p50Ms)} / ${ms(row.busy.p99Ms)}` : '–'} |`,
    ),
    '',
    `${bytesPerEvent.toFixed(0)} bytes an event with its deliveries and acknowledgements. The process answers ${startMs.large.toFixed(0)} ms after ` +
      `its start with ${large} events, ${startMs.empty.toFixed(0)} ms with none. Filled through the store at ${perSecond(fillPerSecond)} events/s. ` +
      `\`leveredge audit verify\` takes ${verifySeconds.toFixed(1)} s for ${large} events.`,
    '',
    ...leftOut(left),
    ...targetTable(readTargets(result)),
  ].join('\n');
}

/** The deliver part of docs/performance.md. */
export function deliverReport(result: DeliverResult): string {
  const { latencies, ceiling, idle, claims } = result;
  const timing = ({ p50Ms, p99Ms }: { p50Ms: number; p99Ms: number }) => `${ms(p50Ms)} | ${ms(p99Ms)}`;
  return [
    '### Delivery',
    '',
    'From sending a publish until a subscriber of `GET /events/stream` has the event, 200 publishes a second, in ms:',
    '',
    '| subscribers | p50 | p99 | longest | the publish’s own answer, p50 | p99 |',
    '|---|---|---|---|---|---|',
    ...latencies.map((row) => `| ${row.subscribers} | ${timing(row)} | ${ms(row.maxMs)} | ${timing(row.answered)} |`),
    '',
    `The bare ceiling answers at the same rate after ${ms(ceiling.p50Ms)} ms (p99 ${ms(ceiling.p99Ms)}).`,
    '',
    'Deliveries claimed and acknowledged, one at a time by each consumer (two requests for each), in ms:',
    '',
    '| consumers | a second | p50 | p99 |',
    '|---|---|---|---|',
    ...claims.map((row) => `| ${row.consumers} | ${perSecond(row.perSecond)} | ${timing(row)} |`),
    '',
    `The whole process with ${idle.streams.toLocaleString('en')} idle streams: ${idle.withMiB.toFixed(0)} MiB (${idle.beforeMiB.toFixed(0)} MiB before).`,
    '',
    ...targetTable(deliverTargets(result)),
  ].join('\n');
}

/** The soak part of docs/performance.md. */
export function soakReport(result: SoakResult): string {
  if (result.left.length > 0) return leftOut(result.left).join('\n');
  const { early, late } = growth(result.samples);
  const at = ({ atSeconds, rssMiB, heapMiB }: Sample) =>
    `${atSeconds.toFixed(0)} s: ${rssMiB.toFixed(0)} MiB resident, ${heapMiB.toFixed(0)} MiB of it JavaScript’s heap`;
  return [
    '### Soak',
    '',
    `${result.minutes} minutes at ${perSecond(result.perSecond)} publishes a second (the machine’s most was ${perSecond(result.fullPerSecond)}), with ` +
      `10 readers of the stream, 2 consumers (${perSecond(result.acknowledged)} deliveries acknowledged, ${perSecond(result.givenBack)} given back) and ` +
      `retention (${perSecond(result.purged)} events purged).`,
    '',
    `Memory, medians around ${at(early)}; around ${at(late)}.`,
  ].join('\n');
}

function deliverTargets({ latencies, idle }: DeliverResult): Target[] {
  const under = (subscribers: number, figure: 'p50Ms' | 'p99Ms', limitMs: number): Target => {
    const value = latencies.find((row) => row.subscribers === subscribers)?.[figure];
    return {
      what: `publish to stream, ${subscribers === 1 ? '1 subscriber' : `${subscribers} subscribers`}, ${figure.slice(0, 3)}`,
      wanted: `under ${limitMs} ms`,
      measured: value === undefined ? '–' : `${ms(value)} ms`,
      met: value === undefined ? undefined : value < limitMs,
    };
  };
  return [
    under(1, 'p50Ms', 0.6),
    under(1, 'p99Ms', 4),
    under(100, 'p99Ms', 20),
    {
      what: `${idle.streams.toLocaleString('en')} idle streams, the whole process`,
      wanted: 'under 250 MiB',
      measured: `${idle.withMiB.toFixed(0)} MiB`,
      met: idle.withMiB < 250,
    },
  ];
}

function tableOf(table: Table, counts: readonly number[]): string[] {
  if (table.size === 0) return ['Not measured.'];
  return [
    `| | ${counts.map((count) => (count === 1 ? '1 connection' : `${count} connections`)).join(' | ')} |`,
    `|---|${counts.map(() => '---').join('|')}|`,
    ...[...table].map(
      ([name, row]) => `| ${titles.get(name)} | ${counts.map((count) => cell(row.get(count))).join(' | ')} |`,
    ),
  ];
}

function cell(middle: Middle | undefined): string {
  if (!middle) return '–';
  const failed = middle.failed > 0 ? `, ${middle.failed} failed` : '';
  return `${perSecond(middle.perSecond)} (${ms(middle.p50Ms)} / ${ms(middle.p99Ms)}${failed})`;
}

const leftOut = (left: readonly string[]) => (left.length ? [...left.map((line) => `Left out: ${line}.`), ''] : []);

function targetTable(targets: readonly Target[]): string[] {
  return [
    '| target | wanted | measured | met |',
    '|---|---|---|---|',
    ...targets.map(
      ({ what, wanted, measured, met }) =>
        `| ${what} | ${wanted} | ${measured} | ${met === undefined ? 'not measured' : met ? 'yes' : '**no**'} |`,
    ),
  ];
}

function publishTargets({ pinned, slowed, batches, healthMaxMs }: PublishResult): Target[] {
  const at = (table: Table, name: string, count: number) => table.get(name)?.get(count);
  const ratio = (table: Table, rival: string, count: number, least: number, what: string): Target => {
    const [ours, theirs] = [at(table, 'bus', count), at(table, rival, count)];
    const value = ours && theirs && ours.perSecond / theirs.perSecond;
    return {
      what,
      wanted: `≥ ${least < 1 ? least.toFixed(2) : least}×`,
      measured: value === undefined ? '–' : `${value.toFixed(2)}×`,
      met: value === undefined ? undefined : value >= least,
    };
  };
  /** What a disk lets anyone reach: where even the bare ceiling is below a target, the target is the disk's. */
  const ceilingBeside = (count: number): string => {
    const [bare, theirs] = [at(pinned, 'ceiling', count), at(pinned, 'python', count)];
    return bare && theirs ? ` (the bare ceiling: ${(bare.perSecond / theirs.perSecond).toFixed(1)}×)` : '';
  };
  const [ours, python] = [at(pinned, 'bus', 64), at(pinned, 'python', 64)];
  const tail = ours && python && python.p99Ms / ours.p99Ms;
  return [
    ratio(pinned, 'python', 64, 50, `64 connections, against Python${ceilingBeside(64)}`),
    {
      what: '64 connections, p99 against Python’s',
      wanted: 'at most 1/25',
      measured: tail === undefined ? '–' : `1/${tail.toFixed(0)}`,
      met: tail === undefined ? undefined : tail >= 25,
    },
    ratio(slowed, 'each', 64, 15, '64 connections, syncs slowed, against a commit per event'),
    ratio(pinned, 'pgBoss', 64, 5, '64 connections, against pg-boss `send`'),
    ratio(pinned, 'ceiling', 64, 1 / 3, '64 connections, against the bare ceiling'),
    ratio(pinned, 'redis', 64, 1, '64 connections, against the service on Redis Streams'),
    ratio(pinned, 'nats', 64, 1, '64 connections, against the service on NATS JetStream'),
    ratio(batches, 'ceiling', 16, 1 / 3, `batches of ${batchSize}, 16 connections, against the bare ceiling`),
    ratio(pinned, 'python', 1, 10, `1 connection, against Python${ceilingBeside(1)}`),
    {
      what: '64 connections, p99',
      wanted: 'under 10 ms',
      measured: ours ? `${ms(ours.p99Ms)} ms` : '–',
      met: ours && ours.p99Ms < 10,
    },
    {
      what: 'longest wait for `GET /health` beside 64 connections, in any round',
      wanted: 'under 50 ms',
      measured: healthMaxMs.length ? `${ms(Math.max(...healthMaxMs))} ms` : '–',
      met: healthMaxMs.length ? Math.max(...healthMaxMs) < 50 : undefined,
    },
  ];
}

function readTargets({ rows, sizes, bytesPerEvent, startMs, verifySeconds }: ReadResult): Target[] {
  const slowest = rows
    .filter(({ name }) => !name.includes(aThousand))
    .reduce((worst, row) => (row.large.p50Ms > worst.large.p50Ms ? row : worst));
  const grown = rows.reduce((worst, row) => (grownBy(row) > grownBy(worst) ? row : worst));
  const large = sizes.large.toLocaleString('en');
  return [
    {
      what: `slowest page of 50 at ${large} events, p50 (\`${slowest.name}\`)`,
      wanted: 'under 2 ms',
      measured: `${ms(slowest.large.p50Ms)} ms`,
      met: slowest.large.p50Ms < 2,
    },
    {
      what: `largest growth from ${sizes.small.toLocaleString('en')} events (\`${grown.name}\`)`,
      wanted: 'within 2×',
      measured: `${grownBy(grown).toFixed(2)}×`,
      met: grownBy(grown) <= 2,
    },
    {
      what: 'bytes an event',
      wanted: 'under 1,500',
      measured: bytesPerEvent.toFixed(0),
      met: bytesPerEvent < 1_500,
    },
    {
      what: `start with ${large} events`,
      wanted: 'under 1 s',
      measured: `${startMs.large.toFixed(0)} ms`,
      met: startMs.large < 1_000,
    },
    {
      what: `\`leveredge audit verify\`, ${large} events`,
      wanted: 'under 20 s',
      measured: `${verifySeconds.toFixed(1)} s`,
      met: verifySeconds < 20,
    },
  ];
}

/** Below this a ratio is the machine's noise: both are as fast as a request that reads nothing. */
const noiseMs = 0.2;
const grownBy = ({ small, large }: ReadResult['rows'][number]) =>
  Math.max(large.p50Ms, noiseMs) / Math.max(small.p50Ms, noiseMs);
