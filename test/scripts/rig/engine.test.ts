import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startEngine, type RunningEngine } from '../../../scripts/rig/engine.ts';
import { sweepDeadOwners } from '../../../scripts/rig/leftovers.ts';
import { thingsOf } from '../../../scripts/test-leftovers.ts';

const run = promisify(execFile);

async function docker(engine: Pick<RunningEngine, 'host'>, ...parameters: string[]): Promise<string> {
  return (await run('docker', ['-H', engine.host, ...parameters])).stdout.trim();
}

async function startContainer(engine: Pick<RunningEngine, 'host'>): Promise<string> {
  await run('bash', ['-c', `tar -C /bin -c busybox | docker -H ${engine.host} import - busybox`]);
  return docker(engine, 'run', '--detach', '--restart=always', 'busybox', '/busybox', 'sleep', '3600');
}

test('two engines run side by side and know nothing of each other', async () => {
  await using one = await startEngine({ name: 'one' });
  await using other = await startEngine({ name: 'other' });
  await startContainer(one);
  assert.is(await docker(one, 'ps', '--quiet', '--filter', 'status=running').then((ids) => ids.length), 12);
  assert.is(await docker(other, 'images', '--quiet'), '');
});

test('an engine that was killed comes back with its images', async () => {
  await using engine = await startEngine({ name: 'killed' });
  await run('bash', ['-c', `tar -C /bin -c busybox | docker -H ${engine.host} import - busybox`]);
  const { pid } = engine;
  await engine.kill('SIGKILL');
  await engine.restart();
  assert.is.not(engine.pid, pid);
  assert.is(await docker(engine, 'images', '--quiet').then((ids) => ids.length), 12);
});

test('nothing is left of an engine that had a container', async () => {
  {
    await using engine = await startEngine({ name: 'gone' });
    await startContainer(engine);
  }
  assert.equal(await thingsOf(process.pid), []);
});

test('nothing is left of an engine whose owner was killed, once one or several sweep', async () => {
  const owner = spawn(process.execPath, ['--import', 'tsx', ownerScript], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: unknown[] = await once(owner.stdout.setEncoding('utf8'), 'data');
  await startContainer({ host: String(line).trim() });
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  assert.ok((await thingsOf(owner.pid ?? 0)).length > 0);
  await Promise.all([sweepDeadOwners(), sweepDeadOwners(), sweepDeadOwners()]);
  assert.equal(await thingsOf(owner.pid ?? 0), []);
});

const ownerScript = fileURLToPath(new URL('engine-owner.ts', import.meta.url));

test.run();
