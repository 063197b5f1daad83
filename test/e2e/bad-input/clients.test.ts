/**
 * What users give to the command by mistake, or strangers give to users. A command reads it and ends: what must stay up is
 * the coordinator that it was meant for, and the build of a neighbour there. So each comes once, the largest of its row, and
 * the command's own memory has a bound.
 */
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack, type Header } from 'tar-stream';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { startArchfarm, type EndedCommand } from '../../support/archfarm-command.ts';
import { ask } from '../../support/http-request.ts';
import { toNotePeak } from '../../support/process-memory.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { watchedFarm } from '../../support/watched-farm.ts';

/** Bytes that a command may take for it. One that has nothing to do takes 90 MB. */
const highest = 220 * 1024 * 1024;

const farm = await watchedFarm();
const directory = await temporaryDirectory();
const peaks = `${directory.path}/peaks`;
// One of the users is not who runs the tests.
await chmod(directory.path, 0o755);
await writeFile(peaks, '');
await chmod(peaks, 0o666);

type Entry = Partial<Header> & { readonly name: string; readonly content?: string };

async function tarOf(...entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content = '', ...header } of entries) tar.entry(header, content);
  tar.finalize();
  return buffer(tar);
}

const dockerfile = { name: 'Dockerfile', content: 'FROM scratch\n' };
const whole = await tarOf(dockerfile, { name: 'a', content: 'x'.repeat(5000) });
const damaged = Buffer.from(whole);
damaged.write('9', 148);
/** By the name under which they can be had. */
const archives: Readonly<Record<string, Buffer>> = {
  out: await tarOf(dockerfile, { name: '../../etc/cron.d/x' }),
  through: await tarOf(dockerfile, { name: 'l', type: 'symlink', linkname: '/etc' }, { name: 'l/passwd' }),
  device: await tarOf(dockerfile, { name: 'sda', type: 'block-device' }),
  sparse: await tarOf(dockerfile, { name: 'holes', pax: { 'GNU.sparse.major': '1' } }),
  painted: await tarOf(dockerfile, { name: '\u001b[2J\u202e/../../x' }),
  deep: await tarOf(dockerfile, { name: `${'d/'.repeat(2500)}x` }),
  many: gzipSync(await tarOf(...Array.from({ length: 5_001 }, (_, index) => ({ name: `${index}` })))),
  damaged,
  bomb: gzipSync(await tarOf(dockerfile, { name: 'zeros', content: '\0'.repeat(64 * 1024 * 1024) })),
  xz: Buffer.from('fd377a585a000004e6d6b446', 'hex'),
  cut: gzipSync(whole).subarray(0, -20),
};
interface Case {
  /** An archive, or files to write, or what else is to be done in a directory. */
  readonly context: string | ((path: string) => Promise<void>);
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly user?: number;
  readonly status?: number;
  readonly says: RegExp;
}

function files(all: Readonly<Record<string, string | Buffer>>): (path: string) => Promise<void> {
  return async (path) => {
    for (const [name, content] of Object.entries({ Dockerfile: 'FROM scratch\n', ...all })) {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), content);
    }
  };
}

const aliases = 'abcdefgh'
  .split('')
  .map((name, level, all) =>
    level === 0 ? 'a: &a [1,1,1,1,1,1,1,1,1]' : `${name}: &${name} [${`*${all[level - 1]},`.repeat(9)}]`,
  )
  .join('\n');
const wild = [...Array.from({ length: 2000 }, (_, index) => `${'*a'.repeat(12)}b${index}`), '[a-'].join('\n');
const service = 'services:\n  app:\n    image: h/x\n    build:\n';

const cases: Readonly<Record<string, Case>> = {
  'a path that leads out of an archive [X1]': {
    context: 'out',
    says: /"\.\.\/\.\.\/etc\/cron\.d\/x" is refused: its path leads out/,
  },
  'a link in an archive to write through [X2]': {
    context: 'through',
    says: /"l\/passwd" is refused: l is no directory/,
  },
  'a link that leads out of the context, which is sent as it is and not followed [X3]': {
    context: async (path) => {
      await files({})(path);
      await symlink('/etc/passwd', join(path, 'leak'));
    },
    args: ['--detach', '--platform', 'linux/s390x', '--wait-agent', '1h'],
    status: 0,
    says: /^$/,
  },
  'a device in an archive [X4]': { context: 'device', says: /"sda" is refused: .*block-device/ },
  'a file of 30 GiB that has no content [X5]': {
    context: async (path) => {
      await files({ holes: '' })(path);
      await truncate(join(path, 'holes'), 30 * 1024 ** 3);
    },
    says: /the context has 322\d+ bytes of files .*more than the limit/,
  },
  'a sparse file in an archive [X5]': {
    context: 'sparse',
    says: /"holes" is refused: it is a sparse file/,
  },
  'a name that moves the cursor [X6]': {
    context: 'painted',
    says: /"\\u001b\[2J[^"]*" is refused: its path leads out/,
  },
  'a name that is no UTF-8 [X6]': {
    context: async (path) => {
      await files({})(path);
      await writeFile(Buffer.concat([Buffer.from(`${path}/caf`), Buffer.of(0xe9)]), '');
    },
    says: /not UTF-8/,
  },
  'a path of 5,000 bytes in an archive [X7]': { context: 'deep', says: /"(d\/)+.* has 5001 bytes in a path/ },
  'more files than there may be in an archive [X8]': {
    context: 'many',
    env: { ARCHFARM_CONTEXT_LIMITS: 'entries=5000' },
    says: /has 5001 files, directories and links, more than the limit of 5000/,
  },
  'an archive that is damaged [X9]': {
    context: 'damaged',
    says: /is not a whole tar archive: Invalid tar header/,
  },
  'a compressed archive that is a bomb [X10]': {
    context: 'bomb',
    env: { ARCHFARM_CONTEXT_LIMITS: 'bytes=32MiB' },
    says: /has 67\d+ bytes of files .*more than the limit/,
  },
  'an archive that nobody unpacks [X10]': { context: 'xz', says: /is not a whole tar archive/ },
  'an archive that is cut [X11]': { context: 'cut', says: /is not a whole tar archive/ },
  'a file that may not be read [X12]': {
    context: async (path) => {
      await files({ 'secret/key.pem': 'x' })(path);
      await chmod(join(path, 'secret/key.pem'), 0);
    },
    // Root may read everything.
    user: 65534,
    env: { HOME: '/nonexistent', XDG_CACHE_HOME: '/nonexistent', DOCKER_CONFIG: '/nonexistent' },
    says: /cannot read "secret\/key\.pem": permission denied/,
  },
  'a Dockerfile in UTF-16 [D1]': {
    context: files({ Dockerfile: Buffer.from('\uFEFFFROM scratch\n', 'utf16le') }),
    says: /Dockerfile is UTF-16/,
  },
  'a Dockerfile that is a directory [D1]': {
    context: files({ 'Docker/x': '' }),
    args: ['-f', 'Docker'],
    says: /Docker is a directory|Docker is no file|Docker/,
  },
  'a Dockerfile that leads to none outside of the context [D2]': {
    context: async (path) => {
      await files({})(path);
      await symlink('/nonexistent/Dockerfile', join(path, 'link'));
    },
    args: ['-f', 'link'],
    says: /link/,
  },
  'an ignore file of patterns that drive others mad, the last of them none [D5]': {
    context: files({ '.dockerignore': wild, ['a'.repeat(40)]: '' }),
    says: /\.dockerignore, line 2001: invalid pattern "\[a-"/,
  },
  'YAML that grows without end [C1]': {
    context: files({ 'compose.yaml': aliases }),
    says: /[Ee]xcessive alias/,
  },
  'YAML of a gigabyte [C1]': {
    context: async (path) => {
      await files({ 'compose.yaml': '' })(path);
      await truncate(join(path, 'compose.yaml'), 1024 ** 3);
    },
    says: /compose\.yaml is larger than 1048576 bytes/,
  },
  'a key that is none [C2]': {
    context: files({ 'compose.yaml': `${service}      contxt: .\n` }),
    says: /compose\.yaml:5:7: .*contxt.*\n?.*context/,
  },
  'a variable that is not there [C2]': {
    context: files({ 'compose.yaml': `${service}      context: \${WHICH:?say which}\n` }),
    says: /compose\.yaml:5:\d+: .*say which/,
  },
  'a reference that is none [R1]': {
    context: files({}),
    args: ['-t', `Onap/${'x'.repeat(100_000)}`],
    says: /an image reference of 100005 characters, which begins "Onap\/x+"/,
  },
};

let made = 0;

async function run({ context, args = [], env = {}, user }: Case): Promise<EndedCommand> {
  const path = `${directory.path}/${(made += 1)}`;
  await mkdir(path);
  if (typeof context !== 'string') await context(path);
  const isProject = existsSync(`${path}/compose.yaml`);
  const image = args.includes('-t') ? [] : ['-t', `${farm.registry}/onap/app`];
  // What should not have been taken would wait for the agent of the neighbour.
  const nowhere = args.includes('--platform') ? [] : ['--platform', 'linux/s390x', '--wait-agent', '0s'];
  const what = isProject ? ['app'] : [typeof context === 'string' ? '-' : '.', ...image];
  await using command = startArchfarm(['build', ...what, ...nowhere, ...args], {
    cwd: path,
    env: { ...farm.env, ...toNotePeak(peaks), ...env },
    ...(user === undefined ? {} : { user }),
    ...(typeof context === 'string' ? { input: archives[context] ?? whole } : {}),
  });
  return await command.ended;
}

const listed = v.object({ builds: v.array(v.object({ build: v.string() })) });
const shown = v.object({ context: v.object({ files: v.number(), bytes: v.number() }) });
const ended = new Map<string, EndedCommand>();
const taken: string[] = [];

test('whatever commands are given, the coordinator and the others there go on as before', async () => {
  const all = Object.entries(cases);
  await farm.unharmed({ rounds: all.length, first: 2, atOnce: 2 }, async (round) => {
    const [what, one] = all[round % all.length] ?? [];
    if (what === undefined || one === undefined) return;
    const command = await run(one);
    ended.set(what, command);
    taken.push(...command.stdout.split('\n').filter(Boolean));
  });
  const builds = new URL('/v1/builds', farm.url);
  const ids = v.parse(listed, (await ask(builds)).body).builds.map(({ build }) => build);
  // Of all these one was a build.
  assert.equal(new Set(ids), new Set([...taken, farm.neighbour.build]));
  const [linked = ''] = taken;
  const { context } = v.parse(shown, (await ask(new URL(`${builds.pathname}/${linked}`, builds))).body);
  assert.equal(context, { files: 1, bytes: 13 }, 'nothing of where the link leads');
  const most = Math.max(...(await readFile(peaks, 'utf8')).trim().split('\n').map(Number));
  assert.ok(most > 0 && most < highest, `${Math.round(most / 1024 ** 2)} MiB`);
});

for (const [what, { status = 2, says }] of Object.entries(cases)) {
  test(`a user gives ${what}`, () => {
    const { stderr, status: how } = ended.get(what) ?? { stderr: 'never run', status: undefined };
    assert.is(how, status, stderr);
    assert.match(stderr, says, stderr);
    assert.not(/[^\P{C}\n]/u.test(stderr), 'control characters');
    assert.ok(stderr.length < 10_000, 'an endless message');
  });
}

test('the farm is as it was', async () => {
  await farm[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

test.run();
