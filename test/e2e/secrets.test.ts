/** What a client lends to the steps of its build, on its way through coordinator and agents to both platforms. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase, sshBase } from '../../scripts/rig/base-image.ts';
import { startEmulation } from '../../scripts/rig/emulation.ts';
import { startEngine, type RunningEngine } from '../../scripts/rig/engine.ts';
import { startRegistry, type RunningRegistry } from '../../scripts/rig/registry.ts';
import { Resources } from '../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { buildImage, runBuild } from '../support/build-command.ts';
import { startFarmProcesses, type FarmProcesses } from '../support/farm-processes.ts';
import { readPublished } from '../support/published-image.ts';
import { startSshAgent, type RunningSshAgent } from '../support/ssh-agent.ts';
import { stepOutput } from '../support/step-output.ts';
import { blobsWith, filesWith, processesWith } from '../support/text-search.ts';
import { until } from '../support/until.ts';

const platforms = ['linux/amd64', 'linux/arm64/v8'];
const both = ['--platform', platforms.join(','), '--allow-emulation'];
const keyComment = `key-of-the-client-${randomBytes(6).toString('hex')}`;
const fileCanary = `canary-in-a-file-${randomBytes(12).toString('hex')}`;
const envCanary = `canary-in-a-variable-${randomBytes(12).toString('hex')}`;

interface Setting extends AsyncDisposable {
  readonly farm: FarmProcesses;
  /** Of the client. */
  readonly dir: string;
  readonly registry: RunningRegistry;
  readonly engine: RunningEngine;
  readonly sshAgent: RunningSshAgent;
}

async function setUp(): Promise<Setting> {
  await using started = new Resources();
  const { path: dir } = started.use(await scratchDirectory('client'));
  await writeFile(`${dir}/token`, fileCanary);
  started.use(await startEmulation());
  const registry = started.use(await startRegistry());
  const sshAgent = started.use(await startSshAgent(keyComment));
  const engine = started.use(await startEngine({ name: 'secret-engine' }));
  const { host } = engine;
  const agents = [
    { name: 'a', platforms: ['linux/amd64'], engine: host, allow: 'ssh' },
    { name: 'b', platforms: ['linux/arm64'], engine: host, allow: 'ssh' },
  ];
  const farm = started.use(await startFarmProcesses({ agents }));
  const resources = started.move();
  return {
    farm,
    dir,
    registry,
    engine,
    sshAgent,
    [Symbol.asyncDispose]: () => resources[Symbol.asyncDispose](),
  };
}

const setting = await setUp();
const { farm, dir, registry, engine, sshAgent } = setting;

/** Flags for a Dockerfile of its own over a context with one directory a platform. */
async function steps(name: string, ...lines: string[]): Promise<string[]> {
  const dockerfile = ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ...lines, ''];
  await writeFile(`${dir}/${name}.dockerfile`, dockerfile.join('\n'));
  return ['-f', `${dir}/${name}.dockerfile`, '-t', `${registry.host}/${name}`];
}

test('secrets from a file and from a variable reach the step that mounts them, and are found nowhere', async () => {
  const marker = `visible-${randomBytes(6).toString('hex')}`;
  const sum = 'busybox sha256sum /run/secrets/file /run/secrets/variable';
  const mounts = '--mount=type=secret,id=file --mount=type=secret,id=variable';
  const flags = await steps('secret', `RUN ${mounts} ${sum} && echo ${marker} | cat > /proof && cat /proof`);
  const secrets = ['--secret', `id=file,src=${dir}/token`, '--secret', 'id=variable,env=CANARY'];
  const { frames } = await buildImage([await busyboxBase(), ...flags, ...both, ...secrets], {
    env: { ...farm.env, CANARY: envCanary },
  });
  for (const platform of platforms) {
    const output = stepOutput(frames, platform);
    for (const canary of [fileCanary, envCanary]) {
      assert.match(output, createHash('sha256').update(canary).digest('hex'));
    }
  }

  const pids = [farm.coordinator, ...farm.agents].map(({ pid }) => pid);
  // The children's blobs are all that the platform images hold, too.
  const list = await readPublished({ host: registry.host, repository: 'secret' });
  assert.ok(list);
  const blobs = [...list.documents, ...list.blobs];
  // Not that the search finds nothing anyway: two configs, and a layer that may be common to both.
  assert.ok(blobsWith(marker, blobs) >= 3);
  assert.ok((await filesWith(marker, [farm.dir])).length > 0);
  assert.ok((await processesWith('archfarm', pids)).length >= 3);
  for (const canary of [fileCanary, envCanary].flatMap(forms)) {
    assert.is(blobsWith(canary, blobs), 0);
    assert.equal(await filesWith(canary, [farm.dir, registry.dir, engine.dir]), []);
    assert.equal(await processesWith(canary, pids), []);
  }
});

test('a step that prints its secret prints stars, for another build that shares the step, too', async () => {
  const printed = randomBytes(30).toString('base64');
  await writeFile(`${dir}/printed`, `${printed}\n`);
  const lines = [
    'busybox cat /run/secrets/key; busybox base64 /run/secrets/key; echo user:$(busybox cat /run/secrets/key) | busybox base64',
    'busybox head -c 20 /run/secrets/key; busybox sleep 2; busybox tail -c +21 /run/secrets/key',
    'echo failed: $(busybox cat /run/secrets/key); exit 7',
  ];
  const flags = await steps('printed', `RUN --mount=type=secret,id=key ${lines.join('; ')}`);
  const build = [
    await busyboxBase(),
    ...flags,
    '--platform',
    'linux/amd64',
    '--secret',
    `id=key,src=${dir}/printed`,
  ];
  const builds = await Promise.all([
    runBuild(build, farm),
    runBuild([...build, '-t', `${registry.host}/other`], farm),
  ]);
  const outputs: string[] = [];
  for (const { status, frames, stderr, result } of builds) {
    assert.is(status, 1, stderr);
    const output = stepOutput(frames, 'linux/amd64');
    outputs.push(output);
    for (const half of [printed.slice(0, 20), printed.slice(21)]) {
      assert.not.ok(`${output}${stderr}${JSON.stringify(result)}`.includes(half), output);
    }
  }
  // Whoever came to the step later has heard part of it, or nothing.
  const whole = /^\*\*\*\n\*\*\*\nd\S{1,8}\*\*\*.*\n\*\*\*\nfailed: \*\*\*$/;
  assert.ok(
    outputs.some((output) => whole.test(output)),
    outputs.join('\n--\n'),
  );
  for (const half of [printed.slice(0, 20), printed.slice(21)]) {
    assert.equal(await filesWith(half, [farm.dir]), []);
  }
});

test('a step on either platform asks the ssh agent of the client', async () => {
  const flags = await steps('ssh', 'RUN --mount=type=ssh ssh-add -l');
  const ssh = ['--ssh', `default=${sshAgent.socket}`];
  const { frames } = await buildImage([await sshBase(), ...flags, ...both, ...ssh], farm);
  for (const platform of platforms) {
    assert.match(stepOutput(frames, platform), `${sshAgent.fingerprint} ${keyComment}`);
  }
});

test('an ssh agent whose client is away fails the build, which names the agent', async () => {
  const flags = await steps('away', 'RUN --mount=type=ssh,id=deploy ssh-add -l');
  const ssh = ['--ssh', `deploy=${sshAgent.socket}`, '--platform', 'linux/amd64', '--detach'];
  const submitted = await archfarm(['build', await sshBase(), ...flags, ...ssh], farm);
  assert.is(submitted.status, 0, submitted.stderr);
  const id = submitted.stdout.trim();
  const shown = await until(
    async () => {
      const { stdout } = await archfarm(['show', id, '--json'], farm);
      return /"status": *"failed"/.test(stdout) && stdout;
    },
    { timeout: 60_000, what: 'the build fails' },
  );
  assert.match(shown, /"code": *"client-gone"/);
  assert.match(shown, /ssh agent \\"deploy\\"/);
});

test('a secret that the client cannot read is exit 2 and named', async () => {
  const flags = await steps('unreadable', 'RUN true');
  const build = ['build', await busyboxBase(), ...flags, '--secret'];
  const file = await archfarm([...build, `id=api-key,src=${dir}/missing`], farm);
  assert.is(file.status, 2);
  assert.match(file.stderr, /secret api-key: cannot read .*missing/);
  const variable = await archfarm([...build, 'id=api-key,env=NOT_SET_ANYWHERE'], farm);
  assert.is(variable.status, 2);
  assert.match(variable.stderr, 'secret api-key: the variable NOT_SET_ANYWHERE is not set');
});

test('a step that needs a secret the build was not given fails, and the message names it', async () => {
  const mount = '--mount=type=secret,id=forgotten,required=true';
  const flags = await steps('forgotten', `RUN ${mount} cat /run/secrets/forgotten`);
  const build = await runBuild([await busyboxBase(), ...flags, '--platform', 'linux/amd64'], farm);
  assert.is(build.status, 1, build.stderr);
  assert.match(build.result.error?.message ?? '', 'forgotten');
});

test('coordinator and agents end when they are told to', async () => {
  await setting[Symbol.asyncDispose]();
  for (const { ended } of [farm.coordinator, ...farm.agents]) assert.is(await ended, 'exit code 0');
});

test.run();

/** How it could be written down. */
function forms(text: string): string[] {
  // Cut, because what stands around it decides the last characters.
  return [text, Buffer.from(text).toString('base64').slice(0, -4), Buffer.from(text).toString('hex')];
}
