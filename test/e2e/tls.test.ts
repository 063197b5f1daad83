/** A coordinator that speaks TLS: whom clients and agents believe, and what they say where they do not. */
import { once } from 'node:events';
import { copyFile, mkdir, rename, stat, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { startDaemon, type Daemon } from '../../scripts/rig/daemon.ts';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { currentVersion, startFakeEngine } from '../agent/engine/fake-engine.ts';
import { archfarm } from '../support/archfarm-command.ts';
import { testAuthority, type Pair } from '../support/certificates.ts';
import { agentCommand, isolatedEnv, isServed } from '../support/farm-processes.ts';
import { freePort } from '../../scripts/rig/free-port.ts';
import { heldMemory, peak, resetPeak, toBeAsked } from '../support/process-memory.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';

const engineAnswers = {
  ...currentVersion,
  'GET /info': JSON.stringify({ OSType: 'linux', Architecture: 'x86_64', DriverStatus: [] }),
};

interface Served extends AsyncDisposable {
  readonly port: number;
  readonly data: string;
  readonly env: NodeJS.ProcessEnv;
  readonly daemon: Daemon;
  /** `archfarm agents` there. */
  agents(url: string, options?: { ca?: string }): ReturnType<typeof archfarm>;
}

async function serve(
  dir: string,
  flags: readonly string[],
  host = '127.0.0.1',
  more: NodeJS.ProcessEnv = {},
): Promise<Served> {
  const port = await freePort();
  const data = `${dir}/data`;
  const env = { ...(await isolatedEnv(dir)), ARCHFARM_TOKEN: 'right' };
  const command = ['serve', '--listen', `${host}:${port}`, '--data', data, ...flags];
  const daemon = await startDaemon([process.execPath, archfarmCommand, ...command], {
    log: `${dir}/coordinator.log`,
    env: { ...env, ...more },
    // With TLS it refuses a plain question, which is an answer.
    ready: () => isServed(`127.0.0.1:${port}`),
  });
  return {
    port,
    data,
    env,
    daemon,
    agents: (url, { ca } = {}) =>
      archfarm(['agents', '--json', ...(ca === undefined ? [] : ['--ca', ca])], {
        env: { ...env, ARCHFARM_COORDINATOR: url },
      }),
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

async function expectRefusal(asked: ReturnType<typeof archfarm>, text: RegExp): Promise<void> {
  const { status, stdout, stderr } = await asked;
  assert.is(status, 3, stderr);
  assert.is(stdout, '');
  assert.match(stderr, text);
}

/** The names of the certificate that is shown to a new connection. */
async function shown(port: number): Promise<string | undefined> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { subjectaltname } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname;
}

test('a coordinator with an authority of its own serves clients and agents that know it, and nobody else', async () => {
  await using dir = await temporaryDirectory();
  await using engine = await startFakeEngine(engineAnswers);
  await using served = await serve(dir.path, ['--tls']);
  const { port, data, env } = served;
  const ca = `${data}/tls/ca.crt`;
  for (const key of ['ca.key', 'server.key'])
    assert.is((await stat(`${data}/tls/${key}`)).mode & 0o777, 0o600);

  for (const url of [`https://127.0.0.1:${port}`, `wss://localhost:${port}`]) {
    const known = await served.agents(url, { ca });
    assert.equal(known, { status: 0, stdout: '[]\n', stderr: '' });
    await expectRefusal(
      served.agents(url),
      /certificate of an authority that is not trusted here\n.*--ca FILE/,
    );
  }
  await using other = await testAuthority();
  await expectRefusal(
    served.agents(`https://127.0.0.1:${port}`, { ca: other.file }),
    /authority that is not trusted/,
  );
  const plain = await served.agents(`http://127.0.0.1:${port}`);
  assert.is(plain.status, 2, plain.stderr);
  assert.match(plain.stderr, /speaks TLS on this port, and nothing without it\n.*wss:/);

  const run = [
    'run',
    '--coordinator',
    `wss://127.0.0.1:${port}`,
    '--name',
    'a',
    '--data',
    `${dir.path}/agent`,
  ];
  await using _agent = await startDaemon([process.execPath, agentCommand, ...run], {
    log: `${dir.path}/agent.log`,
    env: { ...env, ARCHFARM_CA: ca, DOCKER_HOST: engine.host },
    ready: async () => (await served.agents(`https://127.0.0.1:${port}`, { ca })).stdout.includes('"a"'),
  });
  const stranger = [
    'run',
    '--coordinator',
    `wss://127.0.0.1:${port}`,
    '--name',
    'b',
    '--data',
    `${dir.path}/b`,
  ];
  await using lost = await startDaemon([process.execPath, agentCommand, ...stranger], {
    log: `${dir.path}/b.log`,
    env: { ...env, ARCHFARM_CA: other.file, DOCKER_HOST: engine.host },
    ready: async () => true,
  });
  await until(async () => /authority that is not trusted here/.test(await lost.output()));
  const doctor = await archfarm(['doctor', '--ca', ca], {
    env: { ...env, ARCHFARM_COORDINATOR: `wss://127.0.0.1:${port}` },
  });
  assert.match(doctor.stdout, /answers by TLS, with a certificate that is trusted here/);
});

test('nothing below TLS 1.2 is spoken', async () => {
  await using dir = await temporaryDirectory();
  await using served = await serve(dir.path, ['--tls']);
  const old = connectTls({
    port: served.port,
    rejectUnauthorized: false,
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const [error]: unknown[] = await once(old, 'error');
  assert.match(String(error), /protocol version|unsupported protocol|handshake failure/i);
});

test('a restarted coordinator keeps its authority, and has its certificate made anew for other names', async () => {
  await using dir = await temporaryDirectory();
  let ca: string;
  {
    await using served = await serve(dir.path, [
      '--tls',
      '--tls-name',
      '127.0.0.1',
      '--tls-name',
      'farm.test',
    ]);
    assert.is(await shown(served.port), 'IP Address:127.0.0.1, DNS:farm.test');
    ca = `${dir.path}/ca.crt`;
    await copyFile(`${served.data}/tls/ca.crt`, ca);
  }
  await using served = await serve(dir.path, ['--tls', '--tls-name', 'farm.test']);
  assert.is(await shown(served.port), 'DNS:farm.test');
  await expectRefusal(
    served.agents(`https://127.0.0.1:${served.port}`, { ca }),
    /certificate for another name: .*127\.0\.0\.1[^]*--tls-name/,
  );
});

test('a certificate from files is read again while builds are followed; a bad one changes nothing', async () => {
  await using dir = await temporaryDirectory();
  await using authority = await testAuthority();
  const at = (name: string): string => `${dir.path}/shown/${name}`;
  await mkdir(`${dir.path}/shown`);
  const put = async ({ files }: Pair): Promise<void> => {
    await copyFile(files.key, at('new'));
    await rename(at('new'), at('tls.key'));
    await copyFile(files.certificate, at('new'));
    await rename(at('new'), at('tls.crt'));
  };
  await put(await authority.sign('IP:127.0.0.1,DNS:first.test'));
  await using served = await serve(dir.path, ['--tls-cert', at('tls.crt'), '--tls-key', at('tls.key')]);
  const url = `https://127.0.0.1:${served.port}`;
  assert.is((await served.agents(url, { ca: authority.file })).status, 0);

  const held = connectTls({ port: served.port, ca: authority.certificate, host: '127.0.0.1' });
  await once(held, 'secureConnect');
  await using _held = { [Symbol.asyncDispose]: async () => void held.destroy() };
  const ask = async (): Promise<string> => {
    held.write('GET /v1/version HTTP/1.1\r\nhost: x\r\nauthorization: Bearer right\r\n\r\n');
    const [answer]: unknown[] = await once(held, 'data');
    return String(answer);
  };
  assert.match(await ask(), '200 OK');
  await put(await authority.sign('IP:127.0.0.1,DNS:second.test'));
  await until(async () => (await shown(served.port))?.includes('second.test') === true);
  assert.match(await ask(), '200 OK', 'an open connection goes on');

  await writeFile(at('tls.crt'), 'no certificate');
  await until(async () => /went on with the certificate as it was/.test(await served.daemon.output()));
  assert.match((await shown(served.port)) ?? '', 'second.test');

  await put(await authority.sign('IP:127.0.0.1', { expired: true }));
  await until(async () => (await shown(served.port)) === 'IP Address:127.0.0.1');
  await expectRefusal(served.agents(url, { ca: authority.file }), /certificate that has expired\n.*clock/);
});

test('a client that speaks TLS to a coordinator without it is told so', async () => {
  await using dir = await temporaryDirectory();
  await using served = await serve(dir.path, []);
  await expectRefusal(
    served.agents(`https://127.0.0.1:${served.port}`),
    /speaks no TLS on this port\n.*--tls/,
  );
});

test('beyond loopback it takes TLS, or a flag that is warned of at every start', async () => {
  await using dir = await temporaryDirectory();
  const env = { ...(await isolatedEnv(dir.path)), ARCHFARM_TOKEN: 'right' };
  const listen = ['--listen', `0.0.0.0:${await freePort()}`, '--data', `${dir.path}/data`];
  const { status, stderr } = await archfarm(['serve', ...listen], { env });
  assert.is(status, 2, stderr);
  assert.match(stderr, /refusing to listen on 0\.0\.0\.0 without TLS\n.*--tls.*--insecure-listen/);
  for (const _start of [1, 2]) {
    await using served = await serve(dir.path, ['--insecure-listen'], '0.0.0.0');
    assert.match(await served.daemon.output(), 'listens without TLS');
  }
});

test('flags of TLS that do not go together are refused', async () => {
  await using dir = await temporaryDirectory();
  const env = await isolatedEnv(dir.path);
  const cases: [string[], RegExp][] = [
    [['--tls-cert', 'x'], /--tls-key is missing/],
    [['--tls-key', 'x'], /--tls-cert is missing/],
    [['--tls-name', 'x'], /only --tls makes/],
    [['--tls', '--tls-cert', 'x', '--tls-key', 'y'], /--tls makes a certificate, and --tls-cert brings one/],
    [['--tls-cert', '/missing', '--tls-key', '/missing'], /cannot read \/missing of --tls-/],
  ];
  for (const [flags, text] of cases) {
    const { status, stderr } = await archfarm(['serve', '--data', dir.path, ...flags], { env });
    assert.is(status, 2, stderr);
    assert.match(stderr, text);
  }
});

test('connections that say nothing to TLS are dropped, keep nobody out and leave nothing [B2]', async () => {
  await using dir = await temporaryDirectory();
  const memory = `${dir.path}/memory.sock`;
  await using served = await serve(dir.path, ['--tls'], '127.0.0.1', toBeAsked(memory));
  const { port, daemon } = served;
  const ask = (): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: 'Bearer right' };
      const options = { port, localAddress: '127.0.0.9', rejectUnauthorized: false, headers };
      get('https://127.0.0.1/v1/agents', options, (answer) => resolve(answer.resume().statusCode)).on(
        'error',
        reject,
      );
    });
  assert.is(await ask(), 200);
  const before = await heldMemory(memory, daemon.pid);
  const resident = await resetPeak(daemon.pid);
  let closed = 0;
  for (let count = 0; count < 300; count += 1) {
    // Any address but the machine's usual one, as from another host.
    const socket = connectTcp({ port, host: '127.0.0.1', localAddress: '127.0.0.9' });
    socket.on('error', () => {});
    socket.on('close', () => (closed += 1));
    await once(socket, 'connect');
  }
  await until(() => closed >= 300 - 64);
  const started = performance.now();
  assert.is(await ask(), 200);
  assert.ok(performance.now() - started < 1000);
  await until(() => closed === 300, { timeout: 10_000 });
  assert.ok(performance.now() - started < 7000, 'all are gone once their time is up');
  assert.ok((await peak(daemon.pid)) - resident < 64 * 1024 * 1024);
  await until(async () => (await heldMemory(memory, daemon.pid)) - before < 3 * 1024 * 1024, { every: 100 });
  assert.is(await ask(), 200);
});

test.run();
