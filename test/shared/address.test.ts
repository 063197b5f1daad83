import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isInClear, parseCoordinatorUrl, webSocketUrl } from '../../shared/address.ts';
import { ArchfarmError } from '../../shared/errors.ts';

test('every spelling of an address is the same coordinator', () => {
  const golden: [text: string, http: string, socket: string][] = [
    ['farm:7480', 'https://farm:7480/', 'wss://farm:7480/v1/agent'],
    ['10.0.0.1:7480', 'https://10.0.0.1:7480/', 'wss://10.0.0.1:7480/v1/agent'],
    ['localhost.evil:80', 'https://localhost.evil:80/', 'wss://localhost.evil:80/v1/agent'],
    ['farm', 'https://farm/', 'wss://farm/v1/agent'],
    ['localhost:7480', 'http://localhost:7480/', 'ws://localhost:7480/v1/agent'],
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

test('where TLS is known of, an address without a scheme means that', () => {
  const golden: [text: string, http: string][] = [
    ['127.0.0.1:7480', 'https://127.0.0.1:7480/'],
    ['farm:7480', 'https://farm:7480/'],
    ['http://farm:7480', 'http://farm:7480/'],
    ['ws://127.0.0.1:7480', 'http://127.0.0.1:7480/'],
  ];
  for (const [text, http] of golden) assert.is(parseCoordinatorUrl(text, { tls: true }).href, http, text);
});

test('in clear is plain http beyond this machine', () => {
  const golden: [text: string, clear: boolean][] = [
    ['http://farm:7480', true],
    ['ws://10.0.0.1:7480', true],
    ['http://127.0.0.1.evil', true],
    ['https://farm:7480', false],
    ['farm:7480', false],
    ['http://localhost:7480', false],
    ['http://127.1.2.3', false],
    ['http://[::1]:7480', false],
  ];
  for (const [text, clear] of golden) assert.is(isInClear(parseCoordinatorUrl(text)), clear, text);
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
