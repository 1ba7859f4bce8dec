import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Put there when GAIA is made one file, beside which there is none. */
declare const BOOTSTRAP_SCRIPT: string | undefined;

/** `bootstrap.sh`, which rebuilds a bare machine. @throws the system's error in a tree without it */
export function bootstrapScript(): string {
  if (typeof BOOTSTRAP_SCRIPT === 'string') return BOOTSTRAP_SCRIPT;
  return readFileSync(join(import.meta.dirname, '..', '..', 'deploy', 'scripts', 'bootstrap.sh'), 'utf8');
}
