// What is ordered of runtime nodes, drains, jobs and runners. Each order says first what it does, and goes through only
// if its object still is what was seen (`protocol/versions.py`).

import { get, post } from './calls.js';
import { button, field, h, select } from './dom.js';
import { confirm, notice, panel } from './dialogs.js';
import { pages } from './parts.js';
import * as words from './words.js';

const BASE = '/deploy-nodes';
const PLANNING_MS = 65_000;

const nodeVersion = (node) => `${node.nodeId}.${node.enabled ? 'enabled' : 'disabled'}.${node.weight}`;

export function setEnabled(node, { changed }) {
  const enabled = !node.enabled;
  confirm({
    title: enabled ? `Enable ${node.name}?` : `Disable ${node.name}?`,
    content: [
      h('p', {}, enabled
        ? 'The node takes deployments again, as far as its disk allows.'
        : 'The node takes no deployment any more, and apps that live there cannot be deployed until it is enabled or they were moved. What runs there goes on running.'),
    ],
    consent: enabled ? 'Enable' : 'Disable',
    danger: !enabled,
    act: async () => {
      const query = { name: node.name, enabled: enabled ? 1 : 0 };
      await post(`${BASE}/set-enabled`, { query, expected: nodeVersion(node) });
      changed();
      return `${node.name} is ${enabled ? 'enabled' : 'disabled'}.`;
    },
  });
}

export function upsert(node, { changed }) {
  const text = (value, given = {}) => h('input', { type: 'text', required: true, maxlength: '512', autocomplete: 'off', spellcheck: 'false', value: value ?? '', ...given });
  const name = text(node?.name, { maxlength: '64', readOnly: node !== null });
  const agent = text(node?.agentBaseUrl, { type: 'url', placeholder: 'http://10.0.0.5:7005' });
  const gateway = text(node?.gatewayBaseUrl, { type: 'url', placeholder: 'http://10.0.0.5:8088' });
  const weight = text(node?.weight ?? 100, { type: 'number', min: '1', max: '10000' });
  confirm({
    title: node === null ? 'Add a runtime node' : `Edit ${node.name}`,
    content: [
      h('p', {}, 'The control plane sends the agents’ token to the agent’s address, and visitors to the gateway’s. A heartbeat of the node replaces both addresses.'),
      field('Name', name, node === null ? 'As its agent reports it.' : ''),
      field('Address of the agent', agent),
      field('Address of the gateway', gateway),
      field('Weight', weight, 'A node of weight 200 gets twice as many new apps as one of 100 with as much room.'),
    ],
    consent: node === null ? 'Add' : 'Save',
    act: async () => {
      const body = { name: name.value.trim(), agentBaseUrl: agent.value.trim(), gatewayBaseUrl: gateway.value.trim(), weight: Number(weight.value) };
      await post(`${BASE}/upsert`, { body });
      changed();
      return `${body.name} is saved.`;
    },
  });
}

export function placements(node, context) {
  const row = (placement) =>
    h(
      'li',
      {},
      h('strong', {}, `App ${placement.appId}`),
      h('span', { class: 'grow' }, placement.reasons.map((each) => each.message).join(' ')),
      button('Reassign…', () => reassign(placement, node, context)),
    );
  const read = (offset, limit) => get(`${BASE}/placements`, { nodeId: node.nodeId, offset, limit });
  panel(`Apps of ${node.name}`, pages(read, row, 'No app lives here.'));
}

function reassign(placement, node, { changed, nodes }) {
  const others = nodes().filter((each) => each.nodeId !== node.nodeId && each.enabled);
  if (others.length === 0) return notice('There is no other node that is enabled.');
  const target = select(others.map((each) => [each.nodeId, `${each.name} · ${each.health} · ${words.percent(each.diskFreePct)} free`]));
  return confirm({
    title: `Reassign app ${placement.appId}?`,
    content: [
      h('p', {}, `Only the record changes: the app runs on at ${node.name} until it is deployed again. To move what runs, drain the node.`),
      field('New node', target),
    ],
    consent: 'Reassign',
    act: async () => {
      const body = { appId: placement.appId, targetNodeId: Number(target.value) };
      await post(`${BASE}/reassign`, { body, expected: `on.${placement.nodeId}` });
      changed();
      return `App ${placement.appId} goes to its new node with its next deployment.`;
    },
  });
}

// The plan is shown before anybody can consent to it.
export function drain(node, { changed }) {
  const parallel = h('input', { type: 'number', min: '1', max: '50', value: '2' });
  const partial = h('input', { type: 'checkbox' });
  let plan = null;
  const ready = post(`${BASE}/drains/preview`, { body: { node: node.name }, ms: PLANNING_MS }).then((found) => {
    plan = found;
    return outlook(found, parallel, partial);
  });
  confirm({
    title: `Drain ${node.name}?`,
    content: [h('p', {}, 'The node takes no app from now on, and each app is started elsewhere, proven to answer and only then stopped here. It can be paused and undone.')],
    ready,
    consent: 'Drain',
    danger: true,
    consentable: () => plan !== null && (plan.fits || partial.checked),
    act: async () => {
      const body = { node: node.name, maxParallel: Number(parallel.value), partial: partial.checked };
      const made = await post(`${BASE}/drains/start`, { body, expected: nodeVersion(node), ms: PLANNING_MS });
      changed();
      return `Drain #${made.id} of ${node.name} begins.`;
    },
  });
}

function outlook(plan, parallel, partial) {
  const rooms = plan.targets.map((each) =>
    h(
      'li',
      {},
      h('strong', {}, each.name),
      h('span', { class: 'grow' }, each.apps === 0 ? (each.stops ?? 'gets none') : `gets ${words.count(each.apps, 'app', 'apps')}: ${words.percent(each.diskFreePct)} free, then about ${words.percent(each.diskFreePctAfter)}`),
    ),
  );
  const moves = plan.moves.map((each) => {
    const to = each.target ? `→ ${each.target}` : `stays: ${each.reasons.join(' ')}`;
    return h('li', {}, h('strong', {}, `App ${each.appId}`), h('span', { class: 'grow' }, [to, each.runs ? '' : '(does not run)', each.note ?? ''].join(' ')));
  });
  return [
    h('p', { class: plan.fits ? 'said' : 'problem', 'data-plan': true }, plan.explanation),
    h('details', {}, h('summary', {}, `Where ${words.count(plan.moves.length, 'app', 'apps')} would go`), h('ul', { class: 'list' }, ...moves)),
    h('details', {}, h('summary', {}, 'What becomes of the other nodes'), h('ul', { class: 'list' }, ...rooms)),
    field('At a time', parallel),
    plan.fits ? null : h('label', { class: 'check' }, partial, 'Drain it all the same: apps without a place stay where they are'),
  ].filter(Boolean);
}

const TURNS = {
  pause: ['Pause', 'No further app is moved until the drain is resumed. What moves now goes on.'],
  resume: ['Resume', 'The next apps are moved.'],
  undo: ['Undo', 'Apps that were moved come back, all others stay, and the node takes apps again if it did before.'],
  cancel: ['Stop', 'What has not begun stays where it is, and the node stays disabled.'],
};

export function turnDrain(drain, verb, { changed }) {
  const [label, what] = TURNS[verb];
  confirm({
    title: `${label} drain #${drain.id} of ${drain.node}?`,
    content: [h('p', {}, what)],
    consent: label,
    danger: verb === 'undo' || verb === 'cancel',
    act: async () => {
      await post(`${BASE}/drains/${verb}`, { query: { drainId: drain.id }, expected: drain.state });
      changed();
      return `Drain #${drain.id}: ${label.toLowerCase()} was ordered.`;
    },
  });
}

export function cancelJob(job, { changed }) {
  confirm({
    title: `Cancel job ${job.id.slice(0, 8)}?`,
    content: [h('p', {}, `It deploys app ${job.appId} of user ${job.userId} and is ${job.status === 'PENDING' ? 'waiting' : 'running'}. What the app serves now goes on.`)],
    consent: 'Cancel the job',
    danger: true,
    act: async () => {
      await post(`${BASE}/jobs/cancel`, { query: { jobId: job.id }, expected: `${job.status}.${job.attempt}` });
      changed();
      return `Job ${job.id.slice(0, 8)} is cancelled.`;
    },
  });
}

export function retryJob(job, { changed }) {
  confirm({
    title: `Retry job ${job.id.slice(0, 8)}?`,
    content: [h('p', {}, `A new job with the same order is made for app ${job.appId} of user ${job.userId}.`)],
    consent: 'Retry',
    act: async () => {
      const expected = `${job.status}.${job.attempt}`;
      const made = await post(`${BASE}/jobs/retry`, { query: { jobId: job.id }, body: {}, expected, once: true });
      changed();
      return `Job ${made.id.slice(0, 8)} was made.`;
    },
  });
}

export function setDrained(runner, { changed }) {
  const drained = !runner.drainedAt;
  confirm({
    title: drained ? `Drain runner ${runner.runnerId}?` : `Give ${runner.runnerId} work again?`,
    content: [h('p', {}, drained ? 'It finishes what it has in hand and gets no more work.' : 'It gets jobs again.')],
    consent: drained ? 'Drain' : 'Give work',
    danger: drained,
    act: async () => {
      const query = { runnerId: runner.runnerId, drained };
      await post(`${BASE}/runners/set-drained`, { query, expected: drained ? 'working' : 'drained' });
      changed();
      return `${runner.runnerId} ${drained ? 'gets no more work' : 'gets work again'}.`;
    },
  });
}
