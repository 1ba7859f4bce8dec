import type { Clock } from '../../base/clock.ts';
import type { Home } from '../../base/home.ts';
import type { JsonObject } from '../../base/json.ts';
import type { Client } from '../../client/client.ts';
import type { Capability } from '../../events/capability.ts';
import type { NewToken, Token } from '../../events/token.ts';
import type { ProgramName } from './as-typed.ts';
import type { Conclusion } from './conclusion.ts';
import { elseFromDisk } from './else-from-disk.ts';
import { type FoundBus, findBus, usualUrl } from './find-bus.ts';
import { findToken } from './find-token.ts';
import type { Server } from './init/step.ts';
import { onlyOfHome } from './only-of-home.ts';

/** What a copy of the database turned out to be, after it was read back. */
export type CopyReport = { file: string; events: number; openQuestions: number; bytes: number };

/** What lies in a database file, as far as it can be read. */
export type DatabaseReport =
  | { kind: 'absent' }
  | { kind: 'unreadable'; reason: string }
  | { kind: 'damaged'; reason: string }
  | { kind: 'newer'; schema: number; known: number }
  /** Made by the first implementation; the bus takes it over at its next start. */
  | { kind: 'first-implementation'; events: number }
  | { kind: 'sound'; schema: number; events: number; openQuestions: number; bytes: number; epoch: string };

export type BusFlags = {
  home?: string | undefined;
  port?: string | undefined;
  host?: string | undefined;
  auth?: string | undefined;
};

/** The agents that there are, as they are typed. */
export const agentNames = ['atlas', 'chronos', 'hades'] as const;
export type AgentName = (typeof agentNames)[number];

export type AgentFlags = {
  home?: string | undefined;
  port?: number | undefined;
  leaseSeconds: number;
  graceSeconds: number;
  /** How often it tells the bus that it is alive; usual when left out. */
  heartbeatSeconds?: number | undefined;
};

export type TelegramFlags = { home: string | undefined; url: string; botTokenFile: string | undefined };

/** The tokens in a database file, whether its bus runs or not. Each throws a Fault when the file cannot be used. */
export type Tokens = {
  /** With `to` the secret is written there, for its owner alone. @throws Fault `conflict` when that exists */
  create(file: string, wanted: NewToken, to: string | undefined): Promise<{ token: Token; secret: string }>;
  list(file: string): Promise<Token[]>;
  /** By id, the beginning of one, or name. @throws Fault `not-found` */
  revoke(file: string, which: string): Promise<Token[]>;
};

/** The settings of a bus as far as the command line speaks of them. */
export type BusPlace = {
  home: string;
  host: string;
  port: number;
  databaseFile: string;
  configFile: string | undefined;
};

/** What to hold an audit chain against. `home`: whose public key counts beside those the file names. */
export type VerifyRequest = {
  file: string;
  checkpoints: string | undefined;
  keys: readonly string[];
  home: string | undefined;
  progress(seq: number, of: number): void;
};

/** What is proven of an audit chain. `findings`: the first hundred of `found`. */
export type AuditReport = {
  findings: { kind: 'altered' | 'deleted' | 'unchained' | 'checkpoint-mismatch'; seq: number; says: string }[];
  found: number;
  events: number;
  purged: number;
  head: number;
  checkpoints: { sound: number; newest: number | null; lost: number };
};

/** `pem`: as it is given to others. */
export type AuditKeyReport = { keyId: string; pem: string; file: string };

/** The calls that can be answered without a bus. */
export type OnDisk = Pick<
  Client,
  'events' | 'event' | 'pending' | 'inbox' | 'deadLetters' | 'subscriptions' | 'explain'
> & {
  close(): Promise<void>;
};

/**
 * What a capability tells without a bus. `from`: where that was read. `notes`: what cannot be told so, as sentences with the next
 * command.
 */
export type ToldFromDisk = { result: JsonObject; from: string; notes: readonly string[] };

/** What there is where a folder should be. `nearest`: the path itself, or the nearest thing above that exists. */
export type FolderReport = {
  exists: boolean;
  nearest: string;
  /** Whether `nearest` is a folder. */
  isFolder: boolean;
  /** Whether this user may write into `nearest`. */
  writable: boolean;
  freeBytes: number;
};

/**
 * What the command line touches beside the bus, handed in by `src/bin/`: the machine, the disk, and the bus as a
 * process. Channels meet the bus over HTTP only, so what reads its files comes from outside.
 */
export type Surroundings = {
  version: string;
  /** What stands before each command that is suggested, so that it can be pasted. */
  program: ProgramName;
  /** Where it was started as the program of an agent: whose, and how that is typed. It has the commands of this agent alone. */
  as?: { agent: AgentName; program: string } | undefined;
  /** What the agents can do; everything that there is when left out. */
  capabilities?: readonly Capability[];
  nodeVersion: string;
  /** `LEVEREDGE_URL`, `LEVEREDGE_PORT`, `LEVEREDGE_HOST`, `LEVEREDGE_TOKEN_FILE`, as they are set. */
  env: { url: string | undefined; port: string | undefined; host: string | undefined; tokenFile?: string | undefined };
  /** Who sits here, as the operating system says. */
  user: string;
  clock: Clock;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /** stdout is a terminal, and how wide. */
  terminal: { is: boolean; columns: number };
  /** Says something on stderr at once; for what cannot wait until the conclusion. */
  say(line: string): void;
  /** Prints on stdout at once, for what has no end; resolves when more can follow. The text is harmless already. */
  print(text: string): Promise<void>;
  connect(url: string, token?: string | undefined): Client;
  /**
   * The text of a file, or of standard input for `-`, as it comes.
   * @throws Fault `not-found`; `usage` when it cannot be read or is no UTF-8
   */
  readText(file: string): AsyncIterable<string>;
  /** The text of a file that its owner alone may read. @throws Fault `forbidden` when others may, `usage` */
  readSecret(file: string): string | undefined;
  /** Asks at the terminal, without showing what is typed; undefined where there is none. @throws Fault `usage` */
  askSecret(prompt: string): Promise<string | undefined>;
  /** Whether this is an address or a name by which this machine reaches itself. */
  isThisMachine(host: string): boolean;
  tokens: Tokens;
  findHome(flag: string | undefined): Home;
  /** Where the database of a home lies, whatever the settings say. */
  databaseFile(home: string): string;
  /** @throws Fault `usage` with every mistake in flags, environment and yaml. */
  busPlace(flags: BusFlags): Promise<BusPlace>;
  /**
   * Where flags, environment and yaml put the bus. Mistakes in the yaml make it count for nothing.
   * @throws Fault `usage` with every mistake in flags and environment.
   */
  busAddress(flags: BusFlags): Promise<Pick<BusPlace, 'host' | 'port'>>;
  /**
   * Runs the bus until the signal. What it says once it listens goes to stdout at once: for a person, the URL alone when
   * quiet, or as JSON one line with url, database, home and pid, and a line for each notice.
   */
  runBus(flags: BusFlags, look: { json: boolean; quiet: boolean }): Promise<Conclusion>;
  /**
   * Runs the bus, the agents and the control bot, where it is set up, in this process until the signal, and says so as `runBus` does, with a line for each. A
   * home without a configuration of backups gets one with a small example target.
   */
  runUp(flags: BusFlags, look: { json: boolean; quiet: boolean }): Promise<Conclusion>;
  /**
   * Runs an agent until the signal. What it says once it hears goes to stdout at once, its log to stderr.
   * @throws Fault when the bus refuses it for good, as for its token
   */
  runAgent(
    name: AgentName,
    flags: AgentFlags,
    client: Client,
    look: { json: boolean; quiet: boolean },
  ): Promise<Conclusion>;
  /**
   * Runs the control bot until the signal. What it says once Telegram knows it goes to stdout at once, its log to stderr.
   * @throws Fault `not-found` before it was set up, `unauthorized` for its token
   */
  runTelegramBot(flags: TelegramFlags, look: { json: boolean; quiet: boolean }): Promise<Conclusion>;
  /** Sets the control bot up, and asks at the terminal. @throws Fault */
  setUpTelegram(flags: TelegramFlags, user: number | undefined): Promise<Conclusion>;
  /** @throws Fault `not-found`, `damaged`, `conflict` when `to` exists, `storage-full`. */
  copyDatabase(from: string, to: string): Promise<CopyReport>;
  /** Removes what is kept no more of the copies that a schedule has made, and answers their names. @throws the system's error */
  removeOldCopies(folder: string): Promise<string[]>;
  /** What a bus would say of this database, where none runs; undefined when there is nothing to read. Changes nothing. */
  readDatabase(file: string): Promise<OnDisk | undefined>;
  /**
   * What a capability with `fromDisk` tells of what lies in this home, where no bus runs; undefined when there is nothing to read.
   * Changes nothing. @throws Fault
   */
  toldFromDisk(capability: Capability, args: JsonObject, home: string): Promise<ToldFromDisk | undefined>;
  inspectDatabase(file: string): Promise<DatabaseReport>;
  /** Which life the log in this database has; `unknown` when this user cannot tell. */
  databaseLife(file: string): Promise<{ kind: 'absent' | 'unknown' } | { kind: 'known'; epoch: string }>;
  /** @throws Fault `not-found`, `damaged`, `usage` for checkpoints or keys that are none. */
  verifyDatabase(request: VerifyRequest): Promise<AuditReport>;
  /** The public key of a home, or undefined when there is none. */
  auditKey(home: string): Promise<AuditKeyReport | undefined>;
  /** What `bus.json` beside the database says of the running bus, and whether that process lives. */
  recordedBus(databaseFile: string): { pid: number; url: string; alive: boolean } | undefined;
  /** Whether something listens there. */
  isListening(host: string, port: number): Promise<boolean>;
  folder(path: string): FolderReport;
  /** What GAIA's configuration can back up. @throws Fault with every mistake in it */
  recoveryTargets(home: string): Promise<readonly string[]>;
  /** For init, which makes what is missing on it, and doctor, which looks. */
  server(): Promise<Server>;
};

/** What one command is given: the surroundings, and the options that every command has. */
export type Door = Surroundings & {
  /** Where the bus is; see find-bus.ts. */
  readonly url: string;
  /** --url or LEVEREDGE_URL named it. */
  readonly urlIsGiven: boolean;
  /** Whether the bus learns from a token who calls. */
  readonly hasToken: boolean;
  /** Connected at first use. @throws Fault `usage` when it cannot be told where the bus is. */
  readonly client: Client;
  /** Lets go of what the command opened. Safe to repeat. */
  close(): Promise<void>;
  readonly json: boolean;
  readonly color: boolean;
  readonly quiet: boolean;
  readonly home: string | undefined;
};

/**
 * Options every command has; commander hands them in beside the command's own. `tokenFile` is that of an agent, and `agent`
 * its name, which names the file in the home.
 */
export type SharedOptions = {
  url?: string;
  json?: boolean;
  quiet?: boolean;
  home?: string;
  tokenFile?: string;
  agent?: string | undefined;
};

/**
 * Opens the door for one command. A bus that cannot be found is a failure of those commands only that want one. A command
 * that only reads is answered from disk when the bus does not answer.
 */
export async function openDoor(
  around: Surroundings,
  options: SharedOptions,
  onlyReads: boolean,
  color: boolean,
): Promise<Door> {
  const { url, home, tokenFile, agent, json = false, quiet = false } = options;
  let found: FoundBus = { url: usualUrl, isGiven: false, isGuess: true };
  let failure: unknown;
  try {
    found = await findBus(around, { url, home });
  } catch (error) {
    failure = error;
  }
  let client: (Client & { close?(): Promise<void> }) | undefined;
  const tokens = new Map<string, string | undefined>();
  const tokenFor = (at: string) => {
    // One that is not there yet may be there once the bus has begun, which init waits for.
    if (tokens.get(at) === undefined) tokens.set(at, findToken(around, at, { home, flag: tokenFile, agent }));
    return tokens.get(at);
  };
  const withToken = { ...around, connect: (at: string) => around.connect(at, tokenFor(at)) };
  return {
    ...withToken,
    close: async () => client?.close?.(),
    url: found.url,
    urlIsGiven: found.isGiven,
    get hasToken() {
      return tokenFor(found.url) !== undefined;
    },
    get client() {
      if (failure !== undefined) throw failure;
      client ??= connect(withToken, found, onlyReads, home);
      return client;
    },
    json,
    color,
    quiet,
    home,
  };
}

function connect(
  around: Surroundings,
  { url, isGiven, isGuess }: FoundBus,
  onlyReads: boolean,
  homeFlag: string | undefined,
): Client {
  const home = around.findHome(homeFlag);
  const file = around.databaseFile(home.dir);
  const isNamed = home.because === '--home' || home.because === 'LEVEREDGE_HOME';
  const answering = around.connect(url);
  const client = isGuess && isNamed ? onlyOfHome(answering, around, file) : answering;
  // Whoever names a bus means that one, and what lies on this disk may be another's.
  if (!onlyReads || isGiven) return client;
  return elseFromDisk(client, around, file);
}
