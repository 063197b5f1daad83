import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  readVerify,
  readVerifyFlags,
  settleVerify,
  type VerifyRequest,
} from '../../../coordinator/project/image-proof.ts';
import { parseYaml } from '../../../coordinator/project/yaml-value.ts';

function read(yaml: string): VerifyRequest {
  const file = { path: '/p/compose.yaml', text: `verify: ${yaml}`, environment: {} };
  return readVerify(parseYaml(file).get('verify'));
}

const defaults = { timeout: 600_000, network: false };

test('true starts the image as it is, a text is for the shell, a list is run directly', () => {
  assert.equal(settleVerify(read('true'), undefined), defaults);
  assert.is(settleVerify(read('false'), undefined), undefined);
  assert.is(settleVerify(undefined, undefined), undefined);
  assert.equal(settleVerify(read('uname -m'), undefined), {
    command: ['/bin/sh', '-c', 'uname -m'],
    ...defaults,
  });
  assert.equal(settleVerify(read('{command: [/app], timeout: 5s, network: true}'), undefined), {
    command: ['/app'],
    timeout: 5000,
    network: true,
  });
  assert.throws(() => read('[]'), /verify: the command is empty/);
  assert.throws(() => read('{comand: x}'), /verify\.comand: unknown key/);
});

test('flags go before the file, and those of a proof that nobody asked for are refused', () => {
  const file = read('{command: a, timeout: 5s}');
  const flags = readVerifyFlags({ verify: false, verifyRun: 'b' });
  assert.equal(settleVerify(file, flags), { command: ['/bin/sh', '-c', 'b'], timeout: 5000, network: false });
  assert.equal(settleVerify(read('false'), readVerifyFlags({ verify: true })), defaults);
  const lone = readVerifyFlags({ verify: false, verifyTimeout: '5s' });
  assert.throws(() => settleVerify(undefined, lone), /--verify-timeout is for --verify/);
  assert.throws(() => readVerifyFlags({ verify: true, verifyRun: ' ' }), /--verify-run has no command/);
});

test.run();
