import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { dataDirectory, readConfig, type AgentFlags } from '../../agent/config.ts';
import { ArchfarmError } from '../../shared/errors.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const coordinator = 'ws://farm:7480';

function refusal(flags: AgentFlags, env: Record<string, string> = {}): string {
  try {
    readConfig({ coordinator, ...flags }, env);
  } catch (error) {
    if (error instanceof ArchfarmError && error.code === 'usage') return error.message;
    throw error;
  }
  throw new Error('it was taken');
}

test('without anything but an address there are defaults', () => {
  const config = readConfig({ coordinator }, { XDG_STATE_HOME: '/state' });
  assert.is(config.coordinator.href, 'http://farm:7480/');
  assert.is(config.name, hostname());
  assert.equal(
    [config.token, config.platforms, config.slots, config.weight, config.labels, config.docker],
    [undefined, undefined, 2, 1, {}, undefined],
  );
  assert.is(config.cache, config.data);
  assert.equal(config.contextStore, {});
});

test('flags win over the environment', () => {
  const env = {
    ARCHFARM_COORDINATOR: 'other:1',
    ARCHFARM_NAME: 'env',
    ARCHFARM_PLATFORM: 'linux/amd64, arm64',
    ARCHFARM_SLOTS: '7',
    ARCHFARM_WEIGHT: '2.5',
    ARCHFARM_LABELS: 'room=lab,rack=2=b',
    ARCHFARM_DATA: '/env/data',
    ARCHFARM_CONTEXT_STORE: '5GB,3d',
    ARCHFARM_TOKEN: ' secret\n',
  };
  const fromEnv = readConfig({}, env);
  assert.is(fromEnv.coordinator.host, 'other:1');
  assert.equal(fromEnv.platforms, ['linux/amd64', 'linux/arm64/v8']);
  assert.equal(fromEnv.contextStore, { maxBytes: 5e9, maxAge: 3 * 86_400_000 });
  assert.equal(fromEnv.labels, { room: 'lab', rack: '2=b' });
  assert.equal([fromEnv.name, fromEnv.slots, fromEnv.weight], ['env', 7, 2.5]);
  assert.equal([fromEnv.data, fromEnv.token], ['/env/data', 'secret']);
  const flags: AgentFlags = {
    coordinator,
    name: 'flag',
    platform: ['s390x,amd64', 'linux/amd64'],
    slots: '3',
    weight: '0.5',
    label: ['a=', 'b=c,d'],
    data: '/flag/data',
    cache: '/flag/cache',
    contextStore: '1GiB',
    docker: 'tcp://engine:2375',
    minFree: '5%',
  };
  const config = readConfig(flags, env);
  assert.is(config.coordinator.host, 'farm:7480');
  assert.equal(config.platforms, ['linux/s390x', 'linux/amd64']);
  assert.equal(config.minFree, { share: 0.05, bytes: Infinity });
  assert.equal(fromEnv.minFree, { share: 0.1, bytes: 2 * 1024 ** 3 });
  assert.throws(() => readConfig({ coordinator, minFree: 'much' }, {}), /--min-free "much" is not what must/);
  assert.equal(config.labels, { a: '', b: 'c,d' });
  assert.equal(config.contextStore, { maxBytes: 1024 ** 3 });
  assert.equal([config.name, config.slots, config.weight], ['flag', 3, 0.5]);
  assert.equal(
    [config.data, config.cache, config.docker],
    ['/flag/data', '/flag/cache', 'tcp://engine:2375'],
  );
});

test('without a scheme an address means TLS where an authority is given, or beyond this machine', async () => {
  await using directory = await temporaryDirectory();
  const ca = join(directory.path, 'ca.crt');
  await writeFile(ca, rootCertificates[0] ?? '');
  const dialed = (flags: AgentFlags, env: Record<string, string> = {}): string =>
    readConfig({ data: directory.path, ...flags }, env).coordinator.href;
  assert.is(dialed({ coordinator: 'farm:7480' }), 'https://farm:7480/');
  assert.is(dialed({ coordinator: 'localhost:7480' }), 'http://localhost:7480/');
  assert.is(dialed({ coordinator: 'localhost:7480', ca }), 'https://localhost:7480/');
  assert.is(dialed({ coordinator: 'localhost:7480' }, { ARCHFARM_CA: ca }), 'https://localhost:7480/');
  assert.is(dialed({ coordinator: 'ws://farm:7480', ca }), 'http://farm:7480/');
});

test('empty variables count as absent', () => {
  const env = {
    ARCHFARM_NAME: '',
    ARCHFARM_PLATFORM: ' , ',
    ARCHFARM_SLOTS: '',
    ARCHFARM_WEIGHT: '',
    ARCHFARM_CONTEXT_STORE: '',
    ARCHFARM_TOKEN: '',
  };
  const config = readConfig({ coordinator }, { ...env, ARCHFARM_LABELS: '' });
  assert.equal(
    [config.name, config.platforms, config.slots, config.token],
    [hostname(), undefined, 2, undefined],
  );
  assert.throws(() => readConfig({}, { ARCHFARM_COORDINATOR: '' }), /no coordinator to dial/);
});

test('a wrong value is refused naming the flag or variable it came by', () => {
  const golden: [flags: AgentFlags, env: Record<string, string>, message: RegExp][] = [
    [{ slots: '0' }, {}, /^--slots "0"/],
    [{ slots: '1.5' }, {}, /^--slots "1.5"/],
    [{ slots: 'two' }, {}, /^--slots "two"/],
    [{ slots: '' }, {}, /^--slots ""/],
    [{ slots: '1001' }, {}, /^--slots/],
    [{}, { ARCHFARM_SLOTS: 'many' }, /^ARCHFARM_SLOTS "many"/],
    [{ contextStore: '' }, {}, /^--context-store ""/],
    [{ contextStore: '0' }, {}, /^--context-store "0"/],
    [{ contextStore: '9GB,0d' }, {}, /^--context-store/],
    [{ contextStore: '9GB,7' }, {}, /^--context-store/],
    [{}, { ARCHFARM_CONTEXT_STORE: 'all' }, /^ARCHFARM_CONTEXT_STORE "all"/],
    [{ weight: '-1' }, {}, /^--weight/],
    [{}, { ARCHFARM_WEIGHT: 'much' }, /^ARCHFARM_WEIGHT "much"/],
    [{ weight: 'Infinity' }, {}, /^--weight/],
    [{ weight: '0.001' }, {}, /^--weight "0.001" is not a number between 0.01 and 1000/],
    [{ name: '-x' }, {}, /invalid agent name "-x"/],
    [{ name: 'a b' }, {}, /invalid agent name/],
    [{}, { ARCHFARM_NAME: 'ü' }, /invalid agent name "ü"/],
    [{ label: ['novalue'] }, {}, /label "novalue" is not KEY=VALUE/],
    [{ label: ['=v'] }, {}, /label "=v"/],
    [{ platform: ['linux/arm64', 'armv7'] }, {}, /unknown platform "armv7"/],
    [{ coordinator: 'ftp://x' }, {}, /invalid coordinator address "ftp:\/\/x"/],
    [{ tokenFile: '/nonexistent/token' }, {}, /cannot read the token file \/nonexistent\/token/],
  ];
  for (const [flags, env, message] of golden) assert.match(refusal(flags, env), message);
});

test('a token that no header can carry is refused without being shown', async () => {
  await using dir = await temporaryDirectory();
  const file = join(dir.path, 'token');
  for (const token of ['two words', 'line\nbreak', 'tökén', 'nul\0']) {
    await writeFile(file, token);
    const byFile = refusal({ tokenFile: file });
    assert.match(byFile, `the token file ${file} does not hold one token`);
    const byVariable = refusal({}, { ARCHFARM_TOKEN: token });
    assert.match(byVariable, 'ARCHFARM_TOKEN does not hold one token');
    for (const message of [byFile, byVariable]) assert.not.match(message, token);
  }
  await writeFile(file, ' good-token_1+/=\n');
  assert.is(readConfig({ coordinator, tokenFile: file }, { ARCHFARM_TOKEN: 'x' }).token, 'good-token_1+/=');
});

test('data goes where flag, variable or user say', () => {
  assert.is(dataDirectory('/flag', { ARCHFARM_DATA: '/env' }), '/flag');
  assert.is(dataDirectory(undefined, { ARCHFARM_DATA: '/env' }), '/env');
  const own = process.getuid?.() === 0 ? '/var/lib/archfarm-agent' : '/state/archfarm-agent';
  assert.is(dataDirectory(undefined, { XDG_STATE_HOME: '/state' }), own);
});

test.run();
