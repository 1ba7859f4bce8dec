import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../base/fault.ts';
import { type BusConfigInput, parseBusConfig } from './config.ts';

function parse(input: Partial<Omit<BusConfigInput, 'yaml'>> & { yaml?: string }) {
  const yaml = input.yaml === undefined ? undefined : { path: 'leveredge.yaml', text: input.yaml };
  return parseBusConfig({ flags: {}, env: {}, home: '/home', ...input, yaml });
}

function mistakes(input: Parameters<typeof parse>[0]): string[] {
  try {
    parse(input);
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'usage');
    const lines = error.hint?.split('\n') ?? [];
    for (const { pointer, detail } of error.mistakes) {
      const line = `${pointer.replace(/^leveredge\.yaml:/, '  line ')}: ${detail}`;
      const sentence = `a mistake. ${line.replace(/^ {2}/, 'leveredge.yaml, ')}`;
      assert.ok(lines.includes(line) || error.message.includes(sentence), line);
    }
    return error.mistakes.map(({ pointer, detail }) => `${pointer}: ${detail}`);
  }
  return [];
}

describe('the settings of the bus', () => {
  it('have defaults', () => {
    assert.deepEqual(parse({}), {
      home: '/home',
      host: '127.0.0.1',
      port: 8099,
      databaseFile: '/home/control-plane/event-bus/events.db',
      auth: 'loopback',
      allowedHosts: [],
      deliveries: { maxAttempts: 5, expireDays: 30 },
      retention: [],
    });
  });

  it('come from the flag, else the environment, else the file', () => {
    const yaml = 'bus: { port: 1, host: localhost }';
    assert.equal(parse({ flags: { port: '3' }, env: { port: '2' }, yaml }).port, 3);
    assert.equal(parse({ env: { port: '2', host: '127.0.0.2' }, yaml }).port, 2);
    assert.equal(parse({ env: { port: '2', host: '127.0.0.2' }, yaml }).host, '127.0.0.2');
    assert.equal(parse({ yaml }).port, 1);
    assert.equal(parse({ yaml }).host, 'localhost');
    assert.equal(parse({ flags: { port: '0' } }).port, 0);
    assert.equal(parse({ flags: { host: '[::1]' } }).host, '::1');
  });

  it('let the bus listen beyond loopback only where tokens are required', () => {
    const yaml = 'bus: { host: 10.0.0.1, auth: required }';
    assert.deepEqual([parse({ yaml }).host, parse({ yaml }).auth], ['10.0.0.1', 'required']);
    assert.equal(parse({ flags: { host: '::', auth: 'Required' } }).host, '::');
    assert.equal(parse({ env: { host: '0.0.0.0' }, flags: { auth: 'required' } }).host, '0.0.0.0');
    assert.match(
      mistakes({ yaml, flags: { auth: 'loopback' } })[0] ?? '',
      /^leveredge\.yaml:1: bus\.host: "10\.0\.0\.1" can/,
    );
    assert.match(mistakes({ yaml: 'bus: { host: "::" }' })[0] ?? '', /set auth to required/);
    assert.match(mistakes({ env: { host: '0.0.0.0' } })[0] ?? '', /^LEVEREDGE_HOST: "0\.0\.0\.0" can/);
    // What is beaten beside it does not count.
    assert.equal(parse({ yaml, flags: { host: '127.0.0.1', auth: 'loopback' } }).auth, 'loopback');
  });

  it('take an empty or partly filled file, and sections of other programs', () => {
    for (const yaml of [
      '',
      '# nothing',
      'bus:',
      'bus: {}',
      'bus:\n  port:',
      'gaia: { x: 1 }',
      'sub: 1\ndns: 2\nusb: 3',
      'bus: { auth: loopback }',
    ])
      assert.equal(parse({ yaml }).port, 8099, yaml);
    assert.deepEqual(parse({ yaml: 'bus: { allowed_hosts: [a.example, b] }' }).allowedHosts, ['a.example', 'b']);
  });

  it('say how often a delivery is tried, and how long it waits', () => {
    const rules = (yaml: string) => parse({ yaml: `bus:\n  deliveries: ${yaml}` }).deliveries;
    assert.deepEqual(rules('{ max_attempts: 1, expire_days: 0 }'), { maxAttempts: 1, expireDays: 0 });
    assert.deepEqual(rules('{ max_attempts: 100 }'), { maxAttempts: 100, expireDays: 30 });
    for (const nothing of ['', '{}', '{ max_attempts: }']) assert.equal(rules(nothing).maxAttempts, 5, nothing);
    const wrong = (yaml: string) => mistakes({ yaml: `bus:\n  deliveries:\n    ${yaml}` })[0] ?? '';
    for (const value of ['0', '101', '1.5', '"5"', 'true', '[]'])
      assert.match(wrong(`max_attempts: ${value}`), /^leveredge\.yaml:3: bus\.deliveries\.max_attempts: give a whole/);
    assert.match(wrong('expire_days: -1'), /from 1 to 36500, or 0 for never$/);
    assert.match(wrong('max_atempts: 3'), /max_atempts is no setting; did you mean max_attempts\?/);
    assert.match(wrong('retries: 3'), /retries is no setting \(there are max_attempts, expire_days\)/);
    assert.match(mistakes({ yaml: 'bus: { deliveries: 5 }' })[0] ?? '', /must have settings below it/);
  });

  it('tell every mistake at once, with its place', () => {
    const found = mistakes({
      flags: { port: '99999', host: '0.0.0.0' },
      env: { port: 'abc', host: 'example.org', auth: 'yes' },
      yaml: 'bus:\n  prt: 1\n  port: "x"\n  host: ten\n  auth: sometimes\n  allowed_hosts: [ok, "http://x"]\n',
    });
    const expected = [
      /^leveredge\.yaml:2: bus\.prt is no setting; did you mean port\?/,
      /^leveredge\.yaml:6: bus\.allowed_hosts: "http:\/\/x" is no host name/,
      /^--port: "99999" is no port/,
      /^LEVEREDGE_PORT: "abc" is no port/,
      /^leveredge\.yaml:3: bus\.port: "x" is no port/,
      /^LEVEREDGE_HOST: "example\.org" is no address to listen on/,
      /^leveredge\.yaml:4: bus\.host: "ten" is no address/,
      /^LEVEREDGE_AUTH: "yes" is no kind of auth/,
      /^leveredge\.yaml:5: bus\.auth: "sometimes" is no kind of auth; write "loopback" or "required"/,
      /^--host: "0\.0\.0\.0" can be reached from other machines.*SSH tunnel/,
    ];
    assert.equal(found.length, expected.length, found.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(found[index] as string, pattern);
  });

  it('tell each mistake on a line of its own, those of the file in its order and below its name', () => {
    assert.throws(
      () => parse({ env: { port: 'abc' }, yaml: 'bus:\n  port: eighty\n  hst: x\n' }),
      (error: Fault) => {
        assert.equal(error.message, 'The settings of the bus have 3 mistakes.');
        const lines = error.hint?.split('\n') ?? [];
        assert.equal(lines.length, 4);
        assert.match(lines[0] as string, /^LEVEREDGE_PORT: "abc" is no port/);
        assert.equal(lines[1], 'leveredge.yaml:');
        assert.match(lines[2] as string, /^ {2}line 2: bus\.port: "eighty" is no port/);
        assert.match(lines[3] as string, /^ {2}line 3: bus\.hst is no setting; did you mean host\?/);
        return true;
      },
    );
  });

  it('tell an error of YAML once', () => {
    for (const yaml of ['bus:\n  port: [1\n', 'bus: {port: 1\nx: [', 'bus:\n\tport: 1\n  - a: "'])
      assert.equal(mistakes({ yaml }).length, 1, yaml);
    assert.equal(mistakes({ yaml: 'bus:\n  port: 1\n  port: 2\n  host: ::1\n  host: ::1' }).length, 2);
  });

  it('refuse a file that is no YAML or no settings, with the line', () => {
    assert.match(mistakes({ yaml: 'bus:\n  port: [1\n' })[0] ?? '', /^leveredge\.yaml:\d: is no valid YAML/);
    assert.match(mistakes({ yaml: 'bus:\n  port: 1\n  port: 2\n' })[0] ?? '', /^leveredge\.yaml:3: is no valid YAML/);
    assert.match(mistakes({ yaml: '- a' })[0] ?? '', /must be a map of settings/);
    assert.match(mistakes({ yaml: 'bus: 8099' })[0] ?? '', /^leveredge\.yaml:1: bus: must have settings below it/);
    assert.match(mistakes({ yaml: '\nbuss:\n  port: 1' })[0] ?? '', /^leveredge\.yaml:2: buss: is no section/);
    for (const slip of ['bsu', 'ubs', 'Bsu', 'BUS', 'bu', 'bjs', 'evnet_bus', 'eventbus'])
      assert.match(mistakes({ yaml: `${slip}: { port: 1 }` })[0] ?? '', /is no section; did you mean bus\?/, slip);
    for (const port of ['1.5', '-1', 'true', '[]', '070000', '{a: 1}'])
      assert.equal(mistakes({ yaml: `bus:\n  port: ${port}` }).length, 1, port);
  });
});
