import { Exit } from '../../base/exit.ts';
import { Fault } from '../../base/fault.ts';
import { listBackups } from '../../recovery/catalog/catalog.ts';
import { checkRepository, fetchCatalogue, makeRepository, ownSnapshots } from '../../recovery/restic/maintain.ts';
import { shownRepository } from '../../recovery/restic/repository.ts';
import { takeLock } from '../../recovery/run/lock.ts';
import type { Call, Command, Conclusion } from '../command.ts';
import { type Repository, repositoriesOf } from '../repositories.ts';
import { targetsNamed } from '../targets.ts';

/** gaia repository — what there is to do with repositories of restic, beside backing up and restoring. */
export const repository: Command = {
  name: 'repository',
  summary: 'Make, list, check or read in a repository of restic',
  usage: 'new|list|check|fetch [TARGET]',
  words: [1, 2],
  flags: {},
  details: [
    'new makes the repository that the configuration names, where there is none yet; the password must be in its file.',
    'list shows which backups of ours it has. fetch brings what stands for them into the folder of backups: on a machine that has lost it, gaia list is empty until then.',
    'check asks restic whether everything that the backups need is there (without reading contents: that is gaia verify).',
  ],
  example: 'gaia repository new',
  exits: ['0 done', '3 wrong password', '4 not to be reached', '5 no such repository', '6 locked', '7 damaged'],
  async run(call) {
    const [verb = '', target = 'full'] = call.words;
    const act = verbs[verb];
    if (act === undefined)
      throw new Fault('usage', `gaia repository has no ${verb}.`, {
        hint: `There are: ${Object.keys(verbs).join(', ')}`,
      });
    const all = repositoriesOf(targetsNamed(call.config(), target));
    if (all.length === 0)
      throw new Fault('usage', 'The configuration names no repository of restic.', {
        hint: 'engine: restic, and restic: { repository: …, password_file: … }',
      });
    return act(call, all);
  },
};

const verbs: Readonly<Record<string, (call: Call, all: readonly Repository[]) => Promise<Conclusion>>> = {
  new: makeNew,
  list,
  check,
  fetch: fetchAll,
};

async function makeNew(_: Call, all: readonly Repository[]): Promise<Conclusion> {
  const lines: string[] = [];
  const results = [];
  for (const { at, targets } of all) {
    const made = await makeRepository(at);
    results.push({ repository: shownRepository(at), made, targets });
    lines.push(
      `${shownRepository(at)}: ${made ? 'made' : 'is there, and the password opens it'} (${targets.join(', ')})`,
    );
  }
  return {
    exit: Exit.ok,
    lines,
    json: { results },
    notes: results.some(({ made }) => made)
      ? ['Without its password nothing can be read in it. Keep it elsewhere too: gaia kit --out FOLDER']
      : [],
  };
}

async function list({ config }: Call, all: readonly Repository[]): Promise<Conclusion> {
  const { place } = config();
  const rows: string[][] = [];
  const backups = [];
  for (const { at, targets } of all) {
    const known = new Set(listBackups(place, targets).map(({ name }) => name));
    for (const { backup, target, at: made, isCatalogue, id } of await ownSnapshots(at)) {
      if (isCatalogue || !targets.includes(target)) continue;
      const isKnown = known.has(backup);
      backups.unshift({ name: backup, target, created_at: made, snapshot: id, known: isKnown });
      rows.unshift([backup, id.slice(0, 8), isKnown ? 'known here' : 'not known here']);
    }
  }
  return {
    exit: Exit.ok,
    json: { backups },
    ...(rows.length === 0
      ? { lines: ['The repository has no backups of these targets.'] }
      : { table: { columns: [{ head: 'BACKUP' }, { head: 'SNAPSHOT' }, { head: '', least: 10 }], rows } }),
    notes: backups.some(({ known }) => !known) ? ['To have those here that are not known: gaia repository fetch'] : [],
  };
}

async function check(_: Call, all: readonly Repository[]): Promise<Conclusion> {
  const lines: string[] = [];
  for (const { at } of all) {
    await checkRepository(at);
    lines.push(
      `${shownRepository(at)}: everything that its backups need is there. Contents were not read: gaia verify`,
    );
  }
  return { exit: Exit.ok, lines, json: { repositories: all.map(({ at }) => shownRepository(at)), state: 'sound' } };
}

async function fetchAll({ config, around }: Call, all: readonly Repository[]): Promise<Conclusion> {
  const { place } = config();
  const lock = takeLock(place, 'repository fetch', around.clock);
  try {
    const backups: string[] = [];
    const orphans: string[] = [];
    for (const { at, targets } of all) {
      const fetched = await fetchCatalogue(at, place, targets);
      backups.push(...fetched.backups);
      orphans.push(...fetched.orphans);
    }
    return {
      exit: Exit.ok,
      lines: backups.length > 0 ? backups : ['Nothing is missing here.'],
      json: { fetched: backups, orphans },
      notes: orphans.map(
        (name) => `${name} was not finished: its contents are there, and nothing says that it is whole.`,
      ),
    };
  } finally {
    lock.release();
  }
}
