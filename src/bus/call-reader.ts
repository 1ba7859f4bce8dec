import { Fault } from '../base/fault.ts';
import {
  approvalAction,
  type Call,
  type CallDetails,
  type Capability,
  calledAction,
  callQueueOf,
  consequenceId,
  ownerOf,
  returnedId,
} from '../events/capability.ts';
import { busAgent, type Event } from '../events/event.ts';
import { callOf, diedOf, saidIn, statusOf, takenBy } from './call-view.ts';
import type { cutOffSince } from './own-calls.ts';
import { quoted } from './refusals.ts';
import type { Store } from './store/store.ts';

/** The event that is a call, and what it calls. */
export type Called = { event: Event; details: CallDetails; capability: Capability };

/** Reads calls from their events. */
export type CallReader = {
  /** The call as it was asked for. @throws Fault `not-found` */
  called(id: string): Promise<Called>;
  /** The call and what came of it so far. @throws Fault `not-found` */
  call(id: string): Promise<Call>;
  /** Whether nothing more will come of it: its agent has told its end, or nobody said yes; or there is no such call. */
  isOver(id: string): Promise<boolean>;
};

/** The id of the question whether to do a call. */
export const questionIdOf = ({ name }: Capability, call: string) =>
  consequenceId(busAgent, call, approvalAction(name), null);

export function callReaderOf(
  store: Pick<Store, 'event' | 'deadLetterOf'>,
  capabilities: readonly Capability[],
  cutOff: ReturnType<typeof cutOffSince>,
): CallReader {
  async function called(id: string): Promise<Called> {
    const event = await store.event(id);
    const details = event?.details as CallDetails | null | undefined;
    const capability = capabilities.find(({ name }) => name === details?.capability);
    const isCall =
      event?.source_agent === busAgent && capability !== undefined && event.action === calledAction(capability.name);
    if (!isCall || !details) throw new Fault('not-found', `There is no call ${quoted(id)}.`);
    return { event, details, capability };
  }

  /** Another's event of this id asks nothing. */
  async function questionOf(capability: Capability, id: string): Promise<Event | undefined> {
    if (capability.risk !== 'destructive') return undefined;
    const found = await store.event(questionIdOf(capability, id));
    return found?.source_agent === busAgent ? found : undefined;
  }

  return {
    called,
    async call(id) {
      const { event, details, capability } = await called(id);
      const returned = await store.event(returnedId(capability.name, id));
      const question = await questionOf(capability, id);
      const said = returned ? saidIn(returned, capability) : cutOff(capability, event);
      // Another's event does not say what came of the call; but then its agent cannot say it either.
      if (said !== undefined || statusOf(undefined, question) !== 'running')
        return callOf(event, details, said, question);
      if (returned !== undefined) return callOf(event, details, takenBy(returned.source_agent, capability), question);
      const dead = await store.deadLetterOf(callQueueOf(ownerOf(capability.name)), id, question?.id);
      return callOf(event, details, dead && diedOf(dead, capability), question);
    },
    async isOver(id) {
      const found = await called(id).catch((error: unknown) => {
        if (error instanceof Fault && error.code === 'not-found') return undefined;
        throw error;
      });
      if (found === undefined || (await store.event(returnedId(found.capability.name, id)))) return true;
      return statusOf(undefined, await questionOf(found.capability, id)) === 'refused';
    },
  };
}
