import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runJoin } from '../../agent/join-command.ts';
import { formatJoinToken } from '../../shared/join-token.ts';
import { invite, joinableCoordinator } from '../support/joined-agent.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

test('a service is offered only where it would find the identity', async () => {
  await using running = await joinableCoordinator();
  await using directory = await temporaryDirectory();
  const data = join(directory.path, 'data');
  const token = formatJoinToken(await invite(running, 'pi-01'));
  const url = `wss://${running.url.host}`;

  const said = await runJoin(url, token, { data });
  assert.match(said, /^this host is agent pi-01 now; /);
  assert.match(said, `start it: archfarm-agent run --data ${data}\n`);
  assert.not.match(said, /archfarm-agent install/);
  assert.match(said, /a service has its state in \/var\/lib\/archfarm-agent: .* --install/);
});

test.run();
