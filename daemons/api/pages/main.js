// The page: who looks, at which kind of nodes, and how fresh what they see is.

import { advice, clear } from './calls.js';
import { DeployView } from './deploy.js';
import { attribute, h, shown, text } from './dom.js';
import { closeAll, notice } from './dialogs.js';
import { Live } from './live.js';
import * as session from './session.js';
import * as words from './words.js';
import { WorkspaceView } from './workspace.js';

const warning = session.adoptAddress();
const by = (id) => document.getElementById(id);
const MODES = { workspace: WorkspaceView, deploy: DeployView };
const ENDS = [401, 403];

let view = null;
let live = null;
let state = { problem: null, since: null, read: null };

function mode() {
  const asked = new URLSearchParams(location.search).get('mode');
  return asked in MODES ? asked : 'workspace';
}

function open() {
  leave();
  const signedIn = session.present();
  shown(by('login'), !signedIn);
  shown(by('who'), signedIn);
  for (const link of document.querySelectorAll('nav a[data-mode]')) {
    attribute(link, 'aria-current', link.dataset.mode === mode() ? 'page' : null);
  }
  if (!signedIn) {
    by('token').focus();
    return;
  }
  text(by('who-name'), `${session.name()} (${session.role()})`);
  const reading = new Live(() => shownView.read(), (now) => live === reading && told(now));
  const shownView = new MODES[mode()](() => reading.now());
  [view, live] = [shownView, reading];
  state = { problem: null, since: null, read: null };
  by('view').replaceChildren(view.element);
  by('view').classList.add('unread');
  freshness();
  live.start();
}

// Nothing of what was seen stays behind.
function leave() {
  live?.stop();
  [view, live] = [null, null];
  by('view').replaceChildren();
  shown(by('stale'), false);
  text(by('fresh'), '');
  by('fresh').className = 'fresh';
}

function told(now) {
  state = now;
  if (now.problem !== null && ENDS.includes(now.problem.status)) {
    end(`${words.sentence(now.problem.message)} ${advice(now.problem)}`);
    return;
  }
  freshness();
}

function freshness() {
  if (live === null) return;
  const { problem, read } = state;
  const old = read === null ? '' : words.span(Date.now() - read);
  const fresh = by('fresh');
  fresh.className = `fresh ${problem ? 'bad' : read === null ? '' : 'good'}`;
  text(fresh, problem ? 'not live' : read === null ? 'reading…' : `live · ${old} old`);
  by('view').classList.toggle('stale', problem !== null);
  if (read !== null) by('view').classList.remove('unread');
  shown(by('stale'), problem !== null);
  if (problem !== null) {
    const seen = read === null ? 'Nothing could be read yet.' : 'What you see below is old.';
    text(by('stale-why'), `${seen} ${words.sentence(problem.message)} ${problem.status >= 500 ? '' : advice(problem)}`);
    text(by('stale-age'), read === null ? '' : `Last read ${old} ago. It is tried again by itself.`);
  }
}

function end(why) {
  session.forget();
  clear();
  closeAll();
  open();
  shown(by('login-problem'), why !== '');
  text(by('login-problem'), why);
}

async function sign(event, act) {
  event.preventDefault();
  const pressed = event.submitter;
  if (pressed) pressed.disabled = true;
  shown(by('login-problem'), false);
  try {
    await act();
    for (const input of document.querySelectorAll('#login input')) input.value = '';
    open();
  } catch (error) {
    shown(by('login-problem'), true);
    text(by('login-problem'), words.sentence(error.message));
  }
  if (pressed) pressed.disabled = false;
}

by('by-token').addEventListener('submit', (event) => sign(event, async () => session.withToken(by('token').value.trim())));
by('by-name').addEventListener('submit', (event) =>
  sign(event, () => session.login(by('user-name').value.trim(), by('password').value)),
);
by('leave').addEventListener('click', async () => {
  const done = session.logout();
  end('');
  await done;
});
by('again').addEventListener('click', () => live?.now());
document.querySelector('nav').addEventListener('click', (event) => {
  const link = event.target.closest('a[data-mode]');
  if (link === null || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, '', `?mode=${link.dataset.mode}`);
  open();
});
window.addEventListener('popstate', open);
// Somebody may put a token behind the page's address once more.
window.addEventListener('hashchange', () => {
  if (new URLSearchParams(location.hash.slice(1)).has('token')) {
    session.adoptAddress();
    open();
  }
});
setInterval(() => {
  freshness();
  if (!document.hidden) view?.show();
}, 1_000);
open();
if (warning) document.querySelector('main').prepend(h('p', { class: 'problem', role: 'alert' }, warning));
if (!window.isSecureContext) notice('This page came without TLS: who listens on the way reads your token.');
