import { type GateResult, type HealthCheck, type Probe, passGate } from '../health/gate.ts';
import { n8nComplaint } from '../health/n8n.ts';
import { databaseComplaint } from '../postgres/database-units.ts';
import type { JournalLine, Step } from '../run/journal.ts';
import type { RunRequest } from '../run/run-folder.ts';
import type { Running, Services } from './services.ts';

type Asking = {
  request: RunRequest;
  services: Services;
  running: Running;
  /** Instead of asking over HTTP. */
  gate: ((check: HealthCheck, tell: (passes: number) => void) => Promise<GateResult>) | undefined;
  note(step: Step, state: JournalLine['state'], facts?: Record<string, unknown>): void;
  tell(says: string): void;
};

/** Where nobody said whom to ask. */
const usual = { endpoints: [], withinSeconds: 120, consecutive: 3 } as const;

/** Asks the target whether it is well, and writes down what it says. Answers why it is not. */
export async function askHealth(asking: Asking): Promise<string | undefined> {
  const { request, services, note } = asking;
  const { health, postgres = [] } = request.target;
  const isConfigured = typeof health !== 'string';
  const check = isConfigured ? health : usual;
  // Containers must run and databases answer even where there is no endpoint.
  if (isConfigured || !services.isEmpty || postgres.length > 0) {
    const endpoints = check.endpoints.map(({ name }) => name);
    note('health', 'begin', { endpoints, within_seconds: check.withinSeconds });
    const result = await ask(asking, check);
    if (result.kind === 'unhealthy') {
      const logs = await services.lastLines(asking.running).catch(() => [] /* there are none then */);
      note('health', 'failed', { reason: result.says, logs });
      return result.says;
    }
    if (isConfigured) {
      const says = `well ${check.consecutive} times in a row`;
      note('health', 'done', { health: 'proven', says, took_ms: Math.round(result.tookMs) });
      return undefined;
    }
  }
  const says =
    health === 'none' ? 'the configuration says that there is nothing to ask' : 'no endpoint is configured to ask';
  note('health', 'done', { health, says });
  return undefined;
}

function ask({ request, services, running, gate, tell }: Asking, check: HealthCheck): Promise<GateResult> {
  const passes = (n: number) => tell(`well ${n} of ${check.consecutive} times in a row`);
  if (gate !== undefined) return gate(check, passes);
  const probes = (request.target.postgres ?? []).map(
    ({ name }): Probe => ({
      name: `the database ${name}`,
      ask: () => databaseComplaint(name, request.target),
    }),
  );
  const { n8n } = check as HealthCheck;
  if (n8n !== undefined) probes.push({ name: `n8n (${n8n.url})`, ask: () => n8nComplaint(n8n) });
  if (!services.isEmpty) probes.unshift({ name: 'among the services,', ask: () => services.complaint(running) });
  return passGate(check, { tell: passes, probes });
}
