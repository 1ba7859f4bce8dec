import type { Mode } from './subscription.ts';

export type DefaultSubscription = { agent: string; pattern: string; priority: number; mode: Mode };

/** What the first implementation shipped. A takeover that finds one of these missing knows that it was deleted. */
const first: Record<string, Record<string, number>> = {
  AEGIS: {
    workflow_created: 1,
    workflow_modified: 1,
    container_deployed: 1,
    'credential_*': 1,
    config_changed: 2,
  },
  CHRONOS: { build_started: 1, deploy_started: 1, upgrade_started: 1, config_changed: 2 },
  HADES: { '*_failed': 1, audit_failed: 1, health_check_failed: 1 },
  ALOY: { workflow_deployed: 1, container_started: 1, restore_completed: 1, config_changed: 2 },
  ATHENA: { '*': 10 },
  ARIA: { '*': 10, human_input_required: 1 },
  HERMES: {
    '*_completed': 5,
    '*_failed': 1,
    human_input_required: 1,
    credential_expiring: 1,
    backup_completed: 5,
  },
  ARGUS: { 'health_*': 1, '*_started': 5, '*_completed': 5 },
};

const since: Record<string, Record<string, number>> = {
  HERMES: {
    human_timed_out: 1,
    human_escalated: 1,
    human_responded: 3,
    backup_missing: 1,
    anomaly_detected: 1,
    bus_restored: 1,
    agent_lost: 1,
    agent_back: 5,
  },
  HEPHAESTUS: { backup_completed: 3, human_responded: 2 },
};

/** Agents that read everything hear by tail: one that is not installed must not pile up rows for ever. */
function modeOf(agent: string, pattern: string): Mode {
  return agent === 'ARGUS' || pattern === '*' ? 'tail' : 'queue';
}

function flatten(table: Record<string, Record<string, number>>): DefaultSubscription[] {
  return Object.entries(table).flatMap(([agent, hears]) =>
    Object.entries(hears).map(([pattern, priority]) => ({ agent, pattern, priority, mode: modeOf(agent, pattern) })),
  );
}

export const firstDefaults: readonly DefaultSubscription[] = flatten(first);

/** Created once and never twice: an operator's edit or deletion survives every start. */
export const defaultSubscriptions: readonly DefaultSubscription[] = [...firstDefaults, ...flatten(since)];
