/** Who may come to the dashboard and do what there, and that it stays quick where a farm and its history are large. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SqliteStore } from '../../../coordinator/store/sqlite.ts';
import { fillHistory } from '../../../scripts/rig/filled-history.ts';
import { Resources } from '../../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../../scripts/rig/scratch.ts';
import { archive, archivedResult } from '../../support/archived-builds.ts';
import { startBrowser } from '../../support/browser.ts';
import { runningCoordinator } from '../../support/running-coordinator.ts';
import { until } from '../../support/until.ts';
import { addUser, submit } from '../../support/user-requests.ts';

const agentCount = 500;
const buildCount = 100_000;

const resources = new Resources();
const { path: data } = resources.use(await scratchDirectory('history'));
{
  await using store = await SqliteStore.open(data);
  await archive(store, archivedResult('0', 1));
}
await fillHistory(data, { build: '0', count: buildCount });
/** Agents as this test has them do not beat, and a busy machine takes its time to look at them. */
const longAgo = 3_600_000;
const running = resources.use(
  await runningCoordinator({ suspect: longAgo, lost: longAgo }, undefined, {
    data,
    history: { builds: 2 * buildCount, age: Number.MAX_SAFE_INTEGER },
  }),
);
const site = running.url.origin;
const browser = resources.use(await startBrowser());
const watched = resources.use(await browser.open(site));
const { page } = watched;
const inspector = await page.context().newCDPSession(page);
await inspector.send('Performance.enable');
const mine = await addUser(running, 'alice', { role: 'build' });
const others = await addUser(running, 'bob', { role: 'read' });
const build = await submit(running, mine);
// One after the other: a busy machine would not answer all of them in time.
for (let index = 0; index < agentCount; index += 1) {
  const agent = await running.agent({
    name: `rack-${String(index).padStart(3, '0')}`,
    session: `session-${index}`,
    platforms: [{ platform: index % 2 === 0 ? 'linux/s390x' : 'linux/ppc64le', native: true }],
  });
  await agent.wait('welcome');
}

/** Processor time of the page so far, in milliseconds. */
async function taskTime(): Promise<number> {
  const { metrics } = await inspector.send('Performance.getMetrics');
  return Math.round(1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0));
}

async function measured(what: string, action: () => Promise<void>): Promise<void> {
  const [began, spent] = [performance.now(), await taskTime()];
  await action();
  if (process.env['ARCHFARM_FIGURES'] !== '1') return;
  const took = Math.round(performance.now() - began);
  const now = await taskTime();
  // A page that is loaded counts from nothing.
  console.log(`${what}: ${took} ms, ${now < spent ? now : now - spent} ms of the page's processor time`);
}

async function signIn(token: string): Promise<void> {
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

test('asks for a token, says why one is refused, and keeps none beyond the tab', async () => {
  await page.getByLabel('Token').waitFor();
  await watched.assertAccessible();
  await signIn('wrong');
  await page.getByRole('alert').waitFor();
  await signIn(others);
  await page.locator('header').getByText('bob', { exact: true }).waitFor();
  assert.equal(await page.context().cookies(), []);
  assert.is(await page.evaluate<string>('JSON.stringify(localStorage)'), '{}');
  watched.forgive(/401/);
  watched.assertClean();
});

test('who may only read sees all of the farm, and nothing to press', async () => {
  await page.locator('header').getByText('read-only').waitFor();
  await page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: 'rack-001' }).waitFor();
  assert.is(await page.getByRole('button', { name: /^(Drain|Resume)/ }).count(), 0);
  await page.goto(`${site}/builds/${build}`);
  await page.locator('.build-head').getByText('queued').waitFor();
  assert.is(await page.getByRole('button', { name: /^(Cancel|Retry)/ }).count(), 0);
});

test('who may build cancels what it submitted, and drains nobody', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await signIn(mine);
  await page.getByRole('button', { name: /^Cancel/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.locator('.build-head').getByText('cancelled').waitFor();
  await page.getByRole('link', { name: 'Farm', exact: true }).click();
  await page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: 'rack-001' }).waitFor();
  assert.is(await page.getByRole('button', { name: /^(Drain|Resume)/ }).count(), 0);
  watched.assertClean();
});

test(`of ${agentCount} agents only those in sight are in the document`, async () => {
  const rows = page.getByRole('table', { name: 'Agents' }).getByRole('row');
  await measured(`the farm of ${agentCount} agents`, async () => {
    await page.reload();
    await page.locator('.figure').filter({ hasText: 'Agents ready' }).getByText('of 500').waitFor();
    await rows.filter({ hasText: 'rack-001' }).waitFor();
  });
  assert.ok((await rows.count()) < 60, `${await rows.count()} rows`);
  await measured('one of them found', async () => {
    await page.getByRole('searchbox').fill('rack-498');
    await rows.filter({ hasText: 'rack-498' }).waitFor();
    await until(async () => (await rows.count()) === 2);
  });
});

test(`${buildCount} builds come a page at a time, and are searched by the coordinator`, async () => {
  const asked: string[] = [];
  page.on('request', (request) => {
    if (request.url().includes('/v1/builds?')) asked.push(request.url());
  });
  const table = page.getByRole('table', { name: 'Builds' });
  const rows = table.getByRole('row');
  await measured(`the list of ${buildCount} builds`, async () => {
    await page.getByRole('link', { name: 'Builds', exact: true }).click();
    await rows.filter({ hasText: 'app:100000' }).waitFor();
  });
  assert.is(asked.length, 1);
  assert.ok((await rows.count()) < 60, `${await rows.count()} rows`);
  await measured('ten more pages', async () => {
    for (let pages = 2; pages <= 11; pages += 1) {
      await page.evaluate('document.querySelector(".builds .scroller").scrollTop = 1e9');
      await until(() => asked.length >= pages);
      await until(async () => (await table.locator('.rows').boundingBox())?.height === pages * 4000);
    }
  });
  assert.ok((await rows.count()) < 60, `${await rows.count()} rows`);
  await measured('one found among all', async () => {
    await page.getByRole('searchbox').fill('app:4242');
    await rows.filter({ hasText: 'registry.test/app:4242' }).last().waitFor();
  });
  watched.assertClean();
});

test('with somebody signed in, too, nothing is wider than a narrow screen', async () => {
  await page.setViewportSize({ width: 320, height: 700 });
  await watched.assertFits();
  await page.getByRole('link', { name: 'Farm', exact: true }).click();
  await page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: 'rack-498' }).waitFor();
  await watched.assertFits();
  await page.goto(`${site}/builds/${build}`);
  await page.locator('.build-head').getByText('cancelled').waitFor();
  await watched.assertFits();
  watched.assertClean();
});

test.after(() => resources[Symbol.asyncDispose]());
test.run();
