import { createHash } from 'node:crypto';

const style = `
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5d626b;--line:#d5d8de;--paper:#fff;--chat:#e8edf3;--theirs:#fff;--mine:#d9f2c7;--accent:#0b62bd;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#eceef1;--soft:#a9afb8;--line:#383c43;--paper:#16181b;--chat:#0e1012;--theirs:#212429;--mine:#27471f;--accent:#79bbff;--bad:#ff9592}}
*{box-sizing:border-box}
html,body{height:100%}
body{margin:0;font:16px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);display:flex;flex-direction:column}
header{padding:.6rem .8rem;border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.4rem .8rem;align-items:center}
h1{font-size:1rem;margin:0;flex:1 1 auto}
h2{font-size:.95rem;margin:.9rem 0 .3rem}
label{font-size:.85rem;color:var(--soft);display:flex;gap:.35rem;align-items:center}
select,input,button{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:.4rem .55rem;min-height:2.6rem}
button{cursor:pointer}
button:hover{border-color:var(--accent)}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
#frame{flex:1;min-height:0;display:flex}
#talk{flex:1;min-width:0;display:flex;flex-direction:column;background:var(--chat)}
#chat{flex:1;overflow-y:auto;padding:.8rem;display:flex;flex-direction:column;gap:.45rem}
.said{max-width:min(85%,34rem);background:var(--theirs);border-radius:12px;padding:.45rem .7rem;overflow-wrap:anywhere;white-space:pre-wrap;box-shadow:0 1px 1px #0002}
.mine{align-self:flex-end;background:var(--mine)}
.theirs{align-self:flex-start}
.about{display:block;font-size:.72rem;color:var(--soft);text-align:right}
.keys{max-width:min(85%,34rem);display:flex;flex-wrap:wrap;gap:.3rem;margin-top:-.15rem}
.keys button{flex:1 1 40%;background:var(--paper);color:var(--accent)}
.told{align-self:center;font-size:.85rem;color:var(--soft);text-align:center;max-width:90%}
#empty{margin:auto;color:var(--soft);text-align:center;padding:1rem}
#ready{display:flex;gap:.3rem;overflow-x:auto;padding:.3rem .6rem 0}
#ready button{flex:none;min-height:2.2rem;padding:.15rem .6rem;font-size:.85rem}
form{display:flex;gap:.4rem;padding:.6rem}
form input{flex:1;min-width:0}
aside{width:23rem;flex:none;border-left:1px solid var(--line);overflow-y:auto;padding:0 .9rem 1rem;font-size:.9rem}
aside button{font-size:.85rem;min-height:2.2rem;margin:.1rem .1rem .1rem 0}
details{border-bottom:1px solid var(--line);padding:.5rem 0}
summary{cursor:pointer;font-weight:600;padding:.3rem 0}
dt{font-family:ui-monospace,monospace;font-size:.8rem;color:var(--bad);overflow-wrap:anywhere;margin-top:.6rem}
dd{margin:0;color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,monospace;font-size:.88em}
.spoiler{background:var(--soft);color:var(--soft)}
.spoiler:hover{background:none;color:inherit}
#trouble{min-height:1.4em;color:var(--bad);margin:.3rem 0 0}
@media(max-width:52rem){#frame{flex-direction:column}aside{width:auto;border-left:0;border-top:1px solid var(--line);max-height:38%}h1{flex-basis:100%}header label{flex:1 1 40%}header select{flex:1;min-width:0}}
`;

const script = `
'use strict';
const $ = (id) => document.getElementById(id);
const who = { owner: ['owner', 'private'], friend: ['friend', 'private'], stranger: ['stranger', 'private'], group: ['owner', 'group'] };
let version = 0;
let turn = 0;
let told = '';

const me = () => ({ bot: $('bot').value, as: who[$('who').value][0], where: who[$('who').value][1] });

async function post(what, body) {
  $('trouble').textContent = '';
  try {
    const response = await fetch('/play/' + what, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) $('trouble').textContent = answer.error;
    return answer;
  } catch (error) {
    $('trouble').textContent = 'The fake does not answer.';
    return {};
  }
}

function element(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

const shown = { bold: 'b', italic: 'i', underline: 'u', strikethrough: 's', code: 'code', pre: 'code', blockquote: 'q', text_link: 'u' };

function marked(text, entities) {
  const whole = element('span');
  const edges = new Set([0, text.length]);
  for (const each of entities) edges.add(each.offset).add(each.offset + each.length);
  const sorted = [...edges].sort((a, b) => a - b);
  for (let at = 0; at + 1 < sorted.length; at++) {
    let node = document.createTextNode(text.slice(sorted[at], sorted[at + 1]));
    for (const each of entities) {
      if (each.offset > sorted[at] || each.offset + each.length < sorted[at + 1]) continue;
      const around = element(shown[each.type] || 'span', each.type === 'spoiler' ? 'spoiler' : '');
      around.append(node);
      node = around;
    }
    whole.append(node);
  }
  return whole;
}

function bubble(message, taps) {
  const isBot = message.from === 'bot';
  const said = element('div', 'said ' + (isBot ? 'theirs' : 'mine'));
  if (message.is_forwarded) said.append(element('i', '', 'forwarded: '));
  if (message.file) said.append(element('b', '', message.file + ' '));
  said.append(marked(message.text, message.entities));
  const time = new Date(message.date * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
  said.append(element('span', 'about', time + (message.is_edited ? ', edited' : '') + ' · ' + message.message_id));
  const all = [said];
  if (message.buttons.length) {
    const keys = element('div', 'keys');
    for (const button of message.buttons.flat()) {
      const key = element('button', '', button.text);
      key.type = 'button';
      const waits = taps.some((each) => each.message_id === message.message_id && each.data === button.data && each.answer === null);
      if (waits) key.setAttribute('aria-busy', 'true');
      key.addEventListener('click', () => post('tap', { bot: me().bot, as: me().as, message_id: message.message_id, button: button.text }));
      keys.append(key);
    }
    all.push(keys);
  }
  for (const each of taps) if (each.message_id === message.message_id && each.answer) all.push(element('div', 'told', 'The bot answered: ' + each.answer));
  return all;
}

function show(view) {
  const chat = $('chat');
  const isAtEnd = chat.scrollTop + chat.clientHeight > chat.scrollHeight - 60;
  chat.replaceChildren(...view.messages.flatMap((message) => bubble(message, view.taps)));
  if (!view.messages.length) chat.append(element('p', '', ''), Object.assign(element('p'), { id: 'empty', textContent: 'Nothing said yet. A bot may not speak first: send it /start.' }));
  if (view.is_typing) chat.append(element('div', 'told', view.bot + ' is typing…'));
  if (view.is_blocked) chat.append(element('div', 'told', 'You have blocked this bot.'));
  if (isAtEnd) chat.scrollTop = chat.scrollHeight;
  $('block').textContent = view.is_blocked ? 'Unblock the bot' : 'Block the bot';
  $('block').dataset.on = view.is_blocked ? '' : 'yes';
  const commands = JSON.stringify(view.commands);
  if (commands === told) return;
  told = commands;
  $('ready').replaceChildren(...view.commands.map(({ command, description }) => {
    const key = element('button', '', '/' + command);
    key.type = 'button';
    key.title = description;
    key.addEventListener('click', () => post('say', { ...me(), text: '/' + command }));
    return key;
  }));
}

async function follow() {
  const mine = ++turn;
  version = 0;
  while (mine === turn) {
    try {
      const query = new URLSearchParams({ ...me(), after: String(version), wait: version ? '20' : '0' });
      const view = await (await fetch('/play/chat?' + query)).json();
      if (mine !== turn) return;
      version = view.version;
      show(view);
      showRefusals(await (await fetch('/play/refusals')).json());
    } catch (error) {
      $('trouble').textContent = 'The fake does not answer.';
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

function showRefusals({ so_far, all }) {
  $('count').textContent = String(so_far.length);
  const cited = Object.fromEntries(all.map((each) => [each.name, each]));
  const entry = (head, { because, source }) => [element('dt', '', head), element('dd', '', '“' + because + '” — ' + source)];
  const newest = so_far.slice(-20).reverse();
  $('sofar').replaceChildren(...newest.flatMap((each) => entry(each.bot + ' ' + each.method + ': ' + each.says, cited[each.refusal])));
  if (!newest.length) $('sofar').append(element('dd', '', 'None: the bots have kept to the rules.'));
  if (!$('all').childElementCount) $('all').append(...all.flatMap((each) => entry(each.code + ' ' + each.says, each)));
}

$('say').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text) return;
  $('text').value = '';
  post('say', { ...me(), text });
});
for (const id of ['bot', 'who']) $(id).addEventListener('change', () => { told = ''; $('chat').replaceChildren(); follow(); });
for (const key of document.querySelectorAll('[data-trouble]'))
  key.addEventListener('click', async () => {
    const answer = await post('trouble', { bot: me().bot, kind: key.dataset.trouble, times: 1, retry_after: 5 });
    if (answer.done) $('trouble').textContent = 'The next call of ' + me().bot + ' meets it.';
  });
$('again').addEventListener('click', () => post('repeat', { bot: me().bot, count: 3 }));
$('revoke').addEventListener('click', async () => {
  const on = $('revoke').dataset.on !== 'yes';
  await post('revoke', { bot: me().bot, on });
  $('revoke').dataset.on = on ? 'yes' : '';
  $('revoke').textContent = on ? 'Give the token back' : 'Revoke the token';
});
$('block').addEventListener('click', () => post('block', { bot: me().bot, as: me().as, on: $('block').dataset.on === 'yes' }));
(async () => {
  const { bots } = await (await fetch('/play/bots')).json();
  $('bot').append(...bots.map(({ name }) => Object.assign(element('option', '', name), { value: name })));
  follow();
})();
`;

const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Its own script and style are allowed by their hashes; it talks to this server alone. */
export const pagePolicy = [
  "default-src 'none'",
  `script-src ${hashOf(script)}`,
  `style-src ${hashOf(style)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** The page on which one plays the people. */
export const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>Fake Telegram</title>
<link rel="icon" href="data:,">
<style>${style}</style>
<header>
<h1>Fake Telegram</h1>
<label>Bot <select id="bot"></select></label>
<label>I am <select id="who"><option value="owner">Olga, the owner</option><option value="friend">Bert, a friend</option><option value="stranger">Sam, a stranger</option><option value="group">Olga, in a group</option></select></label>
</header>
<div id="frame">
<main id="talk">
<div id="chat" role="log" aria-label="The chat" tabindex="0"></div>
<div id="ready"></div>
<form id="say"><input id="text" autocomplete="off" maxlength="4096" aria-label="Message" placeholder="Message"><button>Send</button></form>
</main>
<aside aria-label="What happens behind the chat">
<details><summary>Make trouble</summary>
<p>The next call of this bot meets:</p>
<button data-trouble="429">429, wait 5 s</button><button data-trouble="500">500</button><button data-trouble="409">another poller</button><button data-trouble="silence">silence</button><button data-trouble="cut">a cut before</button><button data-trouble="cut-after">a cut after</button>
<p>Or at once:</p>
<button id="again">Send the last 3 updates again</button><button id="revoke">Revoke the token</button><button id="block">Block the bot</button>
<p id="trouble" role="status"></p>
</details>
<details><summary>Refused so far: <span id="count">0</span></summary><dl id="sofar"></dl></details>
<details><summary>All it refuses, and why</summary><dl id="all"></dl></details>
</aside>
</div>
<script>${script}</script>
</html>
`;
