import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anonymous, type Principal, type ScopeKind, scopeKinds } from './principal.ts';
import { allows, approvesByCode, isAdmin, mayCall, mayPublish, parseScope } from './scope.ts';

const holding = (...scopes: string[]): Principal => ({ kind: 'agent', name: 'ADA', scopes, tokenId: 't' });

describe('a scope', () => {
  it('is one of a fixed list, or publish with a pattern', () => {
    for (const scope of ['publish:*', 'publish:workflow_*', 'publish:日本 *', 'read', 'ack:self', 'approve', 'admin'])
      assert.equal(parseScope(scope), scope);
    assert.equal(parseScope('publish'), 'publish:*');
    assert.equal(parseScope('ack'), 'ack:self');
    for (const none of ['', 'Read', 'read ', 'read:*', 'ack:EVE', 'admin:self', 'publish:', 'publish:a\nb', 'write'])
      assert.equal(parseScope(none), undefined, none);
    assert.equal(parseScope(`publish:${'x'.repeat(200)}`), undefined);
  });

  it('allows its kind alone; approve also answers, and admin is all', () => {
    const cases: [scope: string, kinds: readonly ScopeKind[]][] = [
      ['publish:a', ['publish']],
      ['read', ['read']],
      ['ack:self', ['ack']],
      ['ask', ['ask']],
      ['answer', ['answer']],
      ['approve', ['answer', 'approve']],
      ['approve:code', ['answer', 'approve']],
      ['admin', scopeKinds],
      ['admin:self', []],
      ['nonsense', []],
    ];
    for (const [scope, kinds] of cases)
      for (const kind of scopeKinds)
        assert.equal(allows(holding(scope), kind), kinds.includes(kind), `${scope} ${kind}`);
    assert.ok(isAdmin(holding('read', 'admin')) && !isAdmin(holding('read')) && !isAdmin(anonymous));
  });

  it('has approvals proven by a code where that is all it says', () => {
    assert.ok(approvesByCode(holding('read', 'approve:code')));
    for (const none of [['approve'], ['approve', 'approve:code'], ['admin', 'approve:code'], ['answer'], []])
      assert.ok(!approvesByCode(holding(...none)), none.join(' '));
    assert.ok(!approvesByCode(anonymous));
  });

  it('lets publish what one of its patterns matches', () => {
    const some = holding('publish:workflow_*', 'publish:x');
    for (const action of ['workflow_', 'workflow_a', 'x']) assert.ok(mayPublish(some, action), action);
    for (const action of ['workflow', 'Workflow_a', 'xy', '']) assert.ok(!mayPublish(some, action), action);
    assert.ok(mayPublish(holding('publish'), 'anything') && mayPublish(holding('admin'), 'anything'));
    assert.ok(!mayPublish(holding('read'), 'anything'));
  });

  it('lets call what one of its patterns matches, and what only reads with read', () => {
    const [look, brew, spill] = (['read', 'write', 'destructive'] as const).map((risk, n) => ({
      ...{ name: `tea.${['look', 'brew', 'spill'][n]}`, risk },
    })) as [Parameters<typeof mayCall>[1], Parameters<typeof mayCall>[1], Parameters<typeof mayCall>[1]];
    const all = [look, brew, spill];
    const cases: [principal: Principal, calls: typeof all][] = [
      [holding('call:*'), all],
      [holding('call'), all],
      [holding('admin'), all],
      [anonymous, all],
      [holding('call:tea.*'), all],
      [holding('call:tea.b*'), [brew]],
      [holding('call:tea.brew', 'call:*.spill'), [brew, spill]],
      [holding('read'), [look]],
      [holding('read', 'call:tea.spill'), [look, spill]],
      [holding('call:tea'), []],
      [holding('call:TEA.*'), []],
      [holding('call:tea.brew.more'), []],
      [holding('call:'), []],
      [holding('publish:tea.*', 'ask', 'answer', 'approve', 'ack'), []],
    ];
    for (const [principal, calls] of cases)
      assert.deepEqual(
        all.filter((each) => mayCall(principal, each)),
        calls,
        JSON.stringify(principal),
      );
    for (const scope of ['call:*', 'call:tea.*', 'call:hades.rollback']) assert.equal(parseScope(scope), scope);
    assert.equal(parseScope('call'), 'call:*');
    for (const none of ['call:', 'call:a\nb', 'calls', 'Call:*', `call:${'x'.repeat(200)}`])
      assert.equal(parseScope(none), undefined, none);
    // To call is not to publish: no event of that name comes from it.
    assert.ok(!mayPublish(holding('call:*'), 'tea_brew_called') && !mayPublish(holding('call:*'), 'tea.brew'));
  });

  it('is not asked for where nobody has a token, but for an approval', () => {
    for (const kind of scopeKinds) assert.equal(allows(anonymous, kind), kind !== 'approve');
    assert.ok(mayPublish(anonymous, 'anything'));
  });

  it('that is no text, as a hand may have written it, allows nothing', () => {
    assert.ok(!allows(holding(...([1, null, ['admin']] as unknown as string[])), 'read'));
  });
});
