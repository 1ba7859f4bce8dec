import { rfc3339 } from '../../base/clock.ts';
import { showSpan } from '../amounts.ts';
import type { Verdict } from '../two-factor/guard.ts';
import { type Operation, tagOf } from './operation.ts';
import type { Reply } from './replies.ts';

/** What the emergency bot can be asked, for /start. */
export const help = [
  '/status — what runs, and how the last restores ended',
  '/list — the newest backups; /list prod',
  '/restore prod — put the newest sound backup in its place; also dev, control-plane, full',
  '/fullrestore — the same as /restore full',
  '/cancel — stop what waits or runs; a restore until its swap',
  '/backup prod — make a backup; also full',
  '/drill prod — try the newest backup beside what is live',
  '/runbook prod — how to restore it by hand',
  'A restore is confirmed with a code of your authenticator, or a backup code.',
] as const;

/** The message that asks for a code. */
export function pendingReply(operation: Operation, lines: readonly string[], nowMs: number, entry?: string): Reply {
  const { id, user, target, expiresMs } = operation;
  const everything = target === 'full' ? 'everything' : target;
  return {
    ...{ to: user, key: id, operation: id, title: `${tagOf(operation)} Restore ${everything}?` },
    lines: [
      ...lines,
      'What is there now is put aside for some days, and gaia undo brings it back.',
      `To do it, send the code ${entry === undefined ? '' : `of the entry “${entry}” `}of your authenticator within ${showSpan(expiresMs - nowMs)}.`,
    ],
    buttons: [cancelButton(operation, 'Cancel')],
  };
}

/** A button that takes the operation back. */
export const cancelButton = ({ id }: Pick<Operation, 'id'>, text: string) => ({ text, data: `cancel:${id}` });

/** A code that was not taken, for whoever sent it. Tells no more than that, and what the clock here says. */
export function refusedCode(verdict: Exclude<Verdict, { kind: 'right' }>, nowMs: number, entry?: string): string[] {
  const clock = `This server's clock says ${rfc3339(nowMs).slice(11, 19)} UTC; the phone must agree with it.`;
  switch (verdict.kind) {
    case 'wrong':
      if (verdict.forGood)
        return [
          'That code is wrong, and it was the tenth. No code counts until somebody types on the server: gaia unlock',
        ];
      return [
        `That code is wrong (${verdict.failures} of 10).`,
        ...(entry === undefined ? [] : [`It must be that of the entry “${entry}”.`]),
        clock,
        ...(verdict.untilMs === undefined ? [] : [`The next one counts in ${showSpan(verdict.untilMs - nowMs)}.`]),
      ];
    case 'used':
      return ['That code was used already, and each counts once. Wait for the next one.'];
    case 'locked':
      return [
        verdict.untilMs === undefined
          ? 'There were ten wrong codes. None counts until somebody types on the server: gaia unlock'
          : `There were wrong codes. The next one counts in ${showSpan(verdict.untilMs - nowMs)}; this one was not looked at.`,
      ];
    case 'no factor':
      return [verdict.says];
  }
}

const outcomes = {
  done: 'done',
  failed: 'FAILED',
  cancelled: 'cancelled',
  partly: 'DONE IN PART',
  refused: 'cannot be done',
  expired: 'expired, nothing was done',
  replaced: 'replaced by a newer one, nothing was done',
} as const satisfies Record<NonNullable<Operation['outcome']>['kind'], string>;

/** `#7KQ4 restore prod: done` */
export function titleOf(operation: Operation): string {
  const { verb, target, outcome, state } = operation;
  const at =
    outcome === null
      ? {
          resolving: 'looks at the backup',
          pending: 'waits for a code',
          waiting: 'waits',
          running: 'runs',
          ended: 'over',
        }[state]
      : outcomes[outcome.kind];
  return `${tagOf(operation)} ${verb} ${target}: ${at}`;
}
