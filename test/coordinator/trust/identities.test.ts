import { X509Certificate } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { newSigningRequest } from '../../../agent/signing-request.ts';
import { MemoryStore } from '../../../coordinator/store/memory.ts';
import { Authority } from '../../../coordinator/trust/authority.ts';
import { Identities } from '../../../coordinator/trust/identities.ts';
import { failureOf } from '../../support/failure.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const day = 24 * 3600 * 1000;

test('a certificate is renewed once half of its life is over, and of those that were made few are kept', async () => {
  await using directory = await temporaryDirectory();
  const store = new MemoryStore();
  const authority = await Authority.open(directory.path);
  let now = Date.now();
  const identities = await Identities.open({
    store,
    authority,
    lifetime: 30 * day,
    ticketLifetime: day,
    now: () => now,
    alarm() {},
    joined() {},
  });
  const { request } = newSigningRequest();
  const added = await identities.add('pi-01', { platforms: [], repositories: [] });
  const joined = await identities.join({ secret: added?.secret ?? '', request, from: '127.0.0.1' });
  const shown = (pem: string) => identities.identify(new X509Certificate(pem));
  const count = async (): Promise<number | undefined> => (await store.agents())[0]?.certificates.length;

  const early = await failureOf(identities.renew(shown(joined.certificate), request));
  assert.is(early.code, 'usage');
  assert.match(early.message, /^the certificate of agent pi-01 is good until .* may be renewed from .* on$/);
  now += 14 * day;
  assert.is((await failureOf(identities.renew(shown(joined.certificate), request))).code, 'usage');
  assert.is(await count(), 1);

  now += 2 * day;
  const renewed: string[] = [];
  for (let times = 0; times < 5; times += 1) {
    renewed.push((await identities.renew(shown(joined.certificate), request)).certificate);
  }
  assert.is(await count(), 3);
  assert.match((await failureOf(Promise.resolve().then(() => shown(renewed[2]!)))).message, 'is not known');
  const last = shown(renewed[4]!);
  assert.is((await failureOf(identities.renew(last, request))).code, 'usage', 'a new one has its own time');
  now += 16 * day;
  await identities.renew(last, request);
});

test.run();
