/** What would come of a build, asked before it is submitted. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { type HttpAnswer } from '../../support/http-request.ts';
import { runningCoordinator } from '../../support/running-coordinator.ts';
import { directories, refusalAnswer, specOf } from '../../support/submitted-builds.ts';

const finding = { error: v.optional(v.object({ code: v.string() })) };
const findings = v.object({
  repositories: v.array(v.object({ repository: v.string(), ...finding })),
  tags: v.array(v.object({ tag: v.string(), ...finding })),
});

test('a plan names who could build what, and a build without platforms and agents says so', async () => {
  await using running = await runningCoordinator();
  const plan = {
    method: 'POST',
    body: { platforms: ['amd64', 'arm/v7'].map((name) => `linux/${name}`), allowEmulation: false },
  };
  plan.body.platforms = ['linux/amd64', 'linux/arm/v7'];
  const none = await running.ask('/v1/builds', {
    method: 'POST',
    body: { spec: specOf({ platforms: [], waitAgent: 1 }) },
  });
  assert.is(none.status, 409);
  assert.is(v.parse(refusalAnswer, none.body).error.code, 'no-agent');
  const agent = await running.agent({
    platforms: [
      { platform: 'linux/amd64', native: true },
      { platform: 'linux/arm/v7', native: false },
    ],
  });
  await agent.wait('welcome');
  const candidate = { name: 'pi-01', native: true };
  const strict = [
    { platform: 'linux/amd64', candidates: [candidate], emulators: [], refusing: [] },
    { platform: 'linux/arm/v7', candidates: [], emulators: ['pi-01'], refusing: [] },
  ];
  const nothing = { repositories: [], tags: [] };
  assert.equal((await running.ask('/v1/plan', plan)).body, { platforms: strict, ...nothing });
  const native = await running.ask('/v1/plan', {
    method: 'POST',
    body: { platforms: [], allowEmulation: true },
  });
  assert.equal(native.body, { platforms: [strict[0]], ...nothing });
});

test('a plan tells what registries say to it, and a build that they would refuse is not stored', async () => {
  const denied = '/v2/onap/denied/';
  await using running = await runningCoordinator({}, (request, response) => {
    if (request.method !== 'POST' || request.url?.startsWith(denied) !== true) return false;
    response.writeHead(403).end();
    return true;
  });
  const post = (path: string, body: unknown): Promise<HttpAnswer> =>
    running.ask(path, { method: 'POST', body });
  const planned = await post('/v1/plan', {
    platforms: ['linux/amd64'],
    allowEmulation: false,
    tags: ['localhost:5000/onap/app', 'localhost:5000/onap/denied:2'],
    suffix: 'tag',
  });
  const { repositories, tags } = v.parse(findings, planned.body);
  assert.equal(
    repositories.map(({ repository, error }) => [repository.replace(/^[^/]*/, 'h'), error?.code]),
    [
      ['h/onap/app', undefined],
      ['h/onap/denied', 'registry-denied'],
    ],
  );
  assert.equal(
    tags.map(({ tag, error }) => [tag.replace(/^[^/]*/, 'h'), error?.code]),
    [
      ['h/onap/app:latest', undefined],
      ['h/onap/denied:2', 'registry-denied'],
    ],
  );
  const spec = specOf({ tags: ['localhost:5000/onap/app', 'localhost:5000/onap/denied'] });
  const refused = await post('/v1/builds', { spec, directories });
  assert.is(v.parse(refusalAnswer, refused.body).error.code, 'registry-denied');
  assert.equal((await running.ask('/v1/builds')).body, { builds: [] });
});

test.run();
