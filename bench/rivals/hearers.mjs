// Who hears what, for the rivals that do the same work as the bus: its default subscriptions, matched once for each action.
const table = {
  AEGIS: ['workflow_created', 'workflow_modified', 'container_deployed', 'credential_*', 'config_changed'],
  CHRONOS: ['build_started', 'deploy_started', 'upgrade_started', 'config_changed'],
  HADES: ['*_failed', 'audit_failed', 'health_check_failed'],
  ALOY: ['workflow_deployed', 'container_started', 'restore_completed', 'config_changed'],
  ATHENA: ['*'],
  ARIA: ['*', 'human_input_required'],
  HERMES: ['*_completed', '*_failed', 'human_input_required', 'credential_expiring', 'backup_completed'],
  HEPHAESTUS: ['backup_completed', 'human_responded'],
  ARGUS: ['health_*', '*_started', '*_completed'],
};
const matches = (pattern) => {
  const [first, last] = pattern.split('*');
  return last === undefined
    ? (action) => action === first
    : (action) => action.startsWith(first) && action.endsWith(last);
};
const compiled = Object.entries(table).map(([agent, patterns]) => ({ agent, matchers: patterns.map(matches) }));
const remembered = new Map();

export const agents = Object.keys(table);

export function hearersOf(action) {
  let known = remembered.get(action);
  if (known === undefined) {
    known = compiled.filter(({ matchers }) => matchers.some((match) => match(action))).map(({ agent }) => agent);
    remembered.set(action, known);
  }
  return known;
}
