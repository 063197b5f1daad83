/** The dashboard without a mouse, on small screens and read aloud: in states of a farm that are easily overlooked. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Resources } from '../../../scripts/rig/resources.ts';
import { startBrowser, type WatchedPage } from '../../support/browser.ts';
import { runningCoordinator, testToken } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { until } from '../../support/until.ts';
import { addUser } from '../../support/user-requests.ts';

const agentCount = 300;
const platforms = ['arm64/v8', 'arm/v7', 'arm/v6', 's390x', 'ppc64le', 'riscv64', 'mips64le', '386'];

const resources = new Resources();
/** Agents as this test has them do not beat. */
const longAgo = 3_600_000;
const running = resources.use(await runningCoordinator({ suspect: longAgo, lost: longAgo }));
const browser = resources.use(await startBrowser());
const site = running.url.origin;
const reader = await addUser(running, 'rita', { role: 'read' });
const rack = await running.agent({
  name: 'rack-000',
  session: 'session-000',
  platforms: [{ platform: 'linux/amd64', native: true }],
  labels: {},
});
for (let index = 1; index < agentCount; index += 1) {
  const agent = await running.agent({
    name: `rack-${String(index).padStart(3, '0')}`,
    session: `session-${index}`,
    platforms: platforms.map((name, at) => ({ platform: `linux/${name}`, native: at === 0 })),
    labels: { room: 'the one behind the lab', row: 'third', purpose: 'nightly builds of everything' },
  });
  await agent.wait('welcome');
}

async function open(token: string, options?: { width?: number; height?: number }): Promise<WatchedPage> {
  const watched = await browser.open(site, options);
  await watched.page.getByLabel('Token').fill(token);
  await watched.page.getByRole('button', { name: 'Sign in' }).click();
  await watched.page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: 'rack-001' }).waitFor();
  watched.forgive(/401/);
  return watched;
}

/** The page's policy lets nobody but a debugger evaluate a text: it is asked again and again from here. */
async function holds({ page }: WatchedPage, expression: string): Promise<void> {
  await until(() => page.evaluate<boolean>(expression), { what: expression });
}

/** That the focus is on what has that name and can be pressed. */
async function focusIs(watched: WatchedPage, name: string): Promise<void> {
  const text = JSON.stringify(name);
  await holds(
    watched,
    `[document.activeElement.ariaLabel, document.activeElement.textContent].includes(${text}) && document.activeElement.ariaDisabled !== 'true'`,
  );
}

test('whoever may press nothing scrolls all agents by keys', async () => {
  await using watched = await open(reader);
  const { page } = watched;
  await watched.assertAccessible();
  await page.locator('.agents .scroller').focus();
  await page.keyboard.press('PageDown');
  await holds(watched, `document.querySelector('.agents .scroller').scrollTop > 100`);
  await page.keyboard.press('End');
  await page.getByRole('row', { name: 'rack-299' }).waitFor();
  watched.assertClean();
});

test('labels and platforms that have no room are shown whole to pointers, keys and readers', async () => {
  await using watched = await open(reader);
  const row = watched.page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: 'rack-001' });
  const labels = 'room=the one behind the lab\nrow=third\npurpose=nightly builds of everything';
  const whole = row.locator('.clipped');
  assert.is(await whole.count(), 2);
  assert.is(await whole.nth(0).getAttribute('title'), labels);
  assert.match(
    String(await whole.nth(1).getAttribute('title')),
    /^linux\/arm64\/v8\n.*linux\/386 emulated$/s,
  );
  for (const [at, last] of ['purpose=nightly builds of everything', 'linux/386 emulated'].entries()) {
    await whole.nth(at).focus();
    const chip = whole.nth(at).getByText(last, { exact: true });
    await holds(
      watched,
      `(() => {
        const chip = [...document.activeElement.querySelectorAll('.chip, .tag')].at(-1).getBoundingClientRect();
        return document.activeElement.contains(document.elementFromPoint(chip.right - 4, chip.bottom - 4));
      })()`,
    );
    await chip.waitFor();
  }
  await watched.assertAccessible();
  // Where there is room, there is nothing to stop at.
  await watched.page.getByRole('searchbox').fill('rack-000');
  await watched.page.getByRole('row', { name: 'rack-001' }).waitFor({ state: 'detached' });
  assert.is(await watched.page.locator('.agents .clipped').count(), 0);
  watched.assertClean();
});

test('links stand out where text is beside them, however short they are', async () => {
  const build = await submitBuild(running, { name: 'ctx', platforms: ['linux/amd64'] });
  const { attempt } = await rack.wait('offer');
  rack.send({ type: 'accept', attempt });
  await using watched = await open(testToken, { width: 320, height: 700 });
  const { page } = watched;
  await page.getByRole('searchbox').fill('rack-000');
  await page.getByRole('row', { name: 'rack-000' }).getByRole('link', { name: 'ctx' }).waitFor();
  await watched.assertAccessible();
  await page.getByRole('link', { name: 'Builds', exact: true }).click();
  await page.getByRole('row', { name: build }).getByRole('link', { name: 'ctx' }).waitFor();
  await watched.assertAccessible();
  watched.assertClean();
});

test('after every order the focus is on what there is to press next', async () => {
  await using watched = await open(testToken);
  const { page } = watched;
  await page.getByRole('button', { name: 'Drain rack-000' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).focus();
  await page.keyboard.press('Enter');
  await focusIs(watched, 'Resume rack-000');
  await page.keyboard.press('Enter');
  await focusIs(watched, 'Drain rack-000');
  // By now others may be drained by the arrow keys alone.
  await page.keyboard.press('ArrowDown');
  await focusIs(watched, 'Drain rack-001');
  const build = await submitBuild(running, {
    name: 'queued',
    platforms: ['linux/loong64'],
    waitAgent: longAgo,
  });
  await page.goto(`${site}/builds/${build}`);
  await page.getByRole('button', { name: 'Cancel queued' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).focus();
  await page.keyboard.press('Enter');
  await focusIs(watched, 'Retry queued');
  watched.assertClean();
});

test('the arrow keys go on from the table itself', async () => {
  await using watched = await open(testToken);
  const { page } = watched;
  await page.locator('.agents .scroller').focus();
  await page.keyboard.press('ArrowDown');
  await focusIs(watched, 'ctx');
  await page.keyboard.press('ArrowDown');
  await focusIs(watched, 'Drain rack-001');
});

test('tabs and histories have the name of what is shown, and addresses that are none are told of', async () => {
  await using watched = await open(testToken);
  const { page } = watched;
  assert.is(await page.title(), 'Farm · archfarm');
  await page.getByRole('link', { name: 'Builds', exact: true }).click();
  await holds(watched, `document.title === 'Builds · archfarm'`);
  await page.getByRole('link', { name: 'queued' }).click();
  await holds(watched, `/^cancelled: queued [a-z0-9]+ · archfarm$/.test(document.title)`);
  await page.goto(`${site}/builds/%`);
  await page.getByRole('heading', { name: 'not a build id' }).waitFor();
  assert.is(await page.title(), '% · archfarm');
  watched.forgive(/400/);
  watched.assertClean();
});

test.after(() => resources[Symbol.asyncDispose]());
test.run();
