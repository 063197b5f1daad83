import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArchfarmError } from '../../../shared/errors.ts';
import { readServiceBuild, type ServiceBuild } from '../../../coordinator/project/service-build.ts';
import { parseYaml } from '../../../coordinator/project/yaml-value.ts';

const environment = { FROM_ENV: 'env value', TAG: '1.10', SSH_AUTH_SOCK: '/run/agent.sock' };

/** The service `app` of a file whose lines are given. */
function read(...lines: string[]): ServiceBuild {
  const root = parseYaml({ path: '/p/compose.yaml', text: lines.join('\n'), environment });
  return readServiceBuild(root.get('services').get('app'), {
    directory: '/p',
    secrets: root.get('secrets'),
    environment,
  });
}

function readBuild(...lines: string[]): ServiceBuild {
  return read('services:', '  app:', '    build:', ...lines.map((line) => `      ${line}`));
}

const nothing: ServiceBuild = {
  tags: [],
  platforms: [],
  context: { type: 'directory', path: '/p' },
  dockerfile: { type: 'file', path: '/p/Dockerfile' },
  contexts: [],
  args: {},
  labels: {},
  target: undefined,
  network: undefined,
  pull: false,
  noCache: false,
  extraHosts: [],
  secrets: [],
  ssh: [],
};

test('a text is the context directory, and image the first tag', () => {
  assert.equal(
    read('services:', '  app:', '    image: reg/app:${TAG}', '    build: ./sub', '    ports: ["1:1"]'),
    {
      ...nothing,
      tags: ['reg/app:1.10'],
      context: { type: 'directory', path: '/p/sub' },
      dockerfile: { type: 'file', path: '/p/sub/Dockerfile' },
    },
  );
});

test('every key is read, in the mapping form', () => {
  const build = read(
    'services:',
    '  app:',
    '    image: reg/app',
    '    build:',
    '      context: ../src',
    '      dockerfile: docker/Dockerfile.prod',
    '      args: {VERSION: 1.10, DEBUG: true, FROM_ENV: , NOT_THERE: , EMPTY: ""}',
    '      target: final',
    '      platforms: [linux/amd64, linux/arm64]',
    '      tags: ["reg/app:${TAG}"]',
    '      labels: {a: 1, b: }',
    '      secrets: [token, {source: key, target: ssl}]',
    '      ssh: {default: , other: ./other.sock}',
    '      network: host',
    '      pull: true',
    '      no_cache: "true"',
    '      extra_hosts: {db: 10.0.0.1, v6: ["[::1]", 10.0.0.2]}',
    'secrets:',
    '  token: {environment: FROM_ENV}',
    '  key: {file: ./key.pem}',
  );
  assert.equal(build, {
    tags: ['reg/app', 'reg/app:1.10'],
    platforms: ['linux/amd64', 'linux/arm64'],
    context: { type: 'directory', path: '/src' },
    dockerfile: { type: 'file', path: '/src/docker/Dockerfile.prod' },
    contexts: [],
    args: { VERSION: '1.10', DEBUG: 'true', FROM_ENV: 'env value', EMPTY: '' },
    labels: { a: '1', b: '' },
    target: 'final',
    network: 'host',
    pull: true,
    noCache: true,
    extraHosts: ['db:10.0.0.1', 'v6:::1', 'v6:10.0.0.2'],
    secrets: [
      { id: 'token', type: 'env', variable: 'FROM_ENV' },
      { id: 'ssl', type: 'file', path: '/p/key.pem' },
    ],
    ssh: [
      { id: 'default', socket: '/run/agent.sock' },
      { id: 'other', socket: '/p/other.sock' },
    ],
  });
});

test('the list forms mean the same', () => {
  const build = readBuild(
    'args: [A=1=2, FROM_ENV, NOT_THERE]',
    'labels: [a=b, c]',
    'ssh: [default]',
    'extra_hosts: ["db=10.0.0.1", "v6:::1"]',
    'dockerfile_inline: |',
    '  FROM scratch',
  );
  assert.equal(build.args, { A: '1=2', FROM_ENV: 'env value' });
  assert.equal(build.labels, { a: 'b', c: '' });
  assert.equal(build.ssh, [{ id: 'default', socket: '/run/agent.sock' }]);
  assert.equal(build.extraHosts, ['db:10.0.0.1', 'v6:::1']);
  assert.equal(build.dockerfile, { type: 'inline', text: 'FROM scratch\n' });
});

test('anchors and merge keys work', () => {
  const build = read(
    'x-common: &common',
    '  args: {A: "1"}',
    '  target: final',
    'services:',
    '  app:',
    '    build: {<<: *common, target: other}',
  );
  assert.equal(build.args, { A: '1' });
  assert.is(build.target, 'other');
});

test('a git URL is a context that holds its Dockerfile', () => {
  const { context, dockerfile } = readBuild('context: https://host/x/y.git#v1', 'dockerfile: a/Dockerfile');
  assert.equal(context, { type: 'git', url: 'https://host/x/y.git', ref: 'v1', subdirectory: undefined });
  assert.equal(dockerfile, { type: 'context', path: 'a/Dockerfile' });
});

test('additional contexts are directories by the project file, in both forms', () => {
  const expected = [
    { name: 'lib', path: '/p/shared/lib' },
    { name: 'a.b_c-1', path: '/abs' },
  ];
  for (const form of ['{lib: shared/lib, a.b_c-1: /abs}', '[lib=shared/lib, a.b_c-1=/abs]']) {
    const { contexts } = read('services:', '  app:', '    build:', `      additional_contexts: ${form}`);
    assert.equal(contexts, expected, form);
  }
});

test('each error names file, line, column and key', () => {
  const golden: [lines: string[], message: RegExp, hint?: RegExp][] = [
    [
      ['platfroms: [linux/arm64]'],
      /^\/p\/compose\.yaml:4:7: services\.app\.build\.platfroms: unknown key$/,
      /did you mean platforms\?/,
    ],
    [
      ['context: .', 'zzzzzzzzzz: 1'],
      /^\/p\/compose\.yaml:5:7: .*zzzzzzzzzz: unknown key$/,
      /known keys: context, dockerfile/,
    ],
    [['cache_from: [x]'], /cache_from: not supported yet/],
    [['additional_contexts: {Lib: b}'], /:4:\d+: .*additional_contexts\.Lib: "Lib" cannot be the name/],
    [['additional_contexts: {scratch: b}'], /an additional context cannot be called scratch/],
    [['additional_contexts: [lib]'], /additional_contexts\.0: must be NAME=PATH/],
    [['additional_contexts: {a: "docker-image://alpine"}'], /additional_contexts\.a: .* a is an image, not/],
    [['additional_contexts: {a: "oci-layout:///x"}'], /a is an OCI layout/],
    [['additional_contexts: {a: "service:b"}'], /a is another service/],
    [['additional_contexts: ["a=target:b"]'], /a is another target/],
    [['additional_contexts: {a: "https://x.test/y"}'], /a is a URL/],
    [['additional_contexts: {a: "git@x.test:y/z.git"}'], /a is a URL/],
    [['additional_contexts: {a: }'], /the additional context a has no path/],
    [['args: text'], /:4:7: services\.app\.build\.args: must be a mapping/],
    [['args: {A: [1]}'], /args\.A: must be a text/],
    [['tags: reg/app'], /tags: must be a list/],
    [['tags:', '  - a', '  - {b: c}'], /:6:11: services\.app\.build\.tags\.1: must be a text/],
    [['no_cache: maybe'], /no_cache: must be true or false, not maybe/],
    [['target: ${STAGE:?say which}'], /target: variable STAGE must be set: say which/],
    [['dockerfile: a', 'dockerfile_inline: b'], /dockerfile_inline: not together with dockerfile/],
    [['secrets: [nope]'], /secrets\.0: no secret nope at the top of the file/],
    [['extra_hosts: [nope]'], /extra_hosts\.0: must be NAME=ADDRESS/],
  ];
  for (const [lines, message, hint] of golden) {
    assert.throws(
      () => readBuild(...lines),
      (error: unknown) =>
        error instanceof ArchfarmError &&
        error.code === 'config' &&
        message.test(error.message) &&
        (hint === undefined || hint.test(error.hint ?? '')),
      `${lines.join(' ')} must fail with ${message}`,
    );
  }
});

test('x-archfarm beside build is refused, not overlooked', () => {
  assert.throws(
    () => read('services:', '  app:', '    build: .', '    x-archfarm: {test: "true"}'),
    /:4:5: services\.app\.x-archfarm: not supported yet/,
  );
});

test.run();
