import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Link } from '../../agent/link.ts';
import { silentLogger } from '../../shared/log.ts';
import type { Hello } from '../../shared/messages.ts';
import { defaultTimers, type Timers } from '../../shared/timers.ts';
import { until } from '../support/until.ts';
import { socketServer } from '../support/web-sockets.ts';

const hello: Hello = {
  type: 'hello',
  protocol: 1,
  version: '0',
  name: 'a',
  session: 'session-1',
  platforms: [],
  slots: 1,
  weight: 1,
  labels: {},
  engine: { version: '20', apiVersion: '1.41' },
  state: 'ready',
  attempts: [],
};

function linkTo(coordinator: URL, timers: Partial<Timers> = {}): Link {
  return new Link({
    coordinator,
    token: undefined,
    trust: () => ({}),
    timers: { ...defaultTimers, reconnect: 10, reconnectMax: 10, ...timers },
    log: silentLogger,
    hello: () => hello,
    state: () => ({ state: 'ready' }),
    up: () => {},
    down: () => {},
    message: () => {},
  });
}

const welcome = JSON.stringify({
  type: 'welcome',
  protocol: 1,
  version: '0',
  heartbeat: 10_000,
  lost: 45_000,
});

test('a connection that is being closed counts as lost from then, not from the one before it', async () => {
  await using server = await socketServer((socket) => socket.once('message', () => socket.send(welcome)));
  const stop = new AbortController();
  const link = linkTo(server.url);
  const running = link.run(stop.signal);
  await until(() => link.up);
  const later = performance.now() + 3_600_000;
  assert.is(link.downFor(later), 0);
  link.redial('for a test');
  assert.is(link.up, false);
  assert.is(link.downFor(later), 0);
  stop.abort();
  await running;
});

test('a coordinator that never says welcome is given up and dialed again', async () => {
  await using server = await socketServer();
  const stop = new AbortController();
  const link = linkTo(server.url, { lost: 50 });
  const running = link.run(stop.signal);
  await until(() => server.sockets.length > 1);
  assert.match(link.lastError, 'does not answer');
  stop.abort();
  await running;
});

test.run();
