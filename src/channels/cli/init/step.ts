/** One thing that a server should have. The order of a plan is the order in which one builds on the other. */
export type Step =
  /** A user of the system without a password, whose home is the home. */
  | { kind: 'user'; name: string; home: string }
  /** That this user can come to these paths, through all the folders above them. */
  | { kind: 'reach'; user: string; paths: readonly string[] }
  | FolderStep
  /** `mustMatch`: another text than this one is worth a remark. What is there stays as it is either way. */
  | { kind: 'file'; path: string; mode: number; text: string; mustMatch?: boolean }
  | { kind: 'link'; path: string; to: string }
  /** A token of an agent, good on the bus of this home, in a file of this owner. `maker`: whose the database is. */
  | {
      kind: 'token';
      name: string;
      scopes: readonly string[];
      path: string;
      home: string;
      owner?: string;
      maker?: string;
    }
  /** A unit that is enabled and runs, and of which that is heard. */
  | { kind: 'service'; unit: string; manager: Systemd; url: string; heard: Heard; needs?: Needs };

/**
 * How a unit shows that it works: the bus by its health, an agent by being alive on the bus, a socket by listening, any other
 * process by not ending.
 */
export type Heard = 'health' | 'socket' | 'process' | { agent: string };

/**
 * Files that a person brings. While one is missing or empty a service is not set up, and neither enabled nor started. `todo`: the
 * command that makes it; none where another service says it.
 */
export type Needs = readonly { path: string; todo?: string }[];

/** The emergency bot of a home, where it lies by GAIA's configuration. */
export type EmergencyBot = {
  /** Whose process the bot is. */
  user: string;
  spool: string;
  tokenFile: string;
  usersFile: string;
  secretFile: string;
  /** Its units, as GAIA prints them. */
  texts: { runner: string; bot: string };
};

export type FolderStep = {
  kind: 'folder';
  path: string;
  /** What it is made with. */
  mode: number;
  /** Whose it is; without one, of whoever makes it. */
  owner?: string;
  /** Whose the files in it are does not matter. */
  holdsOthers?: boolean;
  /** Others than its owner may have no right to it. */
  isPrivate?: boolean;
  /** Which files in it hold secrets. */
  secrets?: 'all' | 'hidden';
};

/** Whose systemd. */
export type Systemd = 'system' | 'user';

/** What lies at a path. A link to a folder or a file counts as that, with `real` as where it leads. */
export type Found =
  | { kind: 'nothing' }
  | { kind: 'dangling' }
  | { kind: 'other' }
  | { kind: 'file'; mode: number; uid: number; text: string | undefined; real: string }
  | { kind: 'folder'; mode: number; uid: number; entries: readonly Entry[]; real: string }
  /** It cannot be told: the code of the system, as EACCES. */
  | { kind: 'hidden'; code: string };

export type Entry = { name: string; isFile: boolean; mode: number; uid: number };

/** The machine, as far as init looks at it and changes it. Looking never throws. */
export type Server = {
  isRoot: boolean;
  /** Linux with systemd as its first process. */
  hasSystemd: boolean;
  /** Node, and the programs as they are started by it. */
  node: string;
  programs: { leveredge: string; gaia: string } & Readonly<Record<string, string>>;
  /** Where units lie. */
  units: Readonly<Record<Systemd, string>>;
  /** Where programs are found by everyone. */
  links: string;
  look(path: string): Found;
  uidOf(user: string): number | undefined;
  /** The first folder or file on the way to this path that the user cannot pass; what is not there yet bars nobody. */
  barred(path: string, user: string): string | undefined;
  unitState(unit: string, manager: Systemd): UnitState;
  /** Undefined where GAIA's configuration cannot be read, so that nobody knows where its files are. */
  emergencyBot(home: string): EmergencyBot | undefined;
  /** Does it. @throws the system's error */
  make(step: Step): void;
};

/** What systemd says of a unit. */
export type UnitState = {
  isEnabled: boolean;
  runs: boolean;
  /** Its file was changed since systemd read it. */
  isStale: boolean;
  /** What its process ended with, where it failed, also where it is about to be started again. */
  exit: number | undefined;
};
