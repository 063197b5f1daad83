import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startEngine } from '../../scripts/rig/engine.ts';
import { startRegistry } from '../../scripts/rig/registry.ts';
import { examine } from '../../agent/doctor.ts';
import { examineRegistries } from '../../coordinator/cli/doctor-registries.ts';
import type { Check } from '../../shared/checks.ts';
import { runningCoordinator, testToken } from '../support/running-coordinator.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const { signal } = new AbortController();
const find = (checks: readonly Check[], subject: string): Check | undefined =>
  checks.find((check) => check.subject === subject);

test('an agent finds its engine, its platform, room and its coordinator', async () => {
  await using directory = await temporaryDirectory();
  await using engine = await startEngine({ name: 'doctor-engine' });
  await using running = await runningCoordinator();
  const checks = await examine({
    engineOnly: false,
    coordinator: running.url,
    token: testToken,
    data: join(directory.path, 'not', 'yet'),
    docker: engine.host,
    environment: {},
    signal,
  });
  assert.match(find(checks, 'engine')?.what ?? '', /^Docker \S+ \(API \S+\) at unix:.*with BuildKit$/);
  assert.match(find(checks, 'platform')?.what ?? '', /^linux\/\S+, native$/);
  assert.match(find(checks, 'disk')?.what ?? '', /free .* at \//);
  assert.is(find(checks, 'data')?.state, 'ok');
  assert.is(find(checks, 'version')?.state, 'ok');
});

test('an agent says what to do where the engine is away and no coordinator is known', async () => {
  await using directory = await temporaryDirectory();
  const options = { token: undefined, data: directory.path, environment: {}, signal };
  const docker = `unix://${directory.path}/none.sock`;
  const checks = await examine({ ...options, docker, engineOnly: false, coordinator: undefined });
  for (const subject of ['engine', 'coordinator']) {
    const found = find(checks, subject);
    assert.is(found?.state, 'fail', subject);
    assert.ok(found?.hint, subject);
  }
  const alone = await examine({ ...options, docker, engineOnly: true, coordinator: undefined });
  assert.equal(
    alone.map(({ subject }) => subject),
    ['engine', 'emulation'],
  );
});

test('a client learns whether it may push, and where its credentials are, but not what they are', async () => {
  await using directory = await temporaryDirectory();
  await using registry = await startRegistry();
  const auth = Buffer.from('somebody:a-secret-word').toString('base64');
  await writeFile(
    join(directory.path, 'config.json'),
    JSON.stringify({ auths: { [registry.host]: { auth } } }),
  );
  const flags = { registryConfig: directory.path };
  const well = await examineRegistries([`${registry.host}/onap/app:1`], { registry: flags, signal });
  assert.equal(
    well.map(({ subject, state }) => `${subject} ${state}`),
    ['credentials ok', 'registry ok'],
  );
  assert.match(well[0]?.what ?? '', /a user and a password for .*config\.json/);
  assert.not.match(JSON.stringify(well), /a-secret-word|somebody/);
  const away = await examineRegistries(['127.0.0.1:9/onap/app:1'], { registry: flags, signal });
  assert.is(find(away, 'registry')?.state, 'fail');
  assert.ok(find(away, 'registry')?.hint);
});

test.run();
