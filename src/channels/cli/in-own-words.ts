import { Fault } from '../../base/fault.ts';
import { shellWord } from '../../base/shell-word.ts';
import type { Subscription } from '../../events/subscription.ts';
import { withFlags } from './flag-names.ts';

const namesTheApi = /\b(?:GET|POST|PATCH|PUT|DELETE) \//;

/**
 * A failure as the bus said it, in the words of the command line: fields are called by their options, and the next step
 * is a command. The bus names calls of its API, which help nobody at a shell; a line that does so is left out where no
 * command takes its place. Everything else stays as it is.
 */
export function inOwnWords(thrown: unknown): unknown {
  if (!(thrown instanceof Fault)) return thrown;
  const { code, extra, cause } = thrown;
  const mistakes = thrown.mistakes.map(withFlags);
  const hint = nextStep(thrown) ?? phrased(withoutApi(thrown.hint));
  return new Fault(code, messageOf(thrown), { hint, mistakes, extra, cause });
}

const changesNothing = /^The change names nothing that can change/;
/** As the bus says it of a stream. */
const beginAgain = 'Begin without it, which is from now on, or with from=start.';
const noBookmark = 'is no bookmark of this bus';

function messageOf({ code, message, mistakes }: Fault): string {
  if (changesNothing.test(message)) return 'There is nothing to change.';
  if (code === 'asks-nothing')
    return message.replace(/: it was published without requires_human\.$/, ': it is no question.');
  // The bus joins the mistakes to one sentence, so each is found in it as it stands.
  return mistakes.reduce(
    (said, mistake) => {
      const { pointer, detail } = withFlags(mistake);
      return said.replace(`${mistake.pointer} ${mistake.detail}`, () => `${pointer} ${detail}`);
    },
    message.replace(/^The query makes no sense: /, 'This makes no sense: '),
  );
}

/** Where a command is the next step, or the bus' hint speaks of what only callers of its API have. */
function nextStep({ code, message, mistakes, extra, hint = '' }: Fault): string | undefined {
  if (code === 'asks-nothing') return 'The open questions: leveredge pending';
  if (changesNothing.test(message)) return 'Give --priority, --mode, --except or --no-except.';
  if (mistakes[0]?.detail === noBookmark)
    return 'Take it from the last line of the page before, unchanged; or leave it out for the first page.';
  if (hint === beginAgain) return 'Begin without --after, which is from now on, or with --from-start.';
  if (code === 'unauthorized')
    return 'Name the file of a token in LEVEREDGE_TOKEN_FILE. To make one, on the machine of the bus:\nleveredge token create NAME --kind person --scope SCOPE --file';
  if (code === 'conflict' && hint.includes('payload_hash')) return 'Look at the question again: leveredge pending';
  if (code === 'not-found' && hint.startsWith('GET /docs'))
    return 'The URL of a bus has no path; write it like http://127.0.0.1:8099, in --url or LEVEREDGE_URL.';
  if (code !== 'conflict' || extra.subscription === undefined) return undefined;
  const { agent_name, action_pattern } = extra.subscription as Subscription;
  return `Change it: leveredge subscriptions change ${shellWord(agent_name)} ${shellWord(action_pattern)}`;
}

/** The bus' own phrases, none of which holds a text of a caller. */
function phrased(hint: string | undefined): string | undefined {
  return hint
    ?.replace('Say who answers in responder.', 'Say who answers with --as.')
    .replace('say who in responder.', 'say who with --as.')
    .replace('Leave responder out.', 'Leave out --as.')
    .replace(/^Give (.+) as source_agent, or/, 'Give --source $1, or')
    .replace(/^Give (.+) as (responder|cancelled_by), or/, 'Give --as $1 or leave it out, or')
    .replace('take it back with :cancel.', 'take it back: leveredge cancel ID --as ASKER');
}

function withoutApi(hint = ''): string | undefined {
  const kept = hint.split('\n').filter((line) => !namesTheApi.test(line));
  return kept.join('\n') || undefined;
}
