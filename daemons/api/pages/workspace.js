// Workspace nodes: where people work. Shows nodes with their users, and workspaces that are on their way.

import { get } from './calls.js';
import { button, h, Rows, shown, text } from './dom.js';
import { age, cell, chips, disk, figures, progress, section, table } from './parts.js';
import { role } from './session.js';
import * as words from './words.js';
import * as orders from './workspace-orders.js';

const STALE_MS = 60_000;
const LAST_MOVES = 20;
const ENDED = new Set(['KEEPING', 'DONE', 'FAILED', 'CANCELLED']);
const CANCELLABLE = new Set(['QUEUED', 'COPYING', 'FROZEN']);

export class WorkspaceView {
  constructor(changed) {
    this.data = { told: { totalUsers: 0, totalPlacements: 0, nodes: [] }, moves: { total: 0, items: [] } };
    this.boxes = figures(['users', 'workspaces placed', 'nodes healthy', 'containers running', 'moves under way']);
    this.nodes = table('Workspace nodes', [['Node'], ['State'], ['Heartbeat'], ['Disk'], ['Users', 'number'], ['Containers'], ['Weight', 'number'], ['Addresses'], ['Actions']]);
    this.moves = table('Moves of workspaces', [['User'], ['State'], ['From and to'], ['Progress'], ['What happened'], ['Changed'], ['Actions']]);
    const context = { changed, nodes: () => this.data.told.nodes };
    this.rows = {
      nodes: new Rows(this.nodes.body, (node) => node.nodeId, (node) => nodeRow(node, context)),
      moves: new Rows(this.moves.body, (move) => move.moveId, () => moveRow(context)),
    };
    const add = button('Add a node…', () => orders.upsert(null, context), { hidden: role() !== 'admin' });
    this.element = h(
      'div',
      {},
      this.boxes.element,
      h('section', {}, h('div', { class: 'row' }, h('h2', {}, 'Workspace nodes'), add), this.nodes.element),
      section('Moves of workspaces', this.moves.element),
    );
  }

  async read() {
    const parts = [get('/workspace-nodes/list'), get('/workspace-moves/list', { limit: LAST_MOVES })];
    const [told, moves] = await Promise.allSettled(parts);
    if (told.status === 'fulfilled') this.data.told = told.value;
    if (moves.status === 'fulfilled') this.data.moves = moves.value;
    this.show();
    const failed = [told, moves].find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  show() {
    const { nodes, totalUsers, totalPlacements } = this.data.told;
    const moves = this.data.moves.items;
    const running = nodes.reduce((sum, node) => sum + (node.containersRunning ?? 0), 0);
    this.boxes.show('users', totalUsers);
    this.boxes.show('workspaces placed', totalPlacements);
    this.boxes.show('nodes healthy', `${nodes.filter((node) => node.health === 'HEALTHY').length} / ${nodes.length}`);
    this.boxes.show('containers running', running);
    this.boxes.show('moves under way', moves.filter((move) => !ENDED.has(move.state)).length);
    this.rows.nodes.show([...nodes].sort((a, b) => a.name.localeCompare(b.name)).map((node) => ({ ...node, placed: totalPlacements })));
    this.rows.moves.show(moves);
    this.nodes.say(nodes.length, 'No node has reported yet. A node registers itself with its first heartbeat.');
    this.moves.say(moves.length, 'No workspace was moved yet.');
  }
}

function nodeRow(first, context) {
  let node = first;
  const state = chips();
  const why = h('small', { class: 'why' });
  const room = disk(first.name);
  const heard = age(STALE_MS);
  const [name, details, users, containers, weight] = [h('strong'), h('small'), h('span'), h('span'), h('span')];
  const [entry, api] = [h('span', { class: 'address' }), h('span', { class: 'address' })];
  const toggle = button('', () => orders.setEnabled(node, context));
  const cordon = button('', () => orders.cordon(node, context));
  const element = h(
    'tr',
    {},
    cell('Node', '', name, details),
    cell('State', '', state.element, why),
    cell('Heartbeat', '', heard.element),
    cell('Disk', '', room.element),
    cell('Users', 'number', users),
    cell('Containers', '', containers),
    cell('Weight', 'number', weight),
    cell('Addresses', '', entry, api),
    cell(
      'Actions',
      '',
      h(
        'div',
        { class: 'actions' },
        toggle,
        cordon,
        button('Drain…', () => orders.drain(node, context)),
        button('Users', () => orders.placements(node, context)),
        button('Edit…', () => orders.upsert(node, context), { hidden: role() !== 'admin' }),
      ),
    ),
  );
  return {
    element,
    update(now) {
      node = now;
      text(name, node.name);
      text(details, [node.nodeId, node.version, node.quota && `quota ${node.quota}`].filter(Boolean).join(' · '));
      state.show([node.health, !node.enabled && 'disabled', node.cordoned && 'cordoned']);
      text(why, node.reason ?? '');
      heard.show(node.lastHeartbeatAtMs);
      room.show({ free: node.diskFreeBytes, total: node.diskTotalBytes });
      text(users, `${node.assignedUsers} (${words.share(node.assignedUsers, node.placed)})`);
      const figures = [[node.containersRunning, 'running'], [node.containersFrozen, 'frozen'], [node.containersStopped, 'stopped']];
      text(containers, figures.filter(([number]) => number !== null).map(([number, label]) => `${number} ${label}`).join(', ') || '–');
      text(weight, node.weight);
      text(entry, `gateway ${node.nginxBaseUrl}`);
      text(api, `node ${node.apiBaseUrl}`);
      text(toggle, node.enabled ? 'Disable…' : 'Enable…');
      text(cordon, node.cordoned ? 'Uncordon…' : 'Cordon…');
    },
  };
}

function moveRow(context) {
  let move = null;
  const state = chips();
  const bar = progress('bytes that were copied');
  const changed = age();
  const [user, details, way, done, happened] = [h('strong'), h('small'), h('span'), h('span', { class: 'figure' }), h('span')];
  const cancel = button('Cancel…', () => orders.cancelMove(move, context));
  const element = h(
    'tr',
    {},
    cell('User', '', user, details),
    cell('State', '', state.element),
    cell('From and to', '', way),
    cell('Progress', '', h('div', { class: 'disk-cell' }, bar.element, done)),
    cell('What happened', '', happened),
    cell('Changed', '', changed.element),
    cell('Actions', '', h('div', { class: 'actions' }, cancel)),
  );
  return {
    element,
    update(now) {
      move = now;
      text(user, `User ${move.userId}`);
      text(details, `move ${move.moveId}`);
      state.show([move.state]);
      text(way, `${move.sourceNode} → ${move.targetNode ?? 'not chosen yet'}`);
      bar.show(move.totalBytes ? Math.min(1, move.copiedBytes / move.totalBytes) : ENDED.has(move.state) ? 1 : 0);
      text(done, `${words.bytes(move.copiedBytes)}${move.totalBytes ? ` of ${words.bytes(move.totalBytes)}` : ''}`);
      text(happened, move.error ?? (move.cancelRequested && !ENDED.has(move.state) ? 'is being cancelled' : ''));
      changed.show(move.updatedAtMs);
      shown(cancel, CANCELLABLE.has(move.state) && !move.cancelRequested);
    },
  };
}
