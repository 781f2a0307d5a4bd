// Who looks at this page: the admin token, or somebody who logged in.
//
// The proof is kept in this module's memory and nowhere else. Apps of users may share this page's origin, and an app that
// is opened in this tab reads sessionStorage, localStorage and cookies of the origin; it cannot read what a page that is
// gone had in memory. The price is a new login with each reload. It travels in headers alone: never in an address.

const AUTH = '/api/fun-ai/auth';
const EARLY_MS = 60_000;

let proof = null;
let renewing = null;

export const present = () => proof !== null;
export const name = () => (proof === null ? '' : (proof.name ?? 'admin token'));
export const role = () => (proof === null ? '' : (proof.role ?? 'admin'));

export function withToken(token) {
  proof = { token };
}

export function forget() {
  proof = null;
  renewing = null;
}

// Takes `#token=...` out of the address before anything else is done, once. A token in the query was sent to servers
// and is in their logs: it is taken out too, but not used. Answers what to tell the person.
export function adoptAddress() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const query = new URLSearchParams(location.search);
  const leaked = query.has('token');
  const token = fragment.get('token');
  query.delete('token');
  const kept = query.toString();
  history.replaceState(null, '', location.pathname + (kept ? `?${kept}` : ''));
  if (token) withToken(token);
  return leaked
    ? 'The address had a token in its query, which is in the logs of every server on the way: it was not used. Replace it.'
    : '';
}

export async function login(userName, password) {
  keep(await ask('login', { userName, password }));
}

export async function logout() {
  const sent = await headers().catch(() => null);
  const loggedIn = proof !== null && proof.access !== undefined;
  forget();
  if (sent !== null && loggedIn) {
    await fetch(`${AUTH}/logout`, { method: 'POST', headers: sent }).catch(() => undefined);
  }
}

// What a call proves itself with. A login that is about to end is renewed first, once for all calls that wait for it.
export async function headers() {
  if (proof === null) return {};
  if (proof.token !== undefined) return { 'X-Admin-Token': proof.token };
  if (Date.now() > proof.until - EARLY_MS) {
    renewing ??= ask('refresh', { refreshToken: proof.refresh })
      .then(keep)
      .finally(() => {
        renewing = null;
      });
    await renewing;
  }
  return { Authorization: `Bearer ${proof.access}` };
}

function keep(told) {
  proof = {
    access: told.accessToken,
    refresh: told.refreshToken,
    until: Date.now() + told.expiresIn * 1000,
    name: told.userName,
    role: told.role,
  };
}

async function ask(what, body) {
  const answer = await fetch(`${AUTH}/${what}`, {
    method: 'POST',
    cache: 'no-store',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const failed = new Error(told.message || `the login answered ${answer.status}`);
    failed.status = answer.status;
    throw failed;
  }
  return told.data;
}
