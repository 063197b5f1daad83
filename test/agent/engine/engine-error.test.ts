import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fromFailedBuild } from '../../../agent/engine/engine-error.ts';

const host = 'unix:///docker.sock';
const base = 'registry.lab:5000/team/base:latest';
const loading = `[internal] load metadata for ${base}`;

test('a pull that was denied names the base, also where the engine does not', () => {
  const texts = [
    // Docker 20.10, by token and by password.
    'failed to solve with frontend dockerfile.v0: failed to create LLB definition: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed',
    'failed to solve with frontend dockerfile.v0: failed to create LLB definition: pulling from host registry.lab:5000 failed with status code [manifests latest]: 401 Unauthorized',
    // Later ones.
    `failed to solve: ${base}: failed to resolve source metadata for ${base}: failed to authorize: failed to fetch anonymous token: unexpected status from GET request to http://registry.lab/token: 401 Unauthorized`,
  ];
  for (const text of texts) {
    const error = fromFailedBuild(text, { host, step: loading });
    assert.is(error.code, 'registry-denied', text);
    assert.match(error.message, `pull of ${base} was denied: `);
    assert.not.match(error.message, /frontend|LLB/);
    assert.match(error.hint ?? '', 'must allow pulling it');
  }
  const unknown = fromFailedBuild('pull access denied', { host });
  assert.match(unknown.message, 'pull of a base image was denied');
});

test('a step that fails in the words of a registry is the failure of that step', () => {
  const text = 'executor failed running [/bin/sh -c docker pull x; echo insufficient_scope]: exit code: 1';
  assert.is(fromFailedBuild(text, { host, step: '[2/2] RUN docker pull x' }).code, 'build-failed');
});

test('a read-only file system of the engine is no fault of the build, and one that a step meets is', () => {
  const engines =
    'failed to solve: failed to prepare ab12: mkdir /var/lib/docker/overlay2/ab12: read-only file system';
  const error = fromFailedBuild(engines, { host });
  assert.is(error.code, 'engine-error');
  assert.match(error.hint ?? '', 'dmesg');
  const steps =
    'executor failed running [/bin/sh -c touch /proc/x || echo read-only file system]: exit code: 1';
  assert.is(fromFailedBuild(steps, { host }).code, 'build-failed');
});

test('a base that is not there, and a registry that is not, are not taken for a denial', () => {
  const missing = fromFailedBuild(`failed to create LLB definition: ${base}: not found`, {
    host,
    step: loading,
  });
  assert.equal([missing.code, missing.message], ['build-failed', `${base}: not found`]);
  const away =
    'failed to authorize: failed to fetch anonymous token: Get "https://auth.lab/token": dial tcp 10.0.0.1:443: i/o timeout';
  assert.is(fromFailedBuild(away, { host, step: loading }).code, 'registry-unreachable');
});

const url = 'https://registry.lab:5000/v2/team/base';
const troubles = [
  `unexpected status code ${url}/manifests/latest: 503 Service Unavailable`,
  `unexpected status from HEAD request to ${url}/manifests/latest: 503 Service Unavailable`,
  `unexpected status from HEAD request to ${url}/manifests/latest: 429 Too Many Requests`,
  '429 Too Many Requests - Server message: toomanyrequests: You have reached your pull rate limit',
  'toomanyrequests: You have reached your pull rate limit',
  'pulling from host registry.lab:5000 failed with status code [manifests latest]: 502 Bad Gateway',
  'read tcp 10.0.0.2:40178->10.0.0.1:443: read: connection reset by peer',
  'unexpected EOF',
];

test('a registry that is busy, or a line to it that breaks, is no failure of the build', () => {
  for (const trouble of troubles) {
    const texts: [string, string][] = [
      [`failed to solve: ${base}: failed to resolve source metadata for ${base}: ${trouble}`, ''],
      [`failed to solve: failed to copy: httpReadSeeker: failed open: ${trouble}`, '[2/2] COPY a /b'],
      [`failed to solve with frontend dockerfile.v0: failed to create LLB definition: ${trouble}`, loading],
      [`failed to solve: ${trouble}`, `[linux/amd64 stage-1 1/2] FROM ${base}`],
    ];
    for (const [text, step] of texts) {
      const error = fromFailedBuild(text, { host, step });
      assert.is(error.code, 'registry-unreachable', `${step}: ${text}`);
      assert.match(error.message, host);
    }
  }
});

test('what a registry answers for good, and what is said of anything but a pull, stays the failure of the build', () => {
  const forGood = [
    `${base}: not found`,
    `unexpected status from HEAD request to ${url}/manifests/latest: 404 Not Found`,
    `unexpected status code ${url}/manifests/latest: 400 Bad Request`,
  ];
  for (const text of forGood) {
    const error = fromFailedBuild(`failed to resolve source metadata for ${base}: ${text}`, {
      host,
      step: loading,
    });
    assert.is(error.code, 'build-failed', text);
  }
  for (const trouble of troubles) {
    const texts: [string, string][] = [
      [trouble, '[2/2] RUN FROM there'],
      [
        `process "/bin/sh -c echo failed to copy: ${trouble}" did not complete successfully: signal`,
        '[2/2] RUN x',
      ],
      [`executor failed running [/bin/sh -c echo failed to copy: ${trouble}]: signal`, `[1/2] FROM ${base}`],
    ];
    for (const [text, step] of texts) {
      assert.is(fromFailedBuild(text, { host, step }).code, 'build-failed', text);
    }
  }
});

test('words of registries in what a Dockerfile says take no longer than its length', () => {
  for (const words of ['failed to authorize: ', 'manifests ', 'unexpected status ']) {
    const start = performance.now();
    fromFailedBuild(`x ${words.repeat(500_000 / words.length)} y`, { host: 'h', step: '[b 1/2] FROM x' });
    assert.ok(performance.now() - start < 10_000, words);
  }
});

test.run();
