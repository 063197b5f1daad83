import { readFile } from 'node:fs/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CertificateWatch } from '../../agent/certificate-watch.ts';
import { readCertificate, trustWith } from '../../agent/certificate.ts';
import { readIdentity } from '../../agent/identity.ts';
import { join } from '../../agent/join.ts';
import { formatJoinToken } from '../../shared/join-token.ts';
import { silentLogger } from '../../shared/log.ts';
import { invite } from '../support/joined-agent.ts';
import { runningCoordinator } from '../support/running-coordinator.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

test('a certificate is renewed with another key at two thirds of its life, and the new one lets the agent in', async () => {
  await using running = await runningCoordinator({ certificate: 9000 }, () => false, {
    tls: { type: 'own', names: ['127.0.0.1'] },
  });
  await using data = await temporaryDirectory();
  const token = formatJoinToken(await invite(running, 'pi-01'));
  const signal = AbortSignal.timeout(30_000);
  await join({ address: running.url.href, token, data: data.path, ca: undefined, signal });
  const certificate = readCertificate({}, { env: {}, identity: readIdentity(data.path) });
  if (certificate === undefined) throw new Error('it has joined');
  const before = await readFile(certificate.files.key, 'utf8');
  const trust = trustWith(running.trust, certificate);
  let changes = 0;
  const stop = new AbortController();
  const watch = new CertificateWatch({
    coordinator: running.url,
    trust,
    files: certificate.files,
    data: data.path,
    interval: 50,
    log: silentLogger,
    changed: () => (changes += 1),
  });
  const watching = watch.run(stop.signal);
  await until(() => changes > 0, { timeout: 20_000 });
  stop.abort();
  await watching;
  const after = await readFile(certificate.files.key, 'utf8');
  assert.is.not(after, before);
  assert.not.match(after, /PRIVATE KEY-----\n(.*)\n/.exec(before)?.[1] ?? 'no key');
  const agent = await running.agent({}, trust());
  await agent.wait('welcome');
});

test.run();
