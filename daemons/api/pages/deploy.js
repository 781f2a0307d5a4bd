// Runtime nodes: where apps run. Shows nodes, drains, jobs and runners of the control plane.

import { get } from './calls.js';
import { button, h, Rows, select, text } from './dom.js';
import * as orders from './deploy-orders.js';
import { age, cell, chips, disk, figures, section, table } from './parts.js';
import { drainRow, jobRow, runnerRow } from './deploy-rows.js';
import { role } from './session.js';
import * as words from './words.js';

const BASE = '/deploy-nodes';
const HEARTBEAT_WORRY = 2.5;
const LIVE = new Set(['RUNNING', 'PAUSED', 'UNDOING']);
const ENDED_SHOWN = 5;

export class DeployView {
  constructor(changed) {
    this.changed = changed;
    this.data = { nodes: [], runners: [], jobs: [], drains: [], health: null };
    this.boxes = figures(['nodes healthy', 'apps placed', 'runners at work', 'jobs shown', 'drains under way']);
    this.plane = h('p', { class: 'muted' });
    this.filter = select(
      [['', 'all'], ['PENDING', 'waiting'], ['RUNNING', 'running'], ['FAILED', 'failed'], ['SUCCEEDED', 'succeeded'], ['CANCELLED', 'cancelled']],
    );
    this.filter.id = 'job-filter';
    this.filter.addEventListener('change', () => this.changed());
    this.nodes = table('Runtime nodes', [['Node'], ['State'], ['Heartbeat'], ['Disk'], ['Apps', 'number'], ['Weight', 'number'], ['Addresses'], ['Actions']]);
    this.drains = table('Drains', [['Drain'], ['State'], ['Progress'], ['What happens'], ['Actions']]);
    this.jobs = table('Jobs', [['Job'], ['State'], ['App'], ['What happens'], ['Where'], ['Changed'], ['Actions']]);
    this.runners = table('Runners', [['Runner'], ['State'], ['Seen'], ['Work'], ['Disks'], ['Actions']]);
    const context = { changed, nodes: () => this.data.nodes };
    this.rows = {
      nodes: new Rows(this.nodes.body, (node) => node.nodeId, (node) => nodeRow(node, context)),
      drains: new Rows(this.drains.body, (drain) => drain.id, () => drainRow(context)),
      jobs: new Rows(this.jobs.body, (job) => job.id, () => jobRow(context)),
      runners: new Rows(this.runners.body, (runner) => runner.runnerId, () => runnerRow(context)),
    };
    const add = button('Add a node…', () => orders.upsert(null, context), { hidden: role() !== 'admin' });
    const filter = h('label', { class: 'inline', for: 'job-filter' }, 'Show ', this.filter);
    this.element = h(
      'div',
      {},
      this.boxes.element,
      this.plane,
      h('section', {}, h('div', { class: 'row' }, h('h2', {}, 'Runtime nodes'), add), this.nodes.element),
      section('Drains', this.drains.element),
      h('section', {}, h('div', { class: 'row' }, h('h2', {}, 'Jobs'), filter), this.jobs.element),
      section('Runners', this.runners.element),
    );
  }

  // Each part by itself: what can be read is shown, and the first problem is told.
  async read() {
    const parts = {
      nodes: get(`${BASE}/list`),
      runners: get(`${BASE}/runners/list`),
      jobs: get(`${BASE}/jobs/list`, { status: this.filter.value, limit: 50 }),
      drains: get(`${BASE}/drains/list`, { limit: 20 }),
      health: get(`${BASE}/health`),
    };
    const told = await Promise.allSettled(Object.values(parts));
    Object.keys(parts).forEach((name, index) => {
      if (told[index].status === 'fulfilled') {
        const found = told[index].value;
        this.data[name] = name === 'jobs' || name === 'drains' ? found.items : found;
      }
    });
    this.show();
    const failed = told.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  show() {
    const { nodes, runners, jobs, drains, health } = this.data;
    const placed = nodes.reduce((sum, node) => sum + node.placements, 0);
    const shown = [...drains.filter((each) => LIVE.has(each.state)), ...drains.filter((each) => !LIVE.has(each.state)).slice(0, ENDED_SHOWN)];
    this.boxes.show('nodes healthy', `${nodes.filter((node) => node.health === 'HEALTHY').length} / ${nodes.length}`);
    this.boxes.show('apps placed', placed);
    this.boxes.show('runners at work', `${runners.filter((each) => each.health === 'HEALTHY' && !each.drainedAt).length} / ${runners.length}`);
    this.boxes.show('jobs shown', jobs.length);
    this.boxes.show('drains under way', drains.filter((each) => LIVE.has(each.state)).length);
    text(this.plane, health === null ? '' : `Control plane: ${health.service} at ${health.proxyBaseUrl}`);
    this.rows.nodes.show([...nodes].sort((a, b) => a.name.localeCompare(b.name)).map((node) => ({ ...node, placed })));
    this.rows.drains.show(shown);
    this.rows.jobs.show(jobs);
    this.rows.runners.show(runners);
    this.nodes.say(nodes.length, 'No node has reported yet. A node registers itself with its first heartbeat.');
    this.drains.say(shown.length, 'No node was drained yet.');
    this.jobs.say(jobs.length, 'No such job.');
    this.runners.say(runners.length, 'No runner has called yet: nothing is built until one does.');
  }
}

function nodeRow(first, context) {
  let node = first;
  const state = chips();
  const why = h('small', { class: 'why' });
  const room = disk(first.name);
  const heard = age((first.intervalSeconds ?? 18) * HEARTBEAT_WORRY * 1000);
  const [name, details, apps, containers, weight] = [h('strong'), h('small'), h('span'), h('small'), h('span')];
  const [agent, gateway] = [h('span', { class: 'address' }), h('span', { class: 'address' })];
  const toggle = button('', () => orders.setEnabled(node, context));
  const actions = h(
    'div',
    { class: 'actions' },
    toggle,
    button('Drain…', () => orders.drain(node, context)),
    button('Apps', () => orders.placements(node, context)),
    button('Edit…', () => orders.upsert(node, context), { hidden: role() !== 'admin' }),
  );
  const element = h(
    'tr',
    {},
    cell('Node', '', name, details),
    cell('State', '', state.element, why),
    cell('Heartbeat', '', heard.element),
    cell('Disk', '', room.element),
    cell('Apps', 'number', apps, containers),
    cell('Weight', 'number', weight),
    cell('Addresses', '', agent, gateway),
    cell('Actions', '', actions),
  );
  return {
    element,
    update(now) {
      node = now;
      text(name, node.name);
      text(details, `${node.nodeId}${node.version ? ` · ${node.version}` : ''}${node.labels.length ? ` · ${node.labels.join(', ')}` : ''}`);
      state.show([node.health, !node.enabled && node.health !== 'DISABLED' && 'disabled']);
      text(why, node.reasons.join(' '));
      heard.show(node.lastHeartbeatAt);
      room.show({ free: node.diskFreeBytes, total: node.diskTotalBytes, pct: node.diskFreePct });
      text(apps, `${node.placements} (${words.share(node.placements, node.placed)})`);
      text(containers, node.containerCount === null ? '' : words.count(node.containerCount, 'container', 'containers'));
      text(weight, node.weight);
      text(agent, `agent ${node.agentBaseUrl ?? '–'}`);
      text(gateway, `gateway ${node.gatewayBaseUrl ?? '–'}`);
      text(toggle, node.enabled ? 'Disable…' : 'Enable…');
    },
  };
}
