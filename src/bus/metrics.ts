import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StoreObserver, StoreStats } from './store/store.ts';

/** The semantic convention's advice for `http.server.request.duration` (OpenTelemetry), with finer steps below. */
const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 60];
const commitSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const batchSizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** Gauges of the library that are called as counters are; the same figures stand beside them by type. */
const misnamed = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/** Notes how long a request of one route took, and how it ended. */
export type NoteRequest = (status: number, seconds: number) => void;

/** What the bus counts, for Prometheus. Labels are names from the program's own text, never ids or names from outside. */
export type Metrics = MetricsText & {
  /** To be asked for once for each route. */
  requestsOf(method: string, route: string): NoteRequest;
  readonly store: StoreObserver;
  /** A figure that is looked up when somebody asks for the metrics. */
  gauge(name: string, help: string, read: () => number): void;
};

export type MetricsText = {
  /** All of it in Prometheus' text format. */
  text(stats: StoreStats): Promise<string>;
  readonly contentType: string;
};

/** Begins to count. The figures of the process itself (memory, event loop, garbage collection) are among them. */
export function makeMetrics(version: string): Metrics {
  const register = new Registry();
  const registers = [register];
  collectDefaultMetrics({ register });
  for (const name of misnamed) register.removeSingleMetric(name);
  new Gauge({ name: 'leveredge_build_info', help: 'The version that runs', labelNames: ['version'], registers }).set(
    { version },
    1,
  );
  return {
    requestsOf: requestsIn(register),
    store: storeIn(register),
    gauge(name, help, read) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    },
    text: statsIn(register),
    contentType: register.contentType,
  };
}

function requestsIn(register: Registry): Metrics['requestsOf'] {
  const durations = new Histogram({
    name: 'http_server_request_duration_seconds',
    help: 'From the moment a request has arrived until its answer is handed to the connection; streams are not in it',
    labelNames: ['http_request_method', 'http_route', 'http_response_status_code'],
    buckets: requestSeconds,
    registers: [register],
  });
  return (method, route) => {
    const byStatus = new Map<number, { observe(seconds: number): void }>();
    return (status, seconds) => {
      let own = byStatus.get(status);
      if (own === undefined) {
        const labels = { http_request_method: method, http_route: route, http_response_status_code: String(status) };
        own = durations.labels(labels);
        byStatus.set(status, own);
      }
      own.observe(seconds);
    };
  };
}

function storeIn(register: Registry): StoreObserver {
  const registers = [register];
  const commands = new Counter({
    name: 'leveredge_store_commands_total',
    help: 'Writes by what was asked and how it ended',
    labelNames: ['command', 'outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'leveredge_store_commit_duration_seconds',
    help: 'From handing a batch of writes over until it is on disk',
    buckets: commitSeconds,
    registers,
  });
  const sizes = new Histogram({
    name: 'leveredge_store_commit_commands',
    help: 'Writes that were committed together',
    buckets: batchSizes,
    registers,
  });
  const counts = new Map<string, { inc(): void }>();
  return {
    command(op, outcome) {
      const key = `${op} ${outcome}`;
      let count = counts.get(key);
      if (count === undefined) {
        count = commands.labels({ command: op, outcome });
        counts.set(key, count);
      }
      count.inc();
    },
    batch(size, took) {
      sizes.observe(size);
      seconds.observe(took);
    },
  };
}

function statsIn(register: Registry): Metrics['text'] {
  const registers = [register];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const events = gauge('leveredge_log_events', 'Events published in the life of this log: the number of the newest');
  const questions = gauge('leveredge_questions_open', 'Questions that wait for a person');
  const deliveries = gauge('leveredge_deliveries_open', 'Deliveries that are ready, leased or put off');
  const dead = gauge('leveredge_dead_letters', 'Deliveries that were given up until a person looks');
  const bytes = gauge('leveredge_database_bytes', 'Size of the database and its write-ahead log');
  const waiting = gauge('leveredge_store_commands_waiting', 'Writes that wait for the disk');
  return (stats) => {
    events.set(stats.head);
    questions.set(stats.openQuestions);
    deliveries.set(stats.openDeliveries);
    dead.set(stats.deadLetters);
    bytes.set(stats.bytes);
    waiting.set(stats.waiting);
    return register.metrics();
  };
}
