/** How far something is. Told often; whoever shows it decides how often it is shown. */
export type Progress = (step: ProgressStep) => void;

export type ProgressStep = {
  /** A word for people and scripts: `copy databases`, `dump databases`, `write`, `read back`, `stage`, `compare`, `load`, `health`. */
  phase: string;
  /** Uncompressed bytes done in this phase. */
  doneBytes: number;
  /** Undefined while nobody knows. */
  totalBytes: number | undefined;
  doneFiles: number;
  /** In words, where bytes say nothing. */
  says?: string;
};
