import type { Clock } from '../base/clock.ts';
import type { ExitCode } from '../base/exit.ts';
import type { Table } from '../base/table.ts';
import type { Manifest } from '../recovery/archive/manifest.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import type { Progress } from '../recovery/progress.ts';

/** What a command found out or did. Printing and exiting are left to `src/bin/gaia.ts`. */
export type Conclusion = {
  exit: ExitCode;
  /** For a person, on stdout. */
  lines?: readonly string[];
  table?: Table;
  /** Printed as it is; for scripts and runbooks that are pasted. */
  raw?: string;
  /** With --json, one document on one line. */
  json?: unknown;
  /** Remarks on stderr. */
  notes?: readonly string[];
  /** What went wrong, on stderr, also with --quiet. */
  wrong?: readonly string[];
  /** What waits for the bus was delivered already, or it was tried. */
  delivered?: true;
};

/** What GAIA touches beside disks; handed in by `src/bin/gaia.ts`. */
export type Around = {
  version: string;
  clock: Clock;
  uid: number;
  /** Processes whose open files do not count: this one. */
  ownPids: ReadonlySet<number>;
  /** This program where it is one executable, absolute. */
  program: string | undefined;
  host: Manifest['host'];
  home: string;
  /** `GAIA_CONFIG` */
  configFile: string | undefined;
  terminal: { in: boolean; out: boolean; err: boolean; columns: number };
  color: boolean;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** A line on stderr at once. */
  say(line: string): void;
  /** A line on stderr that the next one replaces; empty to clear it. */
  sketch(line: string): void;
  /** A drawing of ours on stderr, as it is. */
  show(drawing: string): void;
  /** Asks at the terminal; undefined when the input ends or Ctrl-C is pressed. */
  ask(question: string): Promise<string | undefined>;
  /** The first line of what comes in, where no terminal is: from a program that asks. As far as it came. */
  lineOfInput(): Promise<string>;
  /** Starts `gaia __run …` as a process that outlives this one, its output into the file. */
  startDetached(args: readonly string[], logFile: string, unit: string): Promise<void>;
  /** A process of this number, and those that it has started, end at once. Safe to repeat. */
  endGroup(pid: number): void;
  /** Whether this process can reach only what was named to `confine`. */
  isConfined: boolean;
  /** Goes on as a process of the same number that can reach only that, and start nothing. Does not return. */
  confine(to: { reads: readonly string[]; writes: readonly string[]; args: readonly string[] }): never;
  /** The words that start this program, absolute. */
  startsWith: readonly string[];
  /** `CREDENTIALS_DIRECTORY`: what systemd hands to this service alone. */
  credentials: string | undefined;
  /** `TELEGRAM_API_ROOT` */
  telegramRoot: string | undefined;
  /** See the recovery engine; does nothing in earnest. */
  pause(point: string): void;
  /** The answer's status, or a sentence. */
  fetchStatus(url: string): Promise<number | string>;
  nodeVersion: string;
};

/** One call of a command. */
export type Call = {
  around: Around;
  words: readonly string[];
  flags: Readonly<Record<string, string | boolean | undefined>>;
  json: boolean;
  /** Read at first use. @throws Fault `not-found`, `usage` */
  config(): RecoveryConfig;
  progress: Progress;
};

/** A flag of a command; `value` names what follows it. */
export type Flag = { value?: string; says: string };

/** For commands that read backups. */
export const identityFlag: Readonly<Record<string, Flag>> = {
  identity: { value: 'FILE', says: 'the key that opens encrypted backups: the recovery kit, or a file of age' },
};

export type Command = {
  name: string;
  /** One line, without a full stop. */
  summary: string;
  /** What follows the name: `TARGET [--backup B]`. */
  usage: string;
  /** How many words it takes. */
  words: readonly [least: number, most: number];
  flags: Readonly<Record<string, Flag>>;
  /** More to know, as lines. */
  details: readonly string[];
  example: string;
  exits: readonly string[];
  hidden?: true;
  /** At its end what waits for the bus is delivered. */
  delivers?: true;
  /** It is about no backup, so nobody is reminded there of what backups lack. */
  isApart?: true;
  run(call: Call): Promise<Conclusion>;
};
