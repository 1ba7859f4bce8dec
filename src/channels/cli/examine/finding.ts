/** What one look found. A program may rely on the names of the checks. */
export type Finding = {
  check:
    | ('node' | 'home' | 'settings' | 'database' | 'bus' | 'disk' | 'clock')
    | ('users' | 'folders' | 'files' | 'tokens' | 'links' | 'units' | 'bots' | 'gaia' | 'agents');
  /** `note` is worth knowing, but nothing is wrong. */
  state: 'fine' | 'note' | 'wrong';
  /** What was found; a list of mistakes has a line for each. */
  says: string;
  /** What to do, one step a line. */
  todo?: string;
};
