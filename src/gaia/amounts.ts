const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `580 MiB`, `1.4 GiB`. */
export function showBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What would be shown as 1024 is one of the next unit.
  while (Math.round(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `40 s`, `5 min`, `3 h 20 min`, `2 days`. */
export function showSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 || hours >= 10 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** `1 file`, `2 files`. */
export const showCount = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** In UTC, to the second: `2026-01-16 10:30:00`. */
export function showTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}
