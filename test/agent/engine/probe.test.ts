import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import type { WarningEvent } from '../../../shared/progress.ts';
import { failureOf } from './build-rig.ts';
import { refusal, startFakeEngine } from './fake-engine.ts';

const imageId = `sha256:${'1'.repeat(64)}`;
const container = '/containers/archfarm-probe-*';
/** The head of a program for amd64. */
const amd64 = Buffer.from('7f454c4602010100000000000000000002003e00', 'hex');

test('a container that cannot be removed does not hide that the image is of another architecture', async () => {
  const unpacked = pack();
  unpacked.entry({ name: 'app' }, amd64);
  unpacked.finalize();
  const stat = Buffer.from(JSON.stringify({ name: 'app', mode: 0o755, linkTarget: '' })).toString('base64');
  await using fake = await startFakeEngine({
    [`GET /images/${imageId}/json`]: JSON.stringify({ Config: { Entrypoint: ['/app'] } }),
    'POST /containers/create': { status: 201, body: JSON.stringify({ Id: 'c1' }) },
    [`HEAD ${container}/archive`]: { status: 200, headers: { 'x-docker-container-path-stat': stat } },
    [`GET ${container}/archive`]: { status: 200, body: await buffer(unpacked) },
    [`DELETE ${container}`]: refusal('driver "overlay2" failed to remove root filesystem: resource busy'),
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: '/nowhere' });
  const warnings: WarningEvent[] = [];
  const failure = await failureOf(
    engine.checkPrograms(
      { imageId, reference: 'host/app:1', platform: 'linux/arm64' },
      { signal: AbortSignal.timeout(20_000), onEvent: (event) => warnings.push(event) },
    ),
  );
  assert.is(failure.code, 'wrong-architecture');
  assert.equal(warnings, []);
  assert.ok(fake.asked.includes(`DELETE ${container}`));
});

test.run();
