import { createPublicKey } from 'node:crypto';
import { fingerprintOf } from '../recovery/archive/sign.ts';
import type { AgeKey } from '../recovery/encryption/age-key.ts';

export type Kit = {
  host: string;
  backups: string;
  /** RFC 3339 */
  at: string;
  version: string;
  /** SPKI PEM: what backups are signed with. */
  publicKey: string;
  publicKeyFile: string;
  /** Those that were brought; what opens the backups. */
  keys: readonly AgeKey[];
  /** What the backups are encrypted to. */
  recipients: readonly string[];
  config: { file: string; text: string };
  /** Secret files of repositories, whole. */
  files: readonly { file: string; text: string }[];
  /** Lines of sh after which restic works on the repository that control-plane lies in; empty without one. */
  environment: readonly string[];
  /** Restores any backup by hand. */
  script: readonly string[];
};

/** The raw 32 bytes, as manifests have them. */
const rawOf = (pem: string) =>
  createPublicKey(pem).export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64');
const steps = ({ recipients, backups, config, publicKeyFile, files }: Kit): string[] => [
  'A machine with Debian or Ubuntu, a shell as root, the backups (a disk, or a copy of their folder), recovery-kit.txt, and bootstrap.sh, which lies beside it.',
  'Everything at once: sh bootstrap.sh --backups FOLDER --kit recovery-kit.txt. It says what it does, asks once, and may be started again.',
  ...(files.length > 0
    ? [
        'Backups lie in a repository of restic too. Without the folder of backups: sh bootstrap.sh --repository --kit recovery-kit.txt',
      ]
    : []),
  `Or step by step: put the backups to ${backups}, the configuration to ${config.file} and the public key to ${publicKeyFile}, exactly as they stand below (recovery-kit.txt says how to take them out of it). GAIA's program is program/gaia (or files/gaia/bin/gaia) in the newest backup of control-plane, or comes with the release.`,
  'See what there is, and whether it is whole: gaia list; gaia verify latest',
  `Bring everything back: gaia bootstrap full; gaia restore full${recipients.length > 0 ? ' (both with --identity recovery-kit.txt)' : ''}`,
  `Without GAIA: by-hand.sh out of recovery-kit.txt needs ${recipients.length > 0 ? 'age, ' : ''}zstd, tar and sqlite3 only.`,
];

/**
 * One file for a machine. To `age` it is a file of identities: everything else in it is a comment, and what has to be copied
 * exactly has a mark of its own.
 */
export function kitText(kit: Kit): string {
  const { host, at, version, publicKey, keys, recipients, config, script } = kit;
  const exact = (mark: string, text: string) =>
    text
      .replace(/\n$/, '')
      .split('\n')
      .map((line) => (line === '' ? `#${mark}` : `#${mark} ${line}`));
  const says = (...lines: string[]) => lines.map((line) => (line === '' ? '#' : `# ${line}`));
  return [
    ...says(
      `LeverEdge recovery kit of ${host}, made ${at} by version ${version}.`,
      'With a recovery key in it, it opens every backup. Keep it away from the machine that it is for.',
      '',
      'WHAT TO DO',
      ...steps(kit).map((step, n) => `${n + 1}. ${step}`),
      '',
      'Take out of this file what has to be copied exactly:',
      "  sed -n 's/^#c \\{0,1\\}//p' recovery-kit.txt > config.yaml      (the configuration)",
      "  sed -n 's/^#k \\{0,1\\}//p' recovery-kit.txt > signing.pub      (the key that backups are signed with)",
      "  sed -n 's/^#r \\{0,1\\}//p' recovery-kit.txt > recipients.txt   (what backups are encrypted to)",
      "  sed -n 's/^#s \\{0,1\\}//p' recovery-kit.txt > by-hand.sh       (a script that restores any backup by hand)",
      ...(kit.files.length === 0
        ? []
        : ['Behind each name that begins with #f stand the lines of that file, marked with #p in the same way.']),
      '',
      'THE KEYS THAT OPEN BACKUPS',
      ...(recipients.length === 0 ? ['Backups are not encrypted.'] : []),
      ...(recipients.length > 0 && keys.length === 0
        ? ['NOT HERE. Backups are encrypted, and their key is elsewhere.']
        : []),
    ),
    ...keys.flatMap(({ identity, recipient }) => [`# public key: ${recipient}`, identity]),
    ...says('', 'WHAT BACKUPS ARE ENCRYPTED TO'),
    ...(recipients.length > 0 ? exact('r', recipients.join('\n')) : says('nothing')),
    ...says('', `THE KEY THAT BACKUPS ARE SIGNED WITH (fingerprint ${fingerprintOf(rawOf(publicKey))})`),
    ...exact('k', publicKey),
    ...says('', `THE CONFIGURATION, ${config.file}`),
    ...exact('c', config.text),
    ...(kit.files.length === 0 ? [] : says('', 'FILES OF THE REPOSITORIES OF RESTIC: secret, each behind its name')),
    ...kit.files.flatMap(({ file, text }) => [`#f ${file}`, ...exact('p', text)]),
    ...(kit.environment.length === 0 ? [] : says('', 'AFTER THESE LINES restic WORKS ON THE REPOSITORY')),
    ...(kit.environment.length === 0 ? [] : exact('e', kit.environment.join('\n'))),
    ...says('', 'ANY BACKUP BY HAND'),
    ...exact('s', script.join('\n')),
    '',
  ].join('\n');
}

/** The same for paper, with the keys as QR codes. */
export async function kitPage(kit: Kit): Promise<string> {
  const { renderSVG } = await import('uqr');
  const code = (text: string) => renderSVG(text, { ecc: 'M', border: 2, pixelSize: 4 });
  const { host, at, version, publicKey, keys, recipients, config, files } = kit;
  const card = (title: string, text: string, says: string) =>
    `<section class="card"><div class="code">${code(text)}</div><div><h2>${html(title)}</h2><p>${html(says)}</p><code>${html(text)}</code></div></section>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Recovery kit of ${html(host)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 11pt/1.45 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.05rem; margin: 0 0 .2rem }
.when { color: #555; margin: .2rem 0 1rem } .warn { border: 2px solid #b00; padding: .5rem .8rem; margin: 1rem 0 }
.card { display: flex; gap: 1rem; align-items: center; border: 1px solid #bbb; padding: .7rem; margin: .8rem 0; break-inside: avoid }
.card p { margin: .1rem 0 .4rem } .code { flex: none; width: 8.5rem } .code svg { display: block; width: 100%; height: auto }
code, pre { font: 9pt/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap } code { display: block; background: #f3f3f3; padding: .3rem .5rem }
pre { border: 1px solid #bbb; padding: .6rem } li { margin: .3rem 0 }
@media print { body { margin: 0; max-width: none } }
@media (max-width: 34rem) { .card { flex-direction: column; align-items: flex-start } }
</style></head><body>
<h1>Recovery kit of ${html(host)}</h1>
<p class="when">Made ${html(at.slice(0, 16).replace('T', ' '))} UTC by LeverEdge ${html(version)}. Make a new one when a key or the configuration changes.</p>
${keys.length + files.length > 0 ? '<p class="warn">With this page anybody can open every backup. Keep it as you keep a key of your house, and not beside the server.</p>' : ''}
${recipients.length > 0 && keys.length === 0 ? '<p class="warn">The key that opens the backups is NOT on this page. It is a line that begins with AGE-SECRET-KEY-1; know where you keep it.</p>' : ''}
<h2>What to do on the worst day</h2>
<ol>${steps(kit)
    .map((step) => `<li>${html(step)}</li>`)
    .join('')}</ol>
${files.map(({ file, text }) => card(file, text.trimEnd(), 'Secret. A file of the repository of restic; without it nothing in the repository can be read.')).join('\n')}
${keys.map(({ identity }) => card('The recovery key', identity, 'Secret. Opens the backups: put it into a file and name that with --identity. It has no letters O, I and B: what looks like one is a digit.')).join('\n')}
${card('The key that backups are signed with', rawOf(publicKey), `Public. Fingerprint ${fingerprintOf(rawOf(publicKey))}: what gaia verify says of a backup that a bare machine does not know yet.`)}
${recipients.length > 0 ? `<h2>Encrypted to</h2><pre>${html(recipients.join('\n'))}</pre>` : '<p>Backups are not encrypted.</p>'}
<h2>gaia/signing.pub</h2><pre>${html(publicKey.trimEnd())}</pre>
<h2>The configuration, ${html(config.file)}</h2><pre>${html(config.text.trimEnd())}</pre>
</body></html>
`;
}

function html(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}
