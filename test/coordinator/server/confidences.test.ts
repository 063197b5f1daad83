/** What people and hosts are given in confidence, by a coordinator as a process: none of it is left where others may find it. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startDaemon } from '../../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../../scripts/rig/farm.ts';
import { archfarm } from '../../support/archfarm-command.ts';
import { agentCommand, isolatedEnv, isServed } from '../../support/farm-processes.ts';
import { freePort } from '../../../scripts/rig/free-port.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { filesWith, processesWith } from '../../support/text-search.ts';

const run = promisify(execFile);

test('tokens of users, of hosts that join, their keys and the secret of webhooks lie with their owners alone', async () => {
  await using directory = await temporaryDirectory();
  const dir = directory.path;
  const webhookSecret = `canary-${randomBytes(12).toString('hex')}`;
  const shared = `canary-${randomBytes(12).toString('hex')}`;
  await writeFile(`${dir}/webhook-secret`, webhookSecret);
  await writeFile(`${dir}/shared-token`, shared);
  const address = `127.0.0.1:${await freePort()}`;
  const home = await isolatedEnv(dir);
  const files = ['--webhook-secret-file', `${dir}/webhook-secret`, '--token-file', `${dir}/shared-token`];
  const serve = ['serve', '--tls', '--listen', address, '--data', `${dir}/coordinator`, ...files];
  await using coordinator = await startDaemon(
    [process.execPath, archfarmCommand, ...serve, '--webhook', 'http://127.0.0.1:1/marked-path'],
    { log: `${dir}/coordinator.log`, env: home, ready: () => isServed(address) },
  );
  const env = {
    ...home,
    ARCHFARM_COORDINATOR: `https://${address}`,
    ARCHFARM_CA: `${dir}/coordinator/tls/ca.crt`,
  };
  const admin = { env: { ...env, ARCHFARM_TOKEN: shared } };

  const added = await archfarm(['agents', 'add', 'pi-01'], admin);
  const [, ...join] = added.stdout.trim().split(' ');
  await run(process.execPath, [agentCommand, ...join, '--data', `${dir}/agent`], { env: home });
  const [, joinSecret = ''] = /\.(\S+)$/.exec(join.at(-1) ?? '') ?? [];
  const pem = await readFile(`${dir}/agent/identity/agent.pem`, 'utf8');
  const [, key = ''] = /PRIVATE KEY-----\n.+\n(\S{64})\n/.exec(pem) ?? [];
  const userToken = (await archfarm(['users', 'add', 'carol', '--role', 'read'], admin)).stdout.trim();
  const user = { env: { ...env, ARCHFARM_TOKEN: userToken } };
  assert.match((await archfarm(['whoami'], user)).stdout, 'carol');
  assert.is((await archfarm(['agents', 'drain', 'pi-01'], user)).status, 2);
  const audit = (await archfarm(['audit', '--json'], admin)).stdout;
  assert.match(audit, 'carol');

  const owners: [secret: string, files: string[]][] = [
    [joinSecret, []],
    [key, [`${dir}/agent/identity/agent.pem`]],
    [userToken, []],
    [shared, [`${dir}/shared-token`]],
    [webhookSecret, [`${dir}/webhook-secret`]],
  ];
  for (const [secret, own] of owners) {
    assert.ok(secret.length >= 31, secret);
    assert.equal(await filesWith(secret, [dir]), own);
    assert.equal(await processesWith(secret, [coordinator.pid]), []);
    assert.not.ok(`${audit}${await coordinator.output()}`.includes(secret));
  }
  // The search finds what is there.
  assert.ok((await filesWith('carol', [dir])).some((file) => file.startsWith(`${dir}/coordinator/`)));
  assert.is((await processesWith('marked-path', [coordinator.pid])).length, 1);
});

test.run();
