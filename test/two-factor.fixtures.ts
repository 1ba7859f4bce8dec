import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newBackupCodes } from '../src/gaia/two-factor/backup-codes.ts';
import { newSecret, writeEnrolment } from '../src/gaia/two-factor/enrolment.ts';
import { beginGuard, guardOf, tryCode } from '../src/gaia/two-factor/guard.ts';
import { codeAt, stepAt } from '../src/gaia/two-factor/totp.ts';

const filesIn = (home: string) => ({
  secretFile: join(home, 'gaia', '.2fa_secret'),
  codesFile: join(home, 'gaia', '.2fa_backup_codes'),
});

/** A configuration of GAIA in a home that has none. */
export function configureGaia(home: string): void {
  const root = join(home, 'data-plane', 'dev');
  for (const folder of [root, join(home, 'gaia')]) mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(home, 'gaia', 'config.yaml'),
    `backup_locations: { local: ${home}/shared/backups }\nrestore_targets: { data-plane: { dev: { root: ${root} } } }\n`,
  );
}

/** A second factor in a home, as `gaia 2fa enroll` leaves it, and the authenticator and the paper of its owner. */
export function enrol(home: string) {
  const secret = newSecret();
  const paper = newBackupCodes();
  const place = { state: join(home, 'shared', 'backups', '.gaia') };
  const files = filesIn(home);
  writeEnrolment(files, secret, paper, () => beginGuard(place, secret, 0));
  const code = (away = 0) => codeAt(secret, stepAt(Date.now()) + away);
  return {
    code,
    paper,
    wrong() {
      const right = [-1, 0, 1, 2].map(code);
      return ['000000', '000001', '000002', '000003', '000004'].find((each) => !right.includes(each)) as string;
    },
    failures: () => guardOf(place).failures,
    /** As the runner of the emergency bot would judge it. */
    tryElsewhere: (typed: string) => tryCode(place, files, typed, Date.now()),
  };
}
