import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Registries } from '../../../coordinator/registry/registries.ts';
import { startCoordinator, type Coordinator } from '../../../coordinator/server/coordinator.ts';
import { archfarmCommand } from '../../../scripts/rig/farm.ts';
import { Cleanup } from '../../../shared/cleanup.ts';
import { silentLogger } from '../../../shared/log.ts';
import { defaultTimers } from '../../../shared/timers.ts';
import type { EndedCommand } from '../../support/archfarm-command.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const sharedToken = 'shared-by-all';

interface RunOptions {
  /** Typed in. */
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Rig extends AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly url: string;
  /** Of the coordinator's authority. */
  readonly ca: string;
  readonly home: string;
  /** `archfarm` as a user runs it, with what is typed in; nothing of the environment but this. */
  readonly run: (args: readonly string[], options?: RunOptions) => Promise<EndedCommand>;
}

async function rig({
  tls = false,
  token = sharedToken,
}: { tls?: boolean; token?: string | undefined } = {}): Promise<Rig> {
  const cleanup = new Cleanup();
  const directory = await temporaryDirectory();
  cleanup.defer(() => directory[Symbol.asyncDispose]());
  const registries = new Registries({});
  cleanup.defer(() => registries[Symbol.asyncDispose]());
  const data = join(directory.path, 'data');
  const coordinator = await startCoordinator({
    listen: { host: '127.0.0.1', port: 0 },
    token: token === '' ? undefined : token,
    ...(tls ? { tls: { type: 'own', names: ['127.0.0.1'] } } : {}),
    data,
    durable: true,
    registries,
    timers: defaultTimers,
    log: silentLogger,
  });
  cleanup.defer(() => coordinator.close());
  const home = join(directory.path, 'home');
  const basic = { PATH: process.env['PATH'], HOME: home, XDG_CONFIG_HOME: join(home, 'config') };
  return {
    coordinator,
    url: coordinator.url.href,
    ca: join(data, 'tls', 'ca.crt'),
    home,
    async run(args, { input = '', env = {} } = {}) {
      const child = spawn(process.execPath, [archfarmCommand, ...args], { env: { ...basic, ...env } });
      child.stdin.on('error', () => {});
      child.stdin.end(input);
      const closed = once(child, 'close');
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      await closed;
      return { status: child.exitCode, stdout, stderr };
    },
    [Symbol.asyncDispose]: () => cleanup[Symbol.asyncDispose](),
  };
}

/** What the shared token adds. */
async function addUser({ run, url }: Rig, args: readonly string[]): Promise<string> {
  const env = { ARCHFARM_TOKEN: sharedToken };
  const added = await run(['users', 'add', ...args, '--coordinator', url], { env });
  assert.is(added.status, 0, added.stderr);
  assert.match(added.stderr, /shown once/);
  return added.stdout.trim();
}

test('a user is added, signs in, is who it is, signs out, and is removed [C2]', async () => {
  await using farm = await rig();
  const { run, url, home } = farm;
  const token = await addUser(farm, ['alice', '--role', 'build', '--repo', 'lab:5000/onap/']);

  const login = await run(['login', url], { input: `${token}\n` });
  assert.is(login.status, 0, login.stderr);
  assert.is(login.stdout, `signed in to ${url} as alice, with the role build, for lab:5000/onap\n`);
  assert.not.ok(`${login.stdout}${login.stderr}`.includes(token));
  const file = join(home, 'config', 'archfarm', 'login.json');
  assert.is((await stat(file)).mode & 0o777, 0o600);
  assert.is((await stat(join(home, 'config', 'archfarm'))).mode & 0o777, 0o700);

  // It is the coordinator of commands that name none, and its token is used where none is given.
  const whoami = await run(['whoami', '--json']);
  assert.equal(JSON.parse(whoami.stdout), {
    name: 'alice',
    type: 'user',
    role: 'build',
    repositories: ['lab:5000/onap'],
    coordinator: url,
  });
  assert.is((await run(['agents', '--coordinator', url])).status, 0);
  const shared = await run(['whoami'], { env: { ARCHFARM_TOKEN: sharedToken } });
  assert.is(shared.stdout, `the shared token, with all rights at ${url}\n`);
  const nowhere = await run(['whoami'], { env: { ARCHFARM_COORDINATOR: '' } });
  assert.match(nowhere.stderr, 'this command needs a coordinator');

  const refused = await run(['users']);
  assert.is(refused.status, 2);
  assert.match(
    refused.stderr,
    /user alice has the role build: to look at users takes the role admin\n {2}\S/,
  );
  const drain = await run(['agents', 'drain', 'pi-01']);
  assert.is(drain.status, 2);

  const env = { ARCHFARM_TOKEN: sharedToken };
  const listed = await run(['users', '--json'], { env });
  assert.not.ok(listed.stdout.includes(token));
  const [alice]: { name: string; addedBy: string }[] = JSON.parse(listed.stdout);
  assert.is(alice?.name, 'alice');
  assert.is(alice?.addedBy, 'the shared token');
  assert.match(
    (await run(['users'], { env })).stdout,
    /^NAME +ROLE +REPOSITORIES +ADDED +BY\nalice +build +lab:5000\/onap/,
  );

  await chmod(file, 0o644);
  const open = await run(['whoami']);
  assert.is(open.status, 2);
  assert.match(open.stderr, /others than you may read it\n {2}chmod 600/);
  await chmod(file, 0o600);

  assert.is((await run(['users', 'rm', 'alice'], { env })).status, 0);
  const gone = await run(['whoami']);
  assert.is(gone.status, 2);
  assert.match(gone.stderr, 'the coordinator refuses this token');
  assert.is((await run(['logout'])).status, 0);
  assert.not.ok((await readFile(file, 'utf8')).includes(token));
  const twice = await run(['logout', url]);
  assert.is(twice.status, 1);
  assert.match(twice.stderr, `you are not signed in to ${url}`);

  const audit = await run(['audit', '--coordinator', url], { env });
  assert.match(audit.stdout, /^TIME +WHO +FROM +ACTION +WHAT\n/);
  assert.match(audit.stdout, /the shared token +127\.0\.0\.1 +add-user +alice as build for lab:5000\/onap/);
  assert.match(audit.stdout, /alice +127\.0\.0\.1 +forbidden/);
  assert.match(audit.stdout, /the shared token +127\.0\.0\.1 +remove-user +alice/);
  const verify = await run(['audit', 'verify', '--coordinator', url], { env });
  assert.is(verify.status, 0, verify.stdout);
  const [, head = ''] = /the last one is (\d+:[0-9a-f]{64})/.exec(verify.stdout) ?? [];
  assert.is((await run(['audit', 'verify', '--expect', head, '--coordinator', url], { env })).status, 0);
  const other = await run(['audit', 'verify', '--expect', `1:${'0'.repeat(64)}`, '--coordinator', url], {
    env,
  });
  assert.is(other.status, 1);
  assert.match(other.stdout, 'row 1 is not the one that was noted');
});

test('what is typed at the prompt shows nowhere', async () => {
  await using farm = await rig();
  const command = `${process.execPath} ${archfarmCommand} login ${farm.url}`;
  // A terminal, as `script` makes one.
  const env = { PATH: process.env['PATH'], HOME: farm.home, XDG_CONFIG_HOME: join(farm.home, 'config') };
  const child = spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    const isAsked = shown.includes('Token for');
    shown += piece;
    if (!isAsked && shown.includes('Token for')) child.stdin.write(`${sharedToken}x\u007F\r`);
  });
  await once(child, 'close');
  assert.is(child.exitCode, 0, shown);
  assert.match(shown, /^Token for [\d.:]+: \r\nsigned in to \S+ as the shared token, with all rights\r\n$/);
});

test('a token that is wrong, empty or no token is not kept', async () => {
  await using farm = await rig();
  const { run, url } = farm;
  for (const [input, said] of [
    ['wrong\n', 'the coordinator refuses this token'],
    ['', 'no token was given'],
    ['two words\n', 'does not hold one token'],
  ] as const) {
    const { status, stderr } = await run(['login', url], { input });
    assert.is(status, 2, stderr);
    assert.match(stderr, said);
  }
  assert.match((await run(['whoami'])).stderr, 'this command needs a coordinator');
  const bad = await run(['users', 'add', 'Alice', '--role', 'build', '--coordinator', url], {
    env: { ARCHFARM_TOKEN: sharedToken },
  });
  assert.is(bad.status, 2);
  assert.match(bad.stderr, '"Alice" cannot be the name of a user');
});

test('on its own machine a coordinator without a token takes its first admin from whoever is there', async () => {
  await using farm = await rig({ token: '' });
  const { run, url } = farm;
  const added = await run(['users', 'add', 'root', '--role', 'admin', '--coordinator', url]);
  assert.is(added.status, 0, added.stderr);
  const tokenFile = join(farm.home, '..', 'token');
  await writeFile(tokenFile, added.stdout);
  const login = await run(['login', url, '--token-file', tokenFile, '--no-default']);
  assert.is(login.status, 0, login.stderr);
  assert.match((await run(['whoami'])).stderr, 'this command needs a coordinator');
  assert.match(
    (await run(['whoami', '--coordinator', url])).stdout,
    /^root, with the role admin, for every repository/,
  );
});

test('an authority that nobody knows gets no token; one that is given is kept, by file or fingerprint', async () => {
  await using farm = await rig({ tls: true });
  const { run, url, ca, home } = farm;
  const input = `${sharedToken}\n`;
  const unknown = await run(['login', url], { input });
  assert.is(unknown.status, 3);
  assert.match(unknown.stderr, /shows a certificate of an authority that is not trusted here\n.*--ca FILE/);

  assert.is((await run(['login', url, '--ca', ca], { input })).status, 0);
  assert.is((await run(['whoami'])).status, 0);
  assert.is((await run(['logout'])).status, 0);

  const fingerprint = new X509Certificate(await readFile(ca)).fingerprint256;
  const wrongByte = fingerprint.startsWith('00') ? 'FF' : '00';
  const wrong = await run(['login', url, '--fingerprint', `${wrongByte}${fingerprint.slice(2)}`], { input });
  assert.is(wrong.status, 2, wrong.stderr);
  assert.match(wrong.stderr, 'shows no certificate with this fingerprint');
  const right = await run(['login', url, '--fingerprint', fingerprint], { input });
  assert.is(right.status, 0, right.stderr);
  assert.is((await run(['whoami'])).status, 0);
  // Whom one has signed in to by TLS is spoken to so, and for a fingerprint there is no other way.
  const { host } = new URL(url);
  const bare = await run(['whoami', '--coordinator', host]);
  assert.is(bare.stdout, `the shared token, with all rights at ${url}\n`, bare.stderr);
  assert.is((await run(['logout', host])).status, 0);
  assert.is((await run(['login', host, '--fingerprint', fingerprint], { input })).status, 0);
  // Whoever answers there later with another authority is not believed.
  const file = join(home, 'config', 'archfarm', 'login.json');
  await using other = await rig({ tls: true });
  const contents = await readFile(file, 'utf8');
  await writeFile(file, contents.replaceAll(url, other.url));
  const posing = await run(['whoami']);
  assert.is(posing.status, 3);
  assert.match(posing.stderr, 'of an authority that is not trusted here');
});

test('with a credential helper the file holds no token', async () => {
  await using farm = await rig();
  const { run, url, home } = farm;
  const token = await addUser(farm, ['alice', '--role', 'read']);
  const bin = join(home, '..', 'bin');
  const vault = join(home, '..', 'vault');
  const helper = `#!/bin/sh
case $1 in
  store) cat > ${vault} ;;
  get) cat ${vault} 2>/dev/null || { echo credentials not found in native keychain; exit 1; } ;;
  erase) rm -f ${vault} ;;
esac
`;
  const file = join(home, 'config', 'archfarm', 'login.json');
  await mkdir(bin);
  await mkdir(join(home, 'config', 'archfarm'), { recursive: true });
  await writeFile(join(bin, 'docker-credential-vault'), helper, { mode: 0o755 });
  await writeFile(file, '{"credsStore": "vault"}', { mode: 0o600 });
  const env = { PATH: `${bin}:${process.env['PATH']}` };
  const login = await run(['login', url], { input: token, env });
  assert.is(login.status, 0, login.stderr);
  assert.not.ok((await readFile(file, 'utf8')).includes(token));
  assert.ok((await readFile(vault, 'utf8')).includes(token));
  assert.match((await run(['whoami'], { env })).stdout, /^alice, with the role read/);
  assert.is((await run(['logout'], { env })).status, 0);
  assert.not.ok(await stat(vault).catch(() => undefined));
});

test.run();
