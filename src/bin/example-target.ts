import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivately } from '../base/private-file.ts';
import { gaiaConfig } from '../channels/cli/init/gaia-config.ts';

const notes = `# dev

An example, made at the first start, so that a backup, a restore and an undo can be tried at once. Change a file here, then:

    gaia backup dev
    gaia restore dev
    gaia undo dev

Put your own things in its place, here and in gaia/config.yaml of the home.
`;

const workflow = `${JSON.stringify({ name: 'nightly import of dev', active: false, nodes: [], connections: {} }, null, 2)}\n`;

/**
 * Makes a small target `dev` and a configuration of backups that knows it and the control-plane, in a home that has neither a
 * configuration nor anything in `data-plane`. Overwrites nothing; repeatable. Answers whether it has.
 * @throws the system's error
 */
export function makeExampleTarget(home: string): boolean {
  const config = join(home, 'gaia', 'config.yaml');
  const plane = join(home, 'data-plane');
  const dev = join(plane, 'dev');
  // A link that leads nowhere is somebody's too.
  if (isThere(config) || isThere(plane)) return false;
  mkdirSync(join(dev, 'workflows'), { recursive: true });
  writePrivately(join(dev, 'README.md'), notes);
  writePrivately(join(dev, 'workflows', 'nightly-import.json'), workflow);
  // Last: where this was killed before, the target is there and no configuration, and whoever sees that has the say.
  writePrivately(config, gaiaConfig(['dev'], undefined));
  return true;
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
