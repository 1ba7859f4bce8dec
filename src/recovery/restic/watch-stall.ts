import { readFileSync } from 'node:fs';

type Watched = {
  pid: number;
  /** Bytes that it has given us, which say nothing of whether anybody answers it. */
  givenBytes(): number;
  /** Called once, when it has stood still for too long. */
  end(): void;
  everyMs?: number;
  stallMs?: number;
};

/** A server that accepts connections and answers nothing, as one whose disk hangs, is waited for by restic for ever. */
export const usualStallMs = 300_000;
const usualEveryMs = 15_000;
/** Progress that is printed, and timers, are this much; a connection that is slower is none. */
const idleBytesPerSecond = 4096;
const idleCpuShare = 0.02;
/** What `/proc` counts CPU time in. */
const ticksPerSecond = 100;

type Sample = { atMs: number; bytes: number; ticks: number };

/** Ends a process that has neither read, written nor computed anything for too long. Returns what stops the watching. */
export function watchStall({
  pid,
  givenBytes,
  end,
  everyMs = usualEveryMs,
  stallMs = usualStallMs,
}: Watched): () => void {
  let last = sampleOf(pid, givenBytes());
  let idleSinceMs = last?.atMs ?? 0;
  const timer = setInterval(() => {
    const now = sampleOf(pid, givenBytes());
    if (now === undefined || last === undefined || !isIdle(last, now)) idleSinceMs = now?.atMs ?? performance.now();
    last = now;
    if (performance.now() - idleSinceMs < stallMs) return;
    clearInterval(timer);
    end();
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}

function isIdle(from: Sample, to: Sample): boolean {
  const seconds = (to.atMs - from.atMs) / 1000;
  return (
    to.bytes - from.bytes < idleBytesPerSecond * seconds &&
    (to.ticks - from.ticks) / ticksPerSecond < idleCpuShare * seconds
  );
}

/** Undefined when nobody can tell: then it is left alone. */
function sampleOf(pid: number, givenBytes: number): Sample | undefined {
  try {
    const io = readFileSync(`/proc/${pid}/io`, 'latin1');
    const [read, written] = [/^rchar: (\d+)/m, /^wchar: (\d+)/m].map((pattern) => Number(pattern.exec(io)?.[1]));
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = Number(fields[11]) + Number(fields[12]);
    return { atMs: performance.now(), bytes: (read ?? 0) + (written ?? 0) - givenBytes, ticks };
  } catch {
    return undefined; // It has ended, or there is no such /proc.
  }
}
