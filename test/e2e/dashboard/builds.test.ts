/**
 * The dashboard in a real browser, over one farm of real agents: builds from their submission to what they publish,
 * with all that may happen on the way. ARCHFARM_TEST_PICTURES=1 draws the pictures of the README anew.
 */
import { cp, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { busyboxBase } from '../../../scripts/rig/base-image.ts';
import { startEmulation } from '../../../scripts/rig/emulation.ts';
import { startEngine } from '../../../scripts/rig/engine.ts';
import { startRegistry } from '../../../scripts/rig/registry.ts';
import { Resources } from '../../../scripts/rig/resources.ts';
import { scratchDirectory } from '../../../scripts/rig/scratch.ts';
import { startBrowser, type WatchedPage } from '../../support/browser.ts';
import { startBuild, type RunningBuild } from '../../support/build-command.ts';
import { startFarmProcesses } from '../../support/farm-processes.ts';
import { startGate } from '../../support/gate.ts';

const resources = new Resources();
const { path: dir } = resources.use(await scratchDirectory('dashboard'));
resources.use(await startEmulation());
const registry = resources.use(await startRegistry());
const { host: engine } = resources.use(await startEngine({ name: 'dashboard-engine' }));
const gate = resources.use(await startGate());
const farm = resources.use(
  await startFarmProcesses({
    agents: [
      { name: 'rack-07', platforms: ['linux/amd64'], engine, labels: ['room=lab'], allow: 'network-host' },
      { name: 'rack-08', platforms: ['linux/amd64'], engine, labels: ['room=attic'], allow: 'network-host' },
      { name: 'pi-01', platforms: ['linux/arm64'], engine, allow: 'network-host' },
    ],
    // An agent that dies is given up after seconds.
    coordinatorEnv: { ARCHFARM_TIMERS: '0.1' },
  }),
);
const browser = resources.use(await startBrowser());
const site = `http://${farm.address}`;
const watched = resources.use(await browser.open(site));
const { page } = watched;
const base = `${dir}/py-app`;
await cp(await busyboxBase(), base, { recursive: true, verbatimSymlinks: true });

/** A build of the busybox with these steps, from a context that everybody has. */
async function begin(
  name: string,
  steps: readonly string[],
  { platform = 'linux/amd64', flags = [] }: { platform?: string; flags?: readonly string[] } = {},
): Promise<RunningBuild> {
  const file = `${dir}/${name}.dockerfile`;
  await writeFile(file, ['FROM scratch', 'ARG TARGETARCH', 'COPY ${TARGETARCH}/ /', ...steps, ''].join('\n'));
  const image = ['-f', file, '-t', `${registry.host}/onap/${name}`, '--network', 'host', '--no-cache'];
  return startBuild([base, ...image, '--platform', platform, '--allow-emulation', ...flags], farm);
}

/** Text of the page that may be about to come. */
function sees(text: string | RegExp, within = 'main'): Promise<void> {
  return page.locator(within).getByText(text).first().waitFor();
}

const pictures = fileURLToPath(new URL('../../../coordinator/dashboard/pictures', import.meta.url));

async function picture(name: string, { page: shown }: WatchedPage = watched): Promise<void> {
  if (process.env['ARCHFARM_TEST_PICTURES'] !== '1') return;
  await shown.mouse.move(0, 0);
  await shown.evaluate('document.activeElement.blur()');
  await shown.screenshot({ path: `${pictures}/${name}.png` });
}

test('shows the farm: who is there, natively or not, on which engine, with how much room', async () => {
  const agents = page.getByRole('table', { name: 'Agents' });
  for (const name of ['rack-07', 'rack-08', 'pi-01']) {
    const row = agents.getByRole('row', { name });
    await row.getByText('ready').waitFor();
    assert.match(await row.innerText(), /Docker \d+\.\d+/);
    // A beat tells of the disks.
    await row.getByText(/% of/).waitFor();
  }
  assert.match(await agents.getByRole('row', { name: 'pi-01' }).innerText(), /linux\/arm64\/v8\s+emulated/);
  assert.match(await agents.getByRole('row', { name: 'rack-07' }).innerText(), /room=lab/);
  await page.getByRole('textbox').or(page.getByRole('searchbox')).first().fill('attic');
  await agents.getByRole('row', { name: 'rack-07' }).waitFor({ state: 'detached' });
  await page.getByRole('searchbox').first().fill('');
  await watched.assertAccessible();
});

test('shows a build from its submission to the published list, without a reload', async () => {
  gate.close('middle');
  const steps = [
    `RUN printf '\\033[32mgreen\\033[0m and plain\\n'; ${gate.step('middle')}`,
    'RUN for i in $(seq 300); do echo "line $i of many"; done',
  ];
  await using build = await begin('app', steps, {
    platform: 'linux/amd64,linux/arm64',
    flags: ['--test', 'echo it starts'],
  });
  const id = await build.id();
  // The list and the farm learn of it by themselves.
  await page.getByRole('table', { name: 'Agents' }).getByRole('link').first().waitFor();
  await page.getByRole('link', { name: 'Builds', exact: true }).click();
  await page.getByRole('table', { name: 'Builds' }).getByRole('row', { name: id }).getByRole('link').click();
  await gate.arrived('middle', 'amd64');
  await sees('green', '.log-lines');
  assert.is(await page.locator('.log-lines .ansi-fg-2').first().innerText(), 'green');
  await sees('running', '.build-head');
  await page.getByRole('button', { name: 'Steps of linux/amd64' }).click();
  await page.locator('.steps .step').filter({ hasText: 'printf' }).waitFor();
  await gate.arrived('middle', 'arm64');
  gate.open('middle');
  const { stdout, result } = await build.ended();
  await sees('succeeded', '.build-head');
  const digest = stdout.trim();
  await page.locator(`[title="${digest}"]`).waitFor();
  const published = page.getByRole('region', { name: 'Published' });
  for (const { platform, digest: child = '', reference } of result.platforms) {
    await published.getByText(platform, { exact: true }).waitFor();
    await published.getByText(reference, { exact: true }).waitFor();
    await published.locator(`[title="${child}"]`).waitFor();
  }
  await published.getByText(`${registry.host}/onap/app:latest`, { exact: true }).first().waitFor();
  await sees(`archfarm verify ${registry.host}/onap/app:latest`);
  await sees(
    `archfarm build py-app -f app.dockerfile -t ${registry.host}/onap/app:latest --platform linux/amd64,linux/arm64/v8`,
  );
  await picture('build');
  await watched.assertAccessible();
  await page.getByRole('button', { name: 'publish', exact: true }).click();
  await sees(`tag ${registry.host}/onap/app:latest`, '.log-lines');
  await page.getByRole('button', { name: 'test passed' }).first().click();
  await sees('it starts', '.log-lines');
  await page.getByRole('button', { name: 'Show all' }).click();
  watched.assertClean();
});

test('follows the end of a log, searches it, and shows the one of a step', async () => {
  await page.locator('.log-lines').getByText('line 300 of many').waitFor();
  assert.is(await page.locator('.log-lines').getByText('line 1 of many', { exact: true }).count(), 0);
  const search = page.getByRole('searchbox', { name: 'Search the log' });
  await page.keyboard.press('/');
  assert.is(await page.locator(':focus').getAttribute('aria-label'), 'Search the log');
  await search.fill('line 7 of');
  await page.locator('.line.current mark').waitFor();
  assert.is(
    await page
      .locator('.line.current')
      .innerText()
      .then((text) => /line 7 of many/.test(text)),
    true,
  );
  assert.not.ok(await page.getByRole('checkbox', { name: 'Follow' }).isChecked());
  await search.fill('');
  await page.getByRole('checkbox', { name: 'Follow' }).check();
  await page.locator('.log-lines').getByText('line 300 of many').waitFor();
  await page.getByRole('tab', { name: 'linux/amd64' }).focus();
  await page.keyboard.press('ArrowRight');
  assert.is(await page.getByRole('tab', { name: 'linux/arm64/v8' }).getAttribute('aria-selected'), 'true');
  await page.locator('.steps .step-name').filter({ hasText: 'printf' }).click();
  await sees(/^Only/, '.log-panel');
  await sees('green', '.log-lines');
  assert.is(await page.locator('.log-lines').getByText('line 300 of many').count(), 0);
});

test('shows why a build fails, and has it tried again', async () => {
  await using build = await begin('broken', ['RUN echo about to break >&2; exit 7']);
  const id = await build.id();
  await page.goto(`${site}/builds/${id}`);
  await build.ended();
  await sees('failed', '.build-head');
  await sees(/exit code: 7/);
  await sees('about to break', '.log-lines');
  await watched.assertAccessible();
  await page.getByRole('button', { name: /^Retry/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Retry' }).click();
  await page.waitForURL((url) => url.pathname !== `/builds/${id}`);
  await page.getByText('retries').waitFor();
  await sees('failed', '.build-head');
});

test('shows how another agent takes over from one that dies', async () => {
  gate.close('doomed');
  await using build = await begin('survivor', [`RUN echo here we are; ${gate.step('doomed')}`]);
  const id = await build.id();
  await page.goto(`${site}/builds/${id}`);
  await gate.arrived('doomed');
  const first = await page.locator('.lane-head b').innerText();
  const doomed = farm.agents[first === 'rack-07' ? 0 : 1];
  doomed?.kill('SIGKILL');
  await page
    .locator('.attempt')
    .filter({ hasText: `attempt 1 on ${first}` })
    .getByText('lost')
    .waitFor();
  const second = first === 'rack-07' ? 'rack-08' : 'rack-07';
  await page
    .locator('.attempt')
    .filter({ hasText: `attempt 2 on ${second}` })
    .waitFor();
  gate.open('doomed');
  await sees('succeeded', '.build-head');
  assert.is((await build.ended()).status, 0);
  await page.getByRole('link', { name: 'Farm', exact: true }).click();
  await page.getByRole('row', { name: first }).getByText('offline').waitFor();
  watched.assertClean();
});

test('comes back by itself after a restart of the coordinator, and misses nothing', async () => {
  gate.close('restart');
  await using build = await begin('patient', [`RUN echo before; ${gate.step('restart')}; echo after`]);
  await page.goto(`${site}/builds/${await build.id()}`);
  await gate.arrived('restart');
  await sees('before', '.log-lines');
  await farm.killCoordinator();
  await page.getByText('the coordinator does not answer; trying again').waitFor();
  await farm.startCoordinator();
  await page.getByText('live', { exact: true }).waitFor();
  gate.open('restart');
  await sees('after', '.log-lines');
  await sees('succeeded', '.build-head');
  assert.is(await page.locator('.log-lines').getByText('before', { exact: true }).count(), 1);
  watched.forgive(/net::ERR_/);
  watched.assertClean();
});

test('drains, resumes and cancels for whoever may', async () => {
  gate.close('endless');
  await page.goto(site);
  await page.getByRole('button', { name: 'Drain pi-01' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await page.getByRole('row', { name: 'pi-01' }).getByText('draining').waitFor();
  await using build = await begin('waiting', [`RUN ${gate.step('endless')}`], {
    platform: 'linux/arm64',
  });
  const id = await build.id();
  const queue = page.getByRole('table', { name: 'Tasks that wait for an agent' });
  await queue.getByRole('row', { name: /no agent for linux\/arm64\/v8 .*takes work/ }).waitFor();
  await page.getByRole('button', { name: 'Resume pi-01' }).click();
  await page.getByRole('row', { name: 'pi-01' }).getByText('ready').waitFor();
  await gate.arrived('endless', 'arm64');
  await picture('farm');
  await page.goto(`${site}/builds/${id}`);
  await page.getByRole('button', { name: /^Cancel/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await sees('cancelled', '.build-head');
  assert.is((await build.ended()).status, 130);
});

test('finds builds, on a narrow and dark screen and by keys alone', async () => {
  await using narrow = await browser.open(`${site}/builds`, { width: 320, height: 700, dark: true });
  const rows = narrow.page.getByRole('table', { name: 'Builds' }).getByRole('row');
  await rows.filter({ hasText: 'patient' }).waitFor();
  await narrow.page.keyboard.press('/');
  await narrow.page.keyboard.type('surviv');
  await rows.filter({ hasText: 'patient' }).waitFor({ state: 'detached' });
  await rows.filter({ hasText: 'survivor' }).waitFor();
  await narrow.assertAccessible();
  await narrow.assertFits();
  await narrow.page.getByRole('searchbox').fill('');
  await narrow.page.getByLabel('Status').selectOption('failed');
  await rows.filter({ hasText: 'broken' }).first().waitFor();
  await rows.filter({ hasText: 'survivor' }).waitFor({ state: 'detached' });
  await rows.getByRole('link').first().focus();
  await narrow.page.keyboard.press('ArrowDown');
  await narrow.page.keyboard.press('Enter');
  await narrow.page.getByRole('heading', { name: 'py-app' }).waitFor();
  await narrow.assertAccessible();
  await narrow.assertFits();
  await narrow.page.getByRole('link', { name: 'Farm', exact: true }).click();
  await narrow.page.getByRole('row', { name: 'pi-01' }).waitFor();
  await narrow.assertFits();
  narrow.assertClean();
  watched.forgive(/net::ERR_/);
  watched.assertClean();
});

test.after(() => resources[Symbol.asyncDispose]());
test.run();
