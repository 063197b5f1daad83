/** Logs as no person writes them, in a real browser: lines without end, and what is searched for in them. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Resources } from '../../../scripts/rig/resources.ts';
import { startBrowser } from '../../support/browser.ts';
import { runningCoordinator, testToken } from '../../support/running-coordinator.ts';
import { submitBuild } from '../../support/submitted-build.ts';
import { until } from '../../support/until.ts';

const resources = new Resources();
const running = resources.use(await runningCoordinator());
const browser = resources.use(await startBrowser());
const platform = 'linux/arm64/v8';
const agent = await running.agent({ platforms: [{ platform, native: true }] });
const build = await submitBuild(running, { name: 'ctx', platforms: [platform] });
const { attempt } = await agent.wait('offer');
agent.send({ type: 'accept', attempt });

const red = '\u001B[31m';
const far = 500;
const texts = [
  ...Array.from({ length: 25 }, () => 'x'.repeat(60_000)),
  `${'y'.repeat(far)}need${red}le\u001B[0m`,
  `${'z'.repeat(30_000)}faraway`,
  ...Array.from({ length: 40 }, (_, index) => `short ${index}`),
];
for (const [index, text] of texts.entries()) {
  const event = { type: 'log', time: Date.now(), step: 's', stream: 'stdout', text } as const;
  agent.send({ type: 'progress', attempt, frame: index + 1, events: [event] });
}

const watched = resources.use(await browser.open(running.url.origin));
const { page } = watched;
await page.getByLabel('Token').fill(testToken);
await page.getByRole('button', { name: 'Sign in' }).click();
await page.getByRole('button', { name: 'Sign out' }).waitFor();
await page.goto(`${running.url.origin}/builds/${build}`);
const search = page.getByRole('searchbox', { name: 'Search the log' });
const log = page.locator('.log-lines');

/** Whether all of it is within the log's box, which is what somebody sees of it. */
async function isSeen(selector: string): Promise<boolean> {
  return page.evaluate<boolean>(`(() => {
    const box = document.querySelector('.log-lines').getBoundingClientRect();
    const found = document.querySelector(${JSON.stringify(selector)})?.getBoundingClientRect();
    return found !== undefined && found.left >= box.left && found.right <= box.right
      && found.top >= box.top && found.bottom <= box.bottom;
  })()`);
}

/** How far to the right, in pixels. */
function scrolled(): Promise<number> {
  return page.evaluate<number>("document.querySelector('.log-lines').scrollLeft");
}

test('of a line without end as much is drawn and marked as a page bears, and the rest is told of', async () => {
  await log.getByText('short 39').waitFor();
  await search.fill('x');
  await page.getByText('1 of 25').waitFor();
  await page.locator('.line.current mark').first().waitFor();
  const marks = await page.locator('mark').count();
  assert.ok(marks <= 25 * 200, `${marks} marks`);
  const [longest = 0] = await page.evaluate<number[]>(
    `[...document.querySelectorAll('.line-text')].map((line) => line.textContent.length).sort((a, b) => b - a)`,
  );
  assert.ok(longest <= 4_100, `${longest} characters`);
  await log.getByText(`… 56,000 more characters: archfarm logs ${build} has them`).first().waitFor();
});

test('a match is brought into sight, also from far to the right and across colours', async () => {
  await search.fill('needle');
  await page.locator('.line.current mark').first().waitFor();
  assert.equal(await page.locator('.line.current mark').allInnerTexts(), ['need', 'le']);
  await until(async () => (await scrolled()) > 1000);
  assert.ok(await isSeen('.line.current mark'));
  await search.fill('short 2');
  await page.getByText('1 of 11').waitFor();
  await until(async () => (await scrolled()) < 1000);
  assert.ok(await isSeen('.line.current mark'));
});

test('a match in what is not drawn leads to where that is told', async () => {
  await search.fill('faraway');
  await page.getByText('1 of 1', { exact: true }).waitFor();
  await page
    .locator('.line.current')
    .getByText(`… 26,007 more characters, a match among them: archfarm logs ${build} has them`)
    .waitFor();
  await until(async () => (await scrolled()) > 1000);
  assert.ok(await isSeen('.line.current .line-rest b'));
  await watched.assertAccessible();
  watched.forgive(/401/);
  watched.assertClean();
});

test.after(() => resources[Symbol.asyncDispose]());
test.run();
