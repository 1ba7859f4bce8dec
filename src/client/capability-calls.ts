import type { JsonObject } from '../base/json.ts';
import type { Call, Risk } from '../events/capability.ts';
import type { SecretValues } from '../events/secret.ts';
import type { Call as HttpCall } from './call.ts';

/** A capability as it is listed. `input` and `output` are JSON Schemas. */
export type ListedCapability = {
  name: string;
  agent: string;
  summary: string;
  risk: Risk;
  input: JsonObject;
  output: JsonObject;
};

export type CapabilityCall = Waiting & {
  via?: string | undefined;
  /** Id of the event that the call follows from. */
  cause?: string | undefined;
  /** Names this call, so that asking for just the same again is the same call. */
  idempotencyKey?: string | undefined;
};

type Waiting = { waitSeconds?: number | undefined; signal?: AbortSignal | undefined };

/** The part of the client that calls what the agents can do. */
export type CapabilityCalls = {
  /** What this caller may call. */
  capabilities(): Promise<{ capabilities: ListedCapability[] }>;
  /** Calls a capability, and waits up to `waitSeconds` (0…50) for its end. @throws Fault as its agent said it */
  callCapability(name: string, args: JsonObject, options?: CapabilityCall): Promise<Call>;
  /** A call; with `waitSeconds` when it is through or the time is over. */
  callState(id: string, waiting?: Waiting): Promise<Call>;
  /** Has the bus ask a person whether a destructive call may be done; by its agent. Safe to repeat. */
  askForCall(id: string, prepared: { arguments: JsonObject; says: string[] }, signal?: AbortSignal): Promise<Call>;
  /** What is secret of a call: its arguments for its agent, its result for whoever called. */
  callSecrets(id: string, signal?: AbortSignal): Promise<{ arguments: SecretValues; result: SecretValues }>;
  /** Hands the secrets of a result over and answers their placeholders; by its agent, before it tells the result. */
  keepCallSecrets(id: string, result: SecretValues, signal?: AbortSignal): Promise<{ result: SecretValues }>;
};

/** How long the network may take beyond what the bus was asked to wait. */
const graceMs = 10_000;
/** How long the bus waits for the end of a call when nothing is said. */
const usualCallSeconds = 10;

export function capabilityCallsOver(call: HttpCall): CapabilityCalls {
  const as = <T>(answer: Promise<unknown>) => answer as Promise<T>;
  return {
    capabilities: () => as(call('GET', '/capabilities', { expect: ['capabilities'] })),
    callCapability: (name, body, { waitSeconds, via, cause, signal, idempotencyKey } = {}) =>
      as(
        call('POST', `/capabilities/${encodeURIComponent(name)}`, {
          body,
          query: { wait: waitSeconds, via, cause },
          signal,
          headers: idempotencyKey === undefined ? undefined : { 'idempotency-key': idempotencyKey },
          expect: ['id', 'status'],
          timeoutMs: (waitSeconds ?? usualCallSeconds) * 1000 + graceMs,
        }),
      ),
    callState: (id, { waitSeconds, signal } = {}) =>
      as(
        call('GET', `/calls/${encodeURIComponent(id)}`, {
          query: { wait: waitSeconds },
          expect: ['id', 'status'],
          signal,
          timeoutMs: (waitSeconds ?? 0) * 1000 + graceMs,
        }),
      ),
    askForCall: (id, body, signal) =>
      as(call('POST', `/calls/${encodeURIComponent(id)}:ask`, { body, signal, expect: ['id', 'status'] })),
    callSecrets: (id, signal) =>
      as(call('GET', `/calls/${encodeURIComponent(id)}/secrets`, { signal, expect: ['arguments', 'result'] })),
    keepCallSecrets: (id, result, signal) =>
      as(call('POST', `/calls/${encodeURIComponent(id)}/secrets`, { body: { result }, signal, expect: ['result'] })),
  };
}
