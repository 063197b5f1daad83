/** What the page does when the coordinator, or a proxy before it, answers something else for a while. */
import { answerWith, openLines } from '../../support/page.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { follow, type LinkState } from '../../../coordinator/dashboard/api/lines.ts';
import { askWho, mayAdminister } from '../../../coordinator/dashboard/api/rights.ts';
import { BuildSource } from '../../../coordinator/dashboard/build/build-source.ts';
import { until } from '../../support/until.ts';

/** A way to answer that gives each of these once, and the last from then on. */
function inTurn(...answers: readonly (() => Response)[]): void {
  let next = 0;
  answerWith(() => (answers[Math.min(next++, answers.length - 1)] ?? failure(404))());
}

function failure(status: number, code?: string): () => Response {
  const body =
    code === undefined ? '<h1>Bad Gateway</h1>' : JSON.stringify({ error: { code, message: code } });
  return () => new Response(body, { status });
}

/** The state in which following ends, where it is refused, or else that of the first connection that lives. */
async function stateAfter(answer: () => Response): Promise<LinkState> {
  const stop = new AbortController();
  const states: LinkState[] = [];
  inTurn(answer, () => openLines().response);
  const following = follow({
    path: () => '/v1/farm',
    take: () => {},
    state: (state) => states.push(state),
    signal: stop.signal,
  });
  const last = await until(() => states.find((state) => state === 'live' || state === 'refused'));
  stop.abort();
  if (last === 'refused') await following;
  return last;
}

for (const [status, code] of [[502], [503], [500, 'internal'], [507, 'disk-full'], [408], [429]] as const) {
  test(`an answer of ${status} is waited out`, async () => {
    assert.is(await stateAfter(failure(status, code)), 'live');
  });
}

for (const [status, code] of [
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'not-found'],
  [400, 'usage'],
] as const) {
  test(`an answer of ${status} is a refusal`, async () => {
    assert.is(await stateAfter(failure(status, code)), 'refused');
  });
}

test('a build is asked for until there is an answer, and then followed', async () => {
  const source = new BuildSource('b1');
  const lines = openLines();
  inTurn(
    failure(502),
    failure(500, 'internal'),
    () => Response.json({ build: 'b1', status: 'running' }),
    () => lines.response,
  );
  const running = source.run();
  await until(() => source.error.value?.status === 502, { what: 'the error is shown meanwhile' });
  await until(() => source.state.value === 'live');
  assert.is(source.error.value, undefined);
  assert.is(source.result.value?.build, 'b1');
  source.close();
  lines.close();
  await running;
});

test('a build that is not known is asked for once', async () => {
  const source = new BuildSource('b2');
  inTurn(failure(404, 'not-found'), () => Response.json({ build: 'b2' }));
  await source.run();
  assert.is(source.error.value?.code, 'not-found');
  assert.is(source.result.value, undefined);
});

test('who looks is asked for until there is an answer', async () => {
  inTurn(failure(503), () => Response.json({ type: 'machine', name: '' }));
  await askWho({ signal: AbortSignal.timeout(60_000) });
  assert.ok(mayAdminister.value);
});

test.run();
