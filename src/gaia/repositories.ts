import { Fault } from '../base/fault.ts';
import type { RecoveryConfig } from '../recovery/config/config.ts';
import { requireOpens } from '../recovery/restic/maintain.ts';
import { type ResticRepository, shownRepository } from '../recovery/restic/repository.ts';
import type { Target } from '../recovery/target.ts';
import type { Finding } from './disk-findings.ts';

export type Repository = { at: ResticRepository; targets: string[] };

/** The repositories of some targets, each once, with the targets that lie in it. */
export function repositoriesOf(targets: readonly Target[]): Repository[] {
  const found = new Map<string, Repository>();
  for (const { name, restic } of targets) {
    if (restic === undefined) continue;
    const id = JSON.stringify(restic.repository);
    const known = found.get(id);
    if (known === undefined) found.set(id, { at: restic, targets: [name] });
    else known.targets.push(name);
  }
  return [...found.values()];
}

/** Whether each repository is there, and opens. */
export async function repositoryFindings({ targets }: RecoveryConfig): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { at, targets: names } of repositoriesOf(targets)) {
    const what = 'repository';
    try {
      await requireOpens(at);
      findings.push({ what, level: 'ok', says: `${shownRepository(at)} opens, for ${names.join(', ')}` });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      findings.push({ what, level: 'WRONG', says: error.message, ...(error.hint ? { todo: error.hint } : {}) });
    }
  }
  return findings;
}
