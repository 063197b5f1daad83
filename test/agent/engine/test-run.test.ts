import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ContainerRuns } from '../../../agent/engine/container-run.ts';
import { Connection } from '../../../agent/engine/connection.ts';
import { Engine } from '../../../agent/engine/engine.ts';
import { ArchfarmError } from '../../../shared/errors.ts';
import { Mask } from '../../../shared/mask/mask.ts';
import type { TaskEvent } from '../../../shared/progress.ts';
import type { ImageTest } from '../../../shared/task.ts';
import { busyboxBase } from '../../../scripts/rig/base-image.ts';
import { startEmulation } from '../../../scripts/rig/emulation.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { runBuild } from './build-rig.ts';
import { file } from './memory-context.ts';

const base = await busyboxBase();
const emulation = await startEmulation();
const rig = await startEngine({ name: 'test-run' });
const data = await temporaryDirectory();
const engine = new Engine({ host: rig.host, environment: {}, dataDirectory: data.path });

async function imageOf(architecture: string, dockerfile = shellImage): Promise<string> {
  const sh = file(readFileSync(`${base}/${architecture}/usr/bin/busybox`), { mode: 0o755 });
  const task = { platform: `linux/${architecture}` };
  return (await runBuild(engine, { dockerfile, contents: { sh }, task })).image.imageId;
}

/** The entrypoint would fail: it is replaced. */
const shellImage = 'FROM scratch\nCOPY sh /bin/sh\nENTRYPOINT ["/none"]\nVOLUME /data\n';

const image = await imageOf('amd64');

interface TestSetup extends Partial<ImageTest> {
  readonly imageId?: string;
  readonly signal?: AbortSignal;
}

interface Tested {
  readonly error: ArchfarmError | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly steps: readonly string[];
  /** Of output before its line ended. */
  readonly signs: number;
}

async function run({ imageId = image, signal, ...change }: TestSetup): Promise<Tested> {
  const events: TaskEvent[] = [];
  let signs = 0;
  const test: ImageTest = { command: ['/bin/sh', '-c', 'true'], timeout: 60_000, network: false, ...change };
  const running = engine.test(
    { imageId, test },
    {
      signal: signal ?? AbortSignal.timeout(300_000),
      mask: new Mask(),
      onEvent: (event) => events.push(event),
      onSign: () => void (signs += 1),
    },
  );
  const error = await running.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error !== undefined && !(error instanceof ArchfarmError)) throw error;
  const output = (stream: string): string =>
    events
      .flatMap((event) => (event.type === 'log' && event.stream === stream ? [event.text] : []))
      .join('\n');
  const steps = events.flatMap((event) => (event.type === 'step' ? [`${event.name}: ${event.status}`] : []));
  assert.equal(containers(), [], 'its container is gone');
  return { error, stdout: output('stdout'), stderr: output('stderr'), steps, signs };
}

function shell(text: string): string[] {
  return ['/bin/sh', '-c', text];
}

function containers(): string[] {
  const ids = execFileSync('docker', ['-H', rig.host, 'ps', '-aq', '--filter', 'label=archfarm.run']);
  return ids.toString().split('\n').filter(Boolean);
}

test('a test that succeeds has its output in the log', async () => {
  const told = await run({ command: shell('echo out; echo err >&2; printf "no line feed"') });
  assert.is(told.error, undefined, told.error?.message);
  assert.is(told.stdout, 'out\nno line feed');
  assert.is(told.stderr, 'err');
  const name = '[test] echo out; echo err >&2; printf "no line feed"';
  assert.equal(told.steps, [`${name}: started`, `${name}: done`]);
});

test('a test that prints no whole line gives signs of going on', async () => {
  const told = await run({ command: shell('printf .; sleep 0.3; printf .') });
  assert.is(told.error, undefined, told.error?.message);
  assert.is(told.stdout, '..');
  assert.ok(told.signs > 0);
});

test('a test that fails says how', async () => {
  const told = await run({ command: shell('echo broken; exit 3') });
  assert.is(told.error?.code, 'test-failed');
  assert.is(told.error?.message, 'the test ended with exit code 3');
  assert.is(told.stdout, 'broken');
  assert.match(told.steps.at(-1) ?? '', /: failed$/);
});

test('a list is run directly, and what cannot be run fails the test', async () => {
  const listed = await run({ command: ['/bin/sh', '-c', 'echo "$0 $1"', 'a  b', '$HOME'] });
  assert.is(listed.stdout, 'a  b $HOME');
  const scratch = await imageOf('amd64', 'FROM scratch\nCOPY sh /busybox\n');
  const direct = await run({ imageId: scratch, command: ['/busybox', 'echo', 'no shell'] });
  assert.is(direct.error, undefined, direct.error?.message);
  assert.is(direct.stdout, 'no shell');
  const shellless = await run({ imageId: scratch, command: shell('true') });
  assert.is(shellless.error?.code, 'test-failed', shellless.error?.message);
  assert.match(shellless.error?.message ?? '', /could not be started: exec: "\/bin\/sh"/);
  assert.match(shellless.error?.hint ?? '', /a list in the project file/);
});

test('a test has its time and no more', async () => {
  const told = await run({ command: shell('echo begun; sleep 1000'), timeout: 1500 });
  assert.is(told.error?.code, 'test-failed');
  assert.is(told.error?.message, 'the test was not over within 1.5 s');
  assert.is(told.stdout, 'begun');
});

test('a test has no network unless it is asked for', async () => {
  const addresses = shell("ip -o addr | grep -v ' lo ' || true");
  assert.is((await run({ command: addresses })).stdout, '');
  assert.match((await run({ command: addresses, network: true })).stdout, /eth0/);
});

test('an image of another platform is tested under emulation', async () => {
  const told = await run({ imageId: await imageOf('arm64'), command: shell('uname -m') });
  assert.is(told.error, undefined, told.error?.message);
  assert.is(told.stdout, 'aarch64');
});

test('a test that is cancelled ends at once', async () => {
  const cancel = new AbortController();
  const running = run({ command: shell('echo up; sleep 1000'), signal: cancel.signal });
  await until(() => containers().length > 0, { what: 'it runs' });
  cancel.abort(new ArchfarmError('cancelled', 'enough'));
  const told = await running;
  assert.is(told.error?.message, 'enough');
  assert.match(told.steps.at(-1) ?? '', /: cancelled$/);
});

test('what a killed agent left is swept when it starts again, or when its time is over', async () => {
  const connection = new Connection({ host: rig.host, environment: {} });
  const abandoned = async (owner: string, deadline: number): Promise<string> => {
    const name = `left-by-${owner}-${deadline}`;
    const labels = [`archfarm.run=${owner}`, `archfarm.run.until=${deadline}`].flatMap((label) => [
      '--label',
      label,
    ]);
    execFileSync('docker', [
      '-H',
      rig.host,
      'run',
      '-d',
      '--name',
      name,
      ...labels,
      '--entrypoint',
      '/bin/sh',
      image,
      '-c',
      'sleep 1000',
    ]);
    return name;
  };
  const later = Date.now() + 3_600_000;
  const mine = await abandoned('me', later);
  const theirs = await abandoned('other', later);
  const over = await abandoned('other', Date.now() - 3_600_000);
  const left = (): string[] =>
    [mine, theirs, over].filter((name) => {
      const found = execFileSync('docker', ['-H', rig.host, 'ps', '-aq', '--filter', `name=${name}`]);
      return found.length > 0;
    });
  assert.equal(left(), [mine, theirs, over]);
  await new ContainerRuns(connection, 'me').sweep(AbortSignal.timeout(300_000));
  assert.equal(left(), [theirs]);
  await new ContainerRuns(connection, 'other').sweep(AbortSignal.timeout(300_000));
  assert.equal(left(), []);
});

test('gives its engine back', async () => {
  const volumes = execFileSync('docker', ['-H', rig.host, 'volume', 'ls', '-q']);
  assert.is(volumes.toString(), '', 'no volume is left');
  await rig[Symbol.asyncDispose]();
  await data[Symbol.asyncDispose]();
  await emulation[Symbol.asyncDispose]();
});

test.run();
