export type UnitPlace = {
  home: string;
  node: string;
  program: string;
  /** Whose process it is, for a unit of the system. */
  user: string;
};

/** Above each unit that init writes, and by which it knows them. */
export const unitHead =
  '# Written by leveredge init, which never changes it again. What it means: docs/init.md of LeverEdge.';
