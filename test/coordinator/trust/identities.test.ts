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

test('a certificate that is taken away while its renewal is signed gets none, though another host has the name by then', async () => {
  await using directory = await temporaryDirectory();
  const authority = await Authority.open(directory.path);
  let now = Date.now();
  let meanwhile = async (): Promise<void> => {};
  const identities = await Identities.open({
    store: new MemoryStore(),
    authority: {
      async signAgent(...given) {
        const signed = await authority.signAgent(...given);
        const wait = meanwhile;
        meanwhile = async () => {};
        await wait();
        return signed;
      },
    },
    lifetime: 30 * day,
    ticketLifetime: day,
    now: () => now,
    alarm() {},
    joined() {},
  });
  const { request } = newSigningRequest();
  const join = async (): Promise<X509Certificate> => {
    const added = await identities.add('pi-01', { platforms: [], repositories: [] });
    const given = { secret: added?.secret ?? '', request, from: '127.0.0.1' };
    return new X509Certificate((await identities.join(given)).certificate);
  };
  const shown = identities.identify(await join());
  now += 16 * day;
  let other: X509Certificate | undefined;
  meanwhile = async () => {
    await identities.remove('pi-01');
    other = await join();
  };
  assert.is((await failureOf(identities.renew(shown, request))).code, 'agent-removed');
  assert.is(identities.identify(other!).name, 'pi-01');
});

test.run();
