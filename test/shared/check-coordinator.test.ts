import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { checkCoordinator } from '../../shared/check-coordinator.ts';
import { formatChecks, isWell, type Check } from '../../shared/checks.ts';
import { PROTOCOL_VERSION } from '../../shared/messages.ts';
import { startServer } from '../support/logged-server.ts';
import { runningCoordinator, testToken } from '../support/running-coordinator.ts';

const { signal } = new AbortController();
const states = (checks: readonly Check[]): string[] =>
  checks.map(({ subject, state }) => `${subject} ${state}`);

test('finds all well with a coordinator of this version, the right token and the same clock', async () => {
  await using running = await runningCoordinator();
  const checks = await checkCoordinator({ url: running.url, token: testToken, signal });
  assert.equal(states(checks), ['coordinator ok', 'version ok', 'clock ok']);
  assert.ok(isWell(checks));
});

test('tells a wrong token and a missing one from a coordinator that is away', async () => {
  let url: URL;
  {
    await using running = await runningCoordinator();
    ({ url } = running);
    const wrong = await checkCoordinator({ url, token: 'wrong-token', signal });
    assert.equal(states(wrong), ['coordinator ok', 'token fail', 'clock ok']);
    const none = await checkCoordinator({ url, token: undefined, signal });
    assert.match(
      formatChecks(none),
      /fail +token +the coordinator wants a token\n +give its token with --token-file/,
    );
  }
  const away = await checkCoordinator({ url, token: testToken, signal });
  assert.equal(states(away), ['coordinator fail']);
  assert.match(away[0]?.what ?? '', /ECONNREFUSED/);
});

/** What is told of a coordinator of another protocol, whose clock is ahead by so many milliseconds. */
async function checksOf(protocol: number, ahead = 0): Promise<readonly Check[]> {
  await using server = await startServer((_request, response) => {
    response
      .writeHead(200, { date: new Date(Date.now() + ahead).toUTCString() })
      .end(JSON.stringify({ version: '9.9.9', protocol }));
  });
  return await checkCoordinator({ url: new URL(`http://${server.host}/`), token: undefined, signal });
}

test('warns of a clock that is far from the coordinator, and of a protocol that is not served', async () => {
  const checks = await checksOf(99, 300_000);
  assert.equal(states(checks), ['coordinator ok', 'version fail', 'clock warn']);
  assert.match(formatChecks(checks), /(299|300) s behind the coordinator's/);
});

test('a coordinator of the next protocol still serves us, one of the protocol before does not', async () => {
  const next = await checksOf(PROTOCOL_VERSION + 1);
  assert.equal(states(next), ['coordinator ok', 'version warn', 'clock ok']);
  assert.ok(isWell(next));
  assert.match(formatChecks(next), 'which it still serves\n');
  const before = await checksOf(PROTOCOL_VERSION - 1);
  assert.equal(states(before), ['coordinator ok', 'version fail', 'clock ok']);
  assert.match(formatChecks(before), 'update the coordinator first');
});

test('knows what is no coordinator', async () => {
  await using server = await startServer((_request, response) => void response.end('<html>'));
  const checks = await checkCoordinator({ url: new URL(`http://${server.host}/`), token: undefined, signal });
  assert.equal(states(checks), ['coordinator ok', 'coordinator fail', 'clock ok']);
});

test.run();
