import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import * as v from 'valibot';
import { archfarmCommand } from '../../scripts/rig/farm.ts';

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

test.run();
