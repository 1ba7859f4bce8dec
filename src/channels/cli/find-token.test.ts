import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault, type FaultCode } from '../../base/fault.ts';
import { findToken } from './find-token.ts';

const owner = '/owned/shared/credentials/owner.token';

type Given = {
  url?: string;
  tokenFile?: string;
  flag?: string;
  agent?: string;
  files?: Record<string, string | FaultCode>;
  running?: string | null;
};

function find({
  url = 'http://127.0.0.1:8099',
  tokenFile,
  files = { [owner]: 'lev_owner\n' },
  running,
  ...wanted
}: Given) {
  const said: string[] = [];
  const recorded = running === null ? undefined : { pid: 1, url: running ?? 'http://127.0.0.1:8099', alive: true };
  const token = findToken(
    {
      env: { url: undefined, port: undefined, host: undefined, tokenFile },
      readSecret(file) {
        const text = files[file];
        if (text === 'forbidden' || text === 'usage') throw new Fault(text, text);
        return text;
      },
      findHome: (flag) => ({ dir: flag ?? '/owned', because: '' }),
      databaseFile: (home) => `${home}/events.db`,
      recordedBus: (file) => (file === '/owned/events.db' ? recorded : undefined),
      isThisMachine: (host) => host === '127.0.0.1' || host === '::1',
      say: (line) => void said.push(line),
    },
    url,
    { home: undefined, ...wanted },
  );
  return { token, said };
}

describe('the token of a command', () => {
  it('is the owner’s only for the bus that runs on the home', () => {
    assert.equal(find({}).token, 'lev_owner');
    assert.equal(find({ url: 'http://localhost:8099/' }).token, 'lev_owner');
    for (const url of [
      'http://127.0.0.1:8098',
      'http://127.0.0.2:8099',
      'https://127.0.0.1:8099',
      'http://evil:8099',
      'x',
    ])
      assert.equal(find({ url }).token, undefined, url);
    assert.equal(find({ running: null }).token, undefined, 'whatever listens there now');
  });

  it('is none in a home whose owner’s cannot be read, but a sentence where all can', () => {
    assert.equal(find({ files: {} }).token, undefined);
    assert.equal(find({ files: { [owner]: 'usage' } }).token, undefined);
    assert.throws(() => find({ files: { [owner]: 'forbidden' } }), { code: 'forbidden' });
  });

  it('is the one that was named, for whatever bus was', () => {
    const files = { '/t': ' lev_mine\n', [owner]: 'lev_owner' };
    assert.equal(find({ tokenFile: '/t', files, url: 'https://bus.example.org' }).token, 'lev_mine');
    assert.equal(find({ tokenFile: '/t', files, running: null }).token, 'lev_mine');
    assert.throws(() => find({ tokenFile: '/none', files }), { code: 'usage', message: /LEVEREDGE_TOKEN_FILE/ });
    assert.throws(() => find({ tokenFile: '/t', files: { '/t': '\n' } }), { code: 'usage' });
  });

  it('is an agent’s own, where it has one in the home, and the flag’s before all', () => {
    const own = '/owned/shared/credentials/CHRONOS.token';
    const files = { [own]: 'lev_chronos\n', [owner]: 'lev_owner', '/t': 'lev_env', '/f': 'lev_flag' };
    assert.equal(find({ files }).token, 'lev_owner');
    assert.equal(find({ files, agent: 'CHRONOS' }).token, 'lev_chronos');
    assert.equal(find({ files, agent: 'HADES' }).token, 'lev_owner');
    assert.equal(find({ files, agent: 'CHRONOS', running: null }).token, undefined, 'whatever listens there now');
    assert.equal(find({ files, agent: 'CHRONOS', tokenFile: '/t' }).token, 'lev_env');
    assert.equal(find({ files, agent: 'CHRONOS', tokenFile: '/t', flag: '/f' }).token, 'lev_flag');
    assert.throws(() => find({ files: {}, flag: '/none' }), { code: 'usage', message: /--token-file/ });
  });

  it('that travels unencrypted over a network is said to', () => {
    const files = { '/t': 'lev_mine' };
    for (const [url, isSaid] of [
      ['http://10.0.0.5:8099', true],
      ['http://bus.example.org', true],
      ['https://10.0.0.5:8099', false],
      ['http://127.0.0.1:8099', false],
      ['http://[::1]:8099', false],
    ] as const)
      assert.equal(find({ tokenFile: '/t', files, url }).said.length, isSaid ? 1 : 0, url);
  });
});
