import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import type { EndedCommand } from '../../support/archfarm-command.ts';
import { bodyOf, httpServer, type Handler } from '../../support/http-server.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { writeFiles } from '../../support/write-files.ts';

const main = fileURLToPath(new URL('../../../coordinator/main.ts', import.meta.url));

/** `archfarm build` of a project of these files, at a coordinator. */
async function build(
  files: Readonly<Record<string, string>>,
  { args, coordinator }: { readonly args: readonly string[]; readonly coordinator: Handler },
): Promise<EndedCommand> {
  await using directory = await temporaryDirectory();
  await writeFiles(directory.path, { Dockerfile: 'FROM scratch\n', ...files });
  await using server = await httpServer(coordinator);
  const where = ['--coordinator', server.url.href, '--project', `${directory.path}/compose.yaml`];
  const child = spawn(process.execPath, [...process.execArgv, main, 'build', ...where, ...args], {
    env: { PATH: process.env['PATH'], HOME: directory.path },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { status: child.exitCode, stdout, stderr };
}

const refused = { error: { code: 'queue-full', message: 'too many builds wait', hint: 'later' } };

const warned = {
  'compose.yaml':
    'services: {app: {image: "reg.test/app$NOT_SET", build: {context: ., args: {API_TOKEN: x}}}}\n',
};
const ofVariable = /variable NOT_SET is not set/;
const ofArgument = /API_TOKEN/;

test('warnings come before the plan of a dry run', async () => {
  const plan = { platforms: [], repositories: [], tags: [] };
  const coordinator: Handler = (_request, response) => void response.end(JSON.stringify(plan));
  for (const flags of [[], ['--progress', 'plain']]) {
    const { status, stderr } = await build(warned, { args: ['app', '--dry-run', ...flags], coordinator });
    assert.is(status, 0, stderr);
    for (const warning of [ofVariable, ofArgument])
      assert.match(stderr, new RegExp(`^archfarm: WARNING: .*${warning.source}`, 'm'));
  }
  const quiet = await build(warned, { args: ['app', '--dry-run', '--quiet'], coordinator });
  assert.is(quiet.stderr, '');
});

test('with rawjson warnings and errors are events, one a line', async () => {
  const coordinator: Handler = (_request, response) => {
    response.writeHead(429).end(JSON.stringify(refused));
  };
  const { status, stderr } = await build(warned, { args: ['app', '--progress', 'rawjson'], coordinator });
  assert.is(status, 3, stderr);
  const warning = v.strictObject({ time: v.number(), type: v.literal('warning'), message: v.string() });
  const error = v.strictObject({ time: v.number(), type: v.literal('error'), error: v.unknown() });
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((line) => v.parse(v.variant('type', [warning, error]), JSON.parse(line)));
  assert.equal(
    events.map(({ type }) => type),
    ['warning', 'warning', 'error'],
  );
  assert.match(stderr, ofVariable);
  assert.match(stderr, ofArgument);
  const last = events.at(-1);
  assert.equal(last?.type === 'error' && last.error, refused.error);

  const plain = await build(warned, { args: ['app', '--progress', 'plain'], coordinator });
  assert.match(plain.stderr, /^archfarm: too many builds wait\n {2}later$/m);
});

test('a secret of a Compose file is taken from .env too', async () => {
  let submitted: unknown;
  const { stderr } = await build(
    {
      'compose.yaml':
        'services: {app: {image: reg.test/app, build: {context: ., secrets: [token]}}}\n' +
        'secrets: {token: {environment: TOKEN}}\n',
      '.env': 'TOKEN=of-the-file\n',
    },
    {
      args: ['app'],
      coordinator: async (request, response) => {
        submitted = await bodyOf(request);
        response.writeHead(429).end(JSON.stringify(refused));
      },
    },
  );
  assert.match(stderr, 'too many builds wait');
  const secrets = { token: Buffer.from('of-the-file').toString('base64') };
  assert.equal(v.parse(v.object({ secrets: v.unknown() }), submitted), { secrets });
});

test.run();
