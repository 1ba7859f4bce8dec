import { displayWidth, fitTo } from './display-width.ts';

export type Column = {
  head: string;
  /** Never narrower than this; left out for a column that is never cut. */
  least?: number;
  align?: 'right';
};

export type Table = { columns: readonly Column[]; rows: readonly (readonly string[])[] };

const gap = '  ';

/** Tab-separated lines without a head, for pipes. A cell is printable text, so it holds no tab and no line break. */
export function tabSeparated({ rows }: Table): string[] {
  return rows.map((row) => row.join('\t'));
}

/**
 * The table as lines of at most `width` columns where that is possible: the widest column that may be cut gives first.
 * The first line is the head.
 */
export function layOut({ columns, rows }: Table, width: number): string[] {
  const widths = columns.map(({ head }, i) =>
    Math.min(width, Math.max(displayWidth(head), ...rows.map((row) => displayWidth(row[i] ?? '')))),
  );
  let excess = widths.reduce((total, each) => total + each, 0) + gap.length * (columns.length - 1) - width;
  for (; excess > 0; excess--) {
    const widest = widestCuttable(columns, widths);
    if (widest === undefined) break;
    widths[widest] = (widths[widest] as number) - 1;
  }
  const line = (cells: readonly string[]) =>
    columns
      .map((column, i) => fitTo(cells[i] ?? '', widths[i] as number, column.align === 'right'))
      .join(gap)
      .trimEnd();
  return [line(columns.map(({ head }) => head)), ...rows.map(line)];
}

function widestCuttable(columns: readonly Column[], widths: readonly number[]): number | undefined {
  let widest: number | undefined;
  columns.forEach(({ least }, i) => {
    const own = widths[i] as number;
    if (least !== undefined && own > least && (widest === undefined || own > (widths[widest] as number))) widest = i;
  });
  return widest;
}
