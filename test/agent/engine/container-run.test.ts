import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { Mask } from '../../../shared/mask/mask.ts';
import type { ArchfarmError } from '../../../shared/errors.ts';
import { failureOf } from './build-rig.ts';
import { refusal, startFakeEngine } from './fake-engine.ts';

const imageId = `sha256:${'1'.repeat(64)}`;
const container = '/containers/archfarm-run-*';

/** What a test ends with whose container the engine does not start, and says this of it. */
async function failureOfStart(said: string): Promise<ArchfarmError> {
  await using fake = await startFakeEngine({
    'POST /containers/create': { status: 201, body: JSON.stringify({ Id: 'c1' }) },
    [`POST ${container}/attach`]: '',
    [`POST ${container}/start`]: refusal(said),
    [`DELETE ${container}`]: { status: 204 },
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: '/nowhere' });
  return await failureOf(
    engine.test(
      { imageId, test: { command: ['/app'], network: false, timeout: 20_000 } },
      { signal: AbortSignal.timeout(20_000), mask: new Mask(), onEvent: () => {} },
    ),
  );
}

const runc =
  'OCI runtime create failed: runc create failed: unable to start container process: error during container init: ';

test('a user, directory or command that the image does not have fails its test', async () => {
  const faults = [
    ['linux spec user: ', 'unable to find user app: no matching entries in passwd file'],
    ['', 'unable to find group staff: no matching entries in group file'],
    ['', 'no matching entries in passwd file'],
    [runc, 'chdir to cwd ("/srv/app") set in config.json failed: not a directory: unknown'],
    [runc, 'exec: "/app": stat /app: no such file or directory: unknown'],
    [runc, 'exec /app: no such file or directory: unknown'],
    [runc, 'exec: "app": executable file not found in $PATH: unknown'],
  ] as const;
  for (const [before, fault] of faults) {
    const failure = await failureOfStart(`${before}${fault}`);
    assert.equal(
      [failure.code, failure.message],
      ['test-failed', `the test could not be started: ${fault}`],
      fault,
    );
  }
});

test('an engine that lacks what it starts containers with is no fault of the image', async () => {
  const troubles = [
    'failed to create shim task: fork/exec /usr/bin/runc: no such file or directory: unknown',
    `${runc}error mounting "proc" to rootfs at "/proc": operation not permitted: unknown`,
  ];
  for (const trouble of troubles) {
    assert.is((await failureOfStart(trouble)).code, 'engine-error', trouble);
  }
});

test.run();
