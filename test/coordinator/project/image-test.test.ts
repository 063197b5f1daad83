import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readTest, settleTest, type TestRequest } from '../../../coordinator/project/image-test.ts';
import { parseYaml } from '../../../coordinator/project/yaml-value.ts';

function read(yaml: string): TestRequest {
  return readTest(parseYaml({ path: '/p/compose.yaml', text: `test: ${yaml}`, environment: {} }).get('test'));
}

const defaults = { timeout: undefined, network: undefined };

test('a text is for the shell, a list is run directly, and a mapping says more', () => {
  assert.equal(read('pytest -q'), { command: ['/bin/sh', '-c', 'pytest -q'] });
  assert.equal(read('[/app, --version]'), { command: ['/app', '--version'] });
  assert.equal(read('{command: make check}'), { command: ['/bin/sh', '-c', 'make check'], ...defaults });
  assert.equal(read('{command: [/app], timeout: 1m30s, network: true}'), {
    command: ['/app'],
    timeout: 90_000,
    network: true,
  });
});

test('what is no test is refused with its place', () => {
  const golden: [yaml: string, message: RegExp][] = [
    ['""', /compose\.yaml:1:1: test: the command is empty/],
    ['[]', /test: the command is empty/],
    ['["", a]', /test: the command is empty/],
    ['{timeout: 1m}', /test: has no command/],
    ['{command: a, timeout: 10}', /test\.timeout: timeout "10" is not a duration/],
    ['{command: a, timeout: 0s}', /test\.timeout: timeout must be longer than nothing/],
    ['{command: a, network: maybe}', /test\.network: must be true or false/],
    ['{command: a, netwrok: true}', /test\.netwrok: unknown key/],
  ];
  for (const [yaml, message] of golden) assert.throws(() => read(yaml), message, yaml);
});

test('flags go before the file, one by one', () => {
  const file = { command: ['/file'], timeout: 5000, network: true };
  assert.is(settleTest(undefined, undefined), undefined);
  assert.equal(settleTest({ command: ['/file'] }, undefined), {
    command: ['/file'],
    timeout: 600_000,
    network: false,
  });
  assert.equal(settleTest(file, { command: ['/flag'] }), { ...file, command: ['/flag'] });
  assert.equal(settleTest(file, { timeout: 1 }), { ...file, timeout: 1 });
  assert.throws(
    () => settleTest(undefined, { timeout: 1 }),
    /--test-timeout is for a test, and there is none/,
  );
  assert.throws(() => settleTest(undefined, { network: true }), /--test-network is for a test/);
});

test.run();
