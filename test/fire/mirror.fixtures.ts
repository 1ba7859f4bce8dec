import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a machine's sources of packages say when it has a mirror at `/mirror`. */
export const mirrorSource = 'deb [trusted=yes] file:/mirror ./\n';

/**
 * Makes a mirror of a few packages and everything that they need, as a machine of its own could have it beside it: a folder of
 * .deb files with an index. They are fetched as this machine fetches its own.
 */
export function makeMirror(folder: string, packages: readonly string[]): void {
  mkdirSync(join(folder, 'partial'), { recursive: true });
  const none = join(folder, 'status');
  writeFileSync(none, '');
  execFileSync(
    'apt-get',
    [
      // As if nothing were installed here.
      ...['-o', `Dir::State::status=${none}`, '-o', `Dir::Cache::archives=${folder}`, '-o', 'APT::Sandbox::User=root'],
      ...['--download-only', '--yes', '--no-install-recommends', 'install', ...packages],
    ],
    { stdio: 'pipe', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } },
  );
  const index = `for deb in *.deb; do
    dpkg-deb --field "$deb"
    printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n\\n' "$deb" "$(stat -c %s "$deb")" "$(sha256sum "$deb" | cut -d' ' -f1)"
  done >Packages`;
  execFileSync('sh', ['-c', index], { cwd: folder });
}
