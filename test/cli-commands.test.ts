import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { displayWidth } from '../src/base/display-width.ts';
import type { Rendered } from '../src/channels/cli/render.ts';
import { type Bus, inProcess, startBus, temporaryFolder } from './cli-run.fixtures.ts';

/** The commands against a real bus in a process of its own. */
describe('the command line', () => {
  let bus: Bus;
  let cli: (...args: string[]) => Promise<Rendered>;
  let onTerminal: (...args: string[]) => Promise<Rendered>;
  // Made here: what a `before` hands to `after` is done when that `before` ends.
  const home = temporaryFolder({ after });
  before(async () => {
    bus = await startBus(home);
    cli = inProcess(bus.url);
    onTerminal = inProcess(bus.url, { is: true, columns: 80 });
  });
  after(() => bus.stop());

  const json = async (...args: string[]) => JSON.parse((await cli(...args, '--json')).stdout);
  const publish = async (...args: string[]) => (await cli('publish', ...args)).stdout.trim();
  const askOnly = async (...args: string[]) => (await cli('ask', ...args, '--no-wait')).stdout.trim();

  it('publishes an event with everything it was given', async () => {
    const id = await publish(
      ...['deploy_started', 'env=dev', 'n:=3', '-s', 'HEPHAESTUS', '-t', 'web', '-d', '{"a":{"b":[1]}}'],
      ...['--workflow', 'w', '--execution', 'x', '--correlation', 'c', '--causation', 'd', '--tag', 'a', '--tag', 'b'],
    );
    const event = await json('events', id);
    assert.deepEqual(event.details, { a: { b: [1] }, env: 'dev', n: 3 });
    assert.equal(event.source_agent, 'HEPHAESTUS');
    assert.equal(event.target, 'web');
    assert.equal(event.source_workflow_id, 'w');
    assert.equal(event.source_execution_id, 'x');
    assert.equal(event.correlation_id, 'c');
    assert.equal(event.causation_id, 'd');
    assert.deepEqual(event.tags, ['a', 'b']);
  });

  it('says who hears an event on stderr, and only its id on stdout', async () => {
    const { exit, stdout, stderr } = await cli('publish', 'workflow_modified');
    assert.equal(exit, 0);
    assert.match(stdout, /^[0-9a-f-]{36}\n$/);
    assert.match(stderr, /^Stored\.\nHeard by AEGIS, ARIA, ATHENA\.\n$/);
  });

  it('publishes the same id once', async () => {
    assert.deepEqual((await json('publish', 'a_thing', '--id', 'mine')).status, 'created');
    assert.deepEqual((await json('publish', 'a_thing', '--id', 'mine')).duplicate, true);
    const other = await cli('publish', 'a_thing', '--id', 'mine', '-s', 'OTHER');
    assert.equal(other.exit, 6);
  });

  it('rehearses a publish, and stores nothing', async () => {
    const { exit, stdout, stderr } = await cli('publish', 'workflow_modified', '-s', 'DRY', '--dry-run');
    assert.equal(exit, 0);
    assert.equal(stdout, '');
    assert.match(stderr, /^Not stored: this was a dry run\.\nIt would be heard by AEGIS, ARIA, ATHENA\.\n$/);
    const said = await json('publish', 'nothing_known', '--dry-run', '-s', 'DRY');
    assert.deepEqual(said, { dry_run: true, subscribed_agents: ['ARIA', 'ATHENA'], warnings: [] });
    const wrong = await cli('publish', 'x', '-s', 'DRY', '--id', 'stream', '--dry-run');
    assert.equal(wrong.exit, 2);
    assert.equal((await json('publish', 'after', '-s', 'DRY2')).status, 'created');
    assert.equal((await cli('events', '-s', 'DRY')).stdout, '');
  });

  it('says nothing beside the result with --quiet', async () => {
    assert.equal((await cli('publish', 'a_thing', '--quiet')).stderr, '');
  });

  it('lists by source, action and status, and pages by bookmark', async () => {
    for (const action of ['p_1', 'p_2', 'p_3']) await publish(action, '-s', 'PAGER');
    const first = await cli('events', '-s', 'PAGER', '-n', '2');
    assert.deepEqual(actionsOf(first), ['p_3', 'p_2']);
    const bookmark = /--before (\S+)/.exec(first.stderr)?.[1] as string;
    assert.deepEqual(actionsOf(await cli('events', '-s', 'PAGER', '--before', bookmark)), ['p_1']);
    assert.deepEqual(actionsOf(await cli('events', '-s', 'PAGER', '-a', 'p_2')), ['p_2']);
    assert.deepEqual(actionsOf(await cli('events', '-s', 'PAGER', '--status', 'failed')), []);
    assert.equal((await cli('events', '--status', 'odd')).exit, 2);
    assert.equal((await cli('events', '-n', '0')).exit, 2);
    assert.equal((await cli('events', '-n', '5000')).exit, 2);
  });

  it('prints one event a line with events --json', async () => {
    for (const action of ['n_1', 'n_2']) await publish(action, '-s', 'LINES');
    const lines = (await cli('events', '-s', 'LINES', '--json')).stdout.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).action),
      ['n_2', 'n_1'],
    );
  });

  it('finds an event by the beginning of its id', async () => {
    const id = await publish('one_thing', '--id', 'prefixed-aaaa');
    await publish('one_thing', '--id', 'prefixed-bbbb');
    assert.match((await cli('events', 'prefixed-a')).stdout, /^id: {15}prefixed-aaaa\n/);
    const both = await cli('events', 'prefixed-');
    assert.equal(both.exit, 2);
    assert.match(both.stderr, /beginning of 2 ids: .*prefixed-aaaa/);
    assert.equal((await cli('events', 'no-such')).exit, 5);
    assert.match((await cli('ack', 'prefixed-a', 'ME')).stdout, new RegExp(`^${id} is acknowledged by ME`));
    assert.equal((await cli('ack', 'no-such', 'ME')).exit, 5);
  });

  it('shows an inbox, and what is left of it after an acknowledgement', async () => {
    const id = await publish('credential_expired', '-s', 'INBOX');
    assert.match((await cli('inbox', 'AEGIS')).stdout, new RegExp(id));
    await cli('ack', id, 'AEGIS');
    assert.doesNotMatch((await cli('inbox', 'AEGIS', '-u')).stdout, new RegExp(id));
    const page = await json('inbox', 'NOBODY');
    assert.deepEqual(page, { agent: 'NOBODY', events: [], count: 0, next: null });
  });

  it('lists what waits for a person, and takes the answer', async () => {
    const id = await askOnly('Which one?', '-o', 'left', '-o', 'right', '--timeout', '5', '--fallback', 'left');
    const page = await json('pending');
    assert.deepEqual(Object.keys(page).sort(), ['count', 'next', 'pending']);
    const row = (await cli('pending')).stdout.split('\n').find((line) => line.startsWith(id));
    assert.match(row as string, /^\S+\t20\S+Z\tCLI\tWhich one\?\t\["left","right"\]$/);
    const second = await cli('answer', id, '2');
    assert.equal(second.exit, 2, 'the number of an option is no answer');
    assert.match(second.stderr, /"left", "right"/);
    const answered = await json('answer', id.slice(0, 20), 'right');
    assert.equal(answered.response, 'right');
    assert.equal(answered.responder, 'berta');
    assert.equal(answered.via, 'cli');
    const loser = await cli('answer', id, 'left', '--as', 'emil');
    assert.equal(loser.exit, 6);
    assert.match(loser.stderr, /decided already: berta answered "right" via cli at 20/);
  });

  it('looks for the beginning of an id among the open questions first', async () => {
    await publish('no_question', '--id', 'both-1');
    await askOnly('Yes?', '--id', 'both-2');
    assert.match((await cli('answer', 'both-', 'yes')).stdout, /^both-2 is answered/);
    assert.equal((await cli('answer', 'both-', 'yes')).exit, 2, 'now it is the beginning of two ids');
  });

  it('takes a question back for its asker only', async () => {
    const id = await askOnly('Well?', '-s', 'ASKER');
    assert.equal((await cli('cancel', id, '--as', 'OTHER')).exit, 3);
    assert.equal((await cli('cancel', id)).exit, 2);
    assert.equal((await cli('cancel', id, '--as', 'ASKER', '--reason', 'over')).exit, 0);
    const late = await cli('cancel', id, '--as', 'ASKER');
    assert.equal(late.exit, 6);
    assert.match(late.stderr, /cancelled by ASKER/);
  });

  it('refuses an answer to what asks nothing', async () => {
    const id = await publish('plain');
    assert.equal((await cli('answer', id, 'yes')).exit, 2);
    assert.equal((await cli('answer', 'no-such', 'yes')).exit, 5);
  });

  it('adds, changes, disables, enables and deletes a subscription', async () => {
    const added = await json(
      'subscriptions',
      'add',
      'CLIO',
      'story_*',
      '-p',
      '2',
      '-m',
      'tail',
      '--except',
      'story_dull',
    );
    assert.deepEqual([added.priority, added.mode, added.except], [2, 'tail', ['story_dull']]);
    assert.equal((await cli('subscriptions', 'add', 'CLIO', 'story_*')).exit, 6);
    const changed = await json('subscriptions', 'change', 'CLIO', 'story_*', '-p', '7', '--no-except');
    assert.deepEqual([changed.priority, changed.mode, changed.except], [7, 'tail', []]);
    assert.equal((await json('subscriptions', 'disable', added.id)).enabled, false);
    assert.match((await cli('explain', 'story_told')).stdout, /^CLIO\t-\t-\tstory_\*\tdoes not hear it: disabled$/m);
    assert.equal((await json('subscriptions', 'enable', 'CLIO', 'story_*')).enabled, true);
    assert.match((await cli('explain', 'story_told')).stdout, /^CLIO\t7\ttail\tstory_\*\t$/m);
    assert.match((await cli('subscriptions', '--agent', 'CLIO')).stdout, /\tCLIO\tstory_\*\t7\ttail\ton\t\n$/);
    assert.notEqual((await json('subscriptions', 'delete', 'CLIO', 'story_*')).deleted_at, null);
    assert.deepEqual(await json('subscriptions', 'list', '--agent', 'CLIO'), { subscriptions: [], count: 0 });
    assert.equal((await json('subscriptions', 'list', '--agent', 'CLIO', '--deleted')).count, 1);
    assert.equal((await cli('subscriptions', 'delete', 'CLIO', 'nothing')).exit, 5);
    assert.equal((await cli('subscriptions', 'delete', 'zzz')).exit, 5);
  });

  it('explains who would hear a question', async () => {
    const { hearers } = await json('explain', 'shall_we', '--question');
    assert.deepEqual(hearers.map((h: { agent: string }) => h.agent).sort(), ['ARIA', 'ATHENA', 'HERMES']);
  });

  it('fits every table into 80 columns, whatever the events carry', async () => {
    const long = 'x'.repeat(200);
    await publish(long, '-s', long, '-t', '日本'.repeat(90));
    await askOnly(`${'Would you say so? '.repeat(20)}`, '-o', long, '-s', long);
    await cli('subscriptions', 'add', long, long, '--except', long, '-p', '10');
    for (const command of [['events'], ['inbox', 'ATHENA'], ['explain', long], ['subscriptions'], ['pending']]) {
      const { stdout } = await onTerminal(...command);
      // A question's options stand as they are: what must be typed word for word is not cut.
      const lines = stdout.split('\n').filter((line) => command[0] !== 'pending' || !line.includes('xxx'));
      for (const line of lines) assert.ok(displayWidth(line) <= 80, `${command}: ${line}`);
    }
  });

  it('shows on a terminal ids that it takes again', async () => {
    await publish('shown', '-s', 'SHORT');
    await publish('shown', '-s', 'SHORT');
    const rows = (await onTerminal('events', '-s', 'SHORT')).stdout.trimEnd().split('\n').slice(1);
    for (const row of rows) assert.equal((await cli('events', row.split(/ +/)[1] as string)).exit, 0);
    const subscriptions = (await onTerminal('subscriptions', '--agent', 'HERMES')).stdout
      .trimEnd()
      .split('\n')
      .slice(1);
    for (const row of subscriptions)
      assert.equal((await cli('subscriptions', 'enable', row.split(/ +/)[0] as string)).exit, 0);
  });

  it('notes that a person has seen a question once a terminal has shown it', async () => {
    const id = await askOnly('Seen?');
    await cli('pending');
    assert.equal((await json('events', id)).human_notified, false);
    await onTerminal('pending');
    assert.equal((await json('events', id)).human_notified, true);
  });

  it('escapes what would act on the terminal', async () => {
    const evil = '\u001b[2J\u009b31m\u202eevil\nline';
    const id = await askOnly(`Really?${evil}`, '-t', `t${evil}`, '-d', JSON.stringify({ evil }), '-o', `yes${evil}`);
    for (const cliOf of [cli, onTerminal])
      for (const command of [['events'], ['events', id], ['pending']]) {
        const { stdout } = await cliOf(...command);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are just what is looked for
        assert.doesNotMatch(stdout, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
        assert.doesNotMatch(stdout, /^line/m);
      }
  });

  it('gives a failure as JSON on stderr with --json', async () => {
    const { exit, stdout, stderr } = await cli('events', 'no-such', '--json');
    assert.equal(exit, 5);
    assert.equal(stdout, '');
    const { error } = JSON.parse(stderr);
    assert.equal(error.code, 'not-found');
    assert.match(error.hint, /leveredge events/);
  });

  it('gives wrong usage as JSON on stderr too', async () => {
    const cases: [args: string[], message: RegExp, hint: string][] = [
      [['events', '--limit', '0', '--json'], /whole number above 0/, 'See: leveredge events --help'],
      [['--json', 'publsh'], /unknown command 'publsh'/, 'See: leveredge --help'],
      [['subscriptions', 'add', '--json'], /missing required argument/, 'See: leveredge subscriptions add --help'],
      [['--json'], /a command missing/, 'See: leveredge --help'],
    ];
    for (const [args, message, hint] of cases) {
      const { exit, stdout, stderr } = await cli(...args);
      assert.deepEqual([exit, stdout], [2, '']);
      const { error } = JSON.parse(stderr);
      assert.deepEqual([error.code, error.hint], ['usage', hint]);
      assert.match(error.message, message);
    }
    assert.match((await cli('ask', '--help', '--json')).stdout, /^Usage: /);
  });

  it('names the next command where the bus names a call of its API', async () => {
    await cli('subscriptions', 'add', 'TWICE', 'story_*');
    const twice = await cli('subscriptions', 'add', 'TWICE', 'story_*');
    assert.match(twice.stderr, /\n {2}Change it: leveredge subscriptions change TWICE 'story_\*'\n$/);
    const plain = await cli('answer', await publish('plain'), 'yes');
    assert.match(plain.stderr, /asks nothing[^\n]*\n {2}The open questions: leveredge pending\n$/);
    const asker = await cli('answer', await askOnly('Me?', '-s', 'ME'), 'yes', '--as', 'me');
    assert.match(asker.stderr, /with --as/);
    assert.match(asker.stderr, /take it back: leveredge cancel ID --as ASKER\n$/);
    for (const { stderr } of [twice, plain, asker])
      assert.doesNotMatch(stderr, /(GET|POST|PATCH) \/|:cancel|responder|requires_human/);
    const below = await inProcess(`${bus.url}/foo`)('events');
    assert.equal(below.exit, 5);
    assert.match(below.stderr, /nothing at "\/foo\/events"\.\n {2}The URL of a bus has no path; write it like http/);
  });

  it('calls fields of the API by its own options', async () => {
    const cases: [args: string[], says: RegExp][] = [
      [['events', '--before', 'zz'], /sense: --before is no bookmark of this bus\.\n {2}Take it from the last line/],
      [['pending', '--after', 'zz'], /sense: --after is no bookmark of this bus\.\n {2}Take it from the last line/],
      [['events', '-n', '5000'], /sense: --limit must be 1 to 1000\.\n$/],
      [['ask', 'q', '-o', '', '--fallback', 'x'.repeat(5000)], /the 1st --option must not .*; --fallback must have/],
      [['ask', 'q', '-s', '', '--timeout', '99999999'], /--source must not be empty; --timeout must be at most/],
      [['publish', 'a', '-s', ''], /--source must not be empty/],
      [['subscriptions', 'add', 'A', 'a_*', '-m', 'odd'], /--mode must be "queue" or "tail"/],
      [['subscriptions', 'change', 'HERMES', 'human_input_required'], /nothing to change\.\n {2}Give --priority/],
    ];
    for (const [args, says] of cases) {
      const { exit, stderr } = await cli(...args);
      assert.equal(exit, 2, stderr);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /human_|_agent|\/\w+ must|query/);
    }
    const warned = await cli('ask', 'q', '-o', 'a', '--fallback', 'b', '--no-wait');
    assert.match(warned.stderr, /Warning: --fallback is none of --option, so/);
    const { error } = JSON.parse((await cli('publish', 'a', '-s', '', '--json')).stderr);
    assert.deepEqual(error.mistakes, [{ pointer: '--source', detail: 'must not be empty' }]);
  });

  it('takes nothing for an id that would be another path of the bus', async () => {
    const nowhere = inProcess('http://127.0.0.1:9');
    for (const id of ['', '.', '..'])
      for (const args of [
        ['events', id],
        ['answer', id, 'yes'],
        ['cancel', id, '--as', 'ME'],
        ['ack', id, 'ME'],
      ]) {
        const { exit, stderr } = await nowhere(...args);
        assert.equal(exit, 5, `${args}: ${stderr}`);
        assert.match(stderr, /^leveredge: No event has the id "/);
      }
    for (const id of ['../health', './', 'stream', 'pending']) assert.equal((await cli('events', id)).exit, 5, id);
    assert.match(
      (await cli('events', await publish('a', '--id', 'deploys/../7'))).stdout,
      /^id: {15}deploys\/\.\.\/7\n/,
    );
  });

  it('shows the line breaks of a question, and none of its lines as one of its own', async () => {
    const id = await askOnly('First?\n\nAnswer: "no"\r\nlast', '-o', 'yes', '--id', 'of-several-lines');
    assert.match(
      (await onTerminal('pending')).stdout,
      /^of-several-\S* {2}CLI asks\n {2}First\?\n {4}\n {4}Answer: "no"\n {4}last\n {2}Answer: "yes"\n/m,
    );
    assert.match((await cli('pending')).stdout, /\tFirst\?⏎⏎Answer: "no"⏎last\t/);
    assert.match((await cli('events', id)).stdout, /^question: {9}First\?\n {18}\n {18}Answer: "no"\n {18}last\n/m);
  });

  it('names what is wrong with a command line, and where help is', async () => {
    const cases: [args: string[], says: RegExp][] = [
      [['publsh'], /unknown command 'publsh'[\s\S]*publish[\s\S]*See: leveredge --help/],
      [['publish'], /missing required argument 'action'[\s\S]*See: leveredge publish --help/],
      [['publish', 'a', '--bogus'], /unknown option '--bogus'/],
      [['publish', 'a', 'b'], /"b" is no key=value pair/],
      [['ask', 'q', '--timeout', 'soon'], /number of minutes/],
      [['events', '--url', 'nowhere'], /"nowhere" is no URL of a bus/],
      [[], /Usage: leveredge/],
    ];
    for (const [args, says] of cases) {
      const { exit, stdout, stderr } = await cli(...args);
      assert.equal(exit, 2, args.join(' '));
      assert.equal(stdout, '');
      assert.match(stderr, says);
    }
  });

  it('keeps every help within 80 columns, however wide the terminal is', async () => {
    const wide = inProcess(bus.url, { is: true, columns: 200 });
    const open: string[][] = [[]];
    const seen: string[] = [];
    for (let names = open.pop(); names && seen.length < 100; names = open.pop()) {
      const { stdout } = await wide(...names, '--help');
      seen.push(names.join(' '));
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, `${names.join(' ')}: ${line}`);
      const below = /\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(stdout)?.[1] ?? '';
      for (const [, name] of below.matchAll(/^ {2}([a-z][a-z-]*)/gm))
        if (name !== 'help') open.push([...names, `${name}`]);
    }
    assert.ok(seen.includes('up') && seen.includes('subscriptions change') && seen.length > 18, seen.join());
  });

  it('prints its version and its help to stdout', async () => {
    assert.deepEqual(await cli('--version'), { exit: 0, stdout: '0.0.0\n', stderr: '' });
    for (const args of [['--help'], ['help'], ['ask', '--help'], ['help', 'ask'], ['subscriptions', 'add', '--help']]) {
      const { exit, stdout } = await cli(...args);
      assert.equal(exit, 0, args.join(' '));
      assert.match(stdout, /^Usage: leveredge/);
    }
  });
});

function actionsOf({ stdout }: Rendered): string[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t')[3] as string);
}
