import { isIP } from 'node:net';
import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument } from 'yaml';
import { Fault, type Mistake } from '../base/fault.ts';
import { nearest } from '../base/nearest.ts';
import { databaseFileIn } from './database-file.ts';
import { deliveryRulesIn } from './delivery-settings.ts';
import { isLoopback } from './guard.ts';
import { retentionOf } from './retention-settings.ts';
import { type DeliveryRules, usualDeliveryRules } from './store/deliveries.ts';
import type { RetentionRule } from './store/retention.ts';

/** Whom the bus lets in: on `loopback` whoever reaches it there, and everywhere who has a token. */
export const auths = ['loopback', 'required'] as const;
export type Auth = (typeof auths)[number];

/** What a bus needs to know before it opens anything. */
export type BusConfig = {
  home: string;
  /** An IP address or `localhost`; off loopback only with `auth` required. */
  host: string;
  /** 0 is any free port. */
  port: number;
  databaseFile: string;
  auth: Auth;
  /** Further names by which the bus may be called, for a reverse proxy on this machine. */
  allowedHosts: readonly string[];
  deliveries: DeliveryRules;
  /** What is kept for how long; without rules everything for ever. */
  retention: readonly RetentionRule[];
};

export type BusConfigInput = {
  flags: { port?: string | undefined; host?: string | undefined; auth?: string | undefined };
  env: { port?: string | undefined; host?: string | undefined; auth?: string | undefined };
  yaml: { path: string; text: string } | undefined;
  home: string;
};

const defaultHost = '127.0.0.1';
const defaultPort = 8099;
const settings = ['port', 'host', 'auth', 'allowed_hosts', 'deliveries', 'retention'];
const maxAllowedHosts = 100;

/**
 * Settles the settings: a flag beats the environment, that beats the file, that beats the default. What is beaten is
 * judged all the same, so that a mistake does not wait for the day on which it counts.
 * @throws Fault `usage` with every mistake, each with its place.
 */
export function parseBusConfig({ flags, env, yaml, home }: BusConfigInput): BusConfig {
  const mistakes: Mistake[] = [];
  const note = (pointer: string, detail: string) => void mistakes.push({ pointer, detail });
  const file = yaml === undefined ? {} : parseFile(yaml, note);
  const ports = [
    portOf(flags.port, '--port', note),
    portOf(env.port || undefined, 'LEVEREDGE_PORT', note),
    portOf(file.port?.value, file.port?.place ?? '', note, 'bus.port: '),
  ];
  const hosts = [
    hostOf(flags.host, '--host', note),
    hostOf(env.host || undefined, 'LEVEREDGE_HOST', note),
    hostOf(file.host?.value, file.host?.place ?? '', note, 'bus.host: '),
  ];
  const asked = [
    authOf(flags.auth, '--auth', note),
    authOf(env.auth || undefined, 'LEVEREDGE_AUTH', note),
    authOf(file.auth?.value, file.auth?.place ?? '', note, 'bus.auth: '),
  ];
  const auth = asked.find((each) => each !== undefined) ?? 'loopback';
  const at = hosts.findIndex((host) => host !== undefined);
  const host = hosts[at] ?? defaultHost;
  // Of the hosts only the one that counts: another may have been right with the auth that was beaten beside it.
  if (auth !== 'required' && !isLoopback(host))
    note(
      ['--host', 'LEVEREDGE_HOST', file.host?.place ?? ''][at] ?? '',
      `${at === 2 ? 'bus.host: ' : ''}${shown(host)} can be reached from other machines, so callers must have tokens: set auth to required (bus.auth, --auth, LEVEREDGE_AUTH); or use 127.0.0.1, ::1 or localhost, and reach it from elsewhere through an SSH tunnel or a reverse proxy on this machine`,
    );
  if (mistakes.length > 0) throw mistaken(mistakes, yaml?.path);
  return {
    home,
    host,
    port: ports.find((port) => port !== undefined) ?? defaultPort,
    databaseFile: databaseFileIn(home),
    auth,
    allowedHosts: file.allowedHosts ?? [],
    deliveries: { ...usualDeliveryRules, ...file.deliveries },
    retention: file.retention ?? [],
  };
}

/** A single mistake makes the sentence. Of several each has a line, and those of the file stand below its name. */
function mistaken(mistakes: readonly Mistake[], path: string | undefined): Fault {
  const inFile = mistakes.filter(({ pointer }) => path !== undefined && pointer.startsWith(`${path}:`));
  const lineOf = ({ pointer }: Mistake) => Number(pointer.slice((path?.length ?? 0) + 1));
  if (mistakes.length === 1) {
    const [only] = mistakes as [Mistake];
    const place = inFile.length > 0 ? `${path}, line ${lineOf(only)}` : only.pointer;
    const end = only.detail.endsWith('?') ? '' : '.';
    return new Fault('usage', `The settings of the bus have a mistake. ${place}: ${only.detail}${end}`, { mistakes });
  }
  const lines = mistakes.filter((each) => !inFile.includes(each)).map(({ pointer, detail }) => `${pointer}: ${detail}`);
  if (inFile.length > 0) lines.push(`${path}:`);
  for (const each of inFile.toSorted((a, b) => lineOf(a) - lineOf(b)))
    lines.push(`  line ${lineOf(each)}: ${each.detail}`);
  return new Fault('usage', `The settings of the bus have ${mistakes.length} mistakes.`, {
    hint: lines.join('\n'),
    mistakes,
  });
}

type Note = (place: string, detail: string) => void;
type Found = { value: unknown; place: string };
type FileSettings = {
  port?: Found;
  host?: Found;
  auth?: Found;
  allowedHosts?: string[];
  deliveries?: Partial<DeliveryRules>;
  retention?: RetentionRule[];
};

function parseFile({ path, text }: { path: string; text: string }, note: Note): FileSettings {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false });
  const placeOf = (offset: number | undefined) => `${path}:${lineCounter.linePos(offset ?? 0).line}`;
  // After its first error of syntax the parser guesses, and what it says then is mostly the same error again.
  const syntax = document.errors.find(({ code }) => code !== 'DUPLICATE_KEY');
  for (const error of syntax ? [syntax] : document.errors)
    note(placeOf(error.pos[0]), `is no valid YAML (${error.message.replace(/\.$/, '')})`);
  if (document.errors.length > 0 || document.contents === null) return {};
  if (!isMap(document.contents)) {
    note(placeOf(0), 'must be a map of settings such as "bus:" with "port: 8099" below it');
    return {};
  }
  const found: FileSettings = {};
  for (const pair of document.contents.items) {
    const key = keyOf(pair);
    // The file also holds the settings of other programs, so only what looks like a slip is a mistake here.
    if (key === 'bus')
      readBus(pair.value as Node | null, (node) => placeOf(node?.range?.[0]), placeAt(pair, placeOf), found, note);
    else if (isSlipOfBus(key)) note(placeAt(pair, placeOf), `${key}: is no section; did you mean bus?`);
  }
  return found;
}

/**
 * One edit away, or two neighbouring letters swapped. Not two edits: sections of other programs are called dns, tls or gui.
 */
function isSlipOfBus(key: string): boolean {
  const swapped = ['ubs', 'bsu'].includes(key.toLowerCase());
  return swapped || nearest(key, ['bus', 'event_bus', 'event-bus']) !== undefined;
}

function readBus(
  section: Node | null,
  placeOf: (node: Node | null) => string,
  sectionPlace: string,
  found: FileSettings,
  note: Note,
): void {
  if (section === null || (isScalar(section) && section.value === null)) return;
  if (!isMap(section)) {
    note(sectionPlace, `bus: must have settings below it (${settings.join(', ')})`);
    return;
  }
  for (const pair of section.items) {
    const key = keyOf(pair);
    const place = placeOf(pair.key as Node);
    const node = pair.value as Node | null;
    const value = isScalar(node) ? node.value : node;
    if (value === null) continue;
    if (key === 'port' || key === 'host' || key === 'auth') found[key] = { value, place };
    else if (key === 'allowed_hosts') found.allowedHosts = namesOf(node, place, placeOf, note);
    else if (key === 'deliveries') found.deliveries = deliveryRulesIn(node, place, placeOf, note);
    else if (key === 'retention') found.retention = retentionOf(node, place, placeOf, note);
    else note(place, unknownSetting(key));
  }
}

function unknownSetting(key: string): string {
  const guess = nearest(key, settings);
  return `bus.${key} is no setting${guess ? `; did you mean ${guess}?` : ` (there are ${settings.join(', ')})`}`;
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function placeAt(pair: Pair, placeOf: (offset: number | undefined) => string): string {
  return placeOf((pair.key as Node | null)?.range?.[0]);
}

function namesOf(node: Node | null, place: string, placeOf: (node: Node | null) => string, note: Note): string[] {
  if (!isSeq(node)) {
    note(place, 'bus.allowed_hosts must be a list of host names, such as [bus.example.org]');
    return [];
  }
  if (node.items.length > maxAllowedHosts) note(place, `bus.allowed_hosts must have at most ${maxAllowedHosts} names`);
  return node.items.flatMap((item) => {
    const name = isScalar(item) ? item.value : undefined;
    if (typeof name === 'string' && /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/i.test(name)) return [name];
    note(
      placeOf(item as Node),
      `bus.allowed_hosts: ${shown(name)} is no host name; write it without scheme, port and path`,
    );
    return [];
  });
}

function portOf(value: unknown, place: string, note: Note, key = ''): number | undefined {
  if (value === undefined) return undefined;
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value.trim()) ? Number(value) : value;
  if (Number.isInteger(port) && (port as number) >= 0 && (port as number) <= 65_535) return port as number;
  note(place, `${key}${shown(value)} is no port; give a number from 1 to 65535, or 0 for any free one`);
  return undefined;
}

function hostOf(value: unknown, place: string, note: Note, key = ''): string | undefined {
  if (value === undefined) return undefined;
  const host =
    typeof value === 'string'
      ? value
          .trim()
          .toLowerCase()
          .replace(/^\[(.*)\]$/, '$1')
      : '';
  if (host === 'localhost' || isIP(host) !== 0) return host;
  note(
    place,
    `${key}${shown(value)} is no address to listen on; use 127.0.0.1, ::1, localhost or, with auth: required, another IP address of this machine (0.0.0.0 is all of them)`,
  );
  return undefined;
}

function authOf(value: unknown, place: string, note: Note, key = ''): Auth | undefined {
  if (value === undefined) return undefined;
  const auth = auths.find((each) => each === (typeof value === 'string' ? value.trim().toLowerCase() : undefined));
  if (auth === undefined) note(place, `${key}${shown(value)} is no kind of auth; write "loopback" or "required"`);
  return auth;
}

const maxShown = 60;

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
}
