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

test.run();
