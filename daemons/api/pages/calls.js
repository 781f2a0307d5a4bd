// The API's calls: envelopes in, data out. An answer that did not change is not sent again.

import * as session from './session.js';

const ADMIN = '/api/fun-ai/admin';
const USUAL_MS = 20_000;
const known = new Map();
let ahead = 0;

// The server's clock, in epoch milliseconds: ages do not depend on how this machine's is set.
export const now = () => Date.now() + ahead;

export class Problem extends Error {
  constructor(status, message, reason = '', data = null) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.data = data;
  }
}

export const clear = () => known.clear();

export async function get(path, query = {}) {
  const where = address(path, query);
  const before = known.get(where);
  const answer = await send(where, { headers: before ? { 'If-None-Match': before.tag } : {} });
  if (answer.status === 304 && before) return before.data;
  const data = await dataOf(answer);
  const tag = answer.headers.get('ETag');
  if (tag) known.set(where, { tag, data });
  return data;
}

// `expected` is the version of what the operator saw; `once` has the order carried out once, however often it arrives.
export async function post(path, { query = {}, body, expected, once = false, ms = USUAL_MS } = {}) {
  const headers = {};
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (expected) headers['X-Expected-Version'] = expected;
  if (once) headers['Idempotency-Key'] = key();
  const options = { method: 'POST', headers, body: body === undefined ? undefined : JSON.stringify(body) };
  return dataOf(await send(address(path, query), options, ms));
}

function address(path, query) {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') asked.set(name, String(value));
  }
  const text = asked.toString();
  return ADMIN + path + (text ? `?${text}` : '');
}

async function send(where, options, ms = USUAL_MS) {
  let proof;
  try {
    proof = await session.headers();
  } catch (error) {
    throw new Problem(error.status === 401 ? 401 : 0, `The login could not be renewed: ${error.message}`);
  }
  try {
    const answer = await fetch(where, {
      ...options,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      headers: { ...options.headers, ...proof },
      signal: AbortSignal.timeout(ms),
    });
    const date = Date.parse(answer.headers.get('Date') ?? '');
    if (!Number.isNaN(date)) ahead = date - Date.now();
    return answer;
  } catch (error) {
    const late = error.name === 'TimeoutError';
    throw new Problem(0, late ? `The API did not answer within ${ms / 1000} s.` : 'The API cannot be reached.');
  }
}

async function dataOf(answer) {
  let told;
  try {
    told = await answer.json();
  } catch {
    throw new Problem(answer.status, `Something on the way to the API answered ${answer.status}.`);
  }
  if (!answer.ok) throw new Problem(answer.status, told.message ?? `answer ${answer.status}`, told.reason, told.data);
  return told.data;
}

function key() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (each) => each.toString(16).padStart(2, '0')).join('');
}

// What to do about a problem, for whoever reads it at night.
export function advice(problem) {
  if (problem.reason === 'changed') return 'It changed since you saw it. Look at what it is now, then decide again.';
  switch (problem.status) {
    case 0:
      return 'Check your connection and that the API runs. Whether a last order was carried out shows when it answers.';
    case 400:
      return 'Correct what is named and try again.';
    case 401:
      return 'Log in again.';
    case 403:
      return 'Ask somebody with the role that is named, or call from an address that is on the allowlist.';
    case 404:
      return 'It is not there any more; the list is read anew.';
    case 409:
      return 'Nothing was changed. Clear what stands in the way, or choose another node.';
    case 429:
      return 'Wait a moment, then try again.';
    default:
      return problem.status >= 500 ? 'Nothing more is known. It is tried again; the log of the API has the details.' : '';
  }
}
