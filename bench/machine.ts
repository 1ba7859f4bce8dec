import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';

/** What the figures were made on. Absolute ones mean nothing without it. */
export function describeMachine(): string[] {
  const cores = cpus();
  const { p50, p99 } = syncLatencyUs();
  return [
    `${cores.length} cores, ${cores[0]?.model.trim() ?? 'unknown'}; ${Math.round(totalmem() / 2 ** 30)} GiB; Linux ${release()}`,
    `Node ${process.versions.node}, SQLite ${process.versions.sqlite}`,
    `an fdatasync after writing 4 KiB takes ${p50.toFixed(0)} µs (p99 ${p99.toFixed(0)} µs)${p50 < 200 ? ': this disk does not really flush, see the part with slowed syncs' : ''}`,
    `${new Date().toISOString().slice(0, 10)}`,
  ];
}

function syncLatencyUs(): { p50: number; p99: number } {
  const folder = mkdtempSync(join(tmpdir(), 'bench-sync-'));
  const file = openSync(join(folder, 'probe'), 'w');
  const page = Buffer.alloc(4096, 7);
  const took: number[] = [];
  for (let i = 0; i < 300; i++) {
    writeSync(file, page);
    const start = performance.now();
    fdatasyncSync(file);
    took.push((performance.now() - start) * 1000);
  }
  closeSync(file);
  rmSync(folder, { recursive: true });
  return { p50: percentile(took, 0.5), p99: percentile(took, 0.99) };
}

/** The value below which this share of the values lies; NaN for none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export const median = (values: readonly number[]) => percentile(values, 0.5);
