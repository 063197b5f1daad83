import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../../agent/engine/engine.ts';
import { untilAborted } from '../../../shared/abort.ts';
import { until } from '../../support/until.ts';
import { currentVersion, refusal, startFakeEngine } from './fake-engine.ts';

const imageId = `sha256:${'1'.repeat(64)}`;
const reference = `host/app@sha256:${'2'.repeat(64)}`;
const order = {
  reference,
  platform: 'linux/amd64',
  auth: { type: 'anonymous' as const },
  command: ['/bin/true'],
  network: false,
  timeout: 20_000,
};
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
  const outcome = await engine.prove(order, { signal: AbortSignal.timeout(20_000), upAfter: 0 });
  assert.is(outcome.status, 'passed', JSON.stringify(outcome));
  assert.ok(fake.asked.includes(`DELETE /images/${reference}`));
});

test('one that is stopped leaves its reference to others, also where the engine does not answer', async () => {
  const look = `GET /images/${reference}/json`;
  const asks = (): number => fake.asked.filter((asked) => asked === look).length;
  await using fake = await startFakeEngine({
    ...currentVersion,
    [look]: () => (asks() === 1 ? new Promise(() => {}) : refusal('no such image', 404)),
    'POST /images/create': refusal('not today'),
  });
  const engine = new Engine({ host: fake.host, environment: {}, dataDirectory: '/nowhere' });
  const stop = new AbortController();
  const first = engine.prove(order, { signal: stop.signal, upAfter: 0 }).catch((error: unknown) => error);
  await until(() => asks() === 1);
  stop.abort(new Error('stopped'));
  assert.is(await first, stop.signal.reason);
  const limit = AbortSignal.timeout(10_000);
  const second = await untilAborted(engine.prove(order, { signal: limit, upAfter: 0 }), limit);
  assert.ok(second.status === 'failed' && second.error.message.includes('not today'), JSON.stringify(second));
});

test.run();
