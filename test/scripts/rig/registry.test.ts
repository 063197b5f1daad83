import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startRegistry } from '../../../scripts/rig/registry.ts';

test('a registry answers on a port of its own and writes down what it was asked', async () => {
  await using registry = await startRegistry();
  await using other = await startRegistry();
  assert.is.not(registry.host, other.host);
  assert.is((await fetch(`http://${registry.host}/v2/`)).status, 200);
  assert.match((await registry.accessLog()).join('\n'), '"GET /v2/ HTTP/1.1" 200');
  assert.equal(await other.accessLog(), []);
});

test('a registry asks for what its configuration says', async () => {
  const auth = { silly: { realm: 'test-realm', service: 'test-service' } };
  await using registry = await startRegistry({ auth });
  const answer = await fetch(`http://${registry.host}/v2/`);
  assert.is(answer.status, 401);
  assert.match(answer.headers.get('www-authenticate') ?? '', 'test-realm');
});

test.run();
