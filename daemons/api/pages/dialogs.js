// Questions before anything is changed, and what came of it.

import { advice } from './calls.js';
import { button, h, text } from './dom.js';
import { sentence } from './words.js';

// Asks, carries out on consent, and stays open with the reason when that fails. `content` are elements, `act` the order:
// it throws a Problem, or answers words for the notice. `ready` may be a promise of more content that is needed first:
// until it is there nobody can consent, and `consentable` says whether they can then.
export function confirm({ title, content = [], ready, consent, danger = false, act, consentable = () => true }) {
  const body = h('div', { class: 'dialog-body' }, ...content);
  const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
  const yes = h('button', { type: 'submit', class: danger ? 'danger' : 'primary', 'data-consent': true }, consent);
  const no = button('Cancel', () => dialog.close());
  const heading = h('h2', { id: `dialog-${++number}` }, title);
  const form = h('form', { method: 'dialog' }, heading, body, problem, h('div', { class: 'row end' }, no, yes));
  const dialog = h('dialog', { 'aria-labelledby': heading.id }, form);
  const fail = (error) => {
    problem.hidden = false;
    text(problem, `${sentence(error.message)} ${advice(error)}`);
  };
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    yes.disabled = true;
    problem.hidden = true;
    try {
      const words = await act();
      dialog.close();
      notice(words);
    } catch (error) {
      fail(error);
    } finally {
      yes.disabled = !consentable();
    }
  });
  open(dialog);
  if (ready !== undefined) {
    yes.disabled = true;
    body.append(h('p', { class: 'waiting' }, 'Asking what this would do…'));
    ready.then(
      (more) => {
        body.querySelector('.waiting').remove();
        body.append(...more);
        yes.disabled = !consentable();
      },
      (error) => {
        body.querySelector('.waiting').remove();
        fail(error);
      },
    );
  }
  body.addEventListener('input', () => {
    if (ready === undefined || !body.querySelector('.waiting')) yes.disabled = !consentable();
  });
  (body.querySelector('input, select') ?? no).focus();
  return dialog;
}

// Something to look at.
export function panel(title, content) {
  const heading = h('h2', { id: `dialog-${++number}` }, title);
  const close = button('Close', () => dialog.close());
  const dialog = h('dialog', { class: 'wide', 'aria-labelledby': heading.id }, heading, content, h('div', { class: 'row end' }, close));
  open(dialog);
  close.focus();
  return dialog;
}

let number = 0;

function open(dialog) {
  const before = document.activeElement;
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

export function closeAll() {
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
}

const NOTICE_MS = 10_000;

export function notice(words) {
  if (!words) return;
  const shown = h('p', { class: 'notice' }, words);
  document.getElementById('notices').append(shown);
  setTimeout(() => shown.remove(), NOTICE_MS);
}
