import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { examine } from '../../agent/doctor.ts';
import type { Check } from '../../shared/checks.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { startFakeEngine } from './engine/fake-engine.ts';

async function engineCheck(docker: string): Promise<Check | undefined> {
  const checks = await examine({
    engineOnly: true,
    coordinator: undefined,
    token: undefined,
    data: '/nowhere',
    docker,
    environment: {},
    signal: new AbortController().signal,
    patience: 100,
  });
  return checks.find(({ subject }) => subject === 'engine');
}

test('an engine that takes connections and says nothing is said not to answer', async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'docker.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const check = await engineCheck(`unix://${path}`);
  assert.is(check?.state, 'fail');
  assert.is(check?.what, `the Docker engine at unix://${path} does not answer`);
  assert.match(check?.hint ?? '', 'restart');
  server.close();
});

test('an engine that is too old, and what is none at all, are told apart', async () => {
  await using old = await startFakeEngine({
    'GET /version': JSON.stringify({ Version: '18.06.3-ce', ApiVersion: '1.38' }),
  });
  assert.match((await engineCheck(old.host))?.what ?? '', /has no BuildKit: it is 18\.06\.3-ce/);
  await using other = await startFakeEngine({ 'GET /version': '<html>It works!</html>' });
  const check = await engineCheck(other.host);
  assert.is(check?.what, `what answers at ${other.host} is no Docker engine`);
  assert.match(check?.hint ?? '', '--docker');
});

test.run();
