import { scryptSync } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Tree } from '../target.ts';

/** Where an encryption key of n8n lies, and what tells it from another without telling the key. */
export type N8nKey = {
  /** `prod/n8n/data/config`: the name of the tree, and the path in it. */
  at: string;
  /** 16 hex digits. */
  fingerprint: string;
};

/** Folders that people give n8n as its own, relative to one of a target. */
const folders = ['', '.n8n', 'data', 'n8n', 'n8n/data', 'n8n/.n8n', 'n8n_data', 'n8n-data'];
const settings = ['.env', 'n8n/.env'];
const maxBytes = 64 * 1024;

/**
 * The keys without which nobody reads the credentials in n8n's database: in n8n's own `config`, and as N8N_ENCRYPTION_KEY in a
 * file of settings beside a compose file. Never throws.
 */
export function n8nKeysIn(trees: readonly Pick<Tree, 'name' | 'root'>[]): N8nKey[] {
  return trees.flatMap(({ name, root }) => {
    const found = [
      ...folders.map((folder) => ({ path: join(folder, 'config'), keyIn: keyInConfig })),
      ...settings.map((path) => ({ path, keyIn: keyInSettings })),
    ];
    return found.flatMap(({ path, keyIn }) => {
      const text = textOf(join(root, path));
      const key = text === undefined ? undefined : keyIn(text);
      return key === undefined ? [] : [{ at: `${name}/${path}`, fingerprint: fingerprintOf(key) }];
    });
  });
}

/** Of keys that a backup's databases need and that are not the ones here, as sentences; for a restore that brings no files. */
export function otherKeysHere(wanted: readonly N8nKey[], trees: readonly Pick<Tree, 'name' | 'root'>[]): string[] {
  const here = wanted.length === 0 ? [] : n8nKeysIn(trees);
  return wanted
    .filter(({ at, fingerprint }) => !here.some((each) => each.at === at && each.fingerprint === fingerprint))
    .map(({ at }) => {
      const how = here.some((each) => each.at === at) ? 'is another one here' : 'is not here';
      return `n8n's encryption key in ${at} ${how}: it could not read the credentials in this backup's database. Restore all of it, or that file too.`;
    });
}

function keyInConfig(text: string): string | undefined {
  try {
    const { encryptionKey } = JSON.parse(text) as { encryptionKey?: unknown };
    return typeof encryptionKey === 'string' && encryptionKey !== '' ? encryptionKey : undefined;
  } catch {
    return undefined; // Of another program.
  }
}

function keyInSettings(text: string): string | undefined {
  const [, , key] = /^\s*(?:export\s+)?N8N_ENCRYPTION_KEY=(["']?)(.+?)\1\s*$/m.exec(text) ?? [];
  return key;
}

function textOf(file: string): string | undefined {
  try {
    const found = statSync(file);
    return found.isFile() && found.size <= maxBytes ? readFileSync(file, 'utf8') : undefined;
  } catch {
    return undefined; // Not there, or not for us.
  }
}

/** Manifests are not encrypted, and some keys are words of people: trying them out shall take long. */
function fingerprintOf(key: string): string {
  return scryptSync(key, 'leveredge: the key of an n8n', 8).toString('hex');
}
