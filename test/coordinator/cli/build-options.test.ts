import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readBuildOptions } from '../../../coordinator/cli/build-options.ts';
import { noAnnotations } from '../../../coordinator/project/annotations.ts';
import { defaultLimits } from '../../../shared/context/limits.ts';
import { ArchfarmError } from '../../../shared/errors.ts';

const surroundings = {
  cwd: '/w',
  environment: { FROM_ENV: 'value', SSH_AUTH_SOCK: '/run/agent.sock' },
};

test('without flags everything has its default', () => {
  assert.equal(readBuildOptions({}, surroundings), {
    tags: [],
    platforms: [],
    optional: [],
    agentLabels: {},
    priority: undefined,
    dockerfile: undefined,
    contexts: [],
    args: {},
    labels: {},
    target: undefined,
    network: undefined,
    noCache: false,
    pull: false,
    secrets: [],
    ssh: [],
    cacheFrom: [],
    inlineCache: false,
    suffix: undefined,
    type: undefined,
    annotations: noAnnotations,
    attestations: undefined,
    childTags: false,
    test: undefined,
    verify: undefined,
    force: false,
    allowEmulation: false,
    waitAgent: 15_000,
    timeout: undefined,
    project: undefined,
    detach: false,
    dryRun: false,
    progress: 'auto',
    metadataFile: undefined,
    iidfile: undefined,
    registry: { insecureRegistry: [], registryConfig: undefined, registryCa: [], tokenServer: [] },
    contextLimits: defaultLimits,
  });
});

test('lists, pairs, mounts and durations are read', () => {
  const options = readBuildOptions(
    {
      platform: ['linux/amd64, linux/arm64', 's390x'],
      buildArg: ['A=1=2', 'EMPTY=', 'FROM_ENV', 'NOT_THERE'],
      label: ['a=b', 'c'],
      secret: ['id=a,src=key.pem', 'id=b,env=VAR', 'id=FROM_ENV', 'id=file'],
      ssh: ['default', 'other=agent.sock'],
      cache: false,
      waitAgent: '2m',
      timeout: '1h30m',
    },
    surroundings,
  );
  assert.equal(options.platforms, ['linux/amd64', 'linux/arm64', 's390x']);
  assert.equal(options.args, { A: '1=2', EMPTY: '', FROM_ENV: 'value' });
  assert.equal(options.labels, { a: 'b', c: '' });
  assert.equal(options.secrets, [
    { id: 'a', type: 'file', path: '/w/key.pem' },
    { id: 'b', type: 'env', variable: 'VAR' },
    { id: 'FROM_ENV', type: 'env', variable: 'FROM_ENV' },
    { id: 'file', type: 'file', path: '/w/file' },
  ]);
  assert.equal(options.ssh, [
    { id: 'default', socket: '/run/agent.sock' },
    { id: 'other', socket: '/w/agent.sock' },
  ]);
  assert.is(options.noCache, true);
  assert.is(options.waitAgent, 120_000);
  assert.is(options.timeout, 5_400_000);
});

test('each wrong value is refused with what to write instead', () => {
  const golden: [flags: object, message: RegExp, hint: RegExp][] = [
    [{ platform: ['armv7'] }, /unknown platform "armv7"/, /linux\/arm\/v7/],
    [{ platform: ['linux/amd64,'] }, /unknown platform ""/, /linux/],
    [{ tag: ['reg.example/Onap/x'] }, /invalid image reference/, /lower case/],
    [{ buildArg: ['=x'] }, /--build-arg "=x" has no name/, /NAME=VALUE/],
    [{ secret: ['token=hunter2'] }, /^invalid --secret$/, /id=ID,src=FILE/],
    [{ secret: ['id=a,src=x,env=Y'] }, /invalid --secret a/, /id=ID,env=VARIABLE/],
    [{ ssh: ['no good'] }, /invalid ssh mount/, /ID or ID=SOCKET/],
    [{ waitAgent: '15' }, /--wait-agent "15" is not a duration/, /15s, 2m or 1h30m/],
    [{ timeout: '0s' }, /--timeout must be longer/, /^$/],
    [{ detach: true, dryRun: true }, /do not go together/, /^$/],
  ];
  for (const [flags, message, hint] of golden) {
    assert.throws(
      () => readBuildOptions(flags, surroundings),
      (error: unknown) =>
        error instanceof ArchfarmError &&
        error.exitStatus === 2 &&
        message.test(error.message) &&
        hint.test(error.hint ?? ''),
      JSON.stringify(flags),
    );
  }
});

test('an ssh mount without an agent is refused', () => {
  assert.throws(
    () => readBuildOptions({ ssh: ['default'] }, { cwd: '/w', environment: {} }),
    /SSH_AUTH_SOCK is not set/,
  );
});

test.run();
