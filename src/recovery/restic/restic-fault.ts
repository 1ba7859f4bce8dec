import { Fault, type FaultCode } from '../../base/fault.ts';
import { type ResticRepository, shownRepository, withoutPasswords } from './repository.ts';

type Cause = {
  code: FaultCode;
  when: RegExp;
  says(at: string, line: string): string;
  hint: string;
  extra?: Readonly<Record<string, unknown>>;
  /** Never of a repository that is a folder on this machine: what ends too soon there is damaged. */
  isElsewhere?: true;
};

/** In this order: a damaged repository may also say that something does not exist. */
const causes: readonly Cause[] = [
  {
    code: 'forbidden',
    when: /wrong password or no key found|an empty password is not a password/,
    says: (at) => `The password does not open ${at}.`,
    hint: 'The password in password_file is not the one that the repository was made with. The recovery kit has it.',
  },
  {
    code: 'locked',
    // One that went while it was looked at, as when its owner has just ended, is none any more.
    when: /repository is already locked|unable to create lock in backend: repository|<lock\/[0-9a-f]+> does not exist|\/locks\/[0-9a-f]+: no such file or directory/,
    says: (at, line) => `Somebody else works on ${at}: ${line}.`,
    hint: 'Wait until it is through. If nothing works on it any more: restic unlock, with the same repository and password.',
  },
  {
    code: 'storage-full',
    when: /no space left on device|disk quota exceeded|Insufficient Storage|\b507\b/i,
    says: (at) => `There is no room left at ${at}.`,
    hint: 'Nothing that counts as a backup was made. Make room there: gaia prune --dry-run shows what could go.',
  },
  {
    code: 'storage-full',
    when: /read-only file system/i,
    says: (at) => `The file system of ${at} is read-only.`,
    hint: 'If it became so by itself, the disk may be failing: see dmesg. What is there can still be restored.',
  },
  {
    code: 'forbidden',
    when: /\b40[13]\b|Unauthorized|Forbidden|Access ?Denied|permission denied|InvalidAccessKeyId|SignatureDoesNotMatch/i,
    says: (at, line) => `${capital(at)} lets nobody in: ${line}.`,
    hint: 'Look at the user and password in its address, at environment_file, and at owner and mode of its files.',
  },
  {
    code: 'unreachable',
    when: /connection refused|connection reset|no such host|i\/o timeout|network is unreachable|no route to host|TLS handshake|unable to start the sftp session|broken pipe|server misbehaving|\b50[0234]\b|Client\.Timeout|\bEOF\b/i,
    isElsewhere: true,
    says: (at, line) => `${capital(at)} cannot be reached: ${line}.`,
    hint: 'Look at the network, and whether the server runs.',
  },
  {
    code: 'not-found',
    when: /unable to open config file|Is there a repository at the following location/,
    says: (at) => `There is no repository at ${at}.`,
    hint: 'If it is on a disk that is not mounted, mount it. A new one: gaia repository new',
  },
  {
    code: 'not-found',
    when: /no matching ID found|no snapshot found|snapshot .* (not found|does not exist)/i,
    says: (at) => `${capital(at)} does not have that backup any more.`,
    hint: 'See what it has: gaia repository list',
    extra: { gone: true },
  },
  {
    code: 'damaged',
    when: /ciphertext verification failed|does not match|not found in (index|repo|snapshot)|no such file or directory|does not exist|\b404\b|repository contains errors|invalid data|unable to load|cannot load|wrong data returned|StreamPack|load <|decrypting blob|zstd|errors? (was|were) found|incomplete pack|\bEOF\b|^panic: |has zero size|Unmarshal|unexpected end of JSON/i,
    says: (at, line) => `${capital(at)} is damaged: ${line}.`,
    hint: 'See how far: gaia repository check. Backups that need what is damaged are lost in it; take another one, or the archive of control-plane (gaia list).',
  },
];

/** What restic said, as a sentence with a way out. `stderr` is all of it. */
export function resticFault(at: ResticRepository, stderr: string, ended: string): Fault {
  const shown = shownRepository(at);
  const lines = withoutPasswords(stderr)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const isHere = typeof at.repository === 'string' && /^(local:)?\//.test(at.repository);
  for (const { code, when, says, hint, extra, isElsewhere } of causes) {
    if (isElsewhere === true && isHere) continue;
    const line = lines.find((each) => when.test(each));
    if (line !== undefined) return new Fault(code, says(shown, tidy(line)), { hint, extra });
  }
  const last = lines.findLast((line) => line.startsWith('Fatal')) ?? lines.at(-1) ?? ended;
  return new Fault('internal', `restic could not work on ${shown}: ${tidy(last)}.`);
}

const maxShown = 240;

/** One line of restic's, short enough to be read. */
function tidy(line: string): string {
  const text = line
    .replace(/^(Fatal|error): /i, '')
    // Which request it was, and that it is tried again, is of no use to anybody.
    .replace(/^\w+\(<[^>]*>[^)]*\) returned error, retrying after [\w.]+: /, '')
    .replace(/^(client\.\w+: )?[A-Z]\w+ "[^"]*": /, '')
    .replace(/^ignoring error for /, '')
    .replace(/\b([0-9a-f]{10})[0-9a-f]{54}\b/g, '$1…')
    .replace(/[.\s]+$/, '');
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
}

function capital(text: string): string {
  return text.startsWith('the ') ? `The ${text.slice(4)}` : text;
}
