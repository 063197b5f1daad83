/** The one line that makes a host an agent with a service, on a system of its own. */
import { copyFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatJoinToken } from '../../shared/join-token.ts';
import { debianSystem } from '../support/debian-system.ts';
import { agentCommand } from '../support/farm-processes.ts';
import { invite, joinableCoordinator } from '../support/joined-agent.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('join --install gets the certificate and puts the service in place, which needs no further settings', async () => {
  await using running = await joinableCoordinator();
  await using apart = await temporaryDirectory();
  await copyFile(agentCommand, `${apart.path}/agent.js`);
  const token = formatJoinToken(await invite(running, 'pi-01'));
  await using system = await debianSystem(apart.path);
  const url = `wss://${running.url.host}`;
  const joined = await system.sh(`node ${apart.path}/agent.js join ${url} ${token} --install`);
  assert.is(joined.status, 0, joined.output);
  assert.match(joined.output, /^this host is agent pi-01 now; .* \/var\/lib\/archfarm-agent\/identity\n/);
  assert.match(joined.output, 'start it: systemctl enable --now archfarm-agent.service');
  const shown = await system.sh(
    'stat -c %a /var/lib/archfarm-agent/identity/agent.pem && grep ^ExecStart= /etc/systemd/system/archfarm-agent.service',
  );
  assert.match(shown.output, /^600\nExecStart=\S+ \/usr\/local\/lib\/archfarm\/archfarm-agent\.js run\n/);
});

test('the service is installed and offered only where it finds the identity', async () => {
  await using running = await joinableCoordinator();
  await using apart = await temporaryDirectory();
  await copyFile(agentCommand, `${apart.path}/agent.js`);
  const token = formatJoinToken(await invite(running, 'pi-01'));
  await using system = await debianSystem(apart.path);
  const join = `node ${apart.path}/agent.js join wss://${running.url.host} ${token}`;
  for (const elsewhere of [`${join} --data /srv/agent`, `ARCHFARM_DATA=/srv/agent ${join}`]) {
    const refused = await system.sh(`${elsewhere} --install`);
    assert.is(refused.status, 2);
    assert.match(
      refused.output,
      'the service has its state in /var/lib/archfarm-agent, and would not find /srv/agent\n',
    );
  }
  const nothing = await system.sh('ls -d /srv/agent /etc/systemd/system/archfarm-agent.service 2>/dev/null');
  assert.is(nothing.output, '');
  // The token is still good.
  const joined = await system.sh(join);
  assert.match(joined.output, 'start it: archfarm-agent run\nor as a service: sudo archfarm-agent install\n');
});

test.run();
