import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import { Fault } from '../../base/fault.ts';
import type { Ran } from '../source/run-program.ts';
import { filesOf } from './compose-tool.ts';
import { type Container, containersOf, requireWorked } from './containers.ts';
import { runEngine } from './engine.ts';
import type { ComposeProject } from './run-compose.ts';

/**
 * What podman-compose leaves to whoever calls it (seen with Debian's 1.0.3): its exit code is 0 whatever happened, `up` starts a
 * container that is there as it is, whatever its file says now, and nothing lists services.
 */
export type PodmanProject = ComposeProject & {
  /** Of the files that the containers were made from. */
  fingerprint?: string;
};

/** Tells one state of a project's files from another: compose files, and the values that they use. */
export function fingerprintOf(file: string): string {
  const hash = createHash('sha256');
  for (const each of [...filesOf(file), join(dirname(file), '.env')]) hash.update(contentsOf(each)).update('\0');
  return hash.digest('hex');
}

/** One that is missing, or is not for us to read, is a state too. */
function contentsOf(file: string): Buffer | string {
  try {
    return readFileSync(file);
  } catch {
    return 'none';
  }
}

/**
 * Starts what ran, as it is where its files are as they were; else, and where nothing is left of it, made anew from them.
 * @param up runs podman-compose with these words
 * @throws Fault `unreachable` naming the services that did not come
 */
export async function startPodmanProject(
  project: PodmanProject,
  up: (words: readonly string[]) => Promise<Ran>,
  withinMs: number,
): Promise<void> {
  const { file, containers } = project;
  const there = await containersOf(file);
  const ran = containers.filter(({ running }) => running);
  // Where nothing ran, or everything, all that the file has is meant.
  const some = ran.length > 0 && ran.length < containers.length ? ran : containers;
  const wanted = some === ran ? ran.map(({ service }) => service) : servicesIn(file);
  const isUnchanged =
    containers.length > 0 &&
    project.fingerprint === fingerprintOf(file) &&
    containers.every(({ id }) => there.some((each) => each.id === id));
  if (!isUnchanged && there.length > 0)
    requireWorked(
      await runEngine('podman', ['rm', '--force', ...there.map(({ id }) => id)], withinMs),
      `the containers of ${file} could not be made anew`,
    );
  if (isUnchanged)
    requireWorked(
      await runEngine('podman', ['start', ...some.map(({ id }) => id)], withinMs),
      `${file} could not be started`,
    );
  const missing = isUnchanged ? wanted.filter((name) => !some.some(({ service }) => service === name)) : wanted;
  if (missing.length > 0) await bringUp(file, missing, up);
}

/** Starts services by what their file says, and looks whether they came. @throws Fault */
export async function bringUp(
  file: string,
  wanted: readonly string[],
  up: (words: readonly string[]) => Promise<Ran>,
): Promise<void> {
  const ran = await up(['up', '-d', ...wanted]);
  const came = await containersOf(file);
  const missing = wanted.filter((name) => !came.some(({ service, state }) => service === name && state !== 'created'));
  if (missing.length === 0) return;
  const said = `${ran.stdout}\n${ran.stderr}`.split('\n').filter((line) => /error|cannot|failed|denied/i.test(line));
  const why = said.slice(-2).join(' ').trim() || ran.ended;
  throw new Fault('unreachable', `podman-compose did not start ${missing.join(', ')} of ${file}: ${why}`, {
    hint: `Try it yourself: ${ran.command}`,
  });
}

/** Those that compose starts when none is named. @throws Fault `usage` for a file that is no compose file */
export function servicesIn(file: string): string[] {
  const names = new Set<string>();
  for (const each of filesOf(file).filter((path) => existsSync(path)))
    try {
      const { services } = (parse(readFileSync(each, 'utf8')) ?? {}) as {
        services?: Record<string, { profiles?: unknown } | null>;
      };
      for (const [name, service] of Object.entries(services ?? {}))
        if (service?.profiles === undefined) names.add(name);
    } catch {
      // The parser's own words quote what stands there, and that may be a secret.
      throw new Fault('usage', `${each} cannot be read as a compose file.`, {
        hint: `Try it: podman-compose -f ${each} ps`,
      });
    }
  return [...names];
}

/** The last lines that each wrote, marked with its service. Never throws. */
export async function podmanLines(containers: readonly Container[], count: number): Promise<string[]> {
  const lines: string[] = [];
  for (const { id, service } of containers) {
    const { stdout, stderr } = await runEngine('podman', ['logs', `--tail=${count}`, id]);
    for (const line of `${stdout}\n${stderr}`.split('\n')) if (line.trim() !== '') lines.push(`${service}  | ${line}`);
  }
  return lines.slice(-count);
}
