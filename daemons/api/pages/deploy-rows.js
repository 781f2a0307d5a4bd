// Rows of drains, jobs and runners.

import { get } from './calls.js';
import { button, h, shown, text } from './dom.js';
import { panel } from './dialogs.js';
import * as orders from './deploy-orders.js';
import { age, cell, chips, progress } from './parts.js';
import * as words from './words.js';

const OVER = ['MOVED', 'FAILED', 'SKIPPED', 'UNDONE'];

export function drainRow(context) {
  let drain = null;
  const state = chips();
  const bar = progress('apps that are settled');
  const [name, details, done, summary] = [h('strong'), h('small'), h('span', { class: 'figure' }), h('span')];
  const turn = (label, verb) => button(label, () => orders.turnDrain(drain, verb, context));
  const [pause, resume, undo, cancel] = [turn('Pause…', 'pause'), turn('Resume…', 'resume'), turn('Undo…', 'undo'), turn('Stop…', 'cancel')];
  const apps = button('Apps', () => moves(drain));
  const element = h(
    'tr',
    {},
    cell('Drain', '', name, details),
    cell('State', '', state.element),
    cell('Progress', '', h('div', { class: 'disk-cell' }, bar.element, done)),
    cell('What happens', '', summary),
    cell('Actions', '', h('div', { class: 'actions' }, pause, resume, undo, cancel, apps)),
  );
  return {
    element,
    update(now) {
      drain = now;
      const counts = Object.entries(drain.counts);
      const total = counts.reduce((sum, [, number]) => sum + number, 0);
      const settled = counts.reduce((sum, [each, number]) => sum + (OVER.includes(each) ? number : 0), 0);
      text(name, drain.node);
      text(details, `#${drain.id} · ${drain.kind === 'FAILOVER' ? 'failover' : 'drain'} by ${drain.actor}`);
      state.show([drain.state]);
      bar.show(total === 0 ? 1 : settled / total);
      text(done, `${settled} of ${total} apps${counts.length ? `: ${counts.map(([each, number]) => `${number} ${each.toLowerCase()}`).join(', ')}` : ''}`);
      text(summary, drain.summary);
      shown(pause, drain.state === 'RUNNING');
      shown(resume, drain.state === 'PAUSED');
      shown(undo, drain.state !== 'UNDOING' && drain.state !== 'UNDONE' && total > 0);
      shown(cancel, drain.state === 'RUNNING' || drain.state === 'PAUSED');
    },
  };
}

function moves(drain) {
  const said = h('p', { class: 'muted', role: 'status' }, 'Reading…');
  const list = h('ul', { class: 'list' });
  panel(`Apps of drain #${drain.id}: ${drain.node}`, h('div', {}, said, list));
  get('/deploy-nodes/drains/show', { drainId: drain.id }).then(
    (plan) => {
      text(said, plan.summary);
      for (const move of plan.moves) {
        const state = chips();
        state.show([move.state]);
        list.append(h('li', {}, h('strong', {}, `App ${move.appId}`), state.element, h('span', {}, move.message ?? '')));
      }
    },
    (error) => text(said, error.message),
  );
}

export function jobRow(context) {
  let job = null;
  const state = chips();
  const changed = age();
  const [id, details, app, happens, where] = [h('code'), h('small'), h('span'), h('span', { class: 'clip' }), h('span')];
  const cancel = button('Cancel…', () => orders.cancelJob(job, context));
  const retry = button('Retry…', () => orders.retryJob(job, context));
  const element = h(
    'tr',
    {},
    cell('Job', '', id, details),
    cell('State', '', state.element),
    cell('App', '', app),
    cell('What happens', '', happens),
    cell('Where', 'place', where),
    cell('Changed', '', changed.element),
    cell('Actions', '', h('div', { class: 'actions' }, cancel, retry)),
  );
  return {
    element,
    update(now) {
      job = now;
      text(id, job.id.slice(0, 8));
      id.title = job.id;
      text(details, `${job.type === 'MIGRATE_APP' ? 'move' : 'deployment'}${job.attempt > 1 ? ` · attempt ${job.attempt}` : ''}`);
      state.show([job.status]);
      text(app, `${job.payload.appName ? `${job.payload.appName} · ` : ''}${job.appId} of user ${job.userId}`);
      text(happens, sentence(job));
      happens.title = job.errorMessage ?? '';
      text(where, [job.runnerId, job.runtimeNode?.agentBaseUrl].filter(Boolean).join(' → ') || '–');
      changed.show(job.updatedAt);
      shown(cancel, job.status === 'PENDING' || job.status === 'RUNNING');
      shown(retry, (job.status === 'FAILED' || job.status === 'CANCELLED') && job.type !== 'MIGRATE_APP');
    },
  };
}

function sentence(job) {
  if (job.waitingFor) return job.waitingFor.message;
  if (job.status === 'RUNNING') return [job.payload.phase, job.payload.phaseMessage].filter(Boolean).join(': ') || 'claimed';
  return job.errorMessage ?? (job.status === 'SUCCEEDED' ? (job.image ?? '') : (job.reason ?? ''));
}

export function runnerRow(context) {
  let runner = null;
  const state = chips();
  const seen = age(90_000);
  const [name, details, work, disks, why] = [h('strong'), h('small'), h('span'), h('span'), h('small', { class: 'why' })];
  const toggle = button('', () => orders.setDrained(runner, context));
  const element = h(
    'tr',
    {},
    cell('Runner', '', name, details),
    cell('State', '', state.element, why),
    cell('Seen', '', seen.element),
    cell('Work', '', work),
    cell('Disks', '', disks),
    cell('Actions', '', h('div', { class: 'actions' }, toggle)),
  );
  return {
    element,
    update(now) {
      runner = now;
      const vitals = runner.vitals;
      text(name, runner.runnerId);
      text(details, [runner.host, runner.version, runner.labels.join(', ')].filter(Boolean).join(' · '));
      state.show([runner.health, runner.drainedAt && 'drained']);
      text(why, vitals?.pause?.message ?? (runner.drainedBy ? `drained by ${runner.drainedBy}` : ''));
      seen.show(runner.lastSeenAtMs);
      const held = vitals?.work.map((each) => `${each.jobId.slice(0, 8)} ${each.phase ?? ''}`.trim()).join(', ') ?? '';
      text(work, `${held || 'nothing in hand'}${runner.slots ? ` · ${words.count(runner.slots, 'slot', 'slots')}` : ''}`);
      text(disks, vitals?.disks.map((each) => `${each.place} ${words.bytes(each.freeBytes)} free`).join(', ') || '–');
      text(toggle, runner.drainedAt ? 'Give work…' : 'Drain…');
    },
  };
}
