import { isAbsolute, normalize } from 'node:path';

/** A compose file as `compose config` prints it: variables and relative paths resolved. Only what is changed is named. */
export type ComposeConfig = {
  services?: Record<string, ComposeService>;
  networks?: Record<string, unknown>;
  volumes?: Record<string, unknown>;
  [further: string]: unknown;
};

type ComposeService = {
  image?: string;
  build?: unknown;
  ports?: readonly (string | PublishedPort)[];
  volumes?: readonly (string | { type?: string; source?: string; target?: string; read_only?: boolean })[];
  networks?: unknown;
  network_mode?: string;
  [further: string]: unknown;
};

type PublishedPort = { published?: string | number; target?: string | number };

export type Scratch = {
  config: ComposeConfig;
  /** What the drill does differently from the real thing, as sentences. */
  notes: string[];
};

/** Where folders of the live target lie in the scratch copy. */
export type Moved = readonly { live: string; scratch: string }[];

/** What is known of the disk. */
export type Place = {
  moved: Moved;
  /** Where a path leads, through symlinks: a copy of one that leads out of the scratch folder leads to what is live. */
  leadsTo(path: string): string;
  isFile(path: string): boolean;
};

/** They reach out of the container, or belong to the live one. */
const quietly = ['labels', 'ports', 'container_name', 'hostname'];
const dropped = [...quietly, 'devices', 'privileged', 'pid', 'ipc', 'userns_mode', 'external_links', 'volumes_from'];
const socket = /\/(docker|podman|containerd)\.sock$/;

/**
 * A copy of a project that can run beside the live one and touch nothing of it: no ports, a network without a way out,
 * volumes of its own, folders of the target replaced by the scratch ones and all others read-only.
 */
export function scratchOf(config: ComposeConfig, place: Place, images: ReadonlyMap<string, string>): Scratch {
  const notes: string[] = [];
  const services = Object.fromEntries(
    Object.entries(config.services ?? {}).map(([name, service]) => [
      name,
      serviceOf(name, service, place, images, notes),
    ]),
  );
  const networks = Object.fromEntries(Object.keys(config.networks ?? {}).map((name) => [name, { internal: true }]));
  const volumes = Object.fromEntries(Object.keys(config.volumes ?? {}).map((name) => [name, {}]));
  for (const name of Object.keys(volumes)) notes.push(`the volume ${name} is empty`);
  return {
    config: {
      ...('version' in config ? { version: config.version } : {}),
      services,
      networks: { ...networks, default: { internal: true } },
      ...(Object.keys(volumes).length > 0 ? { volumes } : {}),
      ...movedFiles('secrets', config.secrets, place),
      ...movedFiles('configs', config.configs, place),
    },
    notes,
  };
}

function serviceOf(
  name: string,
  service: ComposeService,
  place: Place,
  images: ReadonlyMap<string, string>,
  notes: string[],
): ComposeService {
  const made: ComposeService = { ...service, restart: 'no' };
  for (const key of dropped) {
    if (key in made && !quietly.includes(key)) notes.push(`${name} runs without ${key}`);
    delete made[key];
  }
  if (service.network_mode !== undefined) {
    notes.push(`${name} runs in the drill's network and not in ${service.network_mode}`);
    delete made.network_mode;
  }
  const image = images.get(name);
  if (service.build !== undefined && image !== undefined) {
    delete made.build;
    made.image = image;
  }
  if (service.volumes !== undefined)
    made.volumes = service.volumes.flatMap((volume) => volumeOf(name, volume, place, notes) ?? []);
  return made;
}

function volumeOf(
  name: string,
  volume: NonNullable<ComposeService['volumes']>[number],
  place: Place,
  notes: string[],
): NonNullable<ComposeService['volumes']>[number] | undefined {
  const parts = typeof volume === 'string' ? volume.split(':') : [];
  const source = typeof volume === 'string' ? parts[0] : volume.source;
  if (source === undefined || !isAbsolute(source)) return volume;
  const to = scratchPath(source, place);
  // A folder that is no copy may hold sockets of what is live, which read-only does not close.
  if (to === undefined && (socket.test(source) || !place.isFile(source))) {
    notes.push(`${name} runs without ${source}, which is no part of the target`);
    return undefined;
  }
  if (to === undefined) notes.push(`${name} reads ${source}, which is no part of the target, and cannot write to it`);
  if (typeof volume !== 'string')
    return { ...volume, source: to ?? source, ...(to === undefined ? { read_only: true } : {}) };
  const [, target = '', mode = 'rw'] = parts;
  return `${to ?? source}:${target}:${to === undefined ? 'ro' : mode}`;
}

/** The copy of a path, if there is one and it leads nowhere else. */
function scratchPath(source: string, { moved, leadsTo }: Place): string | undefined {
  const to = movedTo(source, moved);
  if (to === undefined) return undefined;
  const real = leadsTo(to);
  return moved.some(({ scratch }) => real === scratch || real.startsWith(`${scratch}/`)) ? to : undefined;
}

/** `secrets` and `configs`: files, by their copies where they have some. */
function movedFiles(key: string, files: unknown, place: Place): Record<string, unknown> {
  if (typeof files !== 'object' || files === null) return {};
  const moved = Object.entries(files as Record<string, { file?: string } | null>).map(([name, each]) => {
    const file = each?.file;
    return [name, file === undefined ? each : { ...each, file: scratchPath(file, place) ?? file }];
  });
  return { [key]: Object.fromEntries(moved) };
}

function movedTo(path: string, moved: Moved): string | undefined {
  const clean = normalize(path).replace(/\/$/, '');
  for (const { live, scratch } of moved) {
    if (clean === scratch || clean.startsWith(`${scratch}/`)) return clean;
    if (clean === live || clean.startsWith(`${live}/`)) return scratch + clean.slice(live.length);
  }
  return undefined;
}

/** The service and port within its container that answer at a published port. */
export function behindPort(config: ComposeConfig, port: number): { service: string; port: number } | undefined {
  for (const [service, { ports = [] }] of Object.entries(config.services ?? {}))
    for (const each of ports) {
      const { published, target } = typeof each === 'string' ? portsOf(each) : each;
      if (Number(published) === port && target !== undefined) return { service, port: Number(target) };
    }
  return undefined;
}

/** `127.0.0.1:8080:80/tcp`, `8080:80` */
function portsOf(text: string): PublishedPort {
  const parts = text.replace(/\/\w+$/, '').split(':');
  const [published, target] = [parts.at(-2), parts.at(-1)];
  return { ...(published === undefined ? {} : { published }), ...(target === undefined ? {} : { target }) };
}
