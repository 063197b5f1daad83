import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { archfarmCommand } from '../../scripts/rig/farm.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** Runs the built command, and tells on standard error whether V8 took the code beside it, and which files were loaded. */
const observed = `
  const vm = require('node:vm');
  let rejected;
  vm.Script = class extends vm.Script {
    constructor(source, options) {
      super(source, options);
      rejected = this.cachedDataRejected;
    }
  };
  process.on('exit', () => console.error(JSON.stringify({ rejected, files: Object.keys(require.cache) })));
  require(${JSON.stringify(archfarmCommand)});
`;

const seen = v.object({ rejected: v.boolean(), files: v.array(v.string()) });

test('a start takes the code that the build left, and loads no package that it does not need', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', observed, '--', '--version'], {
    encoding: 'utf8',
  });
  assert.is(status, 0, stderr);
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
  const { rejected, files } = v.parse(seen, JSON.parse(stderr));
  assert.is(rejected, false);
  assert.equal(
    files.map((file) => basename(file)),
    ['archfarm.js'],
  );
});

// With the sources Node's own loader would want the directory first, and wait for ever.
test('a directory that was removed under the command is named as that', async () => {
  await using directory = await temporaryDirectory();
  const removed = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"';
  const { status, stderr } = spawnSync(
    'sh',
    ['-c', removed, 'sh', process.execPath, archfarmCommand, 'build', 'app'],
    { cwd: directory.path, encoding: 'utf8', timeout: 60_000 },
  );
  assert.is(status, 2, stderr);
  assert.is(
    stderr,
    'archfarm: the current directory was removed\n' +
      '  change into one that is there: cd "$PWD" goes to a new one of that name\n',
  );
});

test.run();
