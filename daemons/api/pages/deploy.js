// Runtime nodes: where apps run. Shows nodes, drains, jobs and runners of the control plane.

import { get } from './calls.js';
import { button, h, Rows, select, text } from './dom.js';
import * as orders from './deploy-orders.js';
import * as parts from './parts.js';
import { drainRow, jobRow, runnerRow } from './deploy-rows.js';
import { role } from './session.js';
import * as words from './words.js';

const BASE = '/deploy-nodes';
const LIVE = new Set(['RUNNING', 'PAUSED', 'UNDOING']);
const ENDED_SHOWN = 5;

export class DeployView {
  constructor(changed) {
    this.changed = changed;
    this.data = { nodes: [], runners: [], jobs: [], drains: [], health: null };
    this.boxes = parts.figures(['nodes healthy', 'apps placed', 'runners at work', 'jobs shown', 'drains under way']);
    this.plane = h('p', { class: 'muted' });
    this.filter = select(
      [['', 'all'], ['PENDING', 'waiting'], ['RUNNING', 'running'], ['FAILED', 'failed'], ['SUCCEEDED', 'succeeded'], ['CANCELLED', 'cancelled']],
    );
    this.filter.id = 'job-filter';
    this.filter.addEventListener('change', () => this.changed());
    this.nodes = parts.table('Runtime nodes', parts.nodeLabels('Apps'));
    this.drains = parts.table('Drains', [['Drain'], ['State'], ['Progress'], ['What happens'], ['Actions']]);
    this.jobs = parts.table('Jobs', [['Job'], ['State'], ['App'], ['What happens'], ['Where'], ['Changed'], ['Actions']]);
    this.runners = parts.table('Runners', [['Runner'], ['State'], ['Seen'], ['Work'], ['Disks'], ['Actions']]);
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
      parts.section('Drains', this.drains.element),
      h('section', {}, h('div', { class: 'row' }, h('h2', {}, 'Jobs'), filter), this.jobs.element),
      parts.section('Runners', this.runners.element),
    );
  }

  // Each part by itself: what can be read is shown, and the first problem is told.
  async read() {
    const asked = {
      nodes: get(`${BASE}/list`),
      runners: get(`${BASE}/runners/list`),
      jobs: get(`${BASE}/jobs/list`, { status: this.filter.value, limit: 50 }),
      drains: get(`${BASE}/drains/list`, { limit: 20 }),
      health: get(`${BASE}/health`),
    };
    const told = await Promise.allSettled(Object.values(asked));
    Object.keys(asked).forEach((name, index) => {
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
  const toggle = button('', () => orders.setEnabled(node, context));
  const row = parts.nodeRow(first.name, 'Apps', [
    toggle,
    button('Drain…', () => orders.drain(node, context)),
    button('Apps', () => orders.placements(node, context)),
    button('Edit…', () => orders.upsert(node, context), { hidden: role() !== 'admin' }),
  ]);
  return {
    element: row.element,
    update(now) {
      node = now;
      row.show({
        name: node.name,
        details: [node.nodeId, node.version, node.labels.join(', ')],
        labels: [node.health, !node.enabled && node.health !== 'DISABLED' && 'disabled'],
        why: node.reasons.join(' '),
        heard: node.lastHeartbeatAt,
        late: node.health === 'STALE',
        room: { free: node.diskFreeBytes, total: node.diskTotalBytes, pct: node.diskFreePct },
        held: node.placements,
        placed: node.placed,
        containers: node.containerCount === null ? '' : words.count(node.containerCount, 'container', 'containers'),
        weight: node.weight,
        addresses: [`agent ${node.agentBaseUrl ?? '–'}`, `gateway ${node.gatewayBaseUrl ?? '–'}`],
      });
      text(toggle, node.enabled ? 'Disable…' : 'Enable…');
    },
  };
}
