import { Command } from 'commander';
import { Exit } from '../../base/exit.ts';
import { shellWord } from '../../base/shell-word.ts';
import { ask as askAndWait } from '../../client/ask.ts';
import type { PublishReceipt } from '../../client/client.ts';
import type { Draft } from '../../events/draft.ts';
import type { Event } from '../../events/event.ts';
import { command } from './as-typed.ts';
import type { Concluding } from './concluding.ts';
import type { Conclusion } from './conclusion.ts';
import { parseDetails } from './details.ts';
import type { Door } from './door.ts';
import { collect, minutes, notBlank } from './option-values.ts';
import { defaultSource, warningsOf } from './publish.ts';
import { showDuration } from './show-time.ts';

type Options = {
  action: string;
  source: string;
  target?: string;
  option?: string[];
  timeout?: number;
  fallback?: string;
  answerer?: string[];
  freeText?: boolean;
  details?: string;
  correlation?: string;
  id?: string;
  wait: boolean;
};

/**
 * leveredge ask — asks a person and waits. The answer alone goes to stdout, in a pipe as it is.
 * Exit 0 a person answered, 9 the fallback was taken, 1 neither (no fallback in time, or cancelled), 4 no bus, 130 Ctrl-C
 * (the question stays open). With --no-wait: 0 once the question is stored, its id on stdout.
 */
export function ask(concludes: Concluding): Command {
  return new Command('ask')
    .description('Ask a person and wait for the answer')
    .argument('<question>', 'what to ask', notBlank)
    .option('-a, --action <action>', 'the action of the event', 'human_input_required')
    .option('-s, --source <agent>', 'who asks', defaultSource)
    .option('-t, --target <name>', 'what it is about')
    .option('-o, --option <text>', 'an answer to choose from; give it several times', collect)
    .option('--timeout <minutes>', 'how long the answer may take; left out, it waits for ever', minutes)
    .option('--fallback <answer>', 'the answer when nobody answers in time; needs --timeout')
    .option('--answerer <name>', 'only this person may answer; may be given several times', collect)
    .option('--free-text', 'take other answers than the options too')
    .option('-d, --details <json>', 'details as a JSON object')
    .option('--correlation <id>', 'what belongs together has the same')
    .option('--id <id>', 'your own id; asking again with it goes on waiting')
    .option('--no-wait', 'do not wait; print the id of the question')
    .addHelpText('after', '\nExit: 0 a person answered, 9 the fallback was taken, 1 neither.')
    .action(
      concludes((door, question: string, options: Options) => {
        const draft = draftOf(question, options);
        return options.wait ? waitFor(door, draft) : askOnly(door, draft);
      }),
    );
}

function draftOf(question: string, options: Options): Draft {
  return {
    action: options.action,
    source_agent: options.source,
    target: options.target,
    details: parseDetails(options.details, []),
    requires_human: true,
    human_question: question,
    human_options: options.option,
    human_timeout_minutes: options.timeout,
    human_fallback: options.fallback,
    answerers: options.answerer,
    free_text: options.freeText,
    correlation_id: options.correlation,
    id: options.id,
  };
}

async function askOnly(door: Door, draft: Draft): Promise<Conclusion> {
  const receipt = await door.client.publish(draft);
  return { exit: Exit.ok, lines: [receipt.id], json: receipt, notes: asked(door, draft, receipt) };
}

async function waitFor(door: Door, draft: Draft): Promise<Conclusion> {
  const { client, signal, say } = door;
  let stored: PublishReceipt | undefined;
  try {
    const event = await askAndWait(client, draft, {
      signal,
      onAsked: (receipt) => {
        stored = receipt;
        for (const line of asked(door, draft, receipt)) say(line);
      },
      onTrouble: ({ message }, againInMs) => say(`${message} Trying again in ${showDuration(againInMs)}.`),
    });
    return resolved(event);
  } catch (error) {
    if (!signal.aborted) throw error;
    return interrupted(door, draft, stored);
  }
}

function interrupted(door: Door, draft: Draft, stored: PublishReceipt | undefined): Conclusion {
  const [message, ...todo] = stored
    ? [
        'Interrupted. The question stays open.',
        `Answer it:    ${command(door, `answer ${shellWord(stored.id)} RESPONSE`)}`,
        `Take it back: ${command(door, `cancel ${shellWord(stored.id)} --as ${shellWord(draft.source_agent)}`)}`,
      ]
    : ['Interrupted before the bus had said that the question is stored.', `See: ${command(door, 'pending')}`];
  const id = stored?.id ?? draft.id;
  return {
    exit: Exit.interrupted,
    error: { code: 'interrupted', message: message as string, hint: todo.join('\n'), ...(id ? { id } : {}) },
    notes: [message as string, ...todo.map((line) => `  ${line}`)],
  };
}

function asked(door: Door, draft: Draft, receipt: PublishReceipt): string[] {
  const answerIt = command(door, `answer ${shellWord(receipt.id)} RESPONSE`);
  const until = receipt.timeout_at ? `until ${receipt.timeout_at}` : 'for ever';
  // Without an id of the caller's own it was this very command that sent it twice, over a broken connection.
  const isOlder = receipt.duplicate && draft.id !== undefined;
  if (isOlder)
    return [
      'This question was asked before, under this id; that one counts.',
      `  If it is still open: ${answerIt}`,
      ...warningsOf(receipt),
    ];
  const neverTaken = draft.human_fallback !== undefined && draft.human_timeout_minutes === undefined;
  return [
    `Asked; the question is open ${until}.`,
    `  Answer it: ${answerIt}`,
    ...(neverTaken ? ['Note: without --timeout the fallback is never taken.'] : []),
    ...warningsOf(receipt),
  ];
}

function resolved(event: Event): Conclusion {
  const json = {
    id: event.id,
    state: event.human_state,
    response: event.human_response,
    responded_by: event.human_responded_by,
    responded_via: event.human_responded_via,
    resolved_at: event.human_responded_at ?? event.updated_at,
  };
  const answer = event.human_response === null ? {} : { raw: event.human_response };
  if (event.human_state === 'answered')
    return {
      exit: Exit.ok,
      ...answer,
      json,
      notes: [`Answered by ${event.human_responded_by} via ${event.human_responded_via}.`],
    };
  if (event.human_state === 'timed_out' && event.human_response !== null)
    return { exit: Exit.partial, ...answer, json, notes: ['Nobody answered in time; this is the fallback.'] };
  const why =
    event.human_state === 'cancelled'
      ? 'The question was cancelled.'
      : 'Nobody answered in time, and there is no fallback.';
  return { exit: Exit.failed, json, notes: [why] };
}
