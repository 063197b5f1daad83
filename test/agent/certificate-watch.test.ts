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
import { submitBuild } from '../support/submitted-build.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

test('a certificate is renewed with another key at two thirds of its life, and its agent goes on with what it builds', async () => {
  await using running = await runningCoordinator({ certificate: 9000 }, () => false, {
    tls: { type: 'own', names: ['127.0.0.1'] },
  });
  await using data = await temporaryDirectory();
  const token = formatJoinToken(await invite(running, 'pi-01'));
  const signal = AbortSignal.timeout(300_000);
  await join({ address: running.url.href, token, data: data.path, ca: undefined, signal });
  const certificate = readCertificate({}, { env: {}, identity: readIdentity(data.path) });
  if (certificate === undefined) throw new Error('it has joined');
  const before = await readFile(certificate.files.key, 'utf8');
  const trust = trustWith(running.trust, certificate);
  const building = await running.agent({}, trust());
  const build = await submitBuild(running, { platforms: ['linux/arm64/v8'] });
  const { attempt } = await building.wait('offer');
  building.send({ type: 'accept', attempt });
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

  // As an agent does that shows another certificate: the same process over a new connection, with what it has.
  const agent = await running.agent({ attempts: [attempt] }, trust());
  await agent.wait('welcome');
  const error = { code: 'build-failed', message: 'a step failed' } as const;
  const timings = { queued: 0, context: 0, build: 0, test: 0, push: 0 };
  const outcome = { status: 'failed', kind: 'build', error, timings, sentBytes: 0 } as const;
  agent.send({ type: 'report', attempt, outcome, lastFrame: 0 });
  await agent.wait('settle');
  const shown = await running.ask(`/v1/builds/${build}`);
  assert.match(JSON.stringify(shown.body), '"attempts":[{"agent":"pi-01","outcome":"failed"');
  const { body } = await running.ask('/v1/audit');
  assert.match(JSON.stringify(body), /agent pi-01.*renew-certificate/);
});

test.run();
