// Elements, made without markup: every text goes in as text, so a node may be called whatever it wants.

export function h(tag, given = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (name === 'class') made.className = value;
    else if (name in made && typeof value !== 'string') made[name] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  put(made, children);
  return made;
}

export function put(where, children) {
  where.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

// Sets a text unless it is there already: a selection and a screen reader's place stay.
export function text(element, value) {
  const wanted = String(value ?? '');
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

export function shown(element, yes) {
  if (element.hidden === yes) element.hidden = !yes;
}

// Keeps one child for each item, in the items' order. `make(item)` gives `{element, update(item)}`; what is there already
// is updated in place, so that whoever is about to press a button keeps it under the finger.
export class Rows {
  constructor(where, key, make) {
    this.where = where;
    this.key = key;
    this.make = make;
    this.rows = new Map();
  }

  show(items) {
    const wanted = new Set(items.map((item) => String(this.key(item))));
    for (const [key, row] of this.rows) {
      if (!wanted.has(key)) {
        row.element.remove();
        this.rows.delete(key);
      }
    }
    let place = this.where.firstElementChild;
    for (const item of items) {
      const key = String(this.key(item));
      const row = this.rows.get(key) ?? this.make(item);
      this.rows.set(key, row);
      row.update(item);
      if (row.element === place) place = place.nextElementSibling;
      else this.where.insertBefore(row.element, place);
    }
  }
}

export function button(label, act, given = {}) {
  return h('button', { type: 'button', onclick: act, ...given }, label);
}

export function field(label, input, hint = '') {
  return h('label', { class: 'field' }, h('span', {}, label), input, hint ? h('small', {}, hint) : null);
}

export function select(options, value) {
  const made = h('select');
  for (const [key, label] of options) made.append(h('option', { value: String(key) }, label));
  if (value !== undefined) made.value = String(value);
  return made;
}
