import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * What the tests of stacks run with: `FIRE_WITH` is nothing for Docker with compose 1.29, the path of compose 2's plugin for
 * Docker with that, or `podman` for Podman with podman-compose.
 */
const choice = process.env.FIRE_WITH ?? '';
export const isPodman = choice === 'podman';
export const isUsual = choice === '';
/** The program that containers are asked for and made with. */
export const engineProgram = isPodman ? 'podman' : 'docker';
const plugin = '/usr/local/lib/docker/cli-plugins/docker-compose';
/** Lies beside the plugin that a test has put there, so that what a killed one left is known. */
const placedByTest = `${plugin}.leveredge-test`;
const settings = '/etc/containers/containers.conf';
let composeWords: readonly string[] | undefined;

/** As GAIA chooses: compose 2 where it is installed, since containers that one has made are made anew by the other. */
function wordsOfCompose(): readonly string[] {
  if (isPodman) return ['podman-compose'];
  if (choice === '') removeLeftPlugin();
  const isTwo = choice !== '' || spawnSync('docker', ['compose', 'version']).status === 0;
  return isTwo ? ['docker', 'compose'] : ['docker-compose'];
}

function removeLeftPlugin(): void {
  if (!existsSync(placedByTest)) return;
  rmSync(plugin, { force: true });
  rmSync(placedByTest);
}

/** Runs compose in a folder, and answers what it printed. */
export function composeIn(folder: string, args: readonly string[]): string {
  composeWords ??= wordsOfCompose();
  const [program = '', ...first] = composeWords;
  return execFileSync(program, [...first, ...args], { cwd: folder, stdio: 'pipe', encoding: 'utf8' });
}

/**
 * A compose file whose services use the machine's own network, as what runs it needs it: Debian's podman-compose cannot do
 * that, so its services get a network, and publish their ports.
 */
export function fileFor(text: string): string {
  if (!isPodman) return text;
  return (
    text
      .replace(/"127\.0\.0\.1:(\d+)", "-h"(.*\n) {4}network_mode: host/g, '"$1", "-h"$2    ports: ["127.0.0.1:$1:$1"]')
      .replaceAll('    network_mode: host\n', '')
      // It does not know how long a service may take to stop, and busybox as the first process hears no other signal.
      .replaceAll('stop_grace_period: 1s', 'stop_signal: SIGKILL')
      .replaceAll('PGPORT:', 'DB_HOST: db, LISTEN: "0.0.0.0", PGPORT:')
  );
}

/** What must be here. */
export const enginePrograms = isPodman
  ? ['podman', 'podman-compose', 'docker-compose', 'busybox']
  : ['dockerd', 'docker', 'docker-compose', 'busybox'];

/** Puts compose 2 where Docker looks for it, as long as the test runs. */
export function placePlugin(): void {
  if (isPodman) return;
  removeLeftPlugin();
  if (choice === '') return;
  mkdirSync(dirname(plugin), { recursive: true });
  writeFileSync(placedByTest, '');
  copyFileSync(choice, plugin);
}

export function removePlugin(): void {
  if (!isPodman) removeLeftPlugin();
}

/** Why Podman is not ours to use; undefined when it is. */
export function podmanIsUsed(): string | undefined {
  if (spawnSync('sh', ['-c', 'command -v dockerd']).status === 0)
    return 'dockerd is in sight: sh test/fire/with-podman.sh';
  const { stdout } = spawnSync('sh', ['-c', 'podman ps -aq; podman volume ls -q; podman images -q'], {
    encoding: 'utf8',
  });
  return stdout.trim() === ''
    ? undefined
    : 'Podman has containers, volumes or images here, which are not ours to remove';
}

/**
 * What a machine without a login, in a sandbox, allows to containers of Podman is less than what it takes by itself: limits
 * that may not be raised, control groups that its usual runtime does not know.
 */
export function preparePodman(): void {
  if (existsSync(settings)) return;
  writeFileSync(
    settings,
    `# leveredge-test
[containers]
default_ulimits=["nofile=4096:4096","nproc=4096:4096"]
[engine]
runtime="runc"
cgroup_manager="cgroupfs"
events_logger="file"
`,
  );
}

/** Removes everything that Podman has here. */
export function resetPodman(): void {
  spawnSync('podman', ['system', 'reset', '--force']);
  if (existsSync(settings) && spawnSync('grep', ['-q', '^# leveredge-test', settings]).status === 0)
    rmSync(settings, { force: true });
}
