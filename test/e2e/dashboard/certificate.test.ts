/** Whoever has a certificate that the coordinator knows is signed in to the dashboard by it, within the same rules. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Resources } from '../../../scripts/rig/resources.ts';
import { testAuthority, type Pair } from '../../support/certificates.ts';
import { startBrowser, type WatchedPage } from '../../support/browser.ts';
import { joinableCoordinator, joinAs } from '../../support/joined-agent.ts';

const resources = new Resources();
const authority = resources.use(await testAuthority({ commonName: 'Company CA' }));
const running = resources.use(await joinableCoordinator());
const browser = resources.use(await startBrowser());
const site = running.url.origin;
const agent = await running.agent({}, await joinAs(running, 'pi-01'));
await agent.wait('welcome');

async function addUser(name: string, role: string): Promise<Pair> {
  const pair = await authority.sign('DNS:x', { commonName: name });
  const body = { name, role, certificate: pair.certificate };
  assert.is((await running.ask('/v1/users', { method: 'POST', body })).status, 201);
  return pair;
}

function open({ files }: Pair): Promise<WatchedPage> {
  return browser.open(site, { certificate: files });
}

test('who is known by certificate is not asked, and may what its role lets it', async () => {
  await using reader = await open(await addUser('rita', 'read'));
  const header = reader.page.locator('header');
  await header.getByText('rita', { exact: true }).waitFor();
  await header.getByText('read-only').waitFor();
  await header.getByText('live', { exact: true }).waitFor();
  const row = reader.page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: 'pi-01' });
  await row.waitFor();
  assert.is(await reader.page.getByRole('button', { name: /^(Drain|Resume|Sign)/ }).count(), 0);
  assert.is(await reader.page.getByLabel('Token').count(), 0);
  reader.assertClean();

  await using admin = await open(await addUser('adam', 'admin'));
  await admin.page.getByRole('button', { name: /^Drain/ }).click();
  await admin.page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
  await row.getByText('drained').or(row.getByText('draining')).first().waitFor();
  await admin.page.getByRole('button', { name: /^Resume/ }).waitFor();
  admin.assertClean();
  assert.match(JSON.stringify((await running.ask('/v1/audit')).body), /drain-agent.*adam|adam.*drain-agent/);
});

test('who is removed is asked again, and told why; a token then says who it is', async () => {
  await using watched = await open(await addUser('anna', 'read'));
  const { page } = watched;
  await page.locator('header').getByText('anna', { exact: true }).waitFor();
  assert.is((await running.ask('/v1/users/anna', { method: 'DELETE' })).status, 204);
  await page.getByRole('alert').getByText('the certificate is that of no user').waitFor();
  await page.getByText('archfarm users add --certificate').waitFor();
  await watched.assertAccessible();
  await page.getByLabel('Token').fill('right-token');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('button', { name: 'Sign out' }).waitFor();
  watched.forgive(/401|ERR_/);
  watched.assertClean();
});

test('a token that is refused is not made good by the certificate; without it the certificate counts', async () => {
  await using watched = await open(await addUser('carl', 'read'));
  const { page } = watched;
  await page.locator('header').getByText('carl', { exact: true }).waitFor();
  await page.evaluate("sessionStorage.setItem('archfarm.token', 'wrong')");
  await page.reload();
  await page.getByRole('alert').getByText('the coordinator refuses this token').waitFor();
  await page.reload();
  await page.locator('header').getByText('carl', { exact: true }).waitFor();
  watched.forgive(/401/);
  watched.assertClean();
});

test.after(() => resources[Symbol.asyncDispose]());
test.run();
