import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { JsonObject } from '../src/base/json.ts';
import { signStatement } from '../src/base/signed-statement.ts';
import { personScopes } from '../src/channels/telegram/scopes.ts';
import { makeClient } from '../src/client/client.ts';
import { startBusProcess } from './bus-server.fixtures.ts';
import { tokenFor } from './bus-token.fixtures.ts';
import { tea } from './tea.fixtures.ts';

const key = () => generateKeyPairSync('ed25519');
const signedBy = (privateKey: KeyObject, says: JsonObject, kind = 'confirmation') =>
  signStatement(kind, says, (bytes) => sign(null, bytes, privateKey));

/** A bus on which a call waits for a yes that takes a code, and the key by which GAIA is known there. */
async function stepped(t: TestContext, target = 'urn') {
  const bus = await startBusProcess({}, t);
  const client = makeClient({ url: bus.url });
  const { did } = await tea(t, client);
  const gaia = key();
  const file = join(bus.home, 'shared', 'credentials', 'gaia-confirms.pub');
  const show = (pair = gaia) => {
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  };
  show();
  const as = async (name: string, scopes: string[]) =>
    makeClient({ url: bus.url, token: (await tokenFor(bus, { name, kind: 'person', scopes })).secret });
  const olga = await as('olga', [...personScopes]);
  const { id, approval } = await olga.callCapability('tea.spill', { target }, { waitSeconds: 20 });
  const question = approval?.id ?? assert.fail('nobody is asked');
  const { payload_hash, details } = await client.event(question);
  const proof = (more: JsonObject = {}, by = gaia, kind?: string) =>
    signedBy(by.privateKey, { question, payload_hash, person: 'olga', at_ms: Date.now(), ...more }, kind);
  const yes = (proven?: string) => olga.respond(question, { response: 'yes', payload_hash, proof: proven });
  const done = () => client.callState(id, { waitSeconds: 20 });
  return { ...{ client, did, file, show, as, olga, question, payload_hash, details, proof, yes, done } };
}

describe('an approval that says step_up', { timeout: 120_000 }, () => {
  it('takes from a token with approve:code a proof that GAIA has signed, of just that', async (t) => {
    const { details, yes, proof, did, done, client, question } = await stepped(t);
    assert.equal(details?.step_up, 'code');
    const refused = async (proven: string | undefined, because: RegExp) =>
      assert.rejects(yes(proven), (error: { code: string; message: string }) => {
        assert.deepEqual([error.code, because.test(error.message)], ['forbidden', true], error.message);
        return true;
      });
    await refused(undefined, /takes a code, and no proof/);
    for (const none of ['x', 'eA.eA', `${proof().slice(0, -3)}AAA`, proof({}, key()), proof({}, undefined, 'manifest')])
      await refused(none, /no proof of GAIA/);
    await refused(proof({ question: 'another' }), /of another approval/);
    await refused(proof({ payload_hash: 'f'.repeat(64) }), /of another approval/);
    await refused(proof({ person: 'anna' }), /of somebody else/);
    await refused(proof({ at_ms: Date.now() - 11 * 60_000 }), /too old/);
    await refused(proof({ at_ms: Date.now() + 2 * 60_000 }), /too old/);
    await refused(proof({ at_ms: 'now' }), /too old/);
    assert.equal((await client.event(question)).human_state, 'open');
    assert.equal(did.length, 0);
    await yes(proof());
    assert.equal((await done()).status, 'done');
    const { events } = await client.events({ action: 'human_responded' });
    assert.equal(events[0]?.details?.confirmed_by, 'code');
    await assert.rejects(yes(proof()), { code: 'already-resolved' });
  });

  it('is held to that also by words to ATLAS, and where GAIA has shown no key yet', async (t) => {
    const { olga, question, payload_hash, file, show, yes, proof } = await stepped(t);
    const words = { question, answer: 'yes', payload_hash };
    const { error } = await olga.callCapability('atlas.respond', words, { waitSeconds: 10 }).then(
      (state) => ({ error: state.error }),
      (fault) => ({ error: fault }),
    );
    assert.equal(error?.code, 'forbidden');
    rmSync(file);
    await assert.rejects(yes(proof()), { code: 'forbidden' });
    show(key());
    await assert.rejects(yes(proof()), { code: 'forbidden' });
    show();
    await yes(proof());
  });

  it('takes no proof for a no, nor from a token with approve', async (t) => {
    const one = await stepped(t);
    await one.olga.respond(one.question, { response: 'no', payload_hash: one.payload_hash });
    assert.equal((await one.done()).status, 'refused');
    const other = await stepped(t);
    const anna = await other.as('anna', ['read', 'approve']);
    await anna.respond(other.question, { response: 'yes', payload_hash: other.payload_hash });
    assert.equal((await other.done()).status, 'done');
    const { events } = await other.client.events({ action: 'human_responded' });
    assert.equal(events[0]?.details?.confirmed_by, undefined);
  });

  it('is one only where the capability says so, and nobody but the bus can', async (t) => {
    const { details, yes, client, olga, did, done } = await stepped(t, 'pot');
    assert.equal(details?.step_up, undefined);
    await yes();
    assert.equal((await done()).status, 'done');
    assert.equal(did.length, 1);
    const { id } = await client.publish({
      ...{ source_agent: 'HADES', action: 'x', requires_human: true, payload_hash: 'p', details: { step_up: 'code' } },
    });
    await olga.respond(id, { response: 'yes', payload_hash: 'p' });
  });
});
