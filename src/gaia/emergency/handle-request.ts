import { Fault } from '../../base/fault.ts';
import { listBackups } from '../../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { showBytes, showSpan } from '../amounts.ts';
import { stateOf } from '../commands/list.ts';
import { runbook } from '../commands/runbook.ts';
import { targetNamed, targetsNamed } from '../targets.ts';
import { cancelOperation } from './cancel-operation.ts';
import { confirmCode } from './confirm-code.ts';
import { anything, limits, requireSeldom } from './how-often.ts';
import { newOperationId, type Operation, type OutcomeKind } from './operation.ts';
import type { PhoneDeps } from './phone.ts';
import { tooOld } from './phone-clock.ts';
import { help, titleOf } from './phone-words.ts';
import type { PhoneAsk, PhoneRequest } from './request.ts';
import { requireFactor } from './require-factor.ts';
import { statusLines } from './status-lines.ts';

export type HandlerDeps = PhoneDeps & { finish(operation: Operation, kind: OutcomeKind, says: string): void };

/** So long its backup may be looked at. */
const resolvedWithinMs = 5 * 60_000;
const listed = { each: 3, one: 10 };

type Ask<V extends PhoneAsk['verb']> = PhoneRequest & { verb: V };

/** Does, or begins, what was asked, and says so. @throws Fault for whoever asked */
export function handlerOf(deps: HandlerDeps): (request: PhoneRequest) => Promise<void> {
  const { replies, clock, log, callFor, users } = deps;
  return async (request) => {
    if (!users().has(request.user)) {
      // The bot asks for nobody else; somebody else has written that file.
      log.warn('somebody asked who is not listed', { user: request.user });
      return;
    }
    const old = tooOld(request.sentMs, clock());
    if (old !== undefined) return replies.say({ to: request.user, lines: [old] });
    const say = (lines: readonly string[], more: { title?: string; script?: string } = {}) =>
      replies.say({ to: request.user, lines, ...more });
    switch (request.verb) {
      case 'start':
        return say([...stateLines(deps), ...help], { title: `GAIA on ${callFor([], {}).around.host.name}` });
      case 'status':
        return say(statusLines(deps), { title: 'Status' });
      case 'list':
        return say(listLines(callFor([], {}).config(), request.target, clock()), { title: 'Newest backups' });
      case 'runbook': {
        oneOf(callFor([], {}).config(), request.target);
        const { raw = '' } = await runbook.run(callFor(['latest'], { target: request.target }));
        return say([], { title: `By hand: ${request.target}`, script: raw });
      }
      case 'restore':
        return askForCode(deps, request);
      case 'confirm':
        return confirmCode(deps, request);
      case 'cancel':
        return cancelOperation(deps, request);
      case 'backup':
      case 'drill':
        return beginWork(deps, request);
    }
  };
}

/** What keeps restores by phone from working, said before they are needed. */
function stateLines({ callFor }: HandlerDeps): string[] {
  const problem = factorProblem(callFor([], {}).config());
  return problem === undefined ? [] : [`No restore by phone now: ${problem}`];
}

function factorProblem({ emergency, place }: RecoveryConfig, target?: string): string | undefined {
  try {
    requireFactor(emergency, place, target);
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return `${error.message} On the server: ${error.hint}`;
    throw error;
  }
}

/** @throws Fault `not-found`, `usage` */
function oneOf(config: RecoveryConfig, name: string): void {
  if (name !== 'full') targetNamed(config, name);
  else
    throw new Fault('usage', 'That is done for one target at a time.', {
      hint: `There are: ${config.targets.map((each) => each.name).join(', ')}`,
    });
}

function listLines(config: RecoveryConfig, target: string | null, nowMs: number): string[] {
  const targets = target === null ? config.targets : targetsNamed(config, target);
  return targets.flatMap(({ name }) => {
    const backups = listBackups(config.place, [name]).slice(0, targets.length > 1 ? listed.each : listed.one);
    if (backups.length === 0) return [`${name}: none`];
    return backups.map(
      (backup) =>
        `${backup.name}\n  ${showSpan(nowMs - backup.atMs)} old, ${showBytes(backup.bytes)}, ${stateOf(backup)}`,
    );
  });
}

/** A question of its own; the code is asked for once it is known what it would be done from. */
function askForCode(deps: HandlerDeps, { id, user, target }: Ask<'restore'>): void {
  const { operations, clock, callFor, log, pause } = deps;
  // A file that is there again after the runner was killed, or was put there again.
  if (operations.ofRequest(id) !== undefined) return;
  const config = callFor([], {}).config();
  targetsNamed(config, target);
  const problem = factorProblem(config, target);
  if (problem !== undefined) throw new Fault('forbidden', `No restore by phone: ${problem}`);
  requireNothingElse(deps);
  const operation = operations.put({ ...fresh(id, user, target, clock()), verb: 'restore' });
  pause('phone asked');
  log.info('a restore was asked for', { id: operation.id, user, target });
}

function fresh(request: string, user: number, target: string, now: number): Omit<Operation, 'verb'> {
  return {
    ...{ id: newOperationId(now), request, user, target, parts: [], state: 'resolving', createdMs: now },
    ...{ expiresMs: now + resolvedWithinMs, startMs: null, factor: null, asks: null, aliveMs: null },
    ...{ stopping: false, done: [], outcome: null },
  };
}

/** One thing at a time. What only waits for its code gives way. @throws Fault `locked`, `rate-limited` */
function requireNothingElse(deps: HandlerDeps): void {
  const { operations, clock, finish } = deps;
  const current = operations.current();
  if (current !== undefined && current.state !== 'pending' && current.state !== 'resolving')
    throw new Fault('locked', `${titleOf(current)}. Only one thing is done at a time.`, { hint: 'Stop it: /cancel' });
  requireSeldom(operations.all(), anything, clock());
  if (current !== undefined) finish(current, 'replaced', '');
}

function beginWork(deps: HandlerDeps, { id, user, verb, target }: Ask<'backup' | 'drill'>): void {
  const { operations, replies, clock, callFor, log } = deps;
  if (operations.ofRequest(id) !== undefined) return;
  const config = callFor([], {}).config();
  if (verb === 'drill') oneOf(config, target);
  else targetsNamed(config, target);
  requireSeldom(
    operations.all().filter((each) => each.verb === verb),
    limits[verb],
    clock(),
  );
  requireNothingElse(deps);
  const now = clock();
  const operation = operations.put({ ...fresh(id, user, target, now), verb, state: 'running', aliveMs: now });
  log.info('a task was asked for', { id: operation.id, user, verb, target });
  replies.progress(operation.id, { to: user, key: operation.id, title: titleOf(operation), lines: ['It begins.'] });
}
