import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ArchfarmError } from '../../../shared/errors.ts';
import { noAnnotations } from '../../../coordinator/project/annotations.ts';
import { plainBuild, type ProjectBuild } from '../../../coordinator/project/project-build.ts';
import { readServiceBuild } from '../../../coordinator/project/service-build.ts';
import { parseYaml } from '../../../coordinator/project/yaml-value.ts';

const environment = { FROM_ENV: 'env value', TAG: '1.10', SSH_AUTH_SOCK: '/run/agent.sock' };

/** The service `app` of a file whose lines are given. */
function read(...lines: string[]): ProjectBuild {
  const root = parseYaml({ path: '/p/compose.yaml', text: lines.join('\n'), environment });
  return readServiceBuild([{ value: root.get('services').get('app'), directory: '/p' }], {
    directory: '/p',
    secrets: [{ value: root.get('secrets'), directory: '/p' }],
    environment,
  });
}

function readBuild(...lines: string[]): ProjectBuild {
  return read('services:', '  app:', '    build:', ...lines.map((line) => `      ${line}`));
}

const nothing = plainBuild({ type: 'directory', path: '/p' });

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

test('true and false may be written in every way that Compose takes', () => {
  for (const yes of ['true', 'True', 'yes', 'ON', 'y']) {
    const { pull, noCache } = readBuild(`pull: ${yes}`, `no_cache: "${yes}"`);
    assert.equal([pull, noCache], [true, true], yes);
  }
  for (const no of ['false', 'FALSE', 'no', 'off', 'n']) assert.is(readBuild(`pull: ${no}`).pull, false, no);
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
    '      cache_from: [reg/app:main, "type=registry,ref=reg/c"]',
    '      cache_to: [type=inline]',
    '      isolation: default',
    '      privileged: false',
    '      provenance: false',
    '      x-other: {anything: 1}',
    'secrets:',
    '  token: {environment: FROM_ENV}',
    '  key: {file: ./key.pem}',
  );
  assert.equal(build, {
    ...nothing,
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
    cacheFrom: ['docker.io/reg/app:main', 'docker.io/reg/c:latest'],
    inlineCache: true,
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
    [['cache_from: ["type=local,src=x"]'], /cache_from\.0: .*engines take a cache from images only/],
    [['cache_to: ["type=registry,ref=x"]'], /cache_to\.0: .*engines write a cache into the image only/],
    [['network: my-net'], /network: build steps cannot be in the network my-net/, /default, host, none/],
    [['isolation: hyperv'], /isolation: only Windows/],
    [['privileged: true'], /privileged: engines run no privileged/],
    [['shm_size: 1gb'], /shm_size: not every engine/],
    [['ulimits: {nofile: 10}'], /ulimits: not every engine/, /ulimit -n/],
    [['entitlements: [security.insecure]'], /entitlements: engines grant nothing/],
    [['provenance: mode=max'], /provenance: attestations are attached by engines/],
    [['sbom: true'], /sbom: attestations are attached by engines/],
    [['x-bake: {tags: [a]}'], /x-bake: read by docker buildx bake alone/],
    [['x-archfram: {suffix: tag}'], /x-archfram: unknown key/, /did you mean x-archfarm\?/],
    [['secrets: [{target: a}]'], /secrets\.0\.source: must be a text/],
    [['target: ${STAGE?}'], /target: variable STAGE must be set/],
    [['x-archfarm: {sufix: tag}'], /x-archfarm\.sufix: unknown key/, /did you mean suffix\?/],
    [['x-archfarm: {suffix: middle}'], /suffix: must be one of repo, tag, not middle/],
    [['x-archfarm: {type: oic}'], /type: must be one of auto, docker, oci, not oic/],
    [['x-archfarm: {attestations: drop}'], /attestations: must be one of keep, strip, error/],
    [['x-archfarm: {annotations: [novalue]}'], /annotations\.0: .*is not NAME=VALUE/],
    [['x-archfarm: {annotations: {"manifest:a": b}}'], /annotations\.manifest:a: .*cannot be annotated/],
    [['x-archfarm: {per-platform: {armv7: {target: a}}}'], /per-platform\.armv7: /, /did you mean/],
    [['x-archfarm: {per-platform: {linux/arm64: {arg: {A: b}}}}'], /arm64\.arg: unknown key/, /args/],
    [
      ['platforms: [linux/amd64]', 'x-archfarm: {per-platform: {linux/arm64: {target: a}}}'],
      /per-platform\.linux\/arm64: linux\/arm64\/v8 is not built/,
      /the platforms are linux\/amd64/,
    ],
    [
      [
        'platforms: [linux/amd64]',
        'x-archfarm: {optional: [s390x], per-platform: {linux/arm64: {target: a}}}',
      ],
      /per-platform\.linux\/arm64: linux\/arm64\/v8 is not built/,
      /the platforms are linux\/amd64, linux\/s390x/,
    ],
    [
      ['x-archfarm: {per-platform: {linux/arm64: {target: a}, linux/arm64/v8: {target: b}}}'],
      /linux\/arm64\/v8 is there already, in another spelling/,
    ],
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

test('x-archfarm says what Compose has no key for, beside build or in it', () => {
  const extension = [
    'suffix: tag',
    'type: oci',
    'attestations: strip',
    'child-tags: true',
    'annotations: {org.a: b, "manifest-descriptor[linux/arm64]:c": d}',
    'per-platform:',
    '  linux/arm64:',
    '    dockerfile: docker/arm.Dockerfile',
    '    target: small',
    '    args: {A: arm, FROM_ENV: , NOT_THERE: }',
    '    labels: [l=arm]',
    '  amd64: {args: [A=x]}',
  ];
  const expected = {
    ...nothing,
    suffix: 'tag',
    type: 'oci',
    attestations: 'strip',
    childTags: true,
    annotations: { ...noAnnotations, index: { 'org.a': 'b' }, platforms: { 'linux/arm64/v8': { c: 'd' } } },
    perPlatform: {
      'linux/arm64/v8': {
        dockerfile: { type: 'file', path: '/p/docker/arm.Dockerfile' },
        target: 'small',
        args: { A: 'arm', FROM_ENV: 'env value' },
        labels: { l: 'arm' },
      },
      'linux/amd64': { args: { A: 'x' } },
    },
  };
  const indented = (by: string): string[] => extension.map((line) => `${by}${line}`);
  assert.equal(
    read('services:', '  app:', '    build: .', '    x-archfarm:', ...indented('      ')),
    expected,
  );
  assert.equal(readBuild('x-archfarm:', ...indented('  ')), expected);
});

test('a slip of the pen is refused, not overlooked [C2]', () => {
  const service = (line: string): ProjectBuild => read('services:', '  app:', '    build: .', `    ${line}`);
  assert.throws(
    () => service('x-archfarm: {verfy: x}'),
    /:4:18: services\.app\.x-archfarm\.verfy: unknown key/,
  );
  assert.throws(() => service('x-archfrm: {suffix: tag}'), /:4:5: services\.app\.x-archfrm: unknown key/);
});

test.run();
