import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { parse } from 'yaml';
import { Metrics } from '../../../coordinator/server/metrics/metrics.ts';
import { Readiness } from '../../../coordinator/server/readiness.ts';
import { promtool } from '../../../scripts/rig/promtool.ts';
import { parseDuration } from '../../../shared/duration.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import { readExposition, type Exposition } from '../../support/exposition.ts';
import { ask } from '../../support/http-request.ts';
import { joinableCoordinator, joinAs } from '../../support/joined-agent.ts';
import { runningCoordinator, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';

const platform = 'linux/arm64/v8';

const agentList = v.object({ agents: v.array(v.unknown()) });
const alertRules = v.object({
  groups: v.array(v.object({ rules: v.array(v.object({ alert: v.string(), for: v.optional(v.string()) })) })),
});

async function scrape(running: RunningCoordinator): Promise<Exposition> {
  const answer = await running.ask('/metrics');
  assert.is(answer.status, 200, String(answer.body));
  return readExposition(String(answer.body));
}

test('a scrape tells of agents, of what waits, and of what has ended', async () => {
  let asked = 0;
  using metrics = new Metrics();
  await using running = await runningCoordinator(
    {},
    (_request, response) => {
      // One answer that says to come again.
      if (asked++ > 0) return false;
      response.writeHead(503, { 'retry-after': '0' }).end();
      return true;
    },
    { metrics },
  );
  const agent = await running.agent({ name: 'pi-01', slots: 2, protocol: 1 });
  agent.send({
    type: 'beat',
    state: 'ready',
    contexts: { bytes: 500, maxBytes: 900, hits: 30, hitBytes: 300, misses: 2, missBytes: 20 },
    disks: [{ path: '/var/lib/docker', free: 40, size: 100 }],
    usage: { memory: 7000, cpu: 2500, lag: 20 },
  });
  const build = await submitBuild(running, { platforms: [platform, 'linux/s390x'], waitAgent: 60_000 });
  const { attempt } = await agent.wait('offer');
  agent.send({ type: 'accept', attempt });

  const during = await until(
    async () => {
      const told = await scrape(running);
      const isRunning = told.value('archfarm_tasks', { platform, status: 'running' }) === 1;
      const hasSent = (told.value('archfarm_store_misses_total') ?? 0) > 0;
      return isRunning && hasSent ? told : undefined;
    },
    { what: 'a running task, and something that the client sent' },
  );
  assert.is(during.value('archfarm_builds', { status: 'running' }), 1);
  assert.is(during.value('archfarm_tasks', { platform: 'linux/s390x', status: 'queued' }), 1);
  assert.ok((during.value('archfarm_task_wait_seconds', { platform: 'linux/s390x' }) ?? 0) > 0);
  assert.is(during.value('archfarm_agents', { platform, mode: 'native', state: 'ready' }), 1);
  assert.is(
    during.value('archfarm_agents', { platform: 'linux/arm/v7', mode: 'emulated', state: 'ready' }),
    1,
  );
  assert.is(during.value('archfarm_agent_info', { agent: 'pi-01', protocol: '1' }), 1);
  assert.is(during.value('archfarm_agent_state', { agent: 'pi-01', state: 'ready' }), 1);
  assert.is(during.value('archfarm_agent_slots', { agent: 'pi-01' }), 2);
  assert.is(during.value('archfarm_agent_busy_slots', { agent: 'pi-01' }), 1);
  assert.is(during.value('archfarm_agent_store_hit_bytes_total', { agent: 'pi-01' }), 300);
  assert.is(during.value('archfarm_agent_memory_bytes', { agent: 'pi-01' }), 7000);
  assert.is(during.value('archfarm_agent_cpu_seconds_total', { agent: 'pi-01' }), 2.5);
  assert.is(during.value('archfarm_agent_event_loop_lag_seconds', { agent: 'pi-01' }), 0.02);
  const docker = { agent: 'pi-01', path: '/var/lib/docker' };
  assert.is(during.value('archfarm_agent_disk_free_bytes', docker), 40);
  assert.is(during.value('archfarm_agent_disk_size_bytes', docker), 100);
  assert.ok((during.value('archfarm_registry_requests_total') ?? 0) > 1);
  assert.is(during.value('archfarm_registry_requests_total', { status: '503' }), 1);
  assert.is(during.value('archfarm_registry_retries_total'), 1);
  // From nothing on, or nobody would see the first of them rise.
  assert.is(during.value('archfarm_attempts_total', { platform, outcome: 'lost' }), 0);
  assert.is(during.value('archfarm_builds_ended_total', { status: 'failed' }), 0);

  agent.send({
    type: 'report',
    attempt,
    lastFrame: 0,
    outcome: {
      status: 'failed',
      kind: 'build',
      error: { code: 'build-failed', message: 'RUN false' },
      timings: { context: 200, build: 1500 },
      sentBytes: 400,
    },
  });
  assert.is((await agent.wait('settle')).attempt, attempt);
  // The other platform would wait for its agent.
  assert.is((await running.ask(`/v1/builds/${build}/cancel`, { method: 'POST' })).status, 202);
  const after = await until(
    async () => {
      const told = await scrape(running);
      return told.value('archfarm_builds_ended_total', { status: 'cancelled' }) === 1 ? told : undefined;
    },
    { what: `the end of build ${build}` },
  );
  assert.is(after.value('archfarm_attempts_total', { platform, outcome: 'failed' }), 1);
  assert.is(after.value('archfarm_phase_duration_seconds_sum', { platform, phase: 'build' }), 1.5);
  assert.is(after.value('archfarm_phase_duration_seconds_bucket', { phase: 'build', le: '1' }), 0);
  assert.is(after.value('archfarm_phase_duration_seconds_bucket', { phase: 'build', le: '2.5' }), 1);
  assert.is(after.value('archfarm_context_sent_bytes_total', { to: 'agent' }), 400);
  assert.is(after.value('archfarm_context_saved_bytes_total', { to: 'agent' }), 600);
  assert.is(after.value('archfarm_builds', { status: 'running' }), 0);
  assert.is(after.value('archfarm_tasks'), undefined);
  assert.ok((after.value('process_resident_memory_bytes') ?? 0) > 10_000_000);
  await until(async () => ((await scrape(running)).value('archfarm_event_loop_lag_seconds_count') ?? 0) > 0, {
    what: 'a look at the event loop',
  });
});

test('an agent that has joined is told of as offline until it is removed: after the farm forgot it, and after a restart', async () => {
  await using directory = await temporaryDirectory();
  const offers = { platform, mode: 'native', state: 'offline' };
  const isOffline = { agent: 'pi-01', state: 'offline' };
  {
    using metrics = new Metrics();
    await using running = await joinableCoordinator(
      { cutOff: 0 },
      { metrics, data: directory.path, tokenAgents: true },
    );
    const joined = await running.agent({}, await joinAs(running, 'pi-01'));
    const guest = await running.agent({ name: 'guest', session: 'guest-session' });
    await Promise.all([joined.wait('welcome'), guest.wait('welcome')]);
    const ready = { platform, mode: 'native', state: 'ready' };
    await until(async () => (await scrape(running)).value('archfarm_agents', ready) === 2, {
      what: 'two agents that are ready',
    });
    joined.socket.terminate();
    guest.socket.terminate();
    await forgotten(running);
    const after = await scrape(running);
    assert.is(after.value('archfarm_agent_state', isOffline), 1);
    assert.is(after.value('archfarm_agent_state'), 1, 'one with the shared token is forgotten');
    assert.is(after.value('archfarm_agents', offers), 1);
    assert.is(after.value('archfarm_agents', { mode: 'emulated', state: 'offline' }), 1);
    assert.is(after.value('archfarm_agent_slots'), undefined);
    await joinAs(running, 'z-01', { platforms: ['linux/s390x'] });
  }
  using metrics = new Metrics();
  await using running = await joinableCoordinator({}, { metrics, data: directory.path });
  const restarted = await scrape(running);
  assert.is(restarted.value('archfarm_agent_state', isOffline), 1);
  assert.is(restarted.value('archfarm_agents', offers), undefined, 'nobody knows what it offers');
  assert.is(restarted.value('archfarm_agents', { ...offers, platform: 'linux/s390x' }), 1);
  assert.is((await running.ask('/v1/agents/pi-01', { method: 'DELETE' })).status, 204);
  assert.is((await scrape(running)).value('archfarm_agent_state', isOffline), undefined);
});

/** The farm knows no agent any more. */
async function forgotten(running: RunningCoordinator): Promise<void> {
  const count = async (): Promise<number> =>
    v.parse(agentList, (await running.ask('/v1/agents')).body).agents.length;
  await until(async () => (await count()) === 0, { what: 'a farm without agents' });
}

test("a scrape is one that Prometheus' own tool finds no fault with", async () => {
  using metrics = new Metrics();
  await using running = await runningCoordinator({}, () => false, { metrics });
  const body = String((await running.ask('/metrics')).body);
  assert.ok(readExposition(body).families.length > 25);
  const checked = promisify(execFile)(await promtool(), ['check', 'metrics']);
  checked.child.stdin?.end(body);
  const { stdout, stderr } = await checked;
  assert.is(stdout + stderr, '');
});

test('hosts that never answer have no name of their own in it, nor have more than fifty that do', async () => {
  using metrics = new Metrics();
  const { traffic } = metrics;
  for (let host = 0; host < 60; host += 1) {
    traffic.asked(`silent-${host}`, 'GET', undefined);
    traffic.retried(`silent-${host}`);
    traffic.asked(`there-${host}`, 'GET', 404);
  }
  traffic.asked('there-0', 'GET', undefined);
  const told = readExposition(await metrics.text());
  const requests = 'archfarm_registry_requests_total';
  const named = told.samples.filter(({ name }) => name === requests).map(({ labels }) => labels['registry']);
  assert.is(new Set(named).size, 51);
  assert.is(told.value(requests, { registry: 'other', status: 'none' }), 60);
  assert.is(told.value(requests, { registry: 'other', status: '404' }), 10);
  assert.is(told.value(requests, { registry: 'there-0', status: 'none' }), 1);
  assert.is(told.value('archfarm_registry_retries_total', { registry: 'other' }), 60);
});

test('the alert rules and the dashboard read metrics that there are', async () => {
  using metrics = new Metrics();
  await using running = await runningCoordinator({}, () => false, { metrics });
  const { families } = await scrape(running);
  const known = new Set(
    families.flatMap(({ name, type }) =>
      type === 'histogram' ? ['_bucket', '_sum', '_count'].map((end) => name + end) : [name],
    ),
  );
  for (const file of ['archfarm-alerts.yml', 'archfarm-dashboard.json']) {
    const text = await readFile(new URL(`../../../scripts/monitoring/${file}`, import.meta.url), 'utf8');
    const used = text.match(/\b(archfarm|process)_[a-z_]+/g) ?? [];
    assert.ok(used.length > 5, file);
    assert.equal(
      used.filter((name) => !known.has(name)),
      [],
      file,
    );
  }
});

test('the alert of an agent that is away fires before the farm forgets one with the shared token', async () => {
  const file = new URL('../../../scripts/monitoring/archfarm-alerts.yml', import.meta.url);
  const { groups } = v.parse(alertRules, parse(await readFile(file, 'utf8')));
  const rules = groups.flatMap((group) => group.rules);
  const rule = rules.find(({ alert }) => alert === 'ArchfarmAgentNotReady');
  assert.ok(parseDuration(rule?.for ?? '', 'for') <= defaultTimers.cutOff / 2);
});

test('metrics are for those who may read, health is for everybody', async () => {
  using metrics = new Metrics();
  await using running = await runningCoordinator({}, () => false, { metrics });
  assert.is((await ask(new URL('/metrics', running.url))).status, 401);
  assert.equal(await ask(new URL('/readyz', running.url)), { status: 200, body: { status: 'ready' } });
  assert.equal(await ask(new URL('/healthz', running.url)), { status: 200, body: { status: 'ok' } });
});

test('a coordinator that cannot store anything, or stops, is not ready', async () => {
  await using directory = await temporaryDirectory();
  const nowhere = new Readiness(`${directory.path}/nowhere`);
  assert.match((await nowhere.objection()) ?? '', /^nothing can be stored: .*ENOENT/);
  const ready = new Readiness(directory.path);
  assert.is(await ready.objection(), undefined);
  ready.stop();
  assert.is(await ready.objection(), 'the coordinator stops');
});

test.run();
