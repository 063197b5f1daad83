import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseListenAddress } from '../../../coordinator/cli/serve-options.ts';

test('an address to listen on is host and port', () => {
  assert.equal(parseListenAddress('127.0.0.1:7480'), { host: '127.0.0.1', port: 7480 });
  assert.equal(parseListenAddress('[::1]:0'), { host: '::1', port: 0 });
  assert.equal(parseListenAddress('farm.example:65535'), { host: 'farm.example', port: 65_535 });
  for (const text of ['7480', ':7480', 'a:', 'a:65536', '::1:7480', 'http://a:1']) {
    assert.throws(() => parseListenAddress(text), /invalid address to listen on/, text);
  }
});

test.run();
