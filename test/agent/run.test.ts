import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { formatJoinToken } from '../../shared/join-token.ts';
import { httpServer } from '../support/http-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const main = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));

/** What an agent without an engine logs until it has been refused twice. */
async function logged(host: string): Promise<string> {
  await using directory = await temporaryDirectory();
  let count = 0;
  await using server = await httpServer((_request, response) => {
    response.writeHead(401).end();
    if (++count === 2) child.kill('SIGTERM');
  });
  const flags = ['--data', directory.path, '--docker', `unix://${join(directory.path, 'docker.sock')}`];
  const coordinator = `http://${host}:${server.url.port}`;
  const child = spawn(
    process.execPath,
    [...process.execArgv, main, 'run', '--coordinator', coordinator, ...flags],
    {
      env: { PATH: process.env['PATH'], ARCHFARM_TOKEN: 'secret', ARCHFARM_LOG_FORMAT: 'json' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (piece: string) => (stderr += piece));
  await once(child, 'close');
  return stderr;
}

test('an agent says once that its token travels unencrypted', async () => {
  const warning = /the token travels unencrypted to http:\/\/0\.0\.0\.0:/g;
  assert.is((await logged('0.0.0.0')).match(warning)?.length, 1);
  assert.not.match(await logged('127.0.0.1'), /unencrypted/);
});

test('a data directory that cannot be used is named, and so is what names another', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'file');
  await writeFile(file, '');
  const token = formatJoinToken({ pin: 'p'.repeat(43), secret: 's'.repeat(32) });
  for (const data of [file, join(file, 'data')]) {
    const commands = [
      ['run', '--coordinator', 'http://127.0.0.1:1'],
      ['join', 'wss://127.0.0.1:1', token],
    ];
    for (const command of commands) {
      const args = [...process.execArgv, main, ...command, '--data', data];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      const [stderr] = await Promise.all([text(child.stderr), once(child, 'close')]);
      assert.is(child.exitCode, 2, stderr);
      assert.match(stderr, `archfarm-agent: the data directory ${data} cannot be used: `);
      assert.match(stderr, '\n  give a directory of your own with --data or ARCHFARM_DATA\n');
    }
  }
});

test.run();
