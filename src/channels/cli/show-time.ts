const dayMs = 86_400_000;

/** A time for a table, in UTC: `19:22:01` today, `11-21 19:22:01` before, with the year when it is another one. */
export function showTime(time: string, nowMs: number): string {
  const now = new Date(nowMs).toISOString();
  const [day, clock] = [time.slice(0, 10), time.slice(11, 19)];
  if (day === now.slice(0, 10)) return clock;
  return day.slice(0, 4) === now.slice(0, 4) ? `${day.slice(5)} ${clock}` : `${day} ${clock}`;
}

/** How long until then: `in 5 min`, `in 3 h`, `overdue`; `never` for no deadline. */
export function showDeadline(time: string | null, nowMs: number): string {
  if (time === null) return 'never';
  const ms = Date.parse(time) - nowMs;
  return ms <= 0 ? 'now' : `in ${showDuration(ms)}`;
}

/** A duration with one unit, rounded up below a minute, down above: `40 s`, `5 min`, `3 h`, `2 days`. */
export function showDuration(ms: number): string {
  if (ms < 60_000) return `${Math.ceil(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 2 * dayMs) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / dayMs)} days`;
}

/** Bytes for a person: `0 B`, `12 KiB`, `3.4 GiB`. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
