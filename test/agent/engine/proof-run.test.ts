import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { currentVersion, refusal, startFakeEngine } from './fake-engine.ts';

const imageId = `sha256:${'1'.repeat(64)}`;
const reference = `host/app@sha256:${'2'.repeat(64)}`;
const container = '/containers/archfarm-run-*';

test('a proof that passed stays one when the engine will not let go of the image', async () => {
  const exited = { Running: false, ExitCode: 0, OOMKilled: false };
  await using fake = await startFakeEngine({
    ...currentVersion,
    [`GET /images/${reference}/json`]: [refusal('no such image', 404), JSON.stringify({ Id: imageId })],
    [`GET /images/${imageId}/json`]: JSON.stringify({ Os: 'linux', Architecture: 'amd64' }),
    'POST /images/create': '{"status":"Download complete"}\n',
    'POST /containers/create': { status: 201, body: JSON.stringify({ Id: 'c1' }) },
    [`POST ${container}/attach`]: '',
    [`POST ${container}/start`]: { status: 204 },
    [`POST ${container}/wait`]: JSON.stringify({ StatusCode: 0 }),
    [`GET ${container}/json`]: JSON.stringify({ State: exited }),
    [`DELETE ${container}`]: { status: 204 },
    [`DELETE /images/${reference}`]: { status: 0 },
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: '/nowhere' });
  const outcome = await engine.prove(
    {
      reference,
      platform: 'linux/amd64',
      auth: { type: 'anonymous' },
      command: ['/bin/true'],
      network: false,
      timeout: 20_000,
    },
    { signal: AbortSignal.timeout(20_000), upAfter: 0 },
  );
  assert.is(outcome.status, 'passed', JSON.stringify(outcome));
  assert.ok(fake.asked.includes(`DELETE /images/${reference}`));
});

test.run();
