import { shellWord } from '../../base/shell-word.ts';
import type { ResticRepository } from '../restic/repository.ts';
import { withoutPasswords } from '../restic/repository.ts';

/** What a script must set for restic; without anything that is secret, or for a kit that is secret itself. */
export function byHandEnvironment(
  { repository, passwordFile, environmentFile }: ResticRepository,
  { withSecrets = false } = {},
): string[] {
  const isSafe = withSecrets || typeof repository !== 'string' || withoutPasswords(repository) === repository;
  return [
    `export RESTIC_PASSWORD_FILE=\${RESTIC_PASSWORD_FILE:-${shellWord(passwordFile)}}`,
    ...(typeof repository !== 'string'
      ? [`export RESTIC_REPOSITORY_FILE=\${RESTIC_REPOSITORY_FILE:-${shellWord(repository.file)}}`]
      : isSafe
        ? [`export RESTIC_REPOSITORY=\${RESTIC_REPOSITORY:-${shellWord(repository)}}`]
        : [
            `: "\${RESTIC_REPOSITORY:?is the repository, with its password: ${withoutPasswords(repository)}}"`,
            'export RESTIC_REPOSITORY',
          ]),
    ...(environmentFile === null ? [] : [`set -a; . ${shellWord(environmentFile)}; set +a`]),
  ];
}
