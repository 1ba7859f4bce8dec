import { Fault } from '../../base/fault.ts';
import { listBackups } from '../../recovery/catalog/catalog.ts';
import type { RecoveryConfig } from '../../recovery/config/config.ts';
import { showBytes, showSpan } from '../amounts.ts';
import { stateOf } from '../commands/list.ts';
import { runbook } from '../commands/runbook.ts';
import { status } from '../commands/status.ts';
import { targetNamed, targetsNamed } from '../targets.ts';
import { readEnrolment } from '../two-factor/enrolment.ts';
import { guardOf } from '../two-factor/guard.ts';
import { cancelOperation } from './cancel-operation.ts';
import { confirmCode } from './confirm-code.ts';
import { newOperationId, type Operation, type OutcomeKind } from './operation.ts';
import type { PhoneDeps } from './phone.ts';
import { tooOld } from './phone-clock.ts';
import { help, pendingReply, titleOf } from './phone-words.ts';
import type { PhoneAsk, PhoneRequest } from './request.ts';
import { resolveRestore } from './resolve-restore.ts';

export type HandlerDeps = PhoneDeps & { finish(operation: Operation, kind: OutcomeKind, says: string): void };

/** So long an operation waits for its code. */
const expiresMs = 5 * 60_000;
/** A bot that was broken into cannot have this machine do nothing else. */
const maxAnHour = 20;
const hourMs = 3_600_000;
const listed = { each: 3, one: 10 };
const maxStatusLines = 14;

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
        return say(await statusLines(deps), { title: 'Status' });
      case 'list':
        return say(listLines(callFor([], {}).config(), request.target, clock()), { title: 'Newest backups' });
      case 'runbook': {
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
  const { emergency, place } = callFor([], {}).config();
  if (readEnrolment(emergency) === undefined) return ['No restore by phone yet: on the server, gaia 2fa enroll'];
  return guardOf(place).isLocked ? ['LOCKED after ten wrong codes: on the server, gaia unlock'] : [];
}

async function statusLines({ callFor, operations }: HandlerDeps): Promise<string[]> {
  const { lines = [] } = await status.run(callFor([], {}));
  const current = operations.current();
  const last = operations.all().at(-1);
  const shown = current ?? last;
  const all = [...(shown === undefined ? [] : [titleOf(shown)]), ...lines];
  return all.length > maxStatusLines ? [...all.slice(0, maxStatusLines), 'More: gaia status'] : all;
}

function listLines(config: RecoveryConfig, target: string | null, nowMs: number): string[] {
  const targets = target === null ? config.targets : [targetNamed(config, target)];
  return targets.flatMap(({ name }) => {
    const backups = listBackups(config.place, [name]).slice(0, target === null ? listed.each : listed.one);
    if (backups.length === 0) return [`${name}: none`];
    return backups.map(
      (backup) =>
        `${backup.name}\n  ${showSpan(nowMs - backup.atMs)} old, ${showBytes(backup.bytes)}, ${stateOf(backup)}`,
    );
  });
}

async function askForCode(deps: HandlerDeps, { id, user, target }: Ask<'restore'>): Promise<void> {
  const { operations, replies, clock, callFor, log, pause } = deps;
  const before = operations.ofRequest(id);
  // A file that is there again after the runner was killed, or was put there again.
  if (before !== undefined && before.state !== 'pending') return;
  const call = callFor([target], {});
  requireFactor(call.config());
  requireNothingElse(deps);
  const { parts, lines } = await resolveRestore(call, target);
  // Meanwhile there may be a newer backup than the one that was shown.
  const isSame = before === undefined || JSON.stringify(before.parts) === JSON.stringify(parts);
  const waiting = operations.current();
  if (waiting !== undefined && (waiting.id !== before?.id || !isSame)) deps.finish(waiting, 'replaced', '');
  if (!isSame) throw new Fault('conflict', 'The newest backup is another one by now.', { hint: 'Ask again.' });
  const now = clock();
  const operation = before ?? operations.put({ ...fresh(id, user, target, now), verb: 'restore', parts });
  pause('phone resolved');
  log.info('a restore was asked for', { id: operation.id, user, target });
  replies.say(pendingReply(operation, lines, now));
}

function fresh(request: string, user: number, target: string, now: number): Omit<Operation, 'verb'> {
  return {
    ...{ id: newOperationId(now), request, user, target, parts: [], state: 'pending', createdMs: now },
    ...{ expiresMs: now + expiresMs, startMs: null, stopping: false, done: [], outcome: null },
  };
}

/** @throws Fault `forbidden` where no code could be right */
function requireFactor({ emergency }: RecoveryConfig): void {
  if (readEnrolment(emergency) !== undefined) return;
  throw new Fault('forbidden', 'No restore by phone: no second factor is set up.', {
    hint: 'On the server: gaia 2fa enroll',
  });
}

/** One thing at a time. What only waits for its code gives way. @throws Fault `locked`, `rate-limited` */
function requireNothingElse({ operations, clock }: HandlerDeps): void {
  const current = operations.current();
  if (current !== undefined && current.state !== 'pending')
    throw new Fault('locked', `${titleOf(current)}. Only one thing is done at a time.`, { hint: 'Stop it: /cancel' });
  const lately = operations.all().filter(({ createdMs }) => clock() - createdMs < hourMs);
  if (lately.length >= maxAnHour)
    throw new Fault('rate-limited', `${lately.length} things were asked for in an hour; no more for now.`);
}

async function beginWork(deps: HandlerDeps, { id, user, verb, target }: Ask<'backup' | 'drill'>): Promise<void> {
  const { operations, replies, clock, callFor, log } = deps;
  if (operations.ofRequest(id) !== undefined) return;
  const config = callFor([], {}).config();
  if (verb === 'drill') targetNamed(config, target);
  else targetsNamed(config, target);
  requireNothingElse(deps);
  const waiting = operations.current();
  if (waiting !== undefined) deps.finish(waiting, 'replaced', '');
  const operation = operations.put({ ...fresh(id, user, target, clock()), verb, state: 'running' });
  log.info('a task was asked for', { id: operation.id, user, verb, target });
  replies.progress(operation.id, { to: user, key: operation.id, title: titleOf(operation), lines: ['It begins.'] });
}
