import { breakAt, displayWidth, fitTo } from './display-width.ts';

export type Column = {
  head: string;
  /** Never narrower than this; left out for a column that is never cut, such as an id that must be typed again. */
  least?: number;
  align?: 'right';
};

export type Table = { columns: readonly Column[]; rows: readonly (readonly string[])[] };

const gap = '  ';
const indent = '  ';

/** Tab-separated lines without a head, for pipes. A cell is printable text, so it holds no tab and no line break. */
export function tabSeparated({ rows }: Table): string[] {
  return rows.map((row) => row.join('\t'));
}

/** A table on a terminal. The head has as many lines as a row may have. */
export type Laid = { head: string[]; rows: string[] };

/**
 * The table in lines of at most `width` columns (20 or more). The widest column that may be cut gives first. When all
 * are as narrow as they may be and it is still too wide, a row takes several lines: the columns that do not fit follow
 * below, indented. What is never cut and wider than a line is broken.
 */
export function layOut({ columns, rows }: Table, width: number): Laid {
  const members = columns.map((column, i) =>
    memberOf(
      column,
      rows.map((row) => row[i] ?? ''),
      width - indent.length,
    ),
  );
  const whole = stripsOf(members, width);
  const strips = whole.length === 1 ? whole : stripsOf(members.filter(saysSomething), width);
  const drawn = strips.map((members, i) =>
    drawStrip(members, i === 0 ? width : width - indent.length).map((lines) =>
      lines.filter((line) => i === 0 || line !== '').map((line) => (i === 0 ? line : indent + line)),
    ),
  );
  const lineOf = (row: number) => drawn.flatMap((strip) => strip[row] ?? []);
  return { head: lineOf(0), rows: rows.flatMap((_, i) => lineOf(i + 1)) };
}

/** A column with its cells, the head first. `least`: how narrow it may become. */
type Member = { cells: string[]; natural: number; least: number; right: boolean };

function memberOf({ head, least, align }: Column, below: readonly string[], room: number): Member {
  const cells = [head, ...below];
  const natural = cells.reduce((widest, cell) => Math.max(widest, displayWidth(cell)), 0);
  return {
    cells,
    natural,
    least: Math.min(natural, least ?? natural, least === undefined ? natural : room),
    right: align === 'right',
  };
}

function saysSomething({ cells }: Member): boolean {
  return cells.slice(1).some((cell) => cell !== '');
}

/** The columns that stand side by side: as many as fit when all are as narrow as they may be. */
function stripsOf(members: readonly Member[], width: number): Member[][] {
  const strips: Member[][] = [];
  let left = -1;
  for (const member of members) {
    left -= gap.length + member.least;
    if (left < 0) {
      left = width - (strips.length === 0 ? 0 : indent.length) - member.least;
      strips.push([member]);
    } else strips.at(-1)?.push(member);
  }
  return strips;
}

/** The lines of each row of a strip; more than one only for a column of its own that is never cut. */
function drawStrip(members: readonly Member[], room: number): string[][] {
  const [only] = members;
  if (only !== undefined && only.least > room) return only.cells.map((cell) => breakAt(cell, room));
  const widths = members.map(({ natural }) => Math.min(room, natural));
  let excess = widths.reduce((total, each) => total + each, 0) + gap.length * (members.length - 1) - room;
  for (; excess > 0; excess--) {
    const widest = widestCuttable(members, widths);
    widths[widest] = (widths[widest] as number) - 1;
  }
  const height = only?.cells.length ?? 0;
  return Array.from({ length: height }, (_, row) => [
    members
      .map(({ cells, right }, i) => fitTo(cells[row] ?? '', widths[i] as number, right))
      .join(gap)
      .trimEnd(),
  ]);
}

function widestCuttable(members: readonly Member[], widths: readonly number[]): number {
  let widest = 0;
  let most = -1;
  members.forEach(({ least }, i) => {
    const own = widths[i] as number;
    if (own > least && own > most) [widest, most] = [i, own];
  });
  return widest;
}
