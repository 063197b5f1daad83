/** Certificates of users from the command line to the handshake: added, listed, used by curl, refused, removed. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { startDaemon } from '../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { freePort } from '../../scripts/rig/free-port.ts';
import { archfarm, type EndedCommand } from '../support/archfarm-command.ts';
import { testAuthority, type Pair } from '../support/certificates.ts';
import { isolatedEnv, isServed } from '../support/farm-processes.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);

interface Served extends AsyncDisposable {
  readonly port: number;
  readonly ca: string;
  archfarm(...args: readonly string[]): Promise<EndedCommand>;
  /** `curl` with the certificate: the status and what came. */
  curl(pair: Pair, path: string, ...args: readonly string[]): Promise<string>;
}

async function serve(dir: string, flags: readonly string[], tls = true): Promise<Served> {
  const port = await freePort();
  const env = { ...(await isolatedEnv(dir)), ARCHFARM_TOKEN: 'right' };
  const command = ['serve', '--listen', `127.0.0.1:${port}`, '--data', `${dir}/data`, ...flags];
  const daemon = await startDaemon([process.execPath, archfarmCommand, ...command], {
    log: `${dir}/coordinator.log`,
    env,
    ready: () => isServed(`127.0.0.1:${port}`),
  });
  const ca = `${dir}/data/tls/ca.crt`;
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  return {
    port,
    ca,
    archfarm: (...args) =>
      archfarm(args, {
        env: { ...env, ARCHFARM_COORDINATOR: url, ...(tls ? { ARCHFARM_CA: ca } : {}) },
      }),
    async curl({ files }, path, ...args) {
      const how = ['--silent', '--cacert', ca, '--cert', files.certificate, '--key', files.key];
      const { stdout } = await run('curl', [
        ...how,
        '--write-out',
        ' %{http_code}',
        ...args,
        `${url}${path}`,
      ]);
      return stdout;
    },
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

test('a certificate is added, listed, shown by curl, and counts no more once its user is removed', async () => {
  await using dir = await temporaryDirectory();
  await using company = await testAuthority({ commonName: 'Company CA' });
  const alice = await company.sign('DNS:x', { commonName: 'Alice A.' });
  const chain = `${dir.path}/chain.crt`;
  await writeFile(chain, alice.certificate + company.certificate);
  await using served = await serve(dir.path, ['--tls']);
  const before = await run('sh', [
    '-c',
    `openssl s_client -connect 127.0.0.1:${served.port} </dev/null 2>&1`,
  ]);
  assert.not.match(before.stdout, 'CN = Company CA');

  const added = await served.archfarm('users', 'add', 'alice', '--role', 'read', '--certificate', chain);
  assert.is(added.status, 0, added.stderr);
  assert.match(added.stdout, /^afu_[\w-]{43}\n$/);
  assert.match(
    added.stderr,
    /has the certificate and its key opens https:\S+ as alice, until \d{4}-\d\d-\d\d\n$/,
  );
  assert.is((await served.archfarm('users', 'add', 'bob', '--role', 'build')).status, 0);
  const table = await served.archfarm('users');
  assert.match(
    table.stdout,
    /^NAME +ROLE +REPOSITORIES +ADDED +BY +CERTIFICATE\nalice +read +all .* until \d{4}-\d\d-\d\d *\nbob +build +all .*token *\n$/,
  );
  const { stdout: fingerprint } = await run('openssl', [
    'x509',
    '-noout',
    '-fingerprint',
    '-sha256',
    '-in',
    alice.files.certificate,
  ]);
  const users: unknown = JSON.parse((await served.archfarm('users', '--json')).stdout);
  const [first, second] = v.parse(
    v.array(v.object({ name: v.string(), certificate: v.optional(v.object({ fingerprint: v.string() })) })),
    users,
  );
  assert.is(
    first?.certificate?.fingerprint,
    fingerprint.split('=')[1]?.trim().replaceAll(':', '').toLowerCase(),
  );
  assert.is(second?.certificate, undefined);

  const asked = await run('sh', ['-c', `openssl s_client -connect 127.0.0.1:${served.port} </dev/null 2>&1`]);
  assert.match(asked.stdout, 'CN = Company CA');
  for (const most of ['1.2', '1.3']) {
    const shown = await served.curl(alice, '/v1/whoami', '--tls-max', most);
    assert.match(shown, /"name":"alice","role":"read".* 200$/, most);
  }
  assert.match(await served.curl(alice, '/v1/agents/x/drain', '-X', 'POST'), /takes the role admin.* 403$/);
  assert.match(await served.curl(alice, '/v1/agents', '-H', 'Authorization: Bearer wrong'), / 401$/);
  assert.match(await served.curl(alice, '/v1/agents', '-H', 'Origin: https://evil.example'), / 403$/);

  const twice = await served.archfarm('users', 'add', 'carl', '--role', 'read', '--certificate', chain);
  assert.is(twice.status, 2);
  assert.match(twice.stderr, 'the certificate is that of user alice already');
  assert.is((await served.archfarm('users', 'rm', 'alice')).status, 0);
  assert.match(await served.curl(alice, '/v1/whoami'), /the certificate is that of no user.* 401$/);
  const after = await run('sh', ['-c', `openssl s_client -connect 127.0.0.1:${served.port} </dev/null 2>&1`]);
  assert.not.match(after.stdout, 'CN = Company CA');
});

test('files that are none are refused before anything is sent', async () => {
  await using dir = await temporaryDirectory();
  await using company = await testAuthority({ commonName: 'Company CA' });
  const alice = await company.sign('DNS:x');
  const at = (name: string): string => `${dir.path}/${name}`;
  await writeFile(at('both.pem'), alice.certificate + (await readFile(alice.files.key, 'utf8')));
  await writeFile(at('long.crt'), ' '.repeat(64 * 1024 + 1));
  await writeFile(at('text'), 'no certificate');
  const old = await company.sign('DNS:x', { expired: true });
  const cases: [string, RegExp][] = [
    [at('missing'), /cannot read \S+missing of --certificate: ENOENT/],
    [dir.path, /cannot read \S+ of --certificate: EISDIR/],
    [at('text'), /text of --certificate has no certificate in PEM in it\n.*openssl/],
    [
      at('both.pem'),
      /both\.pem of --certificate has a private key in it \(PRIVATE KEY\)\n.*stays with its user/,
    ],
    [alice.files.key, /\.key of --certificate has a private key in it/],
    [at('long.crt'), /long\.crt of --certificate is larger than 64 KiB/],
    ['/dev/zero', /\/dev\/zero of --certificate is larger than 64 KiB/],
    [old.files.certificate, /\.crt of --certificate has a certificate that has expired on Feb {2}1 .* 2020/],
  ];
  // Nobody listens there: whoever sent something would say so.
  const env = { ...(await isolatedEnv(dir.path)), ARCHFARM_COORDINATOR: 'http://127.0.0.1:1' };
  for (const [file, text] of cases) {
    const command = ['users', 'add', 'alice', '--role', 'read', '--certificate', file];
    const { status, stdout, stderr } = await archfarm(command, { env });
    assert.is(status, 2, stderr);
    assert.is(stdout, '');
    assert.match(stderr, text);
  }
});

test('a coordinator without TLS says what it takes', async () => {
  await using dir = await temporaryDirectory();
  await using company = await testAuthority();
  const { files } = await company.sign('DNS:x');
  await using served = await serve(dir.path, [], false);
  const command = ['users', 'add', 'alice', '--role', 'read', '--certificate', files.certificate];
  const { status, stderr } = await served.archfarm(...command);
  assert.is(status, 2, stderr);
  assert.match(stderr, /this coordinator speaks no TLS.*\n.*archfarm serve --tls/);
  assert.is((await served.archfarm('users', '--json')).stdout, '[]\n');
});

test.run();
