import { statSync } from 'node:fs';
import { Exit } from '../../base/exit.ts';
import { reasonOf } from '../../base/fault.ts';
import { isWell } from '../../recovery/health/gate.ts';
import { n8nComplaint } from '../../recovery/health/n8n.ts';
import { databaseComplaint } from '../../recovery/postgres/database-units.ts';
import { composeServices } from '../../recovery/restore/services.ts';
import { checkSqlite } from '../../recovery/source/sqlite-copy.ts';
import type { Call, Command } from '../command.ts';

type Finding = { what: string; healthy: boolean; says: string };

/** gaia health — whether the targets are there, their databases sound, and their endpoints answer. */
export const health: Command = {
  name: 'health',
  summary: 'Ask whether targets, databases, services and endpoints are well',
  usage: '',
  words: [0, 0],
  flags: {},
  details: [
    'Looks at each folder, has SQLite check each of its databases and PostgreSQL ones answer a query, looks at containers, and asks n8n and each endpoint of health_check and of each target’s own health. Changes nothing.',
  ],
  example: 'gaia health --json',
  exits: ['0 all is well', '1 something is not'],
  async run(call) {
    const asked = await Promise.all([servers(call), containers(call), endpoints(call), n8ns(call)]);
    const findings = [...folders(call), ...databases(call), ...asked.flat()];
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
    trees
      .filter(({ optional }) => optional !== true)
      .map(({ root }) => {
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

/** Of PostgreSQL: each must answer a query. */
function servers({ config }: Call): Promise<Finding[]> {
  return Promise.all(
    config().targets.flatMap((target) =>
      (target.postgres ?? []).map(async ({ name }) => {
        const why = await databaseComplaint(name, target);
        return { what: `${target.name}: database ${name}`, healthy: why === undefined, says: why ?? 'answers a query' };
      }),
    ),
  );
}

async function containers({ config }: Call): Promise<Finding[]> {
  const found = config().targets.map(async ({ name, compose = [] }): Promise<Finding[]> => {
    if (compose.length === 0) return [];
    const services = composeServices(compose);
    const running = await services.look().catch(reasonOf);
    const why = typeof running === 'string' ? running : await services.complaint(running);
    return [{ what: `${name}: containers`, healthy: why === undefined, says: why ?? 'run, or ended well' }];
  });
  return (await Promise.all(found)).flat();
}

async function n8ns({ config }: Call): Promise<Finding[]> {
  const findings: Finding[] = [];
  // One after the other: two may have the same place for their canary.
  for (const { name, health: check } of config().targets) {
    if (typeof check === 'string' || check.n8n === undefined) continue;
    const why = await n8nComplaint(check.n8n);
    const well = check.n8n.canary === null ? 'is ready' : 'is ready, and reads its credentials';
    findings.push({ what: `${name}: n8n, ${check.n8n.url}`, healthy: why === undefined, says: why ?? well });
  }
  return findings;
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
