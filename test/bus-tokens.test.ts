import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Bus } from '../src/bus/bus.ts';
import type { Route } from '../src/bus/route.ts';
import { allRoutes } from '../src/bus/routes/all-routes.ts';
import { revokeTokens } from '../src/bus/store/sqlite/token-file.ts';
import { type ScopeKind, scopeKinds } from '../src/events/principal.ts';
import type { Wire } from './bus-caller.fixtures.ts';
import { type BusProcess, startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';

/** What is sent, always in the name of ADA. */
type Sent = { params?: Record<string, string>; query?: string; body?: object };
type Entry = {
  send(as: Owner): Promise<Sent> | Sent;
  /** What becomes of a token that allows it but is not ADA's: refused where the call acts in a name. */
  foreign: 'refused' | 'same';
  /** Scopes that allow it to ADA alone, beside the one that the route names. */
  own?: ScopeKind[];
};

/** What each call is given. A route without an entry fails: whoever adds one says here who may call it. */
const entries: Record<string, Entry> = {
  publish: { send: () => ({ body: { source_agent: 'ADA', action: 'table_tested' } }), foreign: 'refused' },
  // Each event of a batch is judged for itself: see test/bus-identity.test.ts.
  publishBatch: { send: () => ({ body: [{ source_agent: 'ADA', action: 'table_tested' }] }), foreign: 'same' },
  streamEvents: { send: () => ({}), foreign: 'same' },
  streamDeliveries: { send: () => ({ params: { agent: 'ADA' } }), foreign: 'refused' },
  claim: { send: () => ({ params: { agent: 'ADA' }, body: { max: 1 } }), foreign: 'refused' },
  ackDelivery: { send: settling, foreign: 'refused' },
  nackDelivery: { send: settling, foreign: 'refused' },
  extendDelivery: {
    send: async (owner) => {
      const { params, body } = await settling(owner);
      return { params, body: { ...body, lease_seconds: 60 } } as Sent;
    },
    foreign: 'refused',
  },
  listDeadLetters: { send: () => ({}), foreign: 'same' },
  redrive: { send: async ({ bury }) => ({ params: { agent: 'ADA', id: await bury() } }), foreign: 'same' },
  redriveAll: { send: () => ({ body: { agent: 'NOBODY' } }), foreign: 'same' },
  discardDeadLetter: { send: async ({ bury }) => ({ params: { agent: 'ADA', id: await bury() } }), foreign: 'same' },
  makeCheckpoint: { send: () => ({}), foreign: 'same' },
  listCheckpoints: { send: () => ({}), foreign: 'same' },
  planRetention: { send: () => ({}), foreign: 'same' },
  runRetention: { send: () => ({}), foreign: 'same' },
  metrics: { send: () => ({}), foreign: 'same' },
  listEvents: { send: () => ({}), foreign: 'same' },
  getEvent: { send: ({ event }) => ({ params: { id: event } }), foreign: 'same' },
  pending: { send: () => ({}), foreign: 'same' },
  respond: {
    send: async ({ ask }) => ({ params: { id: await ask('ASKER') }, body: { response: 'yes', responder: 'ADA' } }),
    foreign: 'refused',
  },
  cancel: {
    send: async ({ ask }) => ({ params: { id: await ask('ADA') }, body: { cancelled_by: 'ADA' } }),
    foreign: 'refused',
  },
  shown: { send: async ({ question }) => ({ params: { id: question }, body: { via: 'test' } }), foreign: 'same' },
  inbox: { send: () => ({ params: { agent: 'ADA' } }), foreign: 'same', own: ['ack'] },
  listAgents: { send: () => ({}), foreign: 'same' },
  heartbeat: { send: () => ({ params: { agent: 'ADA' }, body: { every_seconds: 10 } }), foreign: 'refused' },
  acknowledge: { send: ({ event }) => ({ params: { id: event }, query: '?agent=ADA' }), foreign: 'refused' },
  listSubscriptions: { send: () => ({}), foreign: 'same' },
  addSubscription: {
    send: () => ({ body: { agent_name: 'ADA', action_pattern: `own_${randomUUID()}`, only_if_new: true } }),
    foreign: 'refused',
  },
  getSubscription: { send: ({ subscription }) => ({ params: { id: subscription } }), foreign: 'same' },
  changeSubscription: {
    send: ({ subscription }) => ({ params: { id: subscription }, body: { priority: 3 } }),
    foreign: 'same',
  },
  deleteSubscription: { send: async ({ hear }) => ({ params: { id: await hear() } }), foreign: 'same' },
  explain: { send: () => ({ query: '?action=a' }), foreign: 'same' },
  listCapabilities: { send: () => ({}), foreign: 'same' },
  getCall: { send: async ({ call }) => ({ params: { id: await call() } }), foreign: 'same' },
  askForCall: {
    send: async ({ call }) => ({ params: { id: await call() }, body: { arguments: { target: 'dev' }, says: [] } }),
    foreign: 'refused',
  },
  health: { send: () => ({}), foreign: 'same' },
  openapi: { send: () => ({}), foreign: 'same' },
  docs: { send: () => ({}), foreign: 'same' },
  root: { send: () => ({}), foreign: 'same' },
};

/** What a scope allows beside the kind of its own name. */
const includes: Partial<Record<ScopeKind, readonly ScopeKind[]>> = { approve: ['answer'], admin: scopeKinds };

/** Who prepares what the calls need. */
type Owner = {
  event: string;
  question: string;
  subscription: string;
  ask(asker: string): Promise<string>;
  hear(): Promise<string>;
  /** Claims a delivery for ADA. */
  owe(): Promise<{ id: string; lease: string }>;
  /** Calls something of ADA's that destroys. */
  call(): Promise<string>;
  /** Makes a dead letter of ADA's, and answers its id. */
  bury(): Promise<string>;
};

async function settling({ owe }: Owner): Promise<Sent> {
  const { id, lease } = await owe();
  return { params: { agent: 'ADA', id }, body: { lease } };
}

type Bearer = { authorization: string };
type Right = Record<ScopeKind, Bearer>;

const written: Record<ScopeKind, string> = {
  ...{ publish: 'publish:table_*', read: 'read', ack: 'ack:self', ask: 'ask' },
  ...{ answer: 'answer', approve: 'approve', admin: 'admin' },
};

async function tokensOf(bus: BusProcess, name: string, expires_in_ms: number | null = null): Promise<Right> {
  const right: Partial<Right> = {};
  for (const scope of scopeKinds) {
    const kind = scope === 'approve' ? 'person' : 'agent';
    const { headers } = await tokenFor(bus, { name, kind, scopes: [written[scope]], expires_in_ms });
    right[scope] = headers;
  }
  return right as Right;
}

async function send(bus: BusProcess, route: Route, { params = {}, query = '', body }: Sent, headers: object) {
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? 'none'));
  const response = await fetch(bus.url + path + query, {
    method: route.method,
    redirect: 'manual',
    headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : null,
  });
  const isProblem = response.headers.get('content-type') === 'application/problem+json';
  const problem: Wire = isProblem ? await response.json() : undefined;
  // A stream does not end by itself.
  if (!isProblem) await response.body?.cancel();
  return { status: response.status, headers: response.headers, problem };
}

async function ownerOf(bus: BusProcess): Promise<Owner> {
  const { headers } = await tokenFor(bus, { name: 'OWNER', scopes: ['admin'] });
  const call = async (path: string, body: object): Promise<Wire> => {
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    return (await fetch(bus.url + path, init)).json();
  };
  const post = async (path: string, body: object): Promise<string> => {
    const answer = await call(path, body);
    assert.ok(answer.id, JSON.stringify(answer));
    return answer.id;
  };
  const owe = async () => {
    await post('/events', { source_agent: 'OWNER', action: 'table_owed' });
    const { deliveries } = await call('/agents/ADA/deliveries:claim', { max: 1 });
    return deliveries[0];
  };
  const bury = async () => {
    const { id, lease } = await owe();
    assert.equal((await call(`/agents/ADA/deliveries/${id}:nack`, { lease, dead: true })).status, 'dead');
    return id;
  };
  await post('/subscriptions', { agent_name: 'ADA', action_pattern: 'table_owed' });
  await post('/subscriptions', { agent_name: 'ADA.calls', action_pattern: 'ada_spill_called' });
  const ask = (asker: string) => post('/events', { source_agent: asker, action: 'table_asked', requires_human: true });
  const hear = () => post('/subscriptions', { agent_name: 'ADA', action_pattern: `heard_${randomUUID()}` });
  return {
    event: await post('/events', { source_agent: 'OWNER', action: 'table_set' }),
    question: await ask('ASKER'),
    subscription: await hear(),
    ask,
    hear,
    call: () => post('/capabilities/ada.spill?wait=0', { target: 'dev' }),
    owe,
    bury,
  };
}

describe('every route, every scope', () => {
  const routes = allRoutes({ calls: { capabilities: [] } } as unknown as Bus); // Declared, never called.
  let bus: BusProcess;
  let open: BusProcess;
  let [owner, ownerOfOpen]: Owner[] = [];
  let tokens: Record<'right' | 'foreign' | 'expired' | 'revoked', Right>;
  before(async () => {
    bus = await startBusProcess({ yaml: 'bus:\n  auth: required\n' });
    open = await startBusProcess();
    owner = await ownerOf(bus);
    ownerOfOpen = await ownerOf(open);
    tokens = {
      right: await tokensOf(bus, 'ADA'),
      foreign: await tokensOf(bus, 'EVE'),
      expired: await tokensOf(bus, 'OLD', 1),
      revoked: await tokensOf(bus, 'GONE'),
    };
    await revokeTokens(bus.databaseFile, 'GONE', Date.now);
    await pause(5);
  });
  after(() => Promise.all([bus.stop(), open.stop()]));

  for (const route of routes) {
    const { operationId, needs } = route;
    const entry = entries[operationId] as Entry;
    const mayCall = (scope: ScopeKind, own: boolean) =>
      needs === null ||
      scope === needs ||
      includes[scope]?.includes(needs) === true ||
      (own && entry.own?.includes(scope) === true);
    const refused = async (headers: object, where: string) => {
      const { status, problem } = await send(bus, route, await entry.send(owner as Owner), headers);
      assert.equal(status, 403, where);
      assert.equal(problem.type, 'urn:leveredge:problem:forbidden', where);
      assert.ok(problem.detail.length > 20 && problem.hint, where);
      return problem;
    };
    const taken = async (headers: object, where: string, at = bus, as = owner) => {
      const { status, problem } = await send(at, route, await entry.send(as as Owner), headers);
      assert.ok(status < 400, `${where}: ${status} ${JSON.stringify(problem)}`);
    };

    it(`${operationId} has an entry here`, () => assert.ok(entry, `say in this file who may call ${operationId}`));
    if (entry === undefined) continue;

    for (const scope of scopeKinds) {
      it(`${operationId} with ${written[scope]}`, async () => {
        if (mayCall(scope, true)) await taken(tokens.right[scope], 'right');
        else {
          const lacks = await refused(tokens.right[scope], 'right');
          assert.equal(lacks.needs, needs === 'ack' ? 'ack:self' : needs);
        }
        const isAllowed = mayCall(scope, false) && (entry.foreign === 'same' || scope === 'admin' || needs === null);
        await (isAllowed ? taken : refused)(tokens.foreign[scope], 'foreign');
        for (const kind of ['expired', 'revoked'] as const) {
          const { status, headers, problem } = await send(bus, route, {}, tokens[kind][scope]);
          assert.equal(status, 401, kind);
          assert.match(problem.detail, kind === 'expired' ? /has expired/ : /was revoked/);
          assert.equal(headers.get('www-authenticate'), 'Bearer');
        }
      });
    }

    it(`${operationId} without a token`, async () => {
      if (needs === null) await taken({}, 'missing');
      else {
        const { status, headers, problem } = await send(bus, route, await entry.send(owner as Owner), {});
        assert.equal(status, 401);
        assert.equal(problem.type, 'urn:leveredge:problem:unauthorized');
        assert.equal(headers.get('www-authenticate'), 'Bearer');
      }
      await taken({}, 'missing, on loopback', open, ownerOfOpen);
    });
  }
});
