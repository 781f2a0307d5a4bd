// What is ordered of workspace nodes: users move with their files, or not at all.

import { get, post } from './calls.js';
import { button, field, h, select } from './dom.js';
import { confirm, panel } from './dialogs.js';
import { pages } from './parts.js';
import * as words from './words.js';

const NODES = '/workspace-nodes';
const MOVES = '/workspace-moves';

export function setEnabled(node, { changed }) {
  const enabled = !node.enabled;
  confirm({
    title: enabled ? `Enable ${node.name}?` : `Disable ${node.name}?`,
    content: [
      h('p', {}, enabled
        ? 'Calls of its users reach the node again, and it takes new ones.'
        : `Calls of its ${words.count(node.assignedUsers, 'user', 'users')} are refused at once: they cannot work until it is enabled. To take new users away from it alone, cordon it; to empty it, drain it.`),
    ],
    consent: enabled ? 'Enable' : 'Disable',
    danger: !enabled,
    act: async () => {
      await post(`${NODES}/set-enabled`, { query: { nodeId: node.nodeId, enabled: enabled ? 1 : 0 } });
      changed();
      return `${node.name} is ${enabled ? 'enabled' : 'disabled'}.`;
    },
  });
}

export function cordon(node, { changed }) {
  const cordoned = !node.cordoned;
  confirm({
    title: cordoned ? `Cordon ${node.name}?` : `Uncordon ${node.name}?`,
    content: [h('p', {}, cordoned ? 'It gets no new users. Those who live there go on working.' : 'It gets new users again.')],
    consent: cordoned ? 'Cordon' : 'Uncordon',
    act: async () => {
      await post(`${NODES}/cordon`, { body: { nodeId: node.nodeId, cordoned } });
      changed();
      return `${node.name} ${cordoned ? 'gets no new users' : 'gets new users again'}.`;
    },
  });
}

export function upsert(node, { changed }) {
  const text = (value, given = {}) => h('input', { type: 'text', required: true, maxlength: '512', autocomplete: 'off', spellcheck: 'false', value: value ?? '', ...given });
  const name = text(node?.name, { maxlength: '64' });
  const entry = text(node?.nginxBaseUrl, { type: 'url', placeholder: 'http://10.0.0.7:80' });
  const api = text(node?.apiBaseUrl, { type: 'url', placeholder: 'http://10.0.0.7:7001' });
  const weight = text(node?.weight ?? 100, { type: 'number', min: '1', max: '10000' });
  confirm({
    title: node === null ? 'Add a workspace node' : `Edit ${node.name}`,
    content: [
      h('p', {}, 'Users’ calls and files go to the node’s address, previews to its gateway. A heartbeat of the node replaces both.'),
      field('Name', name, 'As the node reports it.'),
      field('Address of its gateway', entry),
      field('Address of the node', api),
      field('Weight', weight),
    ],
    consent: node === null ? 'Add' : 'Save',
    act: async () => {
      const body = {
        ...(node === null ? {} : { id: node.nodeId }),
        name: name.value.trim(),
        nginxBaseUrl: entry.value.trim(),
        apiBaseUrl: api.value.trim(),
        enabled: node?.enabled ? 1 : 0,
        weight: Number(weight.value),
      };
      await post(`${NODES}/upsert`, { body });
      changed();
      return `${body.name} is saved${node === null ? '; enable it once it reports' : ''}.`;
    },
  });
}

export function placements(node, context) {
  const row = (placement) =>
    h(
      'li',
      {},
      h('strong', {}, `User ${placement.userId}`),
      h('span', { class: 'grow' }, placement.lastActiveAt ? `active ${new Date(placement.lastActiveAt).toLocaleString()}` : 'never active'),
      button('Move…', () => move(placement, node, context)),
    );
  const read = (offset, limit) => get(`${NODES}/placements`, { nodeId: node.nodeId, offset, limit });
  panel(`Users of ${node.name}`, pages(read, row, 'No user lives here.'));
}

function targets(node, nodes) {
  const others = nodes().filter((each) => each.nodeId !== node.nodeId && each.enabled && !each.cordoned);
  return select([['', 'whichever has most room'], ...others.map((each) => [each.nodeId, `${each.name} · ${each.health} · ${words.bytes(each.diskFreeBytes)} free`])]);
}

const chosen = (list) => (list.value === '' ? {} : { targetNodeId: Number(list.value) });

function move(placement, node, { changed, nodes }) {
  const target = targets(node, nodes);
  confirm({
    title: `Move user ${placement.userId}?`,
    content: [
      h('p', {}, 'The files are copied while they are used, the workspace stops for the rest of them, and then everything of the user is on the other node.'),
      field('To', target),
    ],
    consent: 'Move',
    act: async () => {
      await post(`${MOVES}/start`, { body: { userId: placement.userId, ...chosen(target) } });
      changed();
      return `User ${placement.userId} is on the way.`;
    },
  });
}

// What it would mean is said first: how many users, and where they could go.
export function drain(node, { changed, nodes }) {
  const target = targets(node, nodes);
  const others = target.options.length - 1;
  const ready = get(`${NODES}/placements`, { nodeId: node.nodeId, limit: 1 }).then((page) => [
    h('p', { class: others > 0 ? 'said' : 'problem', 'data-plan': true }, others > 0
      ? `${words.count(page.total, 'user moves', 'users move')} with their files, a few at a time; ${words.count(others, 'node takes', 'nodes take')} users.`
      : `${words.count(page.total, 'user', 'users')} would have nowhere to go: no other node takes users.`),
    field('To', target),
  ]);
  confirm({
    title: `Drain ${node.name}?`,
    content: [h('p', {}, 'The node is cordoned, and the workspaces of all its users move elsewhere. Each is stopped for the last part of its files.')],
    ready,
    consent: 'Drain',
    danger: true,
    consentable: () => others > 0,
    act: async () => {
      const begun = await post(`${MOVES}/drain`, { body: { nodeId: node.nodeId, ...chosen(target) } });
      changed();
      return `${begun.started} of ${words.count(begun.users, 'user', 'users')} of ${node.name} begin to move.`;
    },
  });
}

export function cancelMove(move, { changed }) {
  confirm({
    title: `Cancel the move of user ${move.userId}?`,
    content: [h('p', {}, `The workspace stays at ${move.sourceNode}, and what was copied is removed.`)],
    consent: 'Cancel the move',
    danger: true,
    act: async () => {
      await post(`${MOVES}/cancel`, { query: { moveId: move.moveId } });
      changed();
      return `The move of user ${move.userId} is being cancelled.`;
    },
  });
}
