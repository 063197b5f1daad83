import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { FeedLine } from '../../../coordinator/server/farm-feed.ts';
import { ask } from '../../support/http-request.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';

const built = await readdir(new URL('../../../dist/dashboard', import.meta.url));

async function get(
  running: RunningCoordinator,
  path: string,
  headers: IncomingHttpHeaders = {},
): Promise<IncomingMessage> {
  const outgoing = request(new URL(path, running.url), { agent: false, headers });
  outgoing.end();
  const [answer]: IncomingMessage[] = await once(outgoing, 'response');
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

test('the page and its files need no token, and say how far they go', async () => {
  await using running = await runningCoordinator();
  for (const path of ['/', '/builds', '/builds/1qeaqexa9vwts', '/agents']) {
    const page = await get(running, path);
    page.resume();
    assert.is(page.statusCode, 200, path);
    assert.is(page.headers['cache-control'], 'no-cache');
    assert.match(
      String(page.headers['content-security-policy']),
      /default-src 'none'; script-src 'self'; style-src 'self'/,
    );
    assert.not.match(String(page.headers['content-security-policy']), /unsafe|http|\*/);
    assert.is(page.headers['x-content-type-options'], 'nosniff');
  }
  const script = built.find((name) => name.endsWith('.js'));
  const file = await get(running, `/assets/${script}`, { 'accept-encoding': 'gzip' });
  file.resume();
  assert.is(file.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.is(file.headers['content-encoding'], 'gzip');
  assert.match(String(file.headers['cache-control']), /immutable/);
  // A page says better than a router what is wrong with an address.
  for (const path of ['/builds/%', '/builds/%ff?text=%', '/agents/%zz']) {
    const page = await get(running, path);
    page.resume();
    assert.is(page.statusCode, 200, path);
    assert.is(page.headers['content-type'], 'text/html; charset=utf-8');
  }
  const own = /^\{"error":\{"code":"(?:usage|not-found)"/;
  for (const path of ['/v1/builds/%', '/nothing/%']) {
    assert.match(JSON.stringify((await running.ask(path)).body), own, path);
  }
  for (const path of ['/assets/index.html', '/assets/..%2Fpackage.json', '/assets/nothing.js']) {
    const nothing = await get(running, path);
    nothing.resume();
    assert.is(nothing.statusCode, 404, path);
  }
});

test('its own page may ask, and no other, whatever token that has', async () => {
  await using running = await runningCoordinator();
  const { origin, host } = running.url;
  const drain = async (headers: Record<string, string>): Promise<number> => {
    const answer = await running.ask('/v1/agents/nobody/drain', { method: 'POST', body: {}, headers });
    return answer.status;
  };
  // There is no such agent: whoever hears that was let in.
  assert.is(await drain({ origin }), 404);
  assert.is(await drain({ origin, 'sec-fetch-site': 'same-origin' }), 404);
  const foreign: Record<string, string>[] = [
    { origin: 'http://evil.example' },
    { origin: `http://${host}.evil.example` },
    { origin: 'null' },
    { origin, host: 'evil.example' },
    { origin, 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of foreign) assert.is(await drain(headers), 403, JSON.stringify(headers));
  const without = await ask(new URL('/v1/farm', running.url), { headers: { origin } });
  assert.is(without.status, 401);
});

test('whoever watches the farm is told all of it, and then what changes', async () => {
  await using running = await runningCoordinator();
  const agent = await running.agent({
    name: 'pi-01',
    session: 'session-1',
    engine: { version: '28.3', apiVersion: '1.51' },
  });
  await agent.wait('welcome');
  const answer = await get(running, '/v1/farm', { authorization: `Bearer ${testToken}` });
  const lines = createInterface({ input: answer });
  const next = lines[Symbol.asyncIterator]();
  const line = async (): Promise<FeedLine> => {
    for (;;) {
      const { value, done } = await next.next();
      if (done === true) throw new Error('the feed has ended');
      if (value !== '') return JSON.parse(value);
    }
  };
  const first = await line();
  assert.is(first.type, 'farm');
  assert.equal(
    first.agents.map(({ name, state, engine }) => [name, state, engine?.version]),
    [['pi-01', 'ready', '28.3']],
  );
  const disks = [{ path: '/var/lib/docker', free: 5, size: 10 }];
  agent.send({ type: 'beat', state: 'cordoned', reason: 'disk: full', disks });
  const second = await line();
  assert.is(second.type, 'change');
  assert.equal(
    second.agents.map(({ state, reason, disks: told }) => [state, reason, told]),
    [['cordoned', 'disk: full', disks]],
  );
  agent.socket.terminate();
  const third = await line();
  assert.equal(
    third.agents.map(({ state }) => state),
    ['offline'],
  );
  // That seconds pass is no news: the next line is that it has come back.
  const back = await running.agent({ name: 'pi-01', session: 'session-2' });
  await back.wait('welcome');
  assert.equal(
    (await line()).agents.map(({ state }) => state),
    ['ready'],
  );
  answer.destroy();
});

test.run();
