// What both kinds of nodes are shown with.

import { now } from './calls.js';
import { attribute, h, put, shown, text } from './dom.js';
import * as words from './words.js';

// As documented: below the first a node takes nothing, below the second no new apps. What counts is its health, which the
// server decides; these lines only show how far it is.
const STOP_PCT = 15;
const DRAIN_PCT = 25;

export function section(title, ...content) {
  const heading = h('h2', {}, title);
  return h('section', {}, heading, ...content);
}

// A table whose rows become cards on a narrow screen; `labels` are [label, class].
export function table(title, labels) {
  const body = h('tbody');
  const head = h('tr', {}, ...labels.map(([label, kind]) => h('th', { scope: 'col', class: kind }, label)));
  const empty = h('p', { class: 'empty', hidden: true });
  const element = h('div', { class: 'table' }, h('table', { 'aria-label': title }, h('thead', {}, head), body), empty);
  return { element, body, say: (count, why) => (shown(empty, count === 0), text(empty, why)) };
}

export function cell(label, kind, ...content) {
  return h('td', { 'data-label': label, class: kind }, ...content);
}

const TONES = {
  HEALTHY: 'good', SUCCEEDED: 'good', DONE: 'good', MOVED: 'good',
  DRAINING: 'warn', PENDING: 'warn', PAUSED: 'warn', UNDOING: 'warn', drained: 'warn', cordoned: 'warn', CANCELLED: 'calm',
  STALE: 'bad', UNHEALTHY: 'bad', FAILED: 'bad', failed: 'bad', disabled: 'bad', DISABLED: 'bad',
  RUNNING: 'busy',
};

export function chips() {
  const element = h('span', { class: 'chips' });
  return {
    element,
    show(labels) {
      const wanted = labels.filter(Boolean);
      if (element.dataset.shown === wanted.join('|')) return;
      element.dataset.shown = wanted.join('|');
      element.replaceChildren();
      put(element, wanted.map((label) => h('span', { class: `chip ${TONES[label] ?? 'calm'}` }, label)));
    },
  };
}

export function disk(name) {
  const fill = h('span', { class: 'fill' });
  const lines = [STOP_PCT, DRAIN_PCT].map((at) => {
    const line = h('span', { class: 'line', title: `${at} % free` });
    line.style.setProperty('--at', `${at}%`);
    return line;
  });
  const bar = h('span', { class: 'disk', role: 'meter', 'aria-valuemin': '0', 'aria-valuemax': '100' }, fill, ...lines);
  const label = h('span', { class: 'figure' });
  return {
    element: h('div', { class: 'disk-cell' }, bar, label),
    show({ free, total, pct }) {
      const share = pct ?? (total ? (100 * free) / total : null);
      shown(bar, share !== null);
      if (share !== null) {
        fill.style.setProperty('--free', `${Math.min(100, Math.max(0, share))}%`);
        attribute(bar, 'aria-valuenow', share.toFixed(1));
        attribute(bar, 'aria-label', `disk free of ${name}`);
        attribute(bar, 'data-level', share < STOP_PCT ? 'bad' : share < DRAIN_PCT ? 'warn' : 'good');
      }
      const of = total ? ` of ${words.bytes(total)}` : '';
      const size = free === null || free === undefined ? '' : ` · ${words.bytes(free)}${of}`;
      text(label, share === null ? 'not reported' : `${words.percent(share)} free${size}`);
    },
  };
}

// A moment as its age, with the moment itself at hand; `worry` says from which age on it is a bad sign.
export function age(worryMs = Infinity) {
  const element = h('time');
  return {
    element,
    show(moment) {
      const ms = typeof moment === 'string' ? Date.parse(moment) : moment;
      text(element, words.ago(ms, now()));
      attribute(element, 'datetime', ms ? new Date(ms).toISOString() : null);
      attribute(element, 'title', ms ? new Date(ms).toLocaleString() : null);
      element.classList.toggle('bad', !ms || now() - ms > worryMs);
    },
  };
}

export function progress(label) {
  const fill = h('span', { class: 'fill' });
  const bar = h('span', { class: 'progress', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100', 'aria-label': label }, fill);
  return {
    element: bar,
    show(share) {
      fill.style.setProperty('--free', `${100 * share}%`);
      attribute(bar, 'aria-valuenow', Math.round(100 * share));
    },
  };
}

export function figures(names) {
  const values = new Map(names.map((name) => [name, h('strong', {}, '–')]));
  const boxes = names.map((name) => h('div', { class: 'box' }, values.get(name), h('span', {}, name)));
  return { element: h('div', { class: 'boxes' }, ...boxes), show: (name, value) => text(values.get(name), value) };
}

// Pages of a long list: `read(offset)` gives {total, items}, `row(item)` an element.
export function pages(read, row, none) {
  const LIMIT = 50;
  const list = h('ul', { class: 'list' });
  const said = h('p', { class: 'muted', role: 'status' }, 'Reading…');
  const more = h('button', { type: 'button', hidden: true, onclick: () => next() }, 'Show more');
  let offset = 0;
  async function next() {
    more.disabled = true;
    try {
      const page = await read(offset, LIMIT);
      list.append(...page.items.map(row));
      offset += page.items.length;
      text(said, page.total === 0 ? none : `${offset} of ${page.total}`);
      shown(more, offset < page.total && page.items.length > 0);
    } catch (error) {
      text(said, words.sentence(error.message));
    }
    more.disabled = false;
  }
  next();
  return h('div', {}, said, list, more);
}
