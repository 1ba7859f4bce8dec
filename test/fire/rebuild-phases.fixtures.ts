import type { Terminal } from './terminal.fixtures.ts';

/** What a rebuild did when, as a table: each step that bootstrap.sh named, and within the last one each target. */
export function phasesTable(lines: Terminal['lines'], beganMs: number, endedMs: number): string[] {
  const marks: { name: string; atMs: number }[] = [];
  let sinceMs = beganMs;
  for (const { text, atMs } of lines) {
    const [, step] = /^\d+\. (.+) \(\d+s\)$/.exec(text) ?? [];
    const [, target] = /^ {3}([a-z-]+): restored/.exec(text) ?? [];
    if (step !== undefined) marks.push({ name: step, atMs });
    if (target !== undefined) marks.push({ name: `of it ${target}`, atMs });
  }
  const rows: { name: string; seconds: number }[] = [];
  for (const [n, { name, atMs }] of marks.entries()) {
    // A target is named when it is done, a step when it begins.
    const isTarget = name.startsWith('of it ');
    const endMs = isTarget
      ? atMs
      : (marks.slice(n + 1).find((each) => !each.name.startsWith('of it '))?.atMs ?? endedMs);
    rows.push({ name, seconds: (endMs - (isTarget ? sinceMs : atMs)) / 1000 });
    sinceMs = atMs;
  }
  return [
    '| step | seconds |',
    '|---|---|',
    ...rows.map(({ name, seconds }) => `| ${name} | ${seconds.toFixed(1)} |`),
    `| in all (RTO) | ${((endedMs - beganMs) / 1000).toFixed(1)} |`,
  ];
}
