/** A farm as the README files set it up, look at it, save it and bring it back: their own lines, without an engine. */
import { cp, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRegistry } from '../scripts/rig/registry.ts';
import { Resources } from '../scripts/rig/resources.ts';
import { scratchDirectory } from '../scripts/rig/scratch.ts';
import { codeSpans, documentAt, sectionOf } from './support/documents.ts';
import { isolatedEnv } from './support/farm-processes.ts';
import { freePort } from '../scripts/rig/free-port.ts';
import { pullDocument, pushSample } from './support/sample-image.ts';
import { blockWith, ShownCommands } from './support/shown-commands.ts';
import { testAuthority } from './support/certificates.ts';
import { until } from './support/until.ts';
import { writeFiles } from './support/write-files.ts';

const [readme, agentReadme, coordinatorReadme] = await Promise.all(
  ['README.md', 'agent/README.md', 'coordinator/README.md'].map(documentAt),
);
assert.ok(readme && agentReadme && coordinatorReadme);

const resources = new Resources();
const { path: dir } = resources.use(await scratchDirectory('shown'));
const registry = resources.use(await startRegistry());
const port = await freePort();
const data = `${dir}/coordinator`;
const home = { ...(await isolatedEnv(`${dir}/home`)), XDG_CONFIG_HOME: `${dir}/home/config` };
/** It dials again soon. */
const hostEnv = { DOCKER_HOST: `unix://${dir}/no-engine.sock`, ARCHFARM_TIMERS: '0.1' };
const agentEnv = { ...hostEnv, ARCHFARM_DATA: `${dir}/agent` };
const shell = await ShownCommands.open({
  directory: dir,
  env: home,
  replaced: [
    ['registry.lab:5000', registry.host],
    ['0.0.0.0:7480', `127.0.0.1:${port}`],
    ['127.0.0.1:7480', `127.0.0.1:${port}`],
    ['coordinator.lab:7480', `127.0.0.1:${port}`],
    ['coordinator.lab', '127.0.0.1'],
    ['/var/lib/archfarm-agent', `${dir}/agent`],
    ['/var/lib/archfarm', data],
    ['/var/backups', `${dir}/backups`],
    ['ARCHFARM_TOKEN=…', 'ARCHFARM_TOKEN=$(cat token)'],
    // Whoever runs it sees it.
    ['openssl rand -hex 24', 'openssl rand -hex 24 | tee token'],
  ],
});
const admin = (): Promise<NodeJS.ProcessEnv> =>
  readFile(`${dir}/token`, 'utf8').then((token) => ({
    ARCHFARM_COORDINATOR: `https://127.0.0.1:${port}`,
    ARCHFARM_CA: `${dir}/ca.crt`,
    ARCHFARM_TOKEN: token.trim(),
  }));

/** What must succeed. */
async function run(block: string, env?: NodeJS.ProcessEnv, input?: string): Promise<string> {
  const { status, stdout, stderr } = await shell.run(block, env, input);
  assert.is(status, 0, `${block}\n${stderr}`);
  return stdout;
}

const serving = {
  log: `${dir}/coordinator.log`,
  ready: async () => (await shell.run(`curl -sk https://127.0.0.1:${port}/healthz`)).status === 0,
};
let coordinator = await shell.start(blockWith(coordinatorReadme, 'archfarm serve --tls --tls-name'), serving);
resources.defer(() => coordinator[Symbol.asyncDispose]());
await cp(`${data}/tls/ca.crt`, `${dir}/ca.crt`);

const isListed = (name: string) => async (): Promise<boolean> => {
  const ask = `curl -s --cacert ca.crt -H "Authorization: Bearer $(cat token)" https://127.0.0.1:${port}/v1/agents`;
  return (await shell.run(ask)).stdout.includes(`"${name}"`);
};
/** Long enough for a machine that has other things to do. */
const patience = { timeout: 60_000, every: 200 };

test('a host joins and runs by the lines that are shown', async () => {
  const printed = await run(blockWith(readme, 'archfarm agents add pi-01'));
  const [, token = ''] = /^archfarm-agent join wss:\S+ (\S+)\n$/.exec(printed) ?? [];
  assert.ok(token, printed);
  const [join = '', start = ''] = blockWith(agentReadme, 'archfarm-agent run\n').split('\n');
  await run(join.replace('TOKEN', token), agentEnv);
  resources.use(
    await shell.start(start, { log: `${dir}/agent.log`, env: agentEnv, ready: isListed('pi-01') }),
  );
  await run(blockWith(coordinatorReadme, 'archfarm agents drain'), await admin());
  const status: unknown = JSON.parse(await run(blockWith(agentReadme, 'archfarm-agent status --data')));
  assert.ok(typeof status === 'object' && status !== null);
  for (const key of Object.keys(status)) assert.ok(agentReadme.text.includes(`\`${key}\``), key);
  const examined = await shell.run(blockWith(agentReadme, 'archfarm-agent doctor --coordinator'), agentEnv);
  assert.is(examined.status, 1);
  assert.match(examined.stdout, /engine/);
  assert.match(await run(blockWith(agentReadme, 'install --dry-run')), /# \/etc\/archfarm\/agent\.env\n/);
});

test('a user is added, signs in and learns who it is', async () => {
  const [add = '', ...rest] = blockWith(coordinatorReadme, 'archfarm users add alice').split('\n');
  const token = await run(add, await admin());
  const told = await run(rest.join('\n'), {}, token);
  assert.match(told, /alice/);
  assert.match(
    await run(blockWith(coordinatorReadme, 'openssl x509')),
    /^sha256 Fingerprint=[0-9A-F:]{95}\n$/i,
  );
});

test('a user is known by the certificate that was named', async () => {
  await using authority = await testAuthority();
  const { files } = await authority.sign('DNS:x');
  await cp(files.certificate, `${dir}/bob.crt`);
  await cp(files.key, `${dir}/bob.key`);
  const told = await run(blockWith(coordinatorReadme, '--certificate bob.crt'), await admin());
  assert.match(told, /"name":"bob","role":"read"/);
});

test('the API, the audit and the list of agents answer as they are asked', async () => {
  assert.equal(
    JSON.parse(await run(blockWith(coordinatorReadme, 'curl --cacert ca.crt -H'), await admin())),
    {
      builds: [],
    },
  );
  assert.match(
    await run(blockWith(coordinatorReadme, 'archfarm audit --since'), await admin()),
    /none of them altered/,
  );
});

test('what is said to those who made lists with other tools makes the same lists', async () => {
  const image = `${registry.host}/onap/py-app`;
  const platforms = {
    amd64: { os: 'linux', architecture: 'amd64' },
    arm64v8: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  };
  for (const [suffix, platform] of Object.entries(platforms))
    await pushSample({ host: registry.host, repository: `onap/py-app-${suffix}` }, { platform });
  await run(`archfarm manifest create --push ${image} ${image}-amd64 ${image}-arm64v8`);
  const manifests = Object.entries(platforms).map(([suffix, platform]) => ({
    image: `${image}-${suffix}`,
    platform,
  }));
  // JSON is YAML.
  await writeFile(`${dir}/py-app.yaml`, JSON.stringify({ image: `${registry.host}/onap/spec`, manifests }));
  const commands = codeSpans(sectionOf(readme, '## Coming from elsewhere')).filter((span) =>
    /^archfarm (?:inspect|manifest|push) /.test(span),
  );
  assert.ok(commands.length >= 10, commands.join('\n'));
  for (const command of commands) await run(command);
  const wanted = await pullDocument({ host: registry.host, repository: 'onap/py-app' }, 'latest');
  for (const repository of ['onap/list', 'onap/spec'])
    assert.equal(await pullDocument({ host: registry.host, repository }, 'latest'), wanted, repository);
});

test('a copy of a coordinator that runs is brought back, and knows what it knew then', async () => {
  const env = await admin();
  const context = await writeFiles(`${dir}/context`, { Dockerfile: 'FROM scratch\nCOPY f /\n', f: 'f' });
  const build = `archfarm build ${context} -t ${registry.host}/app --platform linux/amd64 --wait-agent 1h --detach`;
  const id = (await run(build, env)).trim();
  await run(blockWith(coordinatorReadme, '.backup'));
  assert.is((await stat(`${dir}/backups/archfarm`)).mode & 0o777, 0o700);
  await run(`archfarm cancel ${id}; archfarm users rm alice`, env);
  const late = await run('archfarm agents add late', env);
  await run(`${late.trim()} --data ${dir}/late`);

  await coordinator[Symbol.asyncDispose]();
  await rename(data, `${dir}/before`);
  coordinator = await shell.start(blockWith(coordinatorReadme, '/var/backups/archfarm/.'), {
    ...serving,
    env,
  });
  assert.match(await run('archfarm audit verify', env), /none of them altered/);
  assert.is((await run('archfarm builds --status queued --quiet', env)).trim(), id);
  await run(`archfarm cancel ${id}`, env);
  assert.match(await run('archfarm whoami'), /alice/);
  await until(isListed('pi-01'), patience);
  await using stranger = await shell.start(`archfarm-agent run --data ${dir}/late`, {
    log: `${dir}/late.log`,
    env: hostEnv,
    ready: async () => true,
  });
  await until(async () => /late is not known to this coordinator/.test(await stranger.output()), patience);
});

test('gives everything back', () => resources[Symbol.asyncDispose]());

test.run();
