/** The audit as `archfarm audit` lists it, from a coordinator that has more rows than anybody should hold at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { archfarmCommand } from '../../../scripts/rig/farm.ts';
import { archfarm } from '../../support/archfarm-command.ts';
import { startServer } from '../../support/logged-server.ts';

const head = { number: 0, hash: '' };

/** Serves so many rows, each with that many characters of what it says. */
function auditOf(count: number, characters: number): ReturnType<typeof startServer> {
  return startServer((request, response) => {
    const after = Number(new URL(request.url ?? '', 'http://x').searchParams.get('after'));
    const rows = Array.from({ length: Math.min(1000, count - after) }, (_, index) => {
      const number = after + index + 1;
      const entry = {
        number,
        time: 0,
        action: 'submit',
        who: 'alice',
        what: `${number} `.padEnd(characters, 'x'),
      };
      return { number, time: 0, entry: JSON.stringify(entry), hash: '' };
    });
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ rows, head }));
  });
}

test('a long audit is listed in little memory, row by row', async () => {
  const count = 40_000;
  await using server = await auditOf(count, 1000);
  const child = spawn(
    process.execPath,
    ['--max-old-space-size=32', archfarmCommand, 'audit', '--coordinator', server.host],
    { env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let rows = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (/^1970-01-01T00:00:00Z +alice +submit +\d+ x/.test(line)) rows += 1;
  });
  await once(child, 'close');
  assert.equal([child.exitCode, rows], [0, count]);
});

test('what is listed as JSON is one array, also of no rows and of more than a page', async () => {
  for (const count of [0, 1, 1001]) {
    await using server = await auditOf(count, 10);
    const env = { PATH: process.env['PATH'] };
    const { stdout } = await archfarm(['audit', '--json', '--coordinator', server.host], { env });
    const entries: { number: number }[] = JSON.parse(stdout);
    assert.equal([entries.length, entries.at(-1)?.number], [count, count === 0 ? undefined : count]);
    assert.is(stdout, `${JSON.stringify(entries, undefined, 2)}\n`);
  }
});

test.run();
