import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCoordinatorUrl, webSocketUrl } from '../../shared/address.ts';
import { ArchfarmError } from '../../shared/errors.ts';

test('every spelling of an address is the same coordinator', () => {
  const golden: [text: string, http: string, socket: string][] = [
    ['farm:7480', 'http://farm:7480/', 'ws://farm:7480/v1/agent'],
    ['ws://farm:7480', 'http://farm:7480/', 'ws://farm:7480/v1/agent'],
    ['http://farm:7480/', 'http://farm:7480/', 'ws://farm:7480/v1/agent'],
    ['WSS://farm', 'https://farm/', 'wss://farm/v1/agent'],
    ['https://farm:443', 'https://farm/', 'wss://farm/v1/agent'],
    ['wss://farm:80', 'https://farm:80/', 'wss://farm:80/v1/agent'],
    ['https://farm/base//', 'https://farm/base/', 'wss://farm/base/v1/agent'],
    ['[::1]:7480', 'http://[::1]:7480/', 'ws://[::1]:7480/v1/agent'],
    ['127.0.0.1:1', 'http://127.0.0.1:1/', 'ws://127.0.0.1:1/v1/agent'],
  ];
  for (const [text, http, socket] of golden) {
    const url = parseCoordinatorUrl(text);
    assert.is(url.href, http, text);
    assert.is(webSocketUrl(url, '/v1/agent').href, socket, text);
  }
});

test('what is no address is a usage error that shows it', () => {
  const wrong = [
    '',
    'ftp://farm',
    'http://',
    'ws://:7480',
    'farm:port',
    'farm:99999',
    'a b',
    'ws://u:p@farm',
    'http://farm/?q',
    'http://farm/#x',
    'unix:///run/x',
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseCoordinatorUrl(text),
      (error: unknown) =>
        error instanceof ArchfarmError &&
        error.code === 'usage' &&
        error.message.includes(JSON.stringify(text)),
      text,
    );
  }
});

test.run();
