import type { Step, Systemd } from './step.ts';

/** What works on the control-plane, so that a restore stops and starts it, and asks whether the bus is well. */
export type Running = {
  services: readonly Extract<Step, { kind: 'service' }>[];
  manager: Systemd;
  user: string;
  url: string;
};

const n8nPorts: Readonly<Record<string, number>> = { prod: 5678, dev: 5680 };

/** A configuration of GAIA for a home with these targets below `data-plane/`; nothing in it is a placeholder. */
export function gaiaConfig(targets: readonly string[], running: Running | undefined): string {
  return `# What GAIA backs up and restores. All keys: docs/recovery.md of LeverEdge. After a change: gaia doctor
# Relative paths begin at the home, those of a target at its folder.
#
# Secrets (shared/credentials, the keys in gaia/) are in no backup before it is encrypted: gaia help key
# retention: { keep_last: 3, hourly: 24, daily: 7, weekly: 4, monthly: 12 }
# By itself, where CHRONOS runs: a whole backup daily, databases hourly, verified and drilled weekly. A target may differ.
# schedule: { whole: daily 03:00, databases: hourly, verify: weekly saturday 05:00, drill: weekly sunday 05:00 }

backup_locations:
  local: shared/backups

restore_targets:
  # Beside control-plane/ also gaia/, config/, shared/{credentials,scripts,templates} and monitoring/.
  control-plane:
${controlPlane(running)}
  data-plane:
${targets.map(dataPlane).join('\n')}`;
}

function controlPlane(running: Running | undefined): string {
  if (running === undefined)
    return '    # Nothing is started after a restore, so there is nothing to ask.\n    health: none\n';
  const { services, manager, user, url } = running;
  // The socket works on nothing: it stays, for whoever asks for the restore.
  const units = services.filter(({ heard }) => heard !== 'socket').map(({ unit }) => unit);
  const list =
    manager === 'system'
      ? ` [ ${units.join(', ')} ]`
      : units.map((unit) => `\n      - { name: ${unit}, user: ${user} }`).join('');
  return `    units:${list}
    health:
      endpoints: [ { name: event-bus, url: "${url}/health" } ]
      within_seconds: 60
`;
}

function dataPlane(name: string): string {
  return `    ${name}:
      health: none
      # Once services work on it, instead of the line above:
      # compose: docker-compose.yml
      # databases: [ { name: n8n, engine: postgres, service: postgres } ]
      # health:
      #   endpoints: [ { name: n8n, url: "http://127.0.0.1:${n8nPorts[name] ?? 5678}/healthz/readiness" } ]
      #   within_seconds: 120
`;
}
