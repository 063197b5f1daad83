import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Connection } from '../../../agent/engine/connection.ts';
import { FreshBases } from '../../../agent/engine/fresh-bases.ts';
import { untilAborted } from '../../../shared/abort.ts';
import { failureOf } from '../../support/failure.ts';
import { until } from '../../support/until.ts';
import { refusal, startFakeEngine, type Answers } from './fake-engine.ts';

const step = {
  type: 'step',
  time: 0,
  step: '1',
  name: '[internal] load metadata for host/base:1',
  status: 'started',
} as const;
const look = 'GET /images/host/base:1/json';

async function withEngine(
  answers: Answers,
  work: (bases: FreshBases, asked: readonly string[]) => Promise<void>,
  signal = AbortSignal.timeout(20_000),
): Promise<void> {
  await using fake = await startFakeEngine(answers);
  const connection = new Connection({ host: fake.host, environment: {} });
  await work(new FreshBases(connection, signal), fake.asked);
}

test('a base that the engine does not have is fresh', async () => {
  await withEngine({ [look]: refusal('No such image: host/base:1', 404) }, async (bases) => {
    bases.watch(step);
    await bases.settled();
    assert.not.ok(bases.signal.aborted);
  });
});

test('one that it has is not, and is named', async () => {
  await withEngine({ [look]: '{}' }, async (bases) => {
    bases.watch(step);
    const error = await failureOf(bases.settled());
    assert.is(error.code, 'config');
    assert.match(error.message, /^host\/base:1 is among the images of the engine/);
    assert.is(bases.signal.reason, error);
  });
});

test('a build that is stopped waits for no engine that does not answer', async () => {
  const stop = new AbortController();
  const silence = (): Promise<undefined> => new Promise(() => {});
  await withEngine(
    { [look]: silence },
    async (bases, asked) => {
      bases.watch(step);
      await until(() => asked.includes(look));
      const settled = untilAborted(bases.settled(), AbortSignal.timeout(10_000)).catch((error) => error);
      stop.abort(new Error('stopped'));
      assert.is(await settled, stop.signal.reason);
    },
    stop.signal,
  );
});

test.run();
