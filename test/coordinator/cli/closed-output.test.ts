/** Whose reader goes away: a build ends as it would have, with its files and its status. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { BuildResult } from '../../../shared/progress.ts';
import { exampleFrames, exampleResult } from '../../support/frames.ts';
import { httpServer, type Handler, type TestServer } from '../../support/http-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

const main = fileURLToPath(new URL('../../../coordinator/main.ts', import.meta.url));
const digest = `sha256:${'e'.repeat(64)}`;
const publishedInPart: BuildResult = {
  ...exampleResult,
  status: 'succeeded',
  error: undefined,
  'containerimage.digest': digest,
  platforms: exampleResult.platforms.map((each) => ({ ...each, optional: each.status !== 'pushed' })),
};

/** A coordinator at which every build is published without an optional platform. */
const coordinator: Handler = (request, response) => {
  if (request.url?.includes('/events') === true) {
    const frames = exampleFrames.map((frame) =>
      frame.type === 'result' ? { ...frame, result: publishedInPart } : frame,
    );
    response.end(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(''));
  } else if (request.method === 'POST') {
    response.writeHead(201).end(JSON.stringify({ build: 'b1' }));
  } else {
    response.end(JSON.stringify(publishedInPart));
  }
};

const build = ['build', './app', '-t', 'reg.test/app'];

type Output = 'stdout' | 'stderr';

interface At {
  readonly cwd: string;
  readonly server: TestServer;
  /** Read by nobody. */
  readonly closed?: readonly Output[];
}

async function archfarm(
  args: readonly string[],
  { cwd, server, closed = [] }: At,
): Promise<{ status: number | null } & Record<Output, string>> {
  const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
    cwd,
    env: { PATH: process.env['PATH'], HOME: cwd, ARCHFARM_COORDINATOR: server.url.href },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  for (const name of closed) child[name].destroy();
  const read = (name: Output): Promise<string> | string => (closed.includes(name) ? '' : text(child[name]));
  const [stdout, stderr] = await Promise.all([read('stdout'), read('stderr')]);
  await ended;
  return { status: child.exitCode, stdout, stderr };
}

test('a build ends with its files and its status though nobody reads what it prints', async () => {
  await using directory = await temporaryDirectory();
  await writeFiles(directory.path, { 'app/Dockerfile': 'FROM scratch\n' });
  await using server = await httpServer(coordinator);
  const files = [join(directory.path, 'metadata.json'), join(directory.path, 'iid')] as const;
  const flags = ['--metadata-file', files[0], '--iidfile', files[1]];
  const golden: [args: string[], closed: Output[]][] = [
    [[...build, '--quiet', ...flags], ['stdout']],
    [
      [...build, ...flags],
      ['stdout', 'stderr'],
    ],
    [
      ['retry', 'b1', ...flags],
      ['stdout', 'stderr'],
    ],
    [['attach', 'b1', '--progress', 'rawjson'], ['stdout']],
  ];
  for (const [args, closed] of golden) {
    const { status, stderr } = await archfarm(args, { cwd: directory.path, server, closed });
    assert.is(status, 5, `${args.join(' ')}: ${stderr}`);
    if (args[0] === 'attach') continue;
    const metadata: unknown = JSON.parse(await readFile(files[0], 'utf8'));
    assert.equal(metadata, JSON.parse(JSON.stringify(publishedInPart)));
    assert.is(await readFile(files[1], 'utf8'), digest);
    for (const file of files) await rm(file);
  }
});

test('where one file cannot be written the other is, and the digest is printed', async () => {
  await using directory = await temporaryDirectory();
  await writeFiles(directory.path, { 'app/Dockerfile': 'FROM scratch\n' });
  await using server = await httpServer(coordinator);
  const iid = join(directory.path, 'iid');
  const args = [...build, '--quiet', '--metadata-file', '/dev/full', '--iidfile', iid];
  const { status, stdout, stderr } = await archfarm(args, { cwd: directory.path, server });
  assert.is(status, 2, stderr);
  assert.match(stderr, /cannot write \/dev\/full: ENOSPC/);
  assert.is(stdout, `${digest}\n`);
  assert.is(await readFile(iid, 'utf8'), digest);
});

test.run();
