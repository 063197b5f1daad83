import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readBuildOptions } from '../../../coordinator/cli/build-options.ts';
import { createProgram } from '../../../coordinator/cli/program.ts';
import { repeatCommand } from '../../../coordinator/dashboard/build/repeat-command.ts';
import { resolvePlan } from '../../../coordinator/project/resolve.ts';
import type { BuildPlan, BuildSpec } from '../../../coordinator/project/spec.ts';
import { repeatFlags } from '../../../coordinator/server/repeat.ts';
import { submitSchema } from '../../../coordinator/server/spec-schema.ts';
import { exampleResult } from '../../support/frames.ts';
import { sampleSpec } from '../../support/farm-fixtures.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

const run = promisify(execFile);

/** As a shell takes the words. */
async function wordsOf(command: string): Promise<string[]> {
  const { stdout } = await run('sh', ['-c', command.replace('archfarm', String.raw`printf '%s\0'`)]);
  return stdout.split('\0').slice(0, -1);
}

const platforms = exampleResult.platforms.map(({ platform }) => platform);
const [one = '', other = ''] = platforms;
const { root } = sampleSpec().dockerfile;

/** Nothing of it as it is without a word of anybody. */
const unusual: Required<BuildSpec> = {
  name: exampleResult.name,
  tags: exampleResult.tags,
  platforms,
  optional: [other],
  agentLabels: { room: 'the lab' },
  priority: -7,
  args: { VERSION: `1 "$(id)" it's\nof two lines`, EMPTY: '', NPM_TOKEN: 'hidden' },
  labels: { 'org.example.note': 'a = b; c', empty: '' },
  target: 'final',
  noCache: true,
  pull: true,
  network: 'host',
  extraHosts: ['db:10.0.0.1'],
  secrets: ['npm', 'key.pem'],
  ssh: ['default', 'deploy'],
  cacheFrom: ['localhost:5000/onap/cache:latest'],
  suffix: 'tag',
  type: 'oci',
  annotations: {
    index: { 'org.example.a': 'x,y', 'manifest-descriptor:b': '1=2' },
    everyPlatform: { c: '' },
    platforms: { [one]: { c: 'own', 'org.example.d': 'z' } },
  },
  attestations: 'strip',
  childTags: true,
  force: true,
  inlineCache: true,
  test: { command: ['/bin/sh', '-c', 'py-app --version | grep "1"'], timeout: 90_000, network: true },
  verify: { command: ['/bin/sh', '-c', 'exec py-app'], timeout: 1500, network: true },
  allowEmulation: true,
  waitAgent: 3_600_000,
  timeout: 5_400_000,
  context: { root, name: 'py-app', files: 3, bytes: 1000 },
  dockerfile: { root, name: 'Dockerfile.prod' },
  perPlatform: { [other]: { args: { ONLY: 'here' } } },
  contexts: [{ name: 'lib', root }],
};

/** What `archfarm build` makes of the command, in a directory that has what it names. */
async function planOf(command: string, file?: string): Promise<BuildPlan> {
  await using directory = await temporaryDirectory();
  const { path: cwd } = directory;
  await mkdir(join(cwd, exampleResult.name));
  await writeFiles(cwd, { 'key.pem': 'from a file', ...(file !== undefined && { 'compose.yaml': file }) });
  const surroundings = {
    cwd,
    environment: { npm: 'value', SSH_AUTH_SOCK: '/run/agent.sock', NPM_TOKEN: 'hidden' },
  };
  const program = createProgram({
    signal: AbortSignal.abort(),
    second: () => AbortSignal.abort(),
    exit: () => {},
  });
  let plan: BuildPlan | undefined;
  program.commands
    .find((each) => each.name() === 'build')
    ?.action(async (target: string, flags: unknown) => {
      ({ plan } = await resolvePlan(target, readBuildOptions(flags, surroundings), surroundings));
    });
  await program.parseAsync(await wordsOf(command), { from: 'user' });
  if (plan === undefined) throw new Error('no plan');
  return plan;
}

function commandOf(spec: BuildSpec): string {
  return repeatCommand({ ...exampleResult, name: spec.name, repeat: repeatFlags(spec) });
}

test('the command to repeat a build says all of it that flags can say, and no secret', async () => {
  const usual: Partial<BuildSpec> = sampleSpec({ tags: [], platforms: [] });
  // One that comes to what a build may be is to be here, and to be said.
  assert.equal(Object.keys(unusual).toSorted(), Object.keys(submitSchema.entries.spec.entries).toSorted());
  const command = commandOf(unusual);
  assert.not.match(command, 'hidden');
  const plan = await planOf(command);
  const unsaid: (keyof BuildSpec)[] = ['context', 'contexts', 'extraHosts', 'perPlatform'];
  const { secrets, ssh, dockerfile, ...rest } = plan;
  for (const [key, value] of Object.entries(rest)) {
    if (unsaid.some((each) => each === key)) continue;
    assert.equal(value, Reflect.get(unusual, key), key);
    if (key !== 'name') assert.not.equal(value, Reflect.get(usual, key), `${key} is as usual`);
  }
  assert.equal(
    secrets.map(({ id }) => id),
    unusual.secrets,
  );
  assert.equal(
    ssh.map(({ id }) => id),
    unusual.ssh,
  );
  assert.match(JSON.stringify(dockerfile), 'Dockerfile.prod');
  const said = [...Object.keys(rest), 'secrets', 'ssh', 'dockerfile', ...unsaid];
  assert.equal(
    Object.keys(unusual).filter((key) => !said.includes(key)),
    [],
  );
});

test('what no flag says is told of', () => {
  assert.equal(repeatFlags(sampleSpec()).others, []);
  assert.equal(repeatFlags(unusual).others, [
    'extra hosts',
    'the context lib (--build-context lib=DIRECTORY)',
    'what is different on a platform',
    'the source of the secret npm',
    'the source of the secret key.pem',
  ]);
  const listed = { command: ['py-app', '--version'], timeout: 600_000, network: false };
  const { flags, others } = repeatFlags(sampleSpec({ test: listed, verify: listed }));
  assert.equal([flags, others], [[], ['the test', 'what is run to verify']]);
});

test('a usual build needs no flag', () => {
  const { name, tags } = exampleResult;
  assert.is(
    commandOf(sampleSpec({ name })),
    `archfarm build ${name} -t ${tags.join(' -t ')} --platform ${platforms.join()}`,
  );
  assert.equal(repeatFlags(sampleSpec({ verify: { timeout: 600_000, network: false } })).flags, ['--verify']);
});

test('what a file says for one platform is not said for all of them', () => {
  const spec = sampleSpec({
    args: { A: '1', B: '2' },
    labels: { a: '1', b: '2' },
    target: 'base',
    dockerfile: { root, name: 'Dockerfile.base' },
    perPlatform: {
      [other]: { args: { A: 'own' }, labels: { a: 'own' }, target: 'own', dockerfile: { root, name: 'own' } },
    },
  });
  const { args, flags, target, dockerfile } = repeatFlags(spec);
  assert.equal([args, flags, target, dockerfile], [['B=2'], ['--label', 'b=2'], undefined, undefined]);
});

test('secrets and ssh mounts by their ids alone are had from where the project file says', async () => {
  const file = `
services:
  ${exampleResult.name}:
    image: localhost:5000/onap/py-app
    build:
      context: .
      secrets: [npm]
      ssh: [deploy=/run/other.sock]
secrets:
  npm:
    file: key.pem
`;
  const { secrets, ssh } = await planOf(commandOf(unusual), file);
  const [npm, key] = ['npm', 'key.pem'].map((id) => secrets.find((each) => each.id === id));
  assert.match(JSON.stringify(npm), '/key.pem');
  assert.match(JSON.stringify(key), '/key.pem');
  assert.is(ssh.find(({ id }) => id === 'deploy')?.socket, '/run/other.sock');
  assert.is(ssh.find(({ id }) => id === 'default')?.socket, '/run/agent.sock');
});

test('a name is no flag, whatever it looks like', async () => {
  const words = await wordsOf(commandOf(sampleSpec({ name: '--metadata-file=/etc/passwd' })));
  assert.equal(words.slice(-2), ['--', '--metadata-file=/etc/passwd']);
});

test.run();
