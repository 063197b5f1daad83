/** Files by which users get a certificate, and what the port lists so that browsers find it. */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { listIssuers, requireRoomForIssuers } from '../../../coordinator/trust/issuer-names.ts';
import { readUserCertificate, requireNoAgent } from '../../../coordinator/trust/user-certificate.ts';
import { fingerprintOf } from '../../../coordinator/trust/identities.ts';
import { testAuthority } from '../../support/certificates.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const run = promisify(execFile);

function read(text: string): ReturnType<typeof readUserCertificate> {
  return readUserCertificate(text, 'user.crt');
}

test("the user's certificate comes first, then perhaps who issued it", async () => {
  await using above = await testAuthority({ commonName: 'root' });
  await using authority = await testAuthority({ commonName: 'below', above });
  const { certificate } = await authority.sign('DNS:x', { commonName: 'alice' });
  const chain = read(`Bag Attributes\r\n${certificate}\r\n${authority.certificate}${above.certificate}`);
  assert.equal(
    chain.map(({ subject }) => subject),
    ['CN=alice', 'CN=below', 'CN=root'],
  );
  assert.throws(
    () => read(authority.certificate + certificate),
    /^user\.crt begins with the certificate of an authority$/,
  );
  assert.is(read(above.certificate)[0].subject, 'CN=root', 'one that signs itself may be all there is');
});

test('what is no certificate of a user, has expired or holds a key is refused by what is wrong with it', async () => {
  await using authority = await testAuthority();
  const { certificate, key } = await authority.sign('DNS:x');
  const old = await authority.sign('DNS:x', { expired: true });
  const cases: [string, RegExp][] = [
    ['', /^user\.crt has no certificate in PEM in it$/],
    [certificate.replaceAll('CERTIFICATE', 'PUBLIC KEY'), /has no certificate in PEM/],
    [
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      /^user\.crt has a certificate that cannot be read: /,
    ],
    [certificate + key, /^user\.crt has a private key in it \(PRIVATE KEY\)$/],
    [`-----BEGIN EC PRIVATE KEY-----\nx\n${certificate}`, /has a private key in it \(EC PRIVATE KEY\)/],
    [`-----BEGIN ENCRYPTED PRIVATE KEY-----\n${certificate}`, /\(ENCRYPTED PRIVATE KEY\)/],
    [certificate + ' '.repeat(64 * 1024), /^user\.crt is larger than 64 KiB$/],
    [old.certificate, /^user\.crt has a certificate that has expired on Feb {2}1 00:00:00 2020 GMT$/],
  ];
  for (const [text, message] of cases) assert.throws(() => read(text), message);
});

test('certificates of agents, and of who makes agents, are no certificates of users', async () => {
  await using agents = await testAuthority({ commonName: 'agents' });
  await using below = await testAuthority({ commonName: 'below', above: agents });
  await using users = await testAuthority({ commonName: 'agents' });
  const has = (fingerprint?: string): { hasCertificate(asked: string): boolean } => ({
    hasCertificate: (asked) => asked === fingerprint,
  });
  const rules = { identities: has(), authorities: `${users.certificate}${agents.certificate}` };
  const alice = read((await users.sign('DNS:x')).certificate);
  const only = { identities: has(), authorities: agents.certificate };
  requireNoAgent(alice, only);
  const [certificate] = alice;
  assert.throws(
    () => requireNoAgent(alice, { ...only, identities: has(fingerprintOf(certificate)) }),
    /is that of an agent/,
  );
  const theirs = /is of the authority whose certificates make agents/;
  assert.throws(() => requireNoAgent(alice, rules), theirs);
  assert.throws(() => requireNoAgent(read(agents.certificate), only), theirs);
  const { certificate: leaf } = await below.sign('DNS:x');
  assert.throws(() => requireNoAgent(read(leaf + below.certificate), only), theirs);
});

test('the port lists the names of issuers byte by byte, each once, by certificates that are good for nothing', async () => {
  await using dir = await temporaryDirectory();
  const names = [
    '/CN=alice',
    '/CN=alice',
    '/C=DE/O=Bücher & Söhne/OU=Prüfung/CN=Ø/emailAddress=a@b.test',
    `/O=${'o'.repeat(60)}/OU=${'u'.repeat(60)}/CN=${'n'.repeat(60)}`,
    `/O=${'o'.repeat(60)}/OU=${'u'.repeat(60)}/OU=${'v'.repeat(60)}/OU=${'w'.repeat(60)}/CN=x`,
  ];
  const certificates: X509Certificate[] = [];
  for (const name of names) {
    const how = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-utf8', '-days', '1'];
    const { stdout } = await run('openssl', [
      'req',
      '-x509',
      ...how,
      '-subj',
      name,
      '-keyout',
      `${dir.path}/key`,
    ]);
    certificates.push(new X509Certificate(stdout));
  }
  const listed = listIssuers(certificates);
  assert.is(listed.length, 4);
  const shown = listed.map((pem) => new X509Certificate(pem));
  assert.equal(
    shown.map(({ subject }) => subject),
    certificates.slice(1).map(({ issuer }) => issuer),
  );
  for (const [index, each] of shown.entries()) {
    const original = certificates[index + 1];
    if (original === undefined) throw new Error('one too many');
    // Length and bytes of the name are in both as they are.
    const name = each.raw.subarray(
      each.raw.indexOf('700101000000Z') + 30,
      each.raw.indexOf('300506032b656e', 'hex') - 2,
    );
    assert.ok(name.length > 15 && original.raw.includes(name), each.subject);
    assert.not.ok(original.verify(each.publicKey));
    assert.not.ok(each.checkIssued(each));
    assert.is(each.validTo, 'Jan  1 00:00:00 1970 GMT');
    assert.is(each.publicKey.asymmetricKeyType, 'x25519');
  }
  createSecureContext({ ca: listed });
});

test('so many names as clients take are listed, and no more', async () => {
  await using authority = await testAuthority();
  const own = new X509Certificate(authority.certificate);
  requireRoomForIssuers(Array.from({ length: 10_000 }, () => own));
  await using dir = await temporaryDirectory();
  const certificates: X509Certificate[] = [];
  for (let count = 0; count < 6; count += 1) {
    const name = Array.from({ length: 40 }, () => `/OU=${String(count).repeat(60)}`).join('');
    const how = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '1',
      '-subj',
      name,
    ];
    const { stdout } = await run('openssl', ['req', '-x509', ...how, '-keyout', `${dir.path}/key`]);
    certificates.push(new X509Certificate(stdout));
  }
  requireRoomForIssuers(certificates.slice(1));
  assert.throws(() => requireRoomForIssuers(certificates), /too long together \(\d+ bytes\)/);
});

test.run();
