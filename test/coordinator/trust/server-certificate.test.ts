/** What a crash may leave of the coordinator's own certificates, and what the next start makes of it. */
import { chmod, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Authority } from '../../../coordinator/trust/authority.ts';
import {
  openServerCertificate,
  type ServerCertificate,
} from '../../../coordinator/trust/server-certificate.ts';
import { silentLogger } from '../../../shared/log.ts';
import { failureOf } from '../../support/failure.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** A start; rejects also where TLS could not use what is shown. */
async function start(data: string, { isUnused = true } = {}): Promise<ServerCertificate> {
  const source = { type: 'own', names: ['localhost'] } as const;
  const shown = await openServerCertificate(source, { data, isUnused, log: silentLogger });
  createSecureContext({ cert: shown.pair.certificate, key: shown.pair.key });
  return shown;
}

/** All texts by name. */
async function textsIn(directory: string): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const name of (await readdir(directory)).toSorted()) {
    texts[name] = await readFile(`${directory}/${name}`, 'utf8');
  }
  return texts;
}

test('a start takes what is there as it is, but for modes that a copy has lost', async () => {
  await using data = await temporaryDirectory();
  const tls = `${data.path}/tls`;
  await start(data.path);
  const before = await textsIn(tls);
  assert.equal(Object.keys(before), ['ca.crt', 'ca.key', 'server.crt', 'server.key']);
  const { ino } = await stat(`${tls}/ca.key`);
  await chmod(`${tls}/ca.key`, 0o644);
  await chmod(`${tls}/ca.crt`, 0o600);
  await start(data.path, { isUnused: false });
  assert.equal(await textsIn(tls), before);
  const [key, certificate] = await Promise.all([stat(`${tls}/ca.key`), stat(`${tls}/ca.crt`)]);
  assert.is(key.ino, ino);
  assert.is(key.mode & 0o777, 0o600);
  assert.is(certificate.mode & 0o777, 0o644);
});

test('a key of the server without its certificate, with that of another one, or the other way round: both are made anew', async () => {
  await using data = await temporaryDirectory();
  await using apart = await temporaryDirectory();
  const tls = `${data.path}/tls`;
  await start(data.path);
  const { 'ca.crt': authority, 'server.crt': old } = await textsIn(tls);
  const other = await (await Authority.open(apart.path)).signServer(['localhost'], { now: 0, lifetime: 1 });
  const breaks = [
    () => writeFile(`${tls}/server.key`, other.key),
    () => writeFile(`${tls}/server.key`, ''),
    () => rm(`${tls}/server.crt`),
    () => rm(`${tls}/server.key`),
  ];
  for (const cut of breaks) {
    await cut();
    const { pair } = await start(data.path, { isUnused: false });
    const { 'ca.crt': now, 'server.crt': made = '' } = await textsIn(tls);
    assert.is(now, authority);
    assert.is.not(made, old);
    assert.ok(pair.certificate.startsWith(made.trimEnd()));
  }
});

test('half of an authority that has signed nothing is what a first start left, and another one is made', async () => {
  for (const missing of ['crt', 'key']) {
    await using data = await temporaryDirectory();
    const tls = `${data.path}/tls`;
    const { certificate } = await Authority.open(tls);
    await rm(`${tls}/ca.${missing}`);
    const { authority } = await start(data.path);
    assert.is.not(authority?.certificate, certificate);
    assert.is((await start(data.path)).authority?.certificate, authority?.certificate);
  }
});

test('half of an authority that somebody may know stays, and the error says which half is missing', async () => {
  for (const [missing, left] of [
    ['ca.crt', 'ca.key'],
    ['ca.key', 'ca.crt'],
  ] as const) {
    await using data = await temporaryDirectory();
    const tls = `${data.path}/tls`;
    await start(data.path);
    await rm(`${tls}/${missing}`);
    const before = await textsIn(tls);
    const failures = [await failureOf(start(data.path))];
    // Agents know it also where the server's certificate is from elsewhere.
    await rm(`${tls}/server.crt`);
    failures.push(await failureOf(start(data.path)));
    await rm(`${tls}/server.key`);
    failures.push(await failureOf(start(data.path, { isUnused: false })));
    for (const { code, message, hint = '' } of failures) {
      assert.is(code, 'config');
      assert.is(message, `${tls}/${missing} is missing, and ${tls}/${left} is of no use without it`);
      assert.match(hint, `put ${tls}/${missing} back from a copy; or remove ${tls}/${left}`);
    }
    assert.equal(await textsIn(tls), { [left]: before[left] });
  }
});

test('an authority whose key is that of another one signs nothing', async () => {
  await using data = await temporaryDirectory();
  await using apart = await temporaryDirectory();
  const tls = `${data.path}/tls`;
  await start(data.path);
  await Authority.open(apart.path);
  await copyFile(`${apart.path}/ca.key`, `${tls}/ca.key`);
  const { code, message, hint = '' } = await failureOf(start(data.path));
  assert.is(code, 'config');
  assert.match(message, `the key in ${tls}/ca.key is not that of ${tls}/ca.crt`);
  assert.match(hint, 'put ca.crt and ca.key back from a copy');
});

test.run();
