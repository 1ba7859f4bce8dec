import { statSync } from 'node:fs';
import { Exit } from '../../base/exit.ts';
import { isWell } from '../../recovery/health/gate.ts';
import { checkSqlite } from '../../recovery/source/sqlite-copy.ts';
import type { Call, Command } from '../command.ts';

type Finding = { what: string; healthy: boolean; says: string };

/** gaia health — whether the targets are there, their databases sound, and their endpoints answer. */
export const health: Command = {
  name: 'health',
  summary: 'Ask whether targets, databases and endpoints are well',
  usage: '',
  words: [0, 0],
  flags: {},
  details: [
    'Looks at each folder, has SQLite check each database, and asks each endpoint of health_check and of each target’s own health in the configuration. Changes nothing.',
  ],
  example: 'gaia health --json',
  exits: ['0 all is well', '1 something is not'],
  async run(call) {
    const findings = [...folders(call), ...databases(call), ...(await endpoints(call))];
    const healthy = findings.every((each) => each.healthy);
    return {
      exit: healthy ? Exit.ok : Exit.failed,
      table: {
        columns: [{ head: '' }, { head: 'WHAT', least: 20 }, { head: 'SAYS', least: 20 }],
        rows: findings.map(({ what, healthy: well, says }) => [well ? 'ok' : 'WRONG', what, says]),
      },
      json: { healthy, findings },
    };
  },
};

function folders({ config }: Call): Finding[] {
  return config().targets.flatMap(({ name, trees }) =>
    trees.map(({ root }) => {
      const isThere = statSync(root, { throwIfNoEntry: false })?.isDirectory() === true;
      return { what: `${name}: ${root}`, healthy: isThere, says: isThere ? 'is there' : 'there is no such folder' };
    }),
  );
}

function databases({ config }: Call): Finding[] {
  return config().targets.flatMap(({ name, databases: all }) =>
    all.map(({ path }) => {
      const found =
        statSync(path, { throwIfNoEntry: false }) === undefined ? 'there is no such file' : checkSqlite(path);
      return { what: `${name}: ${path}`, healthy: found === undefined, says: found ?? 'passes SQLite’s check' };
    }),
  );
}

async function endpoints(call: Call): Promise<Finding[]> {
  const { config, around } = call;
  return Promise.all(
    [...config().endpoints, ...ofTargets(call)].map(async ({ name, url }) => {
      const answer = await around.fetchStatus(url);
      const healthy = isWell(answer);
      return { what: `${name}: ${url}`, healthy, says: typeof answer === 'number' ? `answers ${answer}` : answer };
    }),
  );
}

/** Those that a restore asks, under the name of their target; once where health_check has the same. */
function ofTargets({ config }: Call): { name: string; url: string }[] {
  const { targets, endpoints: all } = config();
  return targets.flatMap(({ name: target, health }) =>
    typeof health === 'string'
      ? []
      : health.endpoints
          .filter(({ url }) => !all.some((each) => each.url === url))
          .map(({ name, url }) => ({ name: `${target}: ${name}`, url })),
  );
}
