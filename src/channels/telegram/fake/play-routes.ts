import { z } from 'zod';
import { Fault } from '../../../base/fault.ts';
import { type Play, viewOf } from './play.ts';
import { citedRefusals } from './refusals.ts';
import { type TroubleKind, type Troubles, troubleKinds } from './trouble.ts';
import { type Bot, type PersonName, people, type World } from './world.ts';

const person = z.enum(Object.keys(people) as [PersonName, ...PersonName[]]).default('owner');
const where = z.enum(['private', 'group']).default('private');
const bot = z.string().default('control');
const text = z.string().min(1).max(4096);
const message_id = z.int();
const longestWaitSeconds = 50;

const bodies = {
  say: z.strictObject({ bot, as: person, where, text, answers: message_id.optional() }),
  forward: z.strictObject({ bot, as: person, where, text, from: person.default('stranger') }),
  edit: z.strictObject({ bot, as: person, message_id, text }),
  tap: z.strictObject({
    bot,
    as: person,
    message_id,
    button: z.union([z.string(), z.int()]).optional(),
    data: z.string().optional(),
  }),
  block: z.strictObject({ bot, as: person, on: z.boolean() }),
  revoke: z.strictObject({ bot, on: z.boolean() }),
  repeat: z.strictObject({ bot, count: z.int().min(1).max(100) }),
  trouble: z.strictObject({
    bot,
    kind: z.enum(troubleKinds as readonly TroubleKind[] as [TroubleKind, ...TroubleKind[]]),
    method: z.string().optional(),
    times: z.int().min(1).max(1_000_000).default(1),
    retry_after: z.int().min(1).max(3600).default(1),
  }),
  'clear-trouble': z.strictObject({}),
  bots: z.strictObject({ name: z.string().min(1).max(60), token: z.string() }),
};
type BodyName = keyof typeof bodies;
type Body<N extends BodyName> = z.infer<(typeof bodies)[N]>;

export type Playing = { world: World; play: Play; troubles: Troubles };

/** GET /play/… — what there is to see. @throws Fault `not-found`, `usage` */
export async function look({ world }: Playing, what: string, query: URLSearchParams): Promise<unknown> {
  if (what === 'refusals') return { so_far: world.refused, all: citedRefusals() };
  if (what === 'bots')
    return { bots: world.bots.map(({ name, token, isRevoked }) => ({ name, token, is_revoked: isRevoked })) };
  if (what !== 'chat') throw nothingThere(what);
  const asked = parse(z.object({ bot, as: person, where }), Object.fromEntries(query));
  const after = Number(query.get('after') ?? 0);
  const waitSeconds = Math.min(Number(query.get('wait') ?? 0) || 0, longestWaitSeconds);
  if (waitSeconds > 0) await world.beyond(after, waitSeconds * 1000);
  return viewOf(world, botNamed(world, asked.bot), asked.as, asked.where);
}

/** POST /play/… — what somebody does, or what is made to happen. @throws Fault `not-found`, `usage`, `conflict` */
export function act({ world, play, troubles }: Playing, what: string, body: unknown): unknown {
  if (!Object.hasOwn(bodies, what)) throw nothingThere(what);
  const given = parse(bodies[what as BodyName], body);
  const of = (name: string) => botNamed(world, name);
  const deeds: { [N in BodyName]: (body: Body<N>) => unknown } = {
    say: ({ bot, ...rest }) => idOf(play.say(of(bot), rest)),
    forward: ({ bot, ...rest }) => idOf(play.forward(of(bot), rest)),
    edit: ({ bot, ...rest }) => idOf(play.edit(of(bot), rest)),
    tap: ({ bot, as, message_id, button, data }) => ({
      query: play.tap(of(bot), {
        as,
        message_id,
        ...(button === undefined ? {} : { button }),
        ...(data === undefined ? {} : { data }),
      }).id,
    }),
    block: ({ bot, ...rest }) => done(play.block(of(bot), rest)),
    revoke: ({ bot, on }) => done(play.revoke(of(bot), on)),
    repeat: ({ bot, count }) => ({ repeated: play.repeat(of(bot), count) }),
    trouble: ({ bot, kind, method, times, retry_after }) =>
      done(troubles.add(of(bot).name, { kind, method: method?.toLowerCase(), times, retryAfter: retry_after })),
    'clear-trouble': () => done(troubles.clear()),
    bots: ({ name, token }) => ({ name: world.addBot(name, token).name }),
  };
  return (deeds[what as BodyName] as (body: unknown) => unknown)(given);
}

const done = (_: unknown) => ({ done: true });
const idOf = ({ message_id }: { message_id: number }) => ({ message_id });
const nothingThere = (what: string) => new Fault('not-found', `There is no /play/${what} like that.`);

function botNamed({ bots }: World, name: string): Bot {
  const found = bots.find((each) => each.name === name);
  if (found) return found;
  throw new Fault(
    'not-found',
    `There is no bot ${JSON.stringify(name)}. There are: ${bots.map((each) => each.name).join(', ')}.`,
  );
}

function parse<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Fault('usage', `${issue?.path.join('.') || 'The body'}: ${issue?.message}.`);
}
