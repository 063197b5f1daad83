import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { diagnose } from '../../../coordinator/cli/doctor.ts';
import type { GlobalOptions } from '../../../coordinator/cli/global-options.ts';
import { isWell, type Check } from '../../../shared/checks.ts';
import { PROTOCOL_VERSION } from '../../../shared/messages.ts';
import { until } from '../../support/until.ts';
import { runningCoordinator, testToken, type RunningCoordinator } from '../../support/running-coordinator.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { signal } = new AbortController();
const states = (checks: readonly Check[]): string[] =>
  checks.map(({ subject, state }) => `${subject} ${state}`);

async function diagnosis(running: RunningCoordinator, target?: string): Promise<readonly Check[]> {
  await using directory = await temporaryDirectory();
  const tokenFile = join(directory.path, 'token');
  await writeFile(tokenFile, testToken);
  const global: GlobalOptions = {
    coordinator: running.url.href,
    tokenFile,
    json: false,
    quiet: false,
    signal,
  };
  return diagnose(target, { registry: {}, global });
}

test('tells of agents, and whether the coordinator may push', async () => {
  await using running = await runningCoordinator();
  assert.ok(states(await diagnosis(running)).includes('agents fail'), 'nobody builds yet');
  await running.agent({ name: 'pi-01' });
  const checks = await until(
    async () => {
      const found = await diagnosis(running, 'registry.test/onap/app');
      return found.some(({ subject }) => subject === 'agent') ? found : undefined;
    },
    { what: 'the agent is known' },
  );
  assert.equal(
    [...new Set(states(checks))],
    ['coordinator ok', 'version ok', 'clock ok', 'agent ok', 'registry ok'],
  );
});

test('fails where no agent is ready, whatever keeps each from it', async () => {
  await using running = await runningCoordinator();
  await running.agent({ name: 'pi-01', state: 'cordoned', reason: 'its disk is full' });
  await running.agent({ name: 'pi-02', session: 'second-session', state: 'cordoned', reason: 'no engine' });
  const third = await running.agent({ name: 'pi-03', session: 'third-session' });
  await third.wait('welcome');
  const found = await until(
    async () => {
      const checks = await diagnosis(running);
      return checks.filter(({ subject }) => subject === 'agent').length === 3 ? checks : undefined;
    },
    { what: 'all are known' },
  );
  assert.ok(isWell(found));

  third.socket.terminate();
  const failed = await until(
    async () => (await diagnosis(running)).find(({ subject }) => subject === 'agents'),
    { what: 'it is known to be gone' },
  );
  assert.is(failed.state, 'fail');
  assert.match(failed.what, /^none of 3 is ready: nothing can be built \(2 cordoned, 1 \w+\)$/);
});

test('warns of an agent of an older protocol, which is served', async () => {
  await using running = await runningCoordinator();
  await running.agent({ name: 'pi-01', protocol: PROTOCOL_VERSION - 1 });
  const agent = await until(
    async () => (await diagnosis(running)).find(({ subject }) => subject === 'agent'),
    { what: 'the agent is known' },
  );
  assert.is(agent.state, 'warn');
  assert.match(agent.what, `speaks protocol ${PROTOCOL_VERSION - 1}, which is served`);
  assert.match(agent.hint ?? '', 'update archfarm-agent on the host of pi-01');
});

test('passes on why a push would be refused', async () => {
  await using running = await runningCoordinator({}, (_request, response) => {
    response.writeHead(403).end();
    return true;
  });
  await running.agent();
  const checks = await diagnosis(running, 'registry.test/onap/app');
  const refused = checks.filter(({ subject }) => subject === 'registry');
  assert.ok(refused.length > 0);
  assert.ok(refused.every(({ state, what }) => state === 'fail' && /cannot push to .*onap\/app/.test(what)));
});

test.run();
